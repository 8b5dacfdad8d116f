# boto3 against a running server, with nothing but the environment of `lambent env`: deploy, invoke, update, tail, delete; from a zip and from S3.
import io
import json
import sys
import time
import zipfile

import boto3

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def package(code):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app.py", code)
    return out.getvalue()


lam, iam, s3, logs, sts = (boto3.client(name) for name in ("lambda", "iam", "s3", "logs", "sts"))
assert sts.get_caller_identity()["Account"] == "000000000000"
role = iam.create_role(RoleName="boto", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

lam.create_function(
    FunctionName="boto", Runtime="python3.11", Handler="app.handler", Role=role, Tags={"made": "by boto3"},
    Code={"ZipFile": package("def handler(event, context):\n    print('one', event)\n    return {'got': event, 'id': context.aws_request_id}\n")},
)
lam.get_waiter("function_active_v2").wait(FunctionName="boto", WaiterConfig={"Delay": 1})
answer = lam.invoke(FunctionName="boto", Payload=json.dumps({"text": "äöü"}), LogType="Tail")
body = json.load(answer["Payload"])
assert body == {"got": {"text": "äöü"}, "id": answer["ResponseMetadata"]["RequestId"]}, body
assert answer["ExecutedVersion"] == "$LATEST" and "LogResult" in answer

s3.create_bucket(Bucket="packages")
s3.put_object(Bucket="packages", Key="v2.zip", Body=package("def handler(event, context):\n    return 'from s3'\n"))
s3.upload_fileobj(io.BytesIO(b"x" * (20 * 2**20)), "packages", "large")  # multipart, with checksum trailers
assert s3.head_object(Bucket="packages", Key="large")["ContentLength"] == 20 * 2**20
lam.update_function_code(FunctionName="boto", S3Bucket="packages", S3Key="v2.zip")
lam.get_waiter("function_updated_v2").wait(FunctionName="boto", WaiterConfig={"Delay": 1})
assert json.load(lam.invoke(FunctionName="boto")["Payload"]) == "from s3"

deadline = time.time() + 10
while not (events := logs.filter_log_events(logGroupName="/aws/lambda/boto", filterPattern='"one"')["events"]):
    assert time.time() < deadline, "the log line did not arrive"
    time.sleep(0.05)
assert events[0]["message"].startswith("one {")

import urllib.request

zipped = urllib.request.urlopen(lam.get_function(FunctionName="boto")["Code"]["Location"]).read()
assert zipfile.ZipFile(io.BytesIO(zipped)).namelist() == ["app.py"]
lam.delete_function(FunctionName="boto")
try:
    lam.get_function(FunctionName="boto")
    sys.exit("the function is still there")
except lam.exceptions.ResourceNotFoundException as error:
    assert error.response["Error"]["Message"].startswith("Function not found: arn:aws:lambda:us-east-1:000000000000:function:boto"), error
sqs = boto3.client("sqs")  # checks the digests of bodies
url = sqs.create_queue(QueueName="boto.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}, tags={"made": "by boto3"})["QueueUrl"]
sent = sqs.send_message(QueueUrl=url, MessageBody="äöü", MessageGroupId="g", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}})
assert sqs.send_message(QueueUrl=url, MessageBody="äöü", MessageGroupId="g")["MessageId"] == sent["MessageId"]
batch = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n), "MessageGroupId": "g"} for n in range(3)])
assert len(batch["Successful"]) == 3 and "Failed" not in batch, batch
got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
assert [one["Body"] for one in got] == ["äöü", "0", "1", "2"] and got[0]["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"], got
sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)])
assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"] == {"ApproximateNumberOfMessagesNotVisible": "0"}
queue = boto3.resource("sqs").get_queue_by_name(QueueName="boto.fifo")
assert queue.attributes["QueueArn"].endswith(":boto.fifo")
sqs.delete_queue(QueueUrl=url)
try:
    sqs.get_queue_url(QueueName="boto.fifo")
    sys.exit("the queue is still there")
except sqs.exceptions.QueueDoesNotExist as error:
    assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", error.response
events = boto3.client("events")
queue_url = boto3.client("sqs").create_queue(QueueName="boto-events", Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]})})["QueueUrl"]
rule = events.put_rule(Name="boto", EventPattern=json.dumps({"source": ["boto"], "detail": {"n": [{"numeric": [">", 1]}]}}))["RuleArn"]
assert events.put_targets(Rule="boto", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:boto-events", "InputPath": "$.detail"}])["FailedEntryCount"] == 0
put = events.put_events(Entries=[{"Source": "boto", "DetailType": "t", "Detail": json.dumps({"n": n})} for n in (1, 2)])
assert put["FailedEntryCount"] == 0 and len(put["Entries"]) == 2, put
got = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=10)["Messages"]
assert [one["Body"] for one in got] == ['{"n":2}'], got
try:
    events.put_rule(Name="boto", EventPattern="{}")
    sys.exit("an empty pattern was taken")
except events.exceptions.InvalidEventPatternException as error:
    assert "Empty objects are not allowed" in str(error), error
events.remove_targets(Rule="boto", Ids=["1"])
events.delete_rule(Name="boto")
scheduler = boto3.client("scheduler")
assert scheduler.create_schedule_group(Name="boto")["ScheduleGroupArn"].endswith(":schedule-group/boto")
try:
    scheduler.create_schedule(Name="boto", GroupName="boto", ScheduleExpression="rate(10 seconds)", FlexibleTimeWindow={"Mode": "OFF"}, Target={"Arn": "arn:aws:sqs:us-east-1:000000000000:boto-events", "RoleArn": "arn:aws:iam::000000000000:role/none"})
    sys.exit("a schedule in seconds was taken")
except scheduler.exceptions.ValidationException as error:
    assert error.response["Error"]["Message"] == "Invalid Schedule Expression rate(10 seconds).", error.response
assert [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["boto", "default"]
scheduler.delete_schedule_group(Name="boto")

import datetime

cloudwatch = boto3.client("cloudwatch")
data = [{"MetricName": f"m{n}", "Values": [1.5, n], "Counts": [2, 1], "Unit": "Seconds", "Dimensions": [{"Name": "D", "Value": "x" * 100}]} for n in range(200)]
cloudwatch.put_metric_data(Namespace="Boto", MetricData=data)  # large enough to be sent packed
now = datetime.datetime.now(datetime.timezone.utc)
span = {"StartTime": now - datetime.timedelta(minutes=10), "EndTime": now + datetime.timedelta(minutes=10)}
assert len(list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Boto").search("Metrics"))) == 200
metric = {"Namespace": "Boto", "MetricName": "m4", "Dimensions": data[4]["Dimensions"]}
points = cloudwatch.get_metric_statistics(**metric, **span, Period=3600, Statistics=["Sum", "SampleCount"], Unit="Seconds")["Datapoints"]
assert sum(one["Sum"] for one in points) == 7 and points[0]["Unit"] == "Seconds", points
queries = [{"Id": "a", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "p100"}}, {"Id": "b", "Expression": "a / 2"}]
results = cloudwatch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
assert [max(one["Values"]) for one in results] == [4.0, 2.0], results
try:
    cloudwatch.put_metric_data(Namespace="Boto", MetricData=[{"MetricName": "m", "Value": 1, "StorageResolution": 7}])
    sys.exit("a resolution of 7 was taken")
except cloudwatch.exceptions.InvalidParameterValueException as error:
    assert error.response["Error"]["Code"] == "InvalidParameterValue", error.response
sns = boto3.client("sns")
queue_policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}
url = sqs.create_queue(QueueName="notes", Attributes={"Policy": json.dumps(queue_policy)})["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
topic = boto3.resource("sns").create_topic(Name="notes", Tags=[{"Key": "made", "Value": "by boto3"}])
subscription = topic.subscribe(Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": json.dumps({"kind": ["good"]})}, ReturnSubscriptionArn=True)
for kind in ("bad", "good"):
    topic.publish(Message="äöü", Subject=kind, MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}})
[note] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
body = json.loads(note["Body"])
assert (body["Message"], body["Subject"], body["MessageAttributes"]) == ("äöü", "good", {"kind": {"Type": "String", "Value": "good"}}), body
batch = sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=[{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "x"}])
assert [one["Id"] for one in batch["Successful"]] == ["a", "b"] and batch["Failed"] == [], batch
assert [one.arn for one in topic.subscriptions.all()] == [subscription.arn]
topic.delete()
try:
    sns.publish(TopicArn=topic.arn, Message="late")
    sys.exit("the topic is still there")
except sns.exceptions.NotFoundException as error:
    assert error.response["Error"]["Message"] == "Topic does not exist", error.response

# What happens by itself: an asynchronous invocation with a destination, a change of an object, a tick.
def reader(name, principal):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sqs:SendMessage", "Resource": "*"}]}
    return sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]


def queue_arn(name):
    return "arn:aws:sqs:us-east-1:000000000000:" + name


def next_of(url):
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "scheduler.amazonaws.com"]}, "Action": "sts:AssumeRole"}]}
sender = iam.create_role(RoleName="boto-sender", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
results, changes, ticks = reader("results", "lambda.amazonaws.com"), reader("changes", "s3.amazonaws.com"), reader("ticks", "scheduler.amazonaws.com")
lam.create_function(FunctionName="later", Runtime="python3.11", Handler="app.handler", Role=sender, Code={"ZipFile": package("def handler(event, context):\n    return {'twice': event['n'] * 2}\n")})
lam.get_waiter("function_active_v2").wait(FunctionName="later", WaiterConfig={"Delay": 1})
try:
    lam.put_function_event_invoke_config(FunctionName="later", DestinationConfig={"OnSuccess": {"Destination": queue_arn("results")}})
    sys.exit("a destination was taken that the role may not send to")
except lam.exceptions.InvalidParameterValueException as error:
    assert error.response["Error"]["Message"] == f"The function's execution role does not have permissions to call SendMessage on {queue_arn('results')}", error
iam.attach_role_policy(RoleName="boto-sender", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess")
config = lam.put_function_event_invoke_config(FunctionName="later", MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": queue_arn("results")}})
assert config["FunctionArn"].endswith(":later:$LATEST") and config["DestinationConfig"]["OnFailure"] == {}, config
accepted = lam.invoke(FunctionName="later", InvocationType="Event", Payload=json.dumps({"n": 4}))
assert accepted["StatusCode"] == 202 and accepted["Payload"].read() == b""
record = next_of(results)
assert record["requestContext"]["requestId"] == accepted["ResponseMetadata"]["RequestId"] and record["responsePayload"] == {"twice": 8}, record

wanted = {"QueueConfigurations": [{"QueueArn": queue_arn("changes"), "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".txt"}]}}}]}
s3.put_bucket_notification_configuration(Bucket="packages", NotificationConfiguration=wanted)
assert next_of(changes)["Event"] == "s3:TestEvent"
for key in ("a.bin", "a b.txt"):
    s3.put_object(Bucket="packages", Key=key, Body=b"x")
[change] = next_of(changes)["Records"]
assert (change["eventName"], change["s3"]["object"]["key"]) == ("ObjectCreated:Put", "a+b.txt"), change
s3.put_bucket_notification_configuration(Bucket="packages", NotificationConfiguration={})
assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket="packages")

target = {"Arn": queue_arn("ticks"), "RoleArn": sender, "Input": '{"by":"<aws.scheduler.schedule-arn>"}'}
schedule = scheduler.create_schedule(Name="now", ScheduleExpression="rate(1 minute)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)["ScheduleArn"]
assert next_of(ticks) == {"by": schedule}
scheduler.delete_schedule(Name="now")

print("boto3", boto3.__version__, "ok")
