# The loop of a Python environment: takes invocations from the control socket, runs the handler, answers. See ../README.md.
#
# Every module that is loaded here is paid for by each cold start. So there is no `json` (8 ms, for its regular expressions), `logging`
# (6), `traceback` (11) or `importlib`, and what only some functions need stands in the files beside this one.
import _json
import _thread
import os
import sys
import time

CONTROL = 3
RESPONSE_BYTES_MAX = 6291556
READ_BYTES_MAX = 1 << 20
DIGITS = "%d.%d" % sys.version_info[:2]
# What has no parts.
LEAVES = {str, int, float, bool, type(None)}
# What AWS's runtime (awslambdaric) has loaded before the handler: a function's own module of that name is not found there.
LOADED_ON_AWS = set(
    "collections contextlib copyreg decimal enum functools importlib json keyword linecache logging math numbers operator re reprlib"
    " string textwrap threading token tokenize traceback types warnings weakref".split()
)
# Empty, unless files with what was compiled of /var/task and /opt are mounted over them.
COMPILED = ["%s/%s.compiled" % (__file__.rpartition("/")[0], name) for name in ("task", "opt")]


class Fault(Exception):
    """A failure that AWS has a name for."""

    def __init__(self, error_type, message, stack=()):
        Exception.__init__(self, message)
        self.error_type = error_type
        self.stack = list(stack)


class Json:
    """The codec behind `json`, without that module. Where it does not do, `json` is asked."""

    memo = None
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__

    def __init__(self):
        # AWS writes characters as they are since 3.12.
        self.quoted = _json.encode_basestring if sys.version_info >= (3, 12) else _json.encode_basestring_ascii
        self.scan = _json.make_scanner(self)
        self.encoder_of = lambda default, quoted: _json.make_encoder({}, default, quoted, None, ": ", ", ", False, False, True)

    def decode(self, data):
        text = data.decode("utf-8").strip(" \t\n\r")
        try:
            value, end = self.scan(text, 0)
            if end == len(text):
                return value
        except Exception:
            pass  # of a kind that varies with the version, because the scanner expects `json` to be loaded
        import json

        return json.loads(text)  # raises the error that tells the place

    def encode(self, value):
        return self.text_of(value).encode("utf-8")

    def encode_all(self, value):
        """Half a character, for which UTF-8 has no form, is escaped: the text of an error may have one."""
        return self.text_of(value).encode("utf-8", "backslashreplace")

    def text_of(self, value):
        try:
            parts = self.encoder_of(refuse, self.quoted)(value, 0)
        except HasDecimal:
            parts = self.encoder_of(decimal_as_number, lambda text: text if type(text) is Number else self.quoted(text))(value, 0)
        return "".join(parts)


class HasDecimal(Exception):
    pass


class Number(str):
    """Digits that stand in JSON as they are."""


def is_decimal(value):
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def refuse(value):
    if is_decimal(value):
        raise HasDecimal
    if isinstance(value, bytes):
        return value.decode("utf-8")  # AWS's encoder does that, too
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def decimal_as_number(value):
    """AWS's runtime writes Decimal with all its digits: boto3 gives them for the numbers of DynamoDB."""
    if not is_decimal(value):
        return refuse(value)
    return float("nan") if value.is_nan() else Number(value)


def is_special(value):
    """Whether there is a named tuple in it, or a key of bytes: encoders have their own ways with these. Made to be quick with large results."""
    seen = set()
    left = [value]
    for one in left:
        if id(one) in seen:
            continue
        if isinstance(one, dict):
            if bytes in map(type, one):
                return True
            parts = one.values()
        elif isinstance(one, (list, tuple)):
            if hasattr(one, "_asdict"):
                return True
            parts = one
        else:
            continue
        seen.add(id(one))
        if not LEAVES.issuperset(map(type, parts)):
            left += [part for part in parts if type(part) not in LEAVES]
    return False


class Control:
    """Frames of the control socket: u32 length, u8 type, u32 length of head, head (JSON), body."""

    def __init__(self, codec):
        self.codec = codec
        self.buffered = b""
        # Log events may come from any thread.
        self.lock = _thread.allocate_lock()
        os.set_inheritable(CONTROL, False)

    def send(self, kind, head, body=b""):
        text = self.codec.encode(head)
        frame = (5 + len(text) + len(body)).to_bytes(4, "big") + kind + len(text).to_bytes(4, "big") + text + body
        with self.lock:
            view = memoryview(frame)
            while view:
                view = view[os.write(CONTROL, view) :]

    def log(self, text):
        self.send(b"L", {"timestampMs": time.time_ns() // 1000000}, text.encode("utf-8", "backslashreplace"))

    def receive(self):
        length = int.from_bytes(self.take(4), "big")
        frame = self.take(length)
        head_end = 5 + int.from_bytes(frame[1:5], "big")
        return frame[:1], self.codec.decode(frame[5:head_end]), frame[head_end:]

    def take(self, size):
        pieces = [self.buffered]
        missing = size - len(self.buffered)
        while missing > 0:
            piece = os.read(CONTROL, min(max(missing, 65536), READ_BYTES_MAX))
            if not piece:
                os._exit(0)  # the server is gone, or has no more use for this process
            pieces.append(piece)
            missing -= len(piece)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.buffered = data[size:]
        return data[:size]


class Record:
    """Members by name, all of them there and `None` unless given."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return "%s([%s])" % (type(self).__name__, ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__))


class CognitoIdentity(Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(Record):
    __slots__ = ("custom", "env", "client")


class LambdaContext:
    def __init__(self, head, runtime):
        environ = os.environ
        self.aws_request_id = head["requestId"]
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = head["invokedArn"]
        given = runtime.parsed(head.get("clientContext"), "Client Context")
        self.client_context = None if given is None else ClientContext(given)
        if given is not None and self.client_context.client is not None:
            self.client_context.client = Client(self.client_context.client)
        identity = runtime.parsed(head.get("cognitoIdentity"), "Cognito Identity") or {}
        members = {"cognito_identity_id": "cognitoIdentityId", "cognito_identity_pool_id": "cognitoIdentityPoolId"}
        self.identity = CognitoIdentity({name: identity.get(key) for name, key in members.items()})
        self.tenant_id = head.get("tenantId")
        self._w3c_fields = w3c_fields(given)
        self._epoch_deadline_time_in_ms = head["deadlineMs"]
        self._log = runtime.control.log

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - time.time_ns() // 1000000, 0)

    def w3c(self):
        return dict(self._w3c_fields)

    def log(self, message):
        self._log(str(message))

    def __repr__(self):
        return "LambdaContext([%s])" % ",".join("%s=%s" % item for item in vars(self).items() if not item[0].startswith("_"))


def w3c_fields(client_context):
    """Members of a W3C trace context that the caller has sent along."""
    given = client_context.get("w3c") if isinstance(client_context, dict) else None
    if not isinstance(given, dict):
        return {}
    return {name: given[name] for name in ("traceparent", "tracestate", "baggage") if isinstance(given.get(name), str)}


class Runtime:
    def __init__(self, beside):
        """`beside` loads a module from the bootstrap's directory."""
        self.beside = beside
        self.codec = Json()
        self.control = Control(self.codec)
        self.stdout = sys.stdout
        self.handler = None
        self.ahead = None
        self.request_id = None
        self.tenant_id = None

    def run(self):
        kind, head, _ = self.control.receive()
        while kind == b"P":
            # The first one makes the hundred types of the syntax tree: a millisecond that a cold start does not wait for.
            compile("", "", "exec")
            if head.get("loads") == "boto3":
                before = set(sys.modules)
                self.ahead = self.beside("ahead").Ahead(before)
            self.control.send(b"W", {})
            kind, head, _ = self.control.receive()
        self.boot(head)
        while True:
            _, head, body = self.control.receive()
            self.invoke(head, body)

    def boot(self, head):
        os.environ.update(head["variables"])
        time.tzset()
        # What was mounted since the process started is found by entering it again, and by forgetting what was not there.
        os.chdir(os.environ.get("LAMBDA_TASK_ROOT", "/var/task"))
        sys.path_importer_cache.clear()
        if any(os.stat(path).st_size for path in COMPILED):
            self.beside("compiled").install(COMPILED, self.codec)
        hook = LibraryHook(self)
        if self.ahead is not None:
            self.ahead.install(hook)
        try:
            self.handler = load_handler(head["handler"])
        except Exception as error:
            document = self.failure(error)
            self.control.send(b"F", {"errorType": document["errorType"]}, self.codec.encode_all(document))
            self.flush()
            os._exit(1)
        self.control.send(b"R", {})

    def failure(self, error):
        """Logs it, and returns its document."""
        failures = self.beside("failures")
        document = failures.document_of(error, self.request_id, __file__)
        self.flush()
        failures.wait_until_read()
        self.control.log(failures.log_text(document, self.codec, self.tenant_id))
        return document

    def flush(self):
        for stream in (self.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # the function has closed it, or has put something there that is no stream

    def parsed(self, text, name):
        if not text:
            return None
        try:
            return self.codec.decode(text.encode())
        except ValueError as error:
            raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error)) from None

    def invoke(self, head, body):
        self.request_id = head["requestId"]
        self.tenant_id = head.get("tenantId")
        if "traceHeader" in head:
            os.environ["_X_AMZN_TRACE_ID"] = head["traceHeader"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        answer = {"requestId": self.request_id}
        try:
            kind, payload = b"S", self.call(head, body)
        except Exception as error:
            document = self.failure(error)
            answer["errorType"] = document["errorType"]
            kind, payload = b"E", self.codec.encode_all(document)
        if len(payload) > RESPONSE_BYTES_MAX:
            answer["errorType"] = "Function.ResponseSizeTooLarge"
            text = "Response payload size exceeded maximum allowed payload size (%d bytes)." % RESPONSE_BYTES_MAX
            kind, payload = b"E", self.codec.encode({"errorType": answer["errorType"], "errorMessage": text})
        self.flush()
        self.control.send(kind, answer, payload)

    def call(self, head, body):
        context = LambdaContext(head, self)
        try:
            event = self.codec.decode(body)
        except ValueError as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from None
        result = self.handler(event, context)
        # AWS's runtime hands bytes on as they are.
        if isinstance(result, bytes):
            return result
        try:
            return self.codec.encode(self.beside("results").plain(result) if is_special(result) else result)
        except Exception as error:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None


class LibraryHook:
    """Finds what AWS's runtime has loaded in the standard library, and sets up the root logger before anybody can use it."""

    def __init__(self, runtime):
        self.runtime = runtime
        library = os.__file__.rpartition("/")[0]
        self.library = [library, library + "/lib-dynload"]
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name not in LOADED_ON_AWS:
            return None
        # Not there: it is built into this interpreter.
        spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(name, self.library)
        if name == "logging":
            self.set_up_after(spec.loader)
        return spec

    def set_up_after(self, loader):
        execute = loader.exec_module

        def execute_and_set_up(module):
            execute(module)
            self.runtime.beside("logs").set_up(module, self.runtime)

        loader.exec_module = execute_and_set_up


def load_handler(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, error)) from None
    dotted = module_name.replace("/", ".")
    if dotted.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
    try:
        __import__(dotted)
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)) from None
    except SyntaxError as error:
        stack = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), stack) from None
    try:
        return getattr(sys.modules[dotted], function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name)) from None


def set_up_path(here):
    """The interpreter is started with -S, because `site` of some builds costs 40 ms: what it does and functions need is done here."""
    import _sitebuiltins
    import builtins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    # PYTHONPATH, which has the AWS SDK, and the standard library are there already.
    rest = [place for place in sys.path if place != here]
    task = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    sys.path[:] = [task, "/opt/python/lib/python%s/site-packages" % DIGITS, "/opt/python"] + rest
    if os.environ.get("PYTHONPATH", "/var/runtime") != "/var/runtime":
        # Tools that a layer brings along hook in there.
        try:
            __import__("sitecustomize")
        except ImportError as error:
            if error.name != "sitecustomize":
                raise


def main(here, beside):
    set_up_path(here)
    # Written at once (-u), as on AWS: what was printed is not lost with a process that is killed.
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8")
    Runtime(beside).run()
