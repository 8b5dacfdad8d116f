# Keeps its CPU busy for event["ms"] milliseconds, or for ever, and tells how much CPU time it got.
import time


def handler(event, context):
    end = time.monotonic() + event.get("ms", float("inf")) / 1000
    before = time.process_time()
    while time.monotonic() < end:
        pass
    return {"cpuMs": round((time.process_time() - before) * 1000)}
