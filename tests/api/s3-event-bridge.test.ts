// Changes of objects on the default event bus, through the real server: what each of them says, and who is told.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CreateArchiveCommand, DescribeArchiveCommand, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import * as s3 from "@aws-sdk/client-s3";
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { startApi } from "../support/api.ts";

const Bucket = "photos";
const ACCOUNT = "000000000000";
const arnOf = (service: string, resource: string) => `arn:aws:${service}:us-east-1:${ACCOUNT}:${resource}`;

interface BusEvent {
  readonly "detail-type": string;
  readonly detail: Readonly<Record<string, unknown>> & { readonly object: Readonly<Record<string, unknown>> };
}

async function start(t: TestContext) {
  const { clients } = await startApi(t);
  const { s3: client, events, sqs } = clients();
  const Statement = [{ Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sqs:SendMessage", Resource: "*" }];
  const Attributes = { Policy: JSON.stringify({ Version: "2012-10-17", Statement }) };
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "q", Attributes }));
  await events.send(new PutRuleCommand({ Name: "r", EventPattern: JSON.stringify({ source: ["aws.s3"] }) }));
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: arnOf("sqs", "q") }] }));
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  const configure = (NotificationConfiguration: s3.NotificationConfiguration) =>
    client.send(new s3.PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration }));
  const configured = async () => {
    const { $metadata: _metadata, ...found } = await client.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }));
    return found;
  };
  const next = async () => {
    const { Messages: [message] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10 }));
    assert.ok(message !== undefined, "nothing has come");
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
    return JSON.parse(message.Body ?? "") as BusEvent;
  };
  const put = (Key: string, Body = "hello") => client.send(new s3.PutObjectCommand({ Bucket, Key, Body }));
  return { client, events, configure, configured, next, put };
}

test("a bucket tells the default event bus of every change of an object, in AWS's shape", async (t) => {
  const { client, configure, configured, next, put } = await start(t);
  await put("before");
  await configure({ EventBridgeConfiguration: {} });
  assert.deepEqual(await configured(), { EventBridgeConfiguration: {} });

  const { $metadata } = await put("dir/a b@ü.txt");
  const created = await next();
  const { id, time, detail, ...head } = created as BusEvent & { id: string; time: string };
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(head, {
    version: "0",
    "detail-type": "Object Created",
    source: "aws.s3",
    account: ACCOUNT,
    region: "us-east-1",
    resources: [`arn:aws:s3:::${Bucket}`],
  });
  const { sequencer, ...object } = detail.object;
  assert.match(String(sequencer), /^[0-9A-F]{18}$/);
  assert.deepEqual(object, { key: "dir/a b@ü.txt", size: 5, etag: "5d41402abc4b2a76b9719d911017c592" });
  assert.deepEqual(
    { ...detail, object: undefined },
    {
      version: "0",
      bucket: { name: Bucket },
      object: undefined,
      "request-id": $metadata.requestId,
      requester: ACCOUNT,
      "source-ip-address": "127.0.0.1",
      reason: "PutObject",
    },
  );

  const told = async () => {
    const { "detail-type": type, detail: of } = await next();
    return [type, of["reason"], of["deletion-type"]];
  };
  await client.send(new s3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/before` }));
  assert.deepEqual(await told(), ["Object Created", "CopyObject", undefined]);
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
  const { ETag } = await client.send(new s3.UploadPartCommand({ Bucket, Key: "parts", UploadId, PartNumber: 1, Body: "part" }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key: "parts", UploadId, MultipartUpload }));
  assert.deepEqual(await told(), ["Object Created", "CompleteMultipartUpload", undefined]);
  await client.send(new s3.PutObjectTaggingCommand({ Bucket, Key: "copy", Tagging: { TagSet: [{ Key: "a", Value: "b" }] } }));
  const tagged = await next();
  assert.equal(tagged["detail-type"], "Object Tags Added");
  assert.deepEqual(Object.keys(tagged.detail.object), ["key", "etag"]);
  await client.send(new s3.DeleteObjectTaggingCommand({ Bucket, Key: "copy" }));
  assert.deepEqual(await told(), ["Object Tags Deleted", undefined, undefined]);
  await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "copy" }] } }));
  assert.deepEqual(await told(), ["Object Deleted", "DeleteObject", "Permanently Deleted"]);
  await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
  const { VersionId } = await put("versioned");
  assert.equal((await next()).detail.object["version-id"], VersionId);
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: "versioned" }));
  assert.deepEqual(await told(), ["Object Deleted", "DeleteObject", "Delete Marker Created"]);

  await configure({});
  assert.deepEqual(await configured(), {});
  await put("untold");
  await configure({ EventBridgeConfiguration: {} });
  await put("last");
  assert.equal((await next()).detail.object["key"], "last");
});

test("archives have the changes too, also those that delete nothing", async (t) => {
  const { client, events, configure, put } = await start(t);
  await events.send(new CreateArchiveCommand({ ArchiveName: "all", EventSourceArn: arnOf("events", "event-bus/default") }));
  await configure({ EventBridgeConfiguration: {} });
  await put("k");
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: "never there" }));
  assert.equal((await events.send(new DescribeArchiveCommand({ ArchiveName: "all" }))).EventCount, 2);
});
