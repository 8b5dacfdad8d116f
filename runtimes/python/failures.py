# Failures as AWS's Python runtime reports them: the document for the caller, and the log event.
#
# Stacks are written without `traceback`, whose loading takes a fifth of a second on the CPU share of a small function.
import os
import sys
import time

FIONREAD = 0x541B
# Whoever goes on printing does not hold the answer back.
UNREAD_SECONDS_MAX = 0.02

NO_BREAK_SPACE = "\u00a0"
# What `traceback` shows of frames that are all the same, as those of endless recursion.
SAME_FRAMES_MAX = 3


def wait_until_read():
    """Until what was printed has left the pipe: log events take the socket, and would come before it."""
    end = time.monotonic() + UNREAD_SECONDS_MAX
    try:
        import fcntl

        while any(fcntl.ioctl(sys.__stdout__.fileno(), FIONREAD, bytes(4))) and time.monotonic() < end:
            time.sleep(0.0001)
    except Exception:
        pass  # the function has closed it, it is no pipe, or there is another module of that name


def document_of(error, request_id, bootstrap):
    """The frames of the bootstrap above the function's own are left out."""
    if type(error).__name__ == "Fault" and hasattr(error, "error_type"):
        return document(error.error_type, text_of(error), request_id, error.stack)
    return document(type(error).__name__, text_of(error), request_id, stack_of(error.__traceback__, bootstrap))


def text_of(error):
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"  # as the interpreter says it


def document(error_type, message, request_id, stack):
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id or "", "stackTrace": stack}


def stack_of(tb, bootstrap):
    while tb is not None and tb.tb_frame.f_code.co_filename == bootstrap:
        tb = tb.tb_next
    sources = {}
    entries = []
    last = None
    same = 0
    while tb is not None:
        code = tb.tb_frame.f_code
        place = (code.co_filename, tb.tb_lineno, code.co_name)
        same = same + 1 if place == last else 1
        last = place
        if same <= SAME_FRAMES_MAX:
            entries.append(entry_of(place, sources))
        elif same == SAME_FRAMES_MAX + 1:
            entries.append(repeated(1))
        else:
            entries[-1] = repeated(same - SAME_FRAMES_MAX)
        tb = tb.tb_next
    return entries


def repeated(count):
    return "  [Previous line repeated %d more time%s]\n" % (count, "" if count == 1 else "s")


def entry_of(place, sources):
    entry = '  File "%s", line %d, in %s\n' % place
    source = source_line(place[0], place[1], sources)
    return entry + "    %s\n" % source if source else entry


def source_line(filename, number, sources):
    if filename not in sources:
        try:
            with open(filename, encoding="utf-8", errors="replace") as file:
                sources[filename] = file.read().split("\n")
        except (OSError, ValueError):
            sources[filename] = []  # made by exec, or in an archive
    lines = sources[filename]
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def log_text(document, codec, tenant_id):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        tenant = {} if tenant_id is None else {"tenantId": tenant_id}
        return codec.text_of(dict({"timestamp": timestamp, "level": "ERROR"}, **document, **tenant))
    title = "[ERROR] " + document["errorType"]
    if document["errorMessage"]:
        title += ": " + document["errorMessage"]
    lines = [title, "Traceback (most recent call last):"]
    for entry in document["stackTrace"]:
        lines += [with_visible_indent(line) for line in entry.splitlines()]
    return "\n".join(lines)


def with_visible_indent(line):
    text = line.lstrip(" ")
    return NO_BREAK_SPACE * (len(line) - len(text)) + text
