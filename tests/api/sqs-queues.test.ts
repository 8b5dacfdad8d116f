// SQS queues: made, found, described, changed, emptied, deleted; tags, permissions, redrive, move tasks; the older protocol.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as sqs from "@aws-sdk/client-sqs";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import { assertRefused, FAKE_ROOT } from "../../src/aws/fake-service.ts";
import { silentLog } from "../../src/base/log.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import { StorageError } from "../../src/store/storage.ts";
import {
  ACCOUNT,
  arnOf,
  bodies,
  countsOf,
  eventually,
  makeQueue,
  OTHER_ACCOUNT,
  receiveAll,
  REGION,
  startSqs,
  type Started,
} from "./sqs.fixture.ts";

const attributesOf = async ({ client }: Started, QueueUrl: string, names: string[] = ["All"]) =>
  (await client.send(new sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames: names as sqs.QueueAttributeName[] }))).Attributes;
const setAttributes = ({ client }: Started, QueueUrl: string, Attributes: Record<string, string>) =>
  client.send(new sqs.SetQueueAttributesCommand({ QueueUrl, Attributes }));

test("a queue is made, found by name, described, and gone when it is deleted", async (t) => {
  const started = await startSqs(t);
  const { client, door, clock } = started;
  const QueueUrl = await makeQueue(started, "q", { VisibilityTimeout: "20", MessageRetentionPeriod: "604800" });
  assert.equal(QueueUrl, `${door.endpoint}/${ACCOUNT}/q`);
  assert.equal((await client.send(new sqs.GetQueueUrlCommand({ QueueName: "q" }))).QueueUrl, QueueUrl);
  const seconds = String(clock.now() / 1000);
  assert.deepEqual(await attributesOf(started, QueueUrl), {
    QueueArn: arnOf("q"),
    ApproximateNumberOfMessages: "0",
    ApproximateNumberOfMessagesNotVisible: "0",
    ApproximateNumberOfMessagesDelayed: "0",
    CreatedTimestamp: seconds,
    LastModifiedTimestamp: seconds,
    VisibilityTimeout: "20",
    MaximumMessageSize: "1048576",
    MessageRetentionPeriod: "604800",
    DelaySeconds: "0",
    ReceiveMessageWaitTimeSeconds: "0",
    SqsManagedSseEnabled: "false",
  });
  assert.equal(await attributesOf(started, QueueUrl, []), undefined);
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "left" }));
  const { mailboxes } = started.storage;
  await mailboxes.send([{ mailbox: "sns/x", id: "1", body: Buffer.from("of a topic") }]);
  await client.send(new sqs.DeleteQueueCommand({ QueueUrl }));
  for (const call of [
    new sqs.GetQueueUrlCommand({ QueueName: "q" }),
    new sqs.DeleteQueueCommand({ QueueUrl }),
    new sqs.ReceiveMessageCommand({ QueueUrl }),
  ])
    await assertRefused(client.send(call as sqs.DeleteQueueCommand), "QueueDoesNotExist", 400, "The specified queue does not exist.");
  // A queue made again has none of the messages of the one before.
  assert.deepEqual(await receiveAll(started, await makeQueue(started, "q")), []);
  await eventually("only what is another service's is left in the store", async () => (await mailboxes.names()).join() === "sns/x");
});

test("a FIFO queue tells what it is, and its attributes go together", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo");
  const names = ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];
  assert.deepEqual(await attributesOf(started, QueueUrl, names), {
    FifoQueue: "true",
    ContentBasedDeduplication: "false",
    DeduplicationScope: "queue",
    FifoThroughputLimit: "perQueue",
  });
  await assertRefused(
    setAttributes(started, QueueUrl, { FifoThroughputLimit: "perMessageGroupId" }),
    "InvalidAttributeValue",
    400,
    /allowed only when/,
  );
  await assertRefused(
    setAttributes(started, QueueUrl, { FifoQueue: "false" }),
    "InvalidAttributeValue",
    400,
    "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
  );
  const plain = await makeQueue(started, "q");
  for (const FifoQueue of ["true", "false"])
    await assertRefused(setAttributes(started, plain, { FifoQueue }), "InvalidAttributeName", 400, "Unknown Attribute FifoQueue.");
});

test("the same queue may be made again, a different one of the same name not", async (t) => {
  const started = await startSqs(t);
  const url = await makeQueue(started, "q", { DelaySeconds: "1" });
  assert.equal(await makeQueue(started, "q", { DelaySeconds: "1", VisibilityTimeout: "30" }), url);
  assert.equal(await makeQueue(started, "q"), url);
  await assertRefused(
    makeQueue(started, "q", { DelaySeconds: "2" }),
    "QueueNameExists",
    400,
    "A queue already exists with the same name and a different value for attribute DelaySeconds",
  );
  const urls = await Promise.all(Array.from({ length: 10 }, () => makeQueue(started, "together")));
  assert.equal(new Set(urls).size, 1);
});

const WRONG: readonly [name: string, attributes: Record<string, string>, code: string, message: string | RegExp][] = [
  ["", {}, "MissingParameter", "The request must contain the parameter QueueName."],
  ["a b", {}, "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"],
  ["x".repeat(81), {}, "InvalidParameterValue", /1 to 80 in length/],
  ["q.fifo", {}, "InvalidParameterValue", /1 to 80 in length/],
  ["q", { FifoQueue: "true" }, "InvalidParameterValue", /must end with .fifo suffix/],
  ["q", { FifoQueue: "false" }, "InvalidAttributeName", "Unknown Attribute FifoQueue."],
  ["q", { ContentBasedDeduplication: "true" }, "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication."],
  ["q", { Colour: "blue" }, "InvalidAttributeName", "Unknown Attribute Colour."],
  ["q", { QueueArn: "x" }, "InvalidAttributeName", "Unknown Attribute QueueArn."],
  ["q", { DelaySeconds: "901" }, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."],
  ["q", { DelaySeconds: "-1" }, "InvalidAttributeValue", /DelaySeconds/],
  ["q", { VisibilityTimeout: "ten" }, "InvalidAttributeValue", /VisibilityTimeout/],
  ["q", { MaximumMessageSize: "1048577" }, "InvalidAttributeValue", /MaximumMessageSize/],
  ["q", { MessageRetentionPeriod: "59" }, "InvalidAttributeValue", /MessageRetentionPeriod/],
  ["q", { Policy: "{" }, "InvalidAttributeValue", "Invalid value for the parameter Policy."],
  ["q", { KmsMasterKeyId: "alias/mine" }, "UnsupportedOperation", /does not encrypt queues/],
  ["q", { RedrivePolicy: "[]" }, "InvalidParameterValue", /not a valid JSON map/],
  ["q", { RedrivePolicy: '{"maxReceiveCount":1}' }, "InvalidParameterValue", /mandatory attribute: deadLetterTargetArn/],
  [
    "q",
    { RedrivePolicy: '{"deadLetterTargetArn":"dummy","maxReceiveCount":42}' },
    "InvalidParameterValue",
    /Reason: Invalid value for deadLetterTargetArn\.$/,
  ],
  [
    "q",
    { RedrivePolicy: `{"deadLetterTargetArn":"${arnOf("dead")}","maxReceiveCount":0}` },
    "InvalidParameterValue",
    /valid values are from 1 to 1000 both inclusive/,
  ],
  [
    "q",
    { RedrivePolicy: `{"deadLetterTargetArn":"${arnOf("missing")}","maxReceiveCount":1}` },
    "InvalidParameterValue",
    /Dead letter target does not exist/,
  ],
  [
    "q",
    { RedrivePolicy: `{"deadLetterTargetArn":"${arnOf("dead.fifo")}","maxReceiveCount":1}` },
    "InvalidParameterValue",
    /same type of queue/,
  ],
  [
    "q",
    { RedrivePolicy: `{"deadLetterTargetArn":"${arnOf("closed")}","maxReceiveCount":1}` },
    "InvalidParameterValue",
    /does not take dead letters/,
  ],
  ["q", { RedriveAllowPolicy: '{"redrivePermission":"some"}' }, "InvalidParameterValue", /unsupported format/],
  ["q", { RedriveAllowPolicy: '{"redrivePermission":"byQueue"}' }, "InvalidParameterValue", /sourceQueueArns/],
];

test("queues that SQS would not make are refused", async (t) => {
  const started = await startSqs(t);
  for (const name of ["dead", "dead.fifo"]) await makeQueue(started, name);
  await makeQueue(started, "closed", { RedriveAllowPolicy: '{"redrivePermission":"denyAll"}' });
  for (const [QueueName, Attributes, code, message] of WRONG)
    await t.test(`${QueueName.slice(0, 10)} ${JSON.stringify(Attributes)}`, async () => {
      await assertRefused(started.client.send(new sqs.CreateQueueCommand({ QueueName, Attributes })), code, 400, message);
    });
  assert.deepEqual((await started.client.send(new sqs.ListQueuesCommand({ QueueNamePrefix: "q" }))).QueueUrls, undefined);
});

test("queues are listed by prefix and in pages", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  for (const name of ["b1", "a1", "b3", "b2"]) await makeQueue(started, name);
  const list = async (input: sqs.ListQueuesCommandInput) => {
    const { QueueUrls = [], NextToken } = await client.send(new sqs.ListQueuesCommand(input));
    return { names: QueueUrls.map((url) => url.slice(url.lastIndexOf("/") + 1)), NextToken };
  };
  assert.deepEqual(await list({}), { names: ["a1", "b1", "b2", "b3"], NextToken: undefined });
  const first = await list({ QueueNamePrefix: "b", MaxResults: 2 });
  assert.deepEqual(first.names, ["b1", "b2"]);
  assert.deepEqual((await list({ QueueNamePrefix: "b", MaxResults: 2, NextToken: first.NextToken })).names, ["b3"]);
  await assertRefused(list({ MaxResults: 1, NextToken: "made-up" }), "InvalidParameterValue", 400);
  await assertRefused(list({ MaxResults: 1001 }), "InvalidParameterValue", 400);
});

test("a queue is known by all forms of its URL, and by nothing else", async (t) => {
  const started = await startSqs(t);
  await makeQueue(started, "q");
  const send = (QueueUrl: string) => started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  for (const url of [
    `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/q`,
    `http://${REGION}.queue.localhost:4566/${ACCOUNT}/q`,
    `http://localhost:1/queue/${REGION}/${ACCOUNT}/q`,
  ])
    assert.ok((await send(url)).MessageId, url);
  for (const url of ["q", "http://localhost/q", `http://localhost/${ACCOUNT}/q/x`, `http://localhost/1/q`, "http://localhost/__proto__/q"])
    await assertRefused(send(url), "InvalidAddress", 404);
  await assertRefused(send(`http://localhost/${ACCOUNT}/__proto__`), "QueueDoesNotExist", 400);
});

test("PurgeQueue empties the queue, once in 60 seconds", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q");
  const send = (MessageBody: string, DelaySeconds = 0) => client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody, DelaySeconds }));
  await send("claimed");
  await receiveAll(started, QueueUrl);
  await send("visible");
  await send("delayed", 60);
  const purge = () => client.send(new sqs.PurgeQueueCommand({ QueueUrl }));
  await purge();
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
  clock.advance(59_999);
  await send("later");
  await assertRefused(purge(), "PurgeQueueInProgress", 403, "Only one PurgeQueue operation on q is allowed every 60 seconds.");
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["later"]);
  clock.advance(1);
  await purge();
});

test("tags are set, listed, removed", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  const { QueueUrl } = await client.send(new sqs.CreateQueueCommand({ QueueName: "q", tags: { one: "1" } }));
  const tags = async () => (await client.send(new sqs.ListQueueTagsCommand({ QueueUrl }))).Tags;
  await client.send(new sqs.TagQueueCommand({ QueueUrl, Tags: { two: "2", one: "I", __proto__x: "p" } }));
  assert.deepEqual(await tags(), { one: "I", two: "2", __proto__x: "p" });
  await client.send(new sqs.UntagQueueCommand({ QueueUrl, TagKeys: ["one", "__proto__x", "missing"] }));
  assert.deepEqual(await tags(), { two: "2" });
  await assertRefused(client.send(new sqs.TagQueueCommand({ QueueUrl, Tags: { "aws:x": "1" } })), "InvalidParameterValue", 400);
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`k${n}`, "v"]));
  await assertRefused(client.send(new sqs.TagQueueCommand({ QueueUrl, Tags: many })), "InvalidParameterValue", 400, /50/);
});

test("AddPermission and RemovePermission write the policy as AWS does, and it opens the queue to the account", async (t) => {
  const started = await startSqs(t);
  const { client, neighbour, stranger } = started;
  const QueueUrl = await makeQueue(started, "q");
  const policy = async () => {
    const { Policy } = (await attributesOf(started, QueueUrl, ["Policy"])) ?? {};
    return Policy === undefined ? undefined : (JSON.parse(Policy) as Record<string, unknown>);
  };
  const send = (who: sqs.SQSClient) => who.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  for (const who of [neighbour, stranger])
    await assertRefused(send(who), "AccessDenied", 400, /is not authorized to perform: sqs:SendMessage/);
  const grant = { QueueUrl, Label: "l", AWSAccountIds: [OTHER_ACCOUNT], Actions: ["SendMessage"] };
  await client.send(new sqs.AddPermissionCommand(grant));
  assert.deepEqual(await policy(), {
    Version: "2008-10-17",
    Id: `${arnOf("q")}/SQSDefaultPolicy`,
    Statement: [
      {
        Sid: "l",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${OTHER_ACCOUNT}:root` },
        Action: "SQS:SendMessage",
        Resource: arnOf("q"),
      },
    ],
  });
  await send(neighbour);
  await assertRefused(neighbour.send(new sqs.ReceiveMessageCommand({ QueueUrl })), "AccessDenied", 400);
  await assertRefused(send(stranger), "AccessDenied", 400);
  await assertRefused(
    client.send(new sqs.AddPermissionCommand(grant)),
    "InvalidParameterValue",
    400,
    "Value l for parameter Label is invalid. Reason: Already exists.",
  );
  await assertRefused(
    client.send(new sqs.AddPermissionCommand({ ...grant, Label: "m", Actions: ["CreateQueue"] })),
    "InvalidParameterValue",
    400,
  );
  await assertRefused(
    client.send(new sqs.AddPermissionCommand({ ...grant, Label: "m", AWSAccountIds: ["me"] })),
    "InvalidParameterValue",
    400,
  );
  await client.send(new sqs.RemovePermissionCommand({ QueueUrl, Label: "l" }));
  assert.equal(await policy(), undefined);
  await assertRefused(
    client.send(new sqs.RemovePermissionCommand({ QueueUrl, Label: "l" })),
    "InvalidParameterValue",
    400,
    /can't find label/,
  );
  await assertRefused(send(neighbour), "AccessDenied", 400);
});

test("no policy opens to other accounts what is the owner's alone", async (t) => {
  const started = await startSqs(t);
  const Statement = [{ Effect: "Allow", Principal: "*", Action: "sqs:*", Resource: arnOf("q") }];
  const QueueUrl = await makeQueue(started, "q", { Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
  const { neighbour } = started;
  await neighbour.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  await assertRefused(neighbour.send(new sqs.DeleteQueueCommand({ QueueUrl })), "AccessDenied", 400);
  await assertRefused(neighbour.send(new sqs.SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy: "" } })), "AccessDenied", 400);
});

async function deadLetters(started: Started, count: number) {
  const dead = await makeQueue(started, "dead");
  const QueueUrl = await makeQueue(started, "q", {
    RedrivePolicy: `{"deadLetterTargetArn":"${arnOf("dead")}","maxReceiveCount":1}`,
    VisibilityTimeout: "0",
  });
  for (let n = 0; n < count; n++) await started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: String(n) }));
  while ((await receiveAll(started, QueueUrl)).length > 0) started.clock.advance(1);
  started.clock.advance(1);
  await receiveAll(started, QueueUrl);
  assert.deepEqual(await countsOf(started, dead), [count, 0, 0]);
  await setAttributes(started, QueueUrl, { VisibilityTimeout: "30" });
  return { dead, QueueUrl };
}

const tasksOf = async ({ client }: Started) =>
  (await client.send(new sqs.ListMessageMoveTasksCommand({ SourceArn: arnOf("dead"), MaxResults: 10 }))).Results ?? [];

test("a move task brings dead letters back to where they came from", async (t) => {
  const started = await startSqs(t);
  const { QueueUrl } = await deadLetters(started, 12);
  const { queueUrls } = await started.client.send(new sqs.ListDeadLetterSourceQueuesCommand({ QueueUrl: QueueUrl.replace(/q$/, "dead") }));
  assert.deepEqual(queueUrls, [QueueUrl]);
  const startedMs = started.clock.now();
  await started.client.send(new sqs.StartMessageMoveTaskCommand({ SourceArn: arnOf("dead") }));
  const task = await eventually("the task is done", async () => (await tasksOf(started)).find(({ Status }) => Status === "COMPLETED"));
  assert.deepEqual(task, {
    Status: "COMPLETED",
    SourceArn: arnOf("dead"),
    ApproximateNumberOfMessagesMoved: 12,
    ApproximateNumberOfMessagesToMove: 12,
    StartedTimestamp: startedMs,
  });
  const back = await receiveAll(started, QueueUrl);
  assert.deepEqual(
    bodies(back),
    Array.from({ length: 12 }, (_, n) => String(n)),
  );
  assert.equal(back[0]?.Attributes?.DeadLetterQueueSourceArn, undefined);
  assert.equal(back[0]?.Attributes?.ApproximateReceiveCount, "1");
});

test("a slow move task can be cancelled, goes on after a restart, and is alone", async (t) => {
  const first = await startSqs(t);
  await deadLetters(first, 10);
  await makeQueue(first, "other");
  const start = { SourceArn: arnOf("dead"), DestinationArn: arnOf("other"), MaxNumberOfMessagesPerSecond: 1 };
  const { TaskHandle } = await first.client.send(new sqs.StartMessageMoveTaskCommand(start));
  await eventually("one is moved", async () => (await tasksOf(first))[0]?.ApproximateNumberOfMessagesMoved === 1);
  await assertRefused(
    first.client.send(new sqs.StartMessageMoveTaskCommand(start)),
    "InvalidParameterValue",
    400,
    /There is already a task running/,
  );
  const second = await first.restart();
  await eventually("one more is moved", async () => (await tasksOf(second))[0]?.ApproximateNumberOfMessagesMoved === 2);
  const cancelled = await second.client.send(new sqs.CancelMessageMoveTaskCommand({ TaskHandle }));
  assert.equal(cancelled.ApproximateNumberOfMessagesMoved, 2);
  const task = await eventually("it is cancelled", async () => {
    second.clock.advance(1000);
    return (await tasksOf(second)).find(({ Status }) => Status === "CANCELLED");
  });
  assert.deepEqual([task.ApproximateNumberOfMessagesMoved, task.TaskHandle], [2, undefined]);
  await assertRefused(second.client.send(new sqs.CancelMessageMoveTaskCommand({ TaskHandle })), "InvalidParameterValue", 400);
});

test("of move tasks that are started in the same moment one is", async (t) => {
  // On disk: there every look takes a while, in which the others look, too.
  const directory = await mkdtemp(join(tmpdir(), "lambent-sqs-"));
  const started = await startSqs(t, (clock) => sqliteStorage({ directory, clock, log: silentLog }));
  t.after(() => rm(directory, { recursive: true }));
  await deadLetters(started, 3);
  const start = () =>
    started.client.send(new sqs.StartMessageMoveTaskCommand({ SourceArn: arnOf("dead"), MaxNumberOfMessagesPerSecond: 1 })).then(
      () => "started",
      (cause: Error) => cause.message,
    );
  const answers = await Promise.all(Array.from({ length: 20 }, start));
  assert.equal(answers.filter((answer) => answer === "started").length, 1, answers.join("\n"));
  assert.equal(answers.filter((answer) => answer.startsWith("There is already a task running.")).length, 19);
  assert.equal((await tasksOf(started)).length, 1);
});

test("a move task whose store fails goes on without a restart, and can be cancelled", async (t) => {
  let isBroken = true;
  const started = await startSqs(t, (clock) => {
    const storage = memoryStorage({ clock });
    const { mailboxes } = storage;
    const forward: typeof mailboxes.forward = (...given) =>
      isBroken ? Promise.reject(new StorageError("Unavailable", "the disk is full")) : mailboxes.forward(...given);
    return { ...storage, mailboxes: { ...mailboxes, forward } };
  });
  const { QueueUrl } = await deadLetters(started, 2);
  const start = () => started.client.send(new sqs.StartMessageMoveTaskCommand({ SourceArn: arnOf("dead") }));
  const ends = (status: string) =>
    eventually(`it is ${status}`, async () => {
      started.clock.advance(30_000);
      return (await tasksOf(started))[0]?.Status === status;
    });
  const { TaskHandle } = await start();
  await started.client.send(new sqs.CancelMessageMoveTaskCommand({ TaskHandle }));
  await ends("CANCELLED");
  await start();
  isBroken = false;
  await ends("COMPLETED");
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["0", "1"]);
});

test("move tasks that make no sense are refused in AWS's words", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  await deadLetters(started, 1);
  const start = (SourceArn: string, DestinationArn?: string) =>
    client.send(new sqs.StartMessageMoveTaskCommand({ SourceArn, DestinationArn }));
  await assertRefused(start(arnOf("q")), "InvalidParameterValue", 400, "Source queue must be configured as a Dead Letter Queue.");
  await assertRefused(
    start(arnOf("missing")),
    "ResourceNotFoundException",
    404,
    "The resource that you specified for the SourceArn parameter doesn't exist.",
  );
  await assertRefused(start(arnOf("dead"), arnOf("missing")), "ResourceNotFoundException", 404, /DestinationArn parameter doesn't exist/);
  const cancel = (TaskHandle: string) => client.send(new sqs.CancelMessageMoveTaskCommand({ TaskHandle }));
  await assertRefused(cancel("nonsense"), "InvalidParameterValue", 400, "Value for parameter TaskHandle is invalid.");
  const handle = (sourceArn: string) => Buffer.from(JSON.stringify({ taskId: "x", sourceArn })).toString("base64");
  await assertRefused(cancel(handle(arnOf("missing"))), "ResourceNotFoundException", 404, /SourceArn parameter doesn't exist/);
  await assertRefused(cancel(handle(arnOf("dead"))), "ResourceNotFoundException", 404, "Task does not exist.");
});

/** As clients did before SQS spoke JSON. */
async function form({ door }: Started, path: string, parameters: Record<string, string>) {
  const signer = new SignatureV4({
    service: "sqs",
    region: REGION,
    credentials: { accessKeyId: FAKE_ROOT.caller.accessKeyId, secretAccessKey: FAKE_ROOT.secretAccessKey },
    sha256: Sha256,
  });
  const body = new URLSearchParams({ Version: "2012-11-05", ...parameters }).toString();
  const headers = { host: `127.0.0.1:${door.port}`, "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
  const request = { method: "POST", protocol: "http:", hostname: "127.0.0.1", port: door.port, path, query: {}, headers, body };
  const signed = await signer.sign(request);
  const response = await fetch(`${door.endpoint}${path}`, { method: "POST", headers: signed.headers, body });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

test("older clients send forms and read XML", async (t) => {
  const started = await startSqs(t);
  const made = await form(started, "/", {
    Action: "CreateQueue",
    QueueName: "q",
    "Attribute.1.Name": "DelaySeconds",
    "Attribute.1.Value": "0",
  });
  const url = `${started.door.endpoint}/${ACCOUNT}/q`;
  assert.match(
    made.text,
    new RegExp(
      `^<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult><QueueUrl>${url}</QueueUrl></CreateQueueResult><ResponseMetadata><RequestId>[0-9a-f-]+</RequestId></ResponseMetadata></CreateQueueResponse>$`,
    ),
  );
  const sent = await form(started, `/${ACCOUNT}/q`, {
    Action: "SendMessage",
    MessageBody: "<&> ä",
    "MessageAttribute.1.Name": "n",
    "MessageAttribute.1.Value.DataType": "Number",
    "MessageAttribute.1.Value.StringValue": "1",
  });
  assert.deepEqual([sent.status, sent.type], [200, "text/xml"], sent.text);
  const batch = {
    Action: "SendMessageBatch",
    QueueUrl: url,
    "SendMessageBatchRequestEntry.1.Id": "one",
    "SendMessageBatchRequestEntry.1.MessageBody": "two",
  };
  assert.match((await form(started, "/", batch)).text, /<SendMessageBatchResultEntry><Id>one<\/Id><MessageId>/);
  const received = await form(started, "/", {
    Action: "ReceiveMessage",
    QueueUrl: url,
    MaxNumberOfMessages: "10",
    "AttributeName.1": "SenderId",
    "MessageAttributeName.1": "All",
  });
  assert.match(received.text, /<Message><MessageId>[0-9a-f-]{36}<\/MessageId>/);
  assert.match(received.text, /<Body>&lt;&amp;&gt; ä<\/Body>/);
  assert.match(received.text, new RegExp(`<Attribute><Name>SenderId</Name><Value>${ACCOUNT}</Value></Attribute>`));
  assert.match(received.text, /<MessageAttribute><Name>n<\/Name><Value>.*<StringValue>1<\/StringValue>.*<\/Value><\/MessageAttribute>/);
  const missing = await form(started, "/", { Action: "GetQueueUrl", QueueName: "missing" });
  assert.equal(missing.status, 400);
  assert.match(
    missing.text,
    /<Error><Type>Sender<\/Type><Code>AWS\.SimpleQueueService\.NonExistentQueue<\/Code><Message>The specified queue does not exist\.<\/Message>/,
  );
  assert.match((await form(started, "/", { Action: "Nothing" })).text, /<Code>InvalidAction<\/Code>/);
});

test("errors have their older names in a header, for clients that look for them", async (t) => {
  const { client } = await startSqs(t);
  const refused = async (call: Promise<unknown>) => {
    const error = (await call.then(
      () => assert.fail("it was not refused"),
      (cause: unknown) => cause,
    )) as { $response: { headers: Record<string, string> } };
    return error.$response.headers["x-amzn-query-error"];
  };
  const QueueUrl = `http://localhost/${ACCOUNT}/missing`;
  assert.equal(await refused(client.send(new sqs.PurgeQueueCommand({ QueueUrl }))), "AWS.SimpleQueueService.NonExistentQueue;Sender");
  assert.equal(await refused(client.send(new sqs.CreateQueueCommand({ QueueName: "a b" }))), "InvalidParameterValue;Sender");
});
