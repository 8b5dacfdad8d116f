# Failures as AWS's Python runtime reports them: the document for the caller, and the log event.
import os
import time
import traceback

NO_BREAK_SPACE = "\u00a0"


def document_of(error, request_id, bootstrap):
    """The frames of the bootstrap above the function's own are left out."""
    if type(error).__name__ == "Fault" and hasattr(error, "error_type"):
        return document(error.error_type, str(error), request_id, error.stack)
    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename == bootstrap:
        del frames[0]
    return document(type(error).__name__, str(error), request_id, traceback.format_list(frames))


def document(error_type, message, request_id, stack):
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id or "", "stackTrace": stack}


def log_text(document, codec, tenant_id):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        seconds = time.time()
        timestamp = "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)), seconds % 1 * 1000)
        tenant = {} if tenant_id is None else {"tenantId": tenant_id}
        return codec.encode(dict({"timestamp": timestamp, "level": "ERROR"}, **document, **tenant)).decode("utf-8")
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
