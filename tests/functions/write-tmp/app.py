# Writes event["bytes"] bytes to /tmp and tells what is there; what was written before tells whether the environment is the same.
import errno
import os


def handler(event, context):
    with open("/tmp/visits", "a") as visits:
        visits.write("x")
    count = os.path.getsize("/tmp/visits")
    try:
        with open("/tmp/data", "wb") as data:
            data.write(b"x" * event.get("bytes", 0))
    except OSError as error:
        return {"visits": count, "failed": errno.errorcode[error.errno]}
    return {"visits": count, "written": event.get("bytes", 0)}
