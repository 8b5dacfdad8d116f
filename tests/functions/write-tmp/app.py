# Writes event["bytes"] bytes to /tmp, a MiB at a time, and tells how many fitted; the count of visits tells whether the environment is the same.
import errno
import os

PIECE = b"x" * 2**20


def handler(event, context):
    with open("/tmp/visits", "a") as file:
        file.write("x")
    visits = os.path.getsize("/tmp/visits")
    written = 0
    with open("/tmp/data", "wb", buffering=0) as file:
        try:
            while written < event.get("bytes", 0):
                written += file.write(PIECE[: event["bytes"] - written])
        except OSError as error:
            return {"visits": visits, "written": written, "failed": errno.errorcode[error.errno]}
    return {"visits": visits, "written": written}
