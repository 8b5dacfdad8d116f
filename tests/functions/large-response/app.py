# Answers with a JSON text of exactly event["bytes"] bytes.
def handler(event, context):
    return "x" * (event["bytes"] - 2)
