# Calls the function event["name"] with event["payload"] through boto3, and answers with what it answered.
import json

import boto3

client = boto3.client("lambda")


def handler(event, context):
    answer = client.invoke(FunctionName=event["name"], Payload=json.dumps(event["payload"]))
    return {"status": answer["StatusCode"], "error": answer.get("FunctionError"), "payload": json.load(answer["Payload"])}
