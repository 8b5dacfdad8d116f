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
        def emit(self, record):
            try:
                runtime.control.log(self.format(record))
            except Exception:
                self.handleError(record)

    handler = LambdaLoggerHandler()
    handler.addFilter(LambdaLoggerFilter())
    handler.setFormatter(json_formatter(logging) if is_json else logging.Formatter(TEXT_FORMAT, DATE_FORMAT))
    logging.root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = LEVELS.get(level, level)
    if level in logging._nameToLevel:
        logging.root.setLevel(level)


def json_formatter(logging):
    # What every record has; other members come from `extra`.
    known = set(vars(logging.makeLogRecord({}))) | {"aws_request_id", "tenant_id", "message", "asctime"}

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            seconds = "%s.%03dZ" % (time.strftime(DATE_FORMAT, time.gmtime(record.created)), record.created % 1 * 1000)
            event = {
                "timestamp": seconds,
                "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
                "message": record.getMessage(),
                "logger": record.name,
            }
            if record.exc_info and record.exc_info[0] is not None:
                event["stackTrace"] = traceback.format_tb(record.exc_info[2])
                event["errorType"] = record.exc_info[0].__name__
                event["errorMessage"] = str(record.exc_info[1])
                event["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
            event["requestId"] = record.aws_request_id
            event["tenantId"] = record.tenant_id
            for name, value in vars(record).items():
                if name not in known and name not in event:
                    event[name] = value
            present = {name: value for name, value in event.items() if value is not None}
            return json.dumps(present, ensure_ascii=False, default=str)

    return JsonFormatter()
