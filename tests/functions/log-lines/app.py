# Writes event["count"] numbered lines to the log, each event["width"] wide, and one raw line to each of stdout and stderr.
import logging
import sys


def handler(event, context):
    logging.getLogger().setLevel(logging.INFO)
    for n in range(event.get("count", 1)):
        logging.info(("line %d" % n).ljust(event.get("width", 0), "."))
    print("raw out")
    print("raw err", file=sys.stderr)
    return event.get("count", 1)
