# Fails with the message of its event.
class Refused(Exception):
    pass


def handler(event, context):
    raise Refused(event.get("message", "refused"))
