# Waits for event["ms"] milliseconds, then tells how much time is left.
import time


def handler(event, context):
    time.sleep(event["ms"] / 1000)
    return {"leftMs": context.get_remaining_time_in_millis()}
