# Asks the greeter for a greeting, as one Lambda function calls another: the Python function of `lambent demo`.
import json
import os
import platform

import boto3

lambda_client = boto3.client("lambda")


def lambda_handler(event, context):
    print(f"asking {os.environ['GREETER']} to greet {event['name']}")
    answer = lambda_client.invoke(FunctionName=os.environ["GREETER"], Payload=json.dumps({"name": event["name"]}))
    return {"python": platform.python_version(), "greeter_said": json.load(answer["Payload"])}
