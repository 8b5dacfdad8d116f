// Event notifications of buckets, through the real server: who gets which record, what is refused, what becomes of loops.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { GetMetricStatisticsCommand } from "@aws-sdk/client-cloudwatch";
import { AddPermissionCommand } from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";

const Bucket = "photos";
const ACCOUNT = "000000000000";
const queueArn = (name: string) => `arn:aws:sqs:us-east-1:${ACCOUNT}:${name}`;
const functionArn = `arn:aws:lambda:us-east-1:${ACCOUNT}:function:f`;

interface Notified {
  readonly eventName: string;
  readonly eventVersion: string;
  readonly s3: { readonly configurationId: string; readonly object: Record<string, unknown> };
}

async function start(t: TestContext) {
  const received: Notified[] = [];
  const api = await startApi(t, () => (event: unknown) => {
    received.push(...((event as { Records?: Notified[] }).Records ?? []));
    return {};
  });
  const clients = api.clients();
  await clients.s3.send(new s3.CreateBucketCommand({ Bucket }));
  await makeFunction(clients.lambda, { name: "f", role: await makeRole(clients.iam), code: "" });
  const allow = () =>
    clients.lambda.send(
      new AddPermissionCommand({
        FunctionName: "f",
        StatementId: "s3",
        Action: "lambda:InvokeFunction",
        Principal: "s3.amazonaws.com",
        SourceArn: `arn:aws:s3:::${Bucket}`,
        SourceAccount: ACCOUNT,
      }),
    );
  const configure = (NotificationConfiguration: s3.NotificationConfiguration, more: object = {}) =>
    clients.s3.send(new s3.PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration, ...more }));
  const configured = async () => {
    const { $metadata: _metadata, ...found } = await clients.s3.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }));
    return found;
  };
  const put = (Key: string, Body = "hello") => clients.s3.send(new s3.PutObjectCommand({ Bucket, Key, Body }));
  return { ...api, ...clients, received, allow, configure, configured, put };
}

const toFunction = (Events: s3.Event[], more: Partial<s3.LambdaFunctionConfiguration> = {}): s3.NotificationConfiguration => ({
  LambdaFunctionConfigurations: [{ Id: "one", LambdaFunctionArn: functionArn, Events, ...more }],
});
const filter = (rules: Record<string, string>): s3.NotificationConfigurationFilter => ({
  Key: { FilterRules: Object.entries(rules).map(([Name, Value]) => ({ Name: Name as s3.FilterRuleName, Value })) },
});

test("every change of an object tells its function, in AWS's record", async (t) => {
  const one = await start(t);
  const { received, s3: client } = one;
  await one.allow();
  await one.configure(toFunction(["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]));
  const seen = async (count: number) => await eventually(`${count} events`, () => received.length === count && received.at(-1));

  await one.put("dir/a b@ü+(1).txt");
  const created = await seen(1);
  const { sequencer, ...object } = created.s3.object;
  assert.deepEqual([created.eventName, created.eventVersion, created.s3.configurationId], ["ObjectCreated:Put", "2.1", "one"]);
  assert.deepEqual(object, { key: "dir/a+b%40%C3%BC%2B%281%29.txt", size: 5, eTag: "5d41402abc4b2a76b9719d911017c592" });
  assert.match(String(sequencer), /^[0-9A-F]{18}$/);
  const { s3: inside, ...around } = created as Notified & Record<string, unknown>;
  assert.deepEqual(Object.keys(around), [
    "eventVersion",
    "eventSource",
    "awsRegion",
    "eventTime",
    "eventName",
    "userIdentity",
    "requestParameters",
    "responseElements",
  ]);
  assert.deepEqual(Object.keys(inside), ["s3SchemaVersion", "configurationId", "bucket", "object"]);
  assert.deepEqual(
    [around["eventSource"], around["awsRegion"], around["requestParameters"]],
    ["aws:s3", "us-east-1", { sourceIPAddress: "127.0.0.1" }],
  );

  await client.send(new s3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/${encodeURIComponent("dir/a b@ü+(1).txt")}` }));
  assert.equal((await seen(2)).eventName, "ObjectCreated:Copy");
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
  const { ETag } = await client.send(new s3.UploadPartCommand({ Bucket, Key: "parts", UploadId, PartNumber: 1, Body: "part" }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key: "parts", UploadId, MultipartUpload }));
  const completed = await seen(3);
  assert.deepEqual([completed.eventName, completed.s3.object["size"]], ["ObjectCreated:CompleteMultipartUpload", 4]);

  await client.send(new s3.PutObjectTaggingCommand({ Bucket, Key: "copy", Tagging: { TagSet: [{ Key: "a", Value: "b" }] } }));
  const tagged = await seen(4);
  assert.deepEqual([tagged.eventName, tagged.eventVersion], ["ObjectTagging:Put", "2.3"]);
  assert.deepEqual(Object.keys(tagged.s3.object), ["key", "eTag"]);
  await client.send(new s3.DeleteObjectTaggingCommand({ Bucket, Key: "copy" }));
  assert.equal((await seen(5)).eventName, "ObjectTagging:Delete");

  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: "copy" }));
  const removed = await seen(6);
  assert.deepEqual([removed.eventName, Object.keys(removed.s3.object)], ["ObjectRemoved:Delete", ["key", "sequencer"]]);
  await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "never there" }] } }));
  assert.deepEqual((await seen(7)).s3.object["key"], "never+there");

  await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
  const { VersionId } = await one.put("versioned");
  const first = await seen(8);
  assert.equal(first.s3.object["versionId"], VersionId);
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: "versioned" }));
  const marker = await seen(9);
  assert.equal(marker.eventName, "ObjectRemoved:DeleteMarkerCreated");
  assert.deepEqual(Object.keys(marker.s3.object), ["key", "eTag", "versionId", "sequencer"]);
  assert.ok(String(marker.s3.object["sequencer"]) > String(first.s3.object["sequencer"]));
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key: "versioned", VersionId }));
  assert.deepEqual((await seen(10)).s3.object["versionId"], VersionId);
});

test("filters on prefix and suffix, whole keys, and an empty configuration that ends it", async (t) => {
  const one = await start(t);
  await one.allow();
  await one.configure(toFunction(["s3:ObjectCreated:Put"], { Filter: filter({ prefix: "in/", SUFFIX: ".jpg" }) }));
  assert.deepEqual(await one.configured(), {
    LambdaFunctionConfigurations: [
      {
        Id: "one",
        LambdaFunctionArn: functionArn,
        Events: ["s3:ObjectCreated:Put"],
        Filter: filter({ Prefix: "in/", Suffix: ".jpg" }),
      },
    ],
  });
  for (const key of ["in/a.png", "a.jpg", "in/a.jpg"]) await one.put(key);
  await eventually("one", () => one.received.length > 0);
  await one.configure({});
  assert.deepEqual(await one.configured(), {});
  await one.put("in/b.jpg");
  await one.configure(toFunction(["s3:ObjectCreated:Put"]));
  await one.put("last");
  await eventually("the last", () => one.received.some(({ s3: { object } }) => object["key"] === "last"));
  assert.deepEqual(
    one.received.map(({ s3: { object } }) => object["key"]),
    ["in/a.jpg", "last"],
  );
});

test("queues get a test message, then the records, when their policy lets S3 in", async (t) => {
  const one = await start(t);
  const { QueueUrl } = await one.sqs.send(new CreateQueueCommand({ QueueName: "q" }));
  const toQueue = { QueueConfigurations: [{ QueueArn: queueArn("q"), Events: ["s3:ObjectCreated:*" as const] }] };
  const refused = await assertRefused(
    one.configure(toQueue),
    "InvalidArgument",
    400,
    "Unable to validate the following destination configurations",
  );
  assert.equal((refused as unknown as Record<string, unknown>)["ArgumentName1"], `${queueArn("q")}, null`);
  assert.deepEqual(await one.configured(), {});
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "s3.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource: queueArn("q"),
        Condition: { ArnEquals: { "aws:SourceArn": `arn:aws:s3:::${Bucket}` }, StringEquals: { "aws:SourceAccount": ACCOUNT } },
      },
    ],
  });
  await one.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  await one.configure(toQueue);
  assert.match((await one.configured()).QueueConfigurations?.[0]?.Id ?? "", /^[0-9a-f-]{36}$/);
  const next = async () => {
    const { Messages = [] } = await one.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10 }));
    await one.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0]?.ReceiptHandle }));
    return JSON.parse(Messages[0]?.Body ?? "{}") as Record<string, unknown>;
  };
  const told = await next();
  assert.deepEqual(Object.keys(told), ["Service", "Event", "Time", "Bucket", "RequestId", "HostId"]);
  assert.deepEqual([told["Service"], told["Event"], told["Bucket"]], ["Amazon S3", "s3:TestEvent", Bucket]);
  await one.put("k");
  assert.equal(((await next())["Records"] as Notified[])[0]?.s3.object["key"], "k");
});

test("what can't be is refused, and changes nothing", async (t) => {
  const one = await start(t);
  const created: s3.Event[] = ["s3:ObjectCreated:*"];
  const denied = await assertRefused(one.configure(toFunction(created)), "InvalidArgument", 400, /Unable to validate/);
  assert.equal((denied as unknown as Record<string, unknown>)["ArgumentValue1"], `Not authorized to invoke function [${functionArn}]`);
  await one.allow();
  const two = (a: Partial<s3.LambdaFunctionConfiguration>, b: Partial<s3.LambdaFunctionConfiguration>): s3.NotificationConfiguration => ({
    LambdaFunctionConfigurations: [a, b].map((more, index) => ({
      Id: `c${index}`,
      LambdaFunctionArn: functionArn,
      Events: created,
      ...more,
    })),
  });
  const bad: readonly (readonly [s3.NotificationConfiguration, RegExp])[] = [
    [toFunction(created, { LambdaFunctionArn: "f" }), /The ARN could not be parsed/],
    [toFunction(created, { LambdaFunctionArn: queueArn("q") }), /The ARN could not be parsed/],
    [toFunction(created, { LambdaFunctionArn: functionArn.replace("us-east-1", "eu-west-1") }), /region is not valid/],
    [toFunction(["s3:ObjectEaten:*" as s3.Event]), /not supported for notifications/],
    [toFunction(created, { Filter: filter({ infix: "x" }) }), /must be either prefix or suffix/],
    [
      toFunction(created, { Filter: { Key: { FilterRules: [1, 2].map(() => ({ Name: "prefix" as const, Value: "x" })) } } }),
      /more than one prefix rule/,
    ],
    [toFunction(created, { Filter: filter({ prefix: "x".repeat(1025) }) }), /1024 bytes/],
    [two({}, {}), /^Configurations overlap/],
    [two({}, { Events: ["s3:ObjectCreated:Put"] }), /^Configurations overlap/],
    [two({ Filter: filter({ prefix: "a" }) }, { Filter: filter({ prefix: "ab", suffix: ".x" }) }), /ambiguously defined/],
    [two({ Id: "same", Filter: filter({ prefix: "a" }) }, { Id: "same", Filter: filter({ prefix: "b" }) }), /IDs must be unique/],
    [{ QueueConfigurations: [{ QueueArn: queueArn("q.fifo"), Events: created }] }, /FIFO/],
  ];
  for (const [configuration, message] of bad) await assertRefused(one.configure(configuration), "InvalidArgument", 400, message);
  await assertRefused(one.configure({ EventBridgeConfiguration: {} }), "NotImplemented", 501);
  const topic = { TopicConfigurations: [{ TopicArn: `arn:aws:sns:us-east-1:${ACCOUNT}:t`, Events: created }] };
  await assertRefused(one.configure(topic), "InvalidArgument", 400, /Unable to validate/);
  assert.deepEqual(await one.configured(), {});
  await one.configure(two({ Filter: filter({ suffix: ".jpg" }) }, { Filter: filter({ suffix: ".png" }) }));
  await one.configure(toFunction(created, { LambdaFunctionArn: functionArn.replace(/f$/, "later") }), { SkipDestinationValidation: true });
  assert.equal((await one.configured()).LambdaFunctionConfigurations?.length, 1);
  await assertRefused(one.s3.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket: "no-such-bucket" })), "NoSuchBucket", 404);
});

test("a function that writes into the bucket that calls it is stopped after 16 passes", async (t) => {
  let passes = 0;
  let put: (trace: string | undefined) => Promise<unknown> = () => Promise.resolve();
  const { clients } = await startApi(t, () => async (_event, { traceHeader }) => {
    passes++;
    await put(traceHeader);
    return {};
  });
  const { lambda, iam, cloudwatch, s3: client } = clients();
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  await makeFunction(lambda, { name: "f", role: await makeRole(iam), code: "" });
  put = async (trace) => {
    const command = new s3.PutObjectCommand({ Bucket, Key: `k${passes}`, Body: "x" });
    command.middlewareStack.add(
      (next) => (words) => {
        if (trace !== undefined) (words.request as { headers: Record<string, string> }).headers["x-amzn-trace-id"] = trace;
        return next(words);
      },
      { step: "build" },
    );
    return await client.send(command);
  };
  await lambda.send(
    new AddPermissionCommand({ FunctionName: "f", StatementId: "s3", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com" }),
  );
  await client.send(
    new s3.PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration: toFunction(["s3:ObjectCreated:*"]) }),
  );
  await put(undefined);
  const dropped = async () => {
    const nowMs = Date.now();
    const asked = { Namespace: "AWS/Lambda", MetricName: "RecursiveInvocationsDropped", Period: 3600, Statistics: ["Sum" as const] };
    const span = { StartTime: new Date(nowMs - 600_000), EndTime: new Date(nowMs + 60_000) };
    const Dimensions = [{ Name: "FunctionName", Value: "f" }];
    return (await cloudwatch.send(new GetMetricStatisticsCommand({ ...asked, ...span, Dimensions }))).Datapoints?.[0]?.Sum;
  };
  assert.equal(await eventually("it is stopped", dropped), 1);
  assert.equal(passes, 16);
});
