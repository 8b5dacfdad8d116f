# The root logger of a function, as AWS's Python runtime sets it up: each record is one log event, as text or as JSON.
import json
import os
import time
import traceback

LEVELS = {"TRACE": "DEBUG"}
TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"


def set_up(logging, runtime):
    """`logging`: the module, which has just been loaded."""
    logging.Formatter.converter = time.gmtime
    is_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = runtime.request_id or ""
            record.tenant_id = runtime.tenant_id
            return True

    class LambdaLoggerHandler(logging.Handler):
        # A message that can't be formatted is an error of the function that logs it, as on AWS.
        def emit(self, record):
            runtime.control.log(self.format(record))

    handler = LambdaLoggerHandler()
    handler.addFilter(LambdaLoggerFilter())
    handler.setFormatter(json_formatter(logging) if is_json else logging.Formatter(TEXT_FORMAT, DATE_FORMAT))
    logging.root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = LEVELS.get(level, level)
    if level in logging._nameToLevel:
        logging.root.setLevel(level)


# Members of a record that are not shown, or under another name; what else it has comes from `extra`.
HIDDEN = set(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs relativeCreated"
    " thread threadName processName process aws_request_id tenant_id".split()
)


def json_formatter(logging):
    class JsonFormatter(logging.Formatter):
        def format(self, record):
            event = {
                "timestamp": self.formatTime(record, DATE_FORMAT + "Z"),
                "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
                "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
                "logger": record.name,
                **failure(record),
                "requestId": record.aws_request_id,
                "location": "%s:%s:%s" % (record.pathname, record.funcName, record.lineno) if record.exc_info else None,
                "tenantId": record.tenant_id,
            }
            for name, value in vars(record).items():
                if name not in HIDDEN and name not in event:
                    event[name] = value
            present = {name: value for name, value in event.items() if value is not None}
            return json.dumps(present, ensure_ascii=False, default=str)

    return JsonFormatter()


def failure(record):
    kind, error, tb = record.exc_info or (None, None, None)
    if kind is None:
        return {"stackTrace": None, "errorType": None, "errorMessage": None}
    return {"stackTrace": traceback.format_tb(tb), "errorType": kind.__name__, "errorMessage": str(error)}
