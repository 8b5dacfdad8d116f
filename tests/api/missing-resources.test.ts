// What is not there: every operation of SQS on no queue, of CloudWatch Logs on no group, in the words of their models.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as sqs from "@aws-sdk/client-sqs";
import { startApi } from "../support/api.ts";

test("SQS: a queue that is not there, and an address that is none", async (t) => {
  const { clients, server } = await startApi(t);
  const client = clients().sqs;
  const entry = { Id: "a", ReceiptHandle: "x" };
  const asked = {
    ListDeadLetterSourceQueues: (QueueUrl: string) => client.send(new sqs.ListDeadLetterSourceQueuesCommand({ QueueUrl })),
    GetQueueAttributes: (QueueUrl: string) => client.send(new sqs.GetQueueAttributesCommand({ QueueUrl })),
    SetQueueAttributes: (QueueUrl: string) =>
      client.send(new sqs.SetQueueAttributesCommand({ QueueUrl, Attributes: { DelaySeconds: "1" } })),
    PurgeQueue: (QueueUrl: string) => client.send(new sqs.PurgeQueueCommand({ QueueUrl })),
    DeleteQueue: (QueueUrl: string) => client.send(new sqs.DeleteQueueCommand({ QueueUrl })),
    SendMessage: (QueueUrl: string) => client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "x" })),
    SendMessageBatch: (QueueUrl: string) =>
      client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries: [{ Id: "a", MessageBody: "x" }] })),
    ReceiveMessage: (QueueUrl: string) => client.send(new sqs.ReceiveMessageCommand({ QueueUrl })),
    DeleteMessage: (QueueUrl: string) => client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: "x" })),
    DeleteMessageBatch: (QueueUrl: string) => client.send(new sqs.DeleteMessageBatchCommand({ QueueUrl, Entries: [entry] })),
    ChangeMessageVisibility: (QueueUrl: string) =>
      client.send(new sqs.ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: "x", VisibilityTimeout: 1 })),
    ChangeMessageVisibilityBatch: (QueueUrl: string) =>
      client.send(new sqs.ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries: [{ ...entry, VisibilityTimeout: 1 }] })),
    AddPermission: (QueueUrl: string) =>
      client.send(new sqs.AddPermissionCommand({ QueueUrl, Label: "l", AWSAccountIds: ["000000000000"], Actions: ["*"] })),
    RemovePermission: (QueueUrl: string) => client.send(new sqs.RemovePermissionCommand({ QueueUrl, Label: "l" })),
    TagQueue: (QueueUrl: string) => client.send(new sqs.TagQueueCommand({ QueueUrl, Tags: { a: "b" } })),
    UntagQueue: (QueueUrl: string) => client.send(new sqs.UntagQueueCommand({ QueueUrl, TagKeys: ["a"] })),
    ListQueueTags: (QueueUrl: string) => client.send(new sqs.ListQueueTagsCommand({ QueueUrl })),
  };
  for (const [operation, call] of Object.entries(asked)) {
    await assert.rejects(call(`${server.endpoint}/000000000000/none`), { name: "QueueDoesNotExist" }, operation);
    await assert.rejects(call("no/address"), { name: "InvalidAddress" }, operation);
  }
  const SourceArn = "arn:aws:sqs:us-east-1:000000000000:none";
  await assert.rejects(client.send(new sqs.ListMessageMoveTasksCommand({ SourceArn })), { name: "ResourceNotFoundException" });
});

test("SQS: batches that are none", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().sqs;
  const { QueueUrl } = await client.send(new sqs.CreateQueueCommand({ QueueName: "q" }));
  const entries = (...ids: string[]) => ids.map((Id) => ({ Id, ReceiptHandle: "x", VisibilityTimeout: 1 }));
  const wrong = {
    EmptyBatchRequest: [],
    BatchEntryIdsNotDistinct: entries("a", "a"),
    InvalidBatchEntryId: entries("a b"),
    TooManyEntriesInBatchRequest: entries(...Array.from({ length: 11 }, (_, n) => `e${n}`)),
  };
  for (const [name, Entries] of Object.entries(wrong)) {
    await assert.rejects(client.send(new sqs.DeleteMessageBatchCommand({ QueueUrl, Entries })), { name });
    await assert.rejects(client.send(new sqs.ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries })), { name });
  }
  await assert.rejects(client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: "x" })), { name: "ReceiptHandleIsInvalid" });
  const refused = { name: "UnsupportedOperation" };
  await assert.rejects(client.send(new sqs.SetQueueAttributesCommand({ QueueUrl, Attributes: { KmsMasterKeyId: "k" } })), refused);
  const wrongName = { name: "InvalidAttributeName" };
  await assert.rejects(client.send(new sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["Colour" as "All"] })), wrongName);
});

test("CloudWatch Logs: a group that is not there", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().logs;
  const group = { logGroupName: "none" };
  const stream = { ...group, logStreamName: "s" };
  const resourceArn = "arn:aws:logs:us-east-1:000000000000:log-group:none";
  const asked = {
    DeleteLogGroup: () => client.send(new logs.DeleteLogGroupCommand(group)),
    PutRetentionPolicy: () => client.send(new logs.PutRetentionPolicyCommand({ ...group, retentionInDays: 1 })),
    DeleteRetentionPolicy: () => client.send(new logs.DeleteRetentionPolicyCommand(group)),
    ListTagsForResource: () => client.send(new logs.ListTagsForResourceCommand({ resourceArn })),
    TagResource: () => client.send(new logs.TagResourceCommand({ resourceArn, tags: { a: "b" } })),
    UntagResource: () => client.send(new logs.UntagResourceCommand({ resourceArn, tagKeys: ["a"] })),
    ListTagsLogGroup: () => client.send(new logs.ListTagsLogGroupCommand(group)),
    TagLogGroup: () => client.send(new logs.TagLogGroupCommand({ ...group, tags: { a: "b" } })),
    UntagLogGroup: () => client.send(new logs.UntagLogGroupCommand({ ...group, tags: ["a"] })),
    CreateLogStream: () => client.send(new logs.CreateLogStreamCommand(stream)),
    DeleteLogStream: () => client.send(new logs.DeleteLogStreamCommand(stream)),
    DescribeLogStreams: () => client.send(new logs.DescribeLogStreamsCommand(group)),
    PutLogEvents: () => client.send(new logs.PutLogEventsCommand({ ...stream, logEvents: [{ timestamp: Date.now(), message: "x" }] })),
    GetLogEvents: () => client.send(new logs.GetLogEventsCommand(stream)),
    FilterLogEvents: () => client.send(new logs.FilterLogEventsCommand(group)),
  };
  for (const [operation, call] of Object.entries(asked)) await assert.rejects(call(), { name: "ResourceNotFoundException" }, operation);
});

test("CloudWatch Logs: names and times that are none", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().logs;
  const group = { logGroupName: "a b" };
  const resourceArn = "arn:aws:logs:us-east-1:000000000000:nothing:x";
  const asked = {
    CreateLogStream: () => client.send(new logs.CreateLogStreamCommand({ logGroupName: "g", logStreamName: "a:b" })),
    DeleteLogGroup: () => client.send(new logs.DeleteLogGroupCommand(group)),
    DeleteLogStream: () => client.send(new logs.DeleteLogStreamCommand({ logGroupName: "g", logStreamName: "a:b" })),
    DeleteRetentionPolicy: () => client.send(new logs.DeleteRetentionPolicyCommand(group)),
    DescribeLogGroups: () => client.send(new logs.DescribeLogGroupsCommand({ limit: 51 })),
    ListTagsForResource: () => client.send(new logs.ListTagsForResourceCommand({ resourceArn: "a b" })),
    TagResource: () => client.send(new logs.TagResourceCommand({ resourceArn, tags: {} })),
    UntagResource: () => client.send(new logs.UntagResourceCommand({ resourceArn: "a b", tagKeys: [] })),
    TagLogGroup: () => client.send(new logs.TagLogGroupCommand({ ...group, tags: { a: "b" } })),
    StartLiveTail: () => client.send(new logs.StartLiveTailCommand({ logGroupIdentifiers: [] })),
  };
  for (const [operation, call] of Object.entries(asked)) await assert.rejects(call(), { name: "InvalidParameterException" }, operation);
});
