// SQS messages: sent, received, hidden, deleted, delayed, in batches, with attributes, to dead letters; standard and FIFO.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import * as sqs from "@aws-sdk/client-sqs";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { arnOf, bodies, countsOf, eventually, makeQueue, receiveAll, startSqs } from "./sqs.fixture.ts";

test("a message is sent, received, hidden while it is worked on, and deleted", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q");
  const sent = await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "grüße\n\u{1f600}" }));
  assert.equal(sent.MD5OfMessageBody, createHash("md5").update("grüße\n\u{1f600}").digest("hex"));
  assert.equal(sent.SequenceNumber, undefined);
  clock.advance(1234);
  const [message, ...others] = await receiveAll(started, QueueUrl);
  assert.equal(others.length, 0);
  assert.deepEqual([message?.MessageId, message?.Body], [sent.MessageId, "grüße\n\u{1f600}"]);
  assert.deepEqual(message?.Attributes, {
    SenderId: "000000000000",
    SentTimestamp: String(clock.now() - 1234),
    ApproximateReceiveCount: "1",
    ApproximateFirstReceiveTimestamp: String(clock.now()),
  });
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 1, 0]);
  clock.advance(29_999);
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
  clock.advance(1);
  const [again] = await receiveAll(started, QueueUrl);
  assert.equal(again?.Attributes?.ApproximateReceiveCount, "2");
  assert.notEqual(again?.ReceiptHandle, message?.ReceiptHandle);
  // The handle of the first receive deletes nothing any more, and says nothing.
  await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 1, 0]);
  clock.advance(60_000);
  // Nobody has received it since, so the last handle deletes it although its time is over.
  await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: again?.ReceiptHandle }));
  await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: again?.ReceiptHandle }));
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
});

test("ChangeMessageVisibility gives back, lengthens, and is refused for what is not in flight", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q", { VisibilityTimeout: "10" });
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  const change = (ReceiptHandle: string | undefined, VisibilityTimeout: number) =>
    client.send(new sqs.ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));
  const [first] = await receiveAll(started, QueueUrl);
  await change(first?.ReceiptHandle, 0);
  const [second] = await receiveAll(started, QueueUrl);
  assert.equal(second?.MessageId, first?.MessageId);
  await change(second?.ReceiptHandle, 100);
  clock.advance(99_999);
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
  await assertRefused(
    change(second?.ReceiptHandle, 43_200),
    "InvalidParameterValue",
    400,
    /Total VisibilityTimeout for the message is beyond the limit \[43200 seconds\]/,
  );
  clock.advance(1);
  // The timeout is over, but nobody has received it since.
  await change(second?.ReceiptHandle, 5);
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
  clock.advance(5000);
  const [third] = await receiveAll(started, QueueUrl);
  await assertRefused(change(second?.ReceiptHandle, 5), "MessageNotInflight", 400);
  await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: third?.ReceiptHandle }));
  await assertRefused(change(third?.ReceiptHandle, 5), "InvalidParameterValue", 400, /Message does not exist or is not available/);
  await assertRefused(change(third?.ReceiptHandle, 43_201), "InvalidParameterValue", 400, /Value 43201 for parameter VisibilityTimeout/);
  await assertRefused(
    change("nonsense", 5),
    "ReceiptHandleIsInvalid",
    404,
    'The input receipt handle "nonsense" is not a valid receipt handle.',
  );
});

test("a delay of the message or of the queue keeps it back", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q", { DelaySeconds: "10" });
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "queue's" }));
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "own", DelaySeconds: 5 }));
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "none", DelaySeconds: 0 }));
  assert.deepEqual(await countsOf(started, QueueUrl), [1, 0, 2]);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["none"]);
  clock.advance(5000);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["own"]);
  clock.advance(5000);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["queue's"]);
  await assertRefused(
    client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m", DelaySeconds: 901 })),
    "InvalidParameterValue",
    400,
    "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
  );
});

test("attributes come back with the digest that AWS computes, filtered by name", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q", { VisibilityTimeout: "0" });
  const string = (StringValue: string) => ({ DataType: "String", StringValue });
  const MessageAttributes = { Hello: string("There"), General: string("Kenobi"), "Help.Me": string("Me") };
  const sent = await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "msg", MessageAttributes }));
  // Digests seen on AWS.
  assert.equal(sent.MD5OfMessageAttributes, "4c360f3fdafd970e05fae2f149d997f5");
  const cases: [string[], string | undefined, string[]][] = [
    [["All"], "4c360f3fdafd970e05fae2f149d997f5", ["General", "Hello", "Help.Me"]],
    [[".*"], "4c360f3fdafd970e05fae2f149d997f5", ["General", "Hello", "Help.Me"]],
    [["Hello", "General"], "fca026605781cb4126a1e9044df24232", ["General", "Hello"]],
    [["Hello", "Missing"], "a311262e065454b75da111d535b8dacd", ["Hello"]],
    [["Hel.*"], "83fee93c1bcd8b9a5a923ffacdc636c7", ["Hello", "Help.Me"]],
    [["Missing"], undefined, []],
  ];
  for (const [MessageAttributeNames, digest, names] of cases) {
    const { Messages: [message] = [] } = await client.send(new sqs.ReceiveMessageCommand({ QueueUrl, MessageAttributeNames }));
    assert.deepEqual(
      [message?.MD5OfMessageAttributes, Object.keys(message?.MessageAttributes ?? {}).toSorted()],
      [digest, names],
      MessageAttributeNames.join(),
    );
    clock.advance(1);
  }
});

test("attributes that a message can't have are refused by name, in either list of names", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q");
  await started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  const receive = (names: object) => started.client.send(new sqs.ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 0, ...names }));
  for (const names of [{ AttributeNames: ["SenderId", "Colour"] }, { MessageSystemAttributeNames: ["Colour"] }])
    await assertRefused(receive(names), "InvalidAttributeName", 400, "Unknown Attribute Colour.");
  // The API's model lists the attributes of queues for it.
  const { Messages = [] } = await receive({ AttributeNames: ["QueueArn", "ApproximateReceiveCount"] });
  assert.deepEqual(Messages[0]?.Attributes, { ApproximateReceiveCount: "1" });
});

test("binary and number attributes, and the trace header as system attribute", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  const QueueUrl = await makeQueue(started, "q");
  const bytes = Buffer.from("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01");
  const MessageAttributes = { attr1: { DataType: "Binary", BinaryValue: bytes } };
  const MessageSystemAttributes = { AWSTraceHeader: { DataType: "String", StringValue: "Root=1-2-3" } };
  const sent = await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "test", MessageAttributes, MessageSystemAttributes }));
  assert.equal(sent.MD5OfMessageAttributes, "8cbe4db156db8a94db8b801b7addb984");
  assert.ok(sent.MD5OfMessageSystemAttributes);
  const [message] = await receiveAll(started, QueueUrl);
  assert.equal(message?.MD5OfMessageAttributes, "8cbe4db156db8a94db8b801b7addb984");
  assert.deepEqual(Buffer.from(message?.MessageAttributes?.["attr1"]?.BinaryValue ?? []), bytes);
  assert.equal(message?.Attributes?.AWSTraceHeader, "Root=1-2-3");
});

const value = (StringValue: string, DataType = "String") => ({ DataType, StringValue });
const WRONG_MESSAGES: readonly [what: string, input: Partial<sqs.SendMessageCommandInput>, name: string, message: string | RegExp][] = [
  ["no body", { MessageBody: "" }, "MissingParameter", "The request must contain the parameter MessageBody."],
  ["a control character", { MessageBody: "a\u0001b" }, "InvalidMessageContents", /Invalid binary character/],
  ["a character that is none", { MessageBody: "\uffff" }, "InvalidMessageContents", /Invalid binary character/],
  ["too long a body", { MessageBody: "x".repeat(1025) }, "InvalidParameterValue", /must be shorter than 1024 bytes/],
  [
    "eleven attributes",
    { MessageAttributes: Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`a${n}`, value("v")])) },
    "InvalidParameterValue",
    "Number of message attributes [11] exceeds the allowed maximum [10].",
  ],
  ["a reserved name", { MessageAttributes: { "AWS.x": value("v") } }, "InvalidParameterValue", /reserved for internal use/],
  ["a name with a space", { MessageAttributes: { "a b": value("v") } }, "InvalidParameterValue", /attribute name 'a b' is invalid/],
  [
    "no type",
    { MessageAttributes: { a: value("v", "") } },
    "InvalidParameterValue",
    "The message attribute 'a' must contain non-empty message attribute type.",
  ],
  [
    "an unknown type",
    { MessageAttributes: { a: value("v", "Bool") } },
    "InvalidParameterValue",
    /supported type prefixes is Binary, Number, and String/,
  ],
  [
    "an empty value",
    { MessageAttributes: { a: value("") } },
    "InvalidParameterValue",
    "Message (user) attribute 'a' must contain a non-empty value of type 'String'.",
  ],
  ["a number that is none", { MessageAttributes: { a: value("ten", "Number") } }, "InvalidParameterValue", /to a number/],
  [
    "a long one that is none",
    { MessageAttributes: { a: value(`${"1".repeat(250_000)}x`, "Number") } },
    "InvalidParameterValue",
    /to a number/,
  ],
  ["39 digits", { MessageAttributes: { a: value("1".repeat(39), "Number.big") } }, "InvalidParameterValue", /to a number/],
  ["a list", { MessageAttributes: { a: { DataType: "String", StringListValues: ["a"] } } }, "UnsupportedOperation", /list values/],
  ["another system attribute", { MessageSystemAttributes: { SenderId: value("me") } as never }, "InvalidParameterValue", /SenderId/],
  [
    "a deduplication id",
    { MessageDeduplicationId: "d" },
    "InvalidParameterValue",
    "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type.",
  ],
  ["a long group id", { MessageGroupId: "g".repeat(129) }, "InvalidParameterValue", /MessageGroupId can only include/],
];

test("messages that SQS does not take are refused, and nothing is sent", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q", { MaximumMessageSize: "1024" });
  for (const [what, input, name, message] of WRONG_MESSAGES)
    await t.test(what, async () => {
      await assertRefused(started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m", ...input })), name, 400, message);
    });
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
});

test("a message of 1 MiB goes through, one byte more does not", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q");
  const send = (MessageBody: string) => started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody }));
  await assertRefused(send("\n".repeat(2 ** 20 + 1)), "InvalidParameterValue", 400, /shorter than 1048576 bytes/);
  await send("\n".repeat(2 ** 20));
  assert.equal((await receiveAll(started, QueueUrl))[0]?.Body?.length, 2 ** 20);
});

test("batches: some succeed, some fail; what is wrong with the whole fails it", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  const QueueUrl = await makeQueue(started, "q", { MaximumMessageSize: "1024" });
  const send = (Entries: sqs.SendMessageBatchRequestEntry[]) => client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries }));
  const sent = await send([
    { Id: "good", MessageBody: "one" },
    { Id: "long", MessageBody: "x".repeat(1025) },
    { Id: "delayed", MessageBody: "two", DelaySeconds: 3 },
    { Id: "odd", MessageBody: "\u0000" },
  ]);
  assert.deepEqual(
    sent.Successful?.map(({ Id, MD5OfMessageBody }) => [Id, MD5OfMessageBody]),
    [
      ["good", createHash("md5").update("one").digest("hex")],
      ["delayed", createHash("md5").update("two").digest("hex")],
    ],
  );
  assert.deepEqual(
    sent.Failed?.map(({ Id, Code, SenderFault }) => [Id, Code, SenderFault]),
    [
      ["long", "InvalidParameterValue", true],
      ["odd", "InvalidMessageContents", true],
    ],
  );
  const entries = (count: number) => Array.from({ length: count }, (_, n) => ({ Id: String(n), MessageBody: "m" }));
  await assertRefused(send([]), "EmptyBatchRequest", 400, "There should be at least one SendMessageBatchRequestEntry in the request.");
  await assertRefused(
    send(entries(11)),
    "TooManyEntriesInBatchRequest",
    400,
    "Maximum number of entries per request are 10. You have sent 11.",
  );
  await assertRefused(send([...entries(2), ...entries(1)]), "BatchEntryIdsNotDistinct", 400, "Id 0 repeated.");
  await assertRefused(
    send([{ Id: "a:b", MessageBody: "m" }]),
    "InvalidBatchEntryId",
    400,
    /alphanumeric characters, hyphens and underscores/,
  );
  const large = Array.from({ length: 10 }, (_, n) => ({ Id: String(n), MessageBody: "x".repeat(110_000) }));
  await assertRefused(
    send(large),
    "BatchRequestTooLong",
    400,
    "Batch requests cannot be longer than 1048576 bytes. You have sent 1100000 bytes.",
  );

  const [message] = await receiveAll(started, QueueUrl);
  const changed = await client.send(
    new sqs.ChangeMessageVisibilityBatchCommand({
      QueueUrl,
      Entries: [
        { Id: "a", ReceiptHandle: message?.ReceiptHandle, VisibilityTimeout: 60 },
        { Id: "b", ReceiptHandle: "x", VisibilityTimeout: 60 },
        { Id: "c", ReceiptHandle: message?.ReceiptHandle, VisibilityTimeout: -1 },
      ],
    }),
  );
  assert.deepEqual(
    [changed.Successful, changed.Failed?.map(({ Id, Code }) => [Id, Code])],
    [
      [{ Id: "a" }],
      [
        ["b", "ReceiptHandleIsInvalid"],
        ["c", "InvalidParameterValue"],
      ],
    ],
  );
  const deleted = await client.send(
    new sqs.DeleteMessageBatchCommand({
      QueueUrl,
      Entries: [
        { Id: "a", ReceiptHandle: message?.ReceiptHandle },
        { Id: "b", ReceiptHandle: "x" },
      ],
    }),
  );
  assert.deepEqual(
    [deleted.Successful, deleted.Failed?.map(({ Id, Code }) => [Id, Code])],
    [[{ Id: "a" }], [["b", "ReceiptHandleIsInvalid"]]],
  );
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 1]);
});

test("long polling wakes for a message, for one that becomes visible, and ends at its time", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const QueueUrl = await makeQueue(started, "q");
  const wait = (WaitTimeSeconds = 20) => client.send(new sqs.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds, VisibilityTimeout: 5 }));
  const { mailboxes } = started.storage;
  const receive = mailboxes.receive.bind(mailboxes);
  const asked = Promise.withResolvers<void>();
  mailboxes.receive = async (...words) => await receive(...words).finally(asked.resolve);
  const first = wait();
  // Nothing was there: it waits.
  await asked.promise;
  await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "woken" }));
  assert.deepEqual(bodies((await first).Messages ?? []), ["woken"]);

  const second = wait();
  // The request is on its way: time moves until the receiver, wherever it has come, has seen the claim end.
  let got: sqs.Message[] | undefined;
  void second.then(({ Messages = [] }) => (got = Messages));
  await eventually("the message is visible again", () => (clock.advance(1000), got));
  assert.deepEqual(bodies(got ?? []), ["woken"]);

  let ended: sqs.Message[] | undefined;
  void client
    .send(new sqs.ReceiveMessageCommand({ QueueUrl: await makeQueue(started, "empty"), WaitTimeSeconds: 20 }))
    .then(({ Messages = [] }) => (ended = Messages));
  await eventually("the wait is over", () => (clock.advance(1000), ended));
  assert.deepEqual(ended, []);
});

test("many receivers wait, each gets one message, and all are let go when the service stops", async (t) => {
  const started = await startSqs(t);
  const { client, service } = started;
  const QueueUrl = await makeQueue(started, "q", { ReceiveMessageWaitTimeSeconds: "20" });
  const waiting = Array.from({ length: 30 }, () => client.send(new sqs.ReceiveMessageCommand({ QueueUrl })));
  for (let n = 0; n < 20; n++) await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: String(n) }));
  await eventually("all are received", async () => (await countsOf(started, QueueUrl))[1] === 20);
  service.endWaits();
  const received = (await Promise.all(waiting)).map(({ Messages = [] }) => Messages.length);
  assert.deepEqual([received.filter((n) => n === 1).length, received.filter((n) => n === 0).length], [20, 10]);
});

test("a receiver that waits learns that its queue is gone", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q");
  const waiting = started.client.send(new sqs.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
  const refused = assertRefused(waiting, "QueueDoesNotExist", 400);
  await started.client.send(new sqs.DeleteQueueCommand({ QueueUrl }));
  await refused;
});

test("dead letters: after maxReceiveCount receives a message moves, with its id and where it came from", async (t) => {
  const started = await startSqs(t);
  const { client, clock } = started;
  const dead = await makeQueue(started, "dead");
  const QueueUrl = await makeQueue(started, "q", {
    VisibilityTimeout: "1",
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf("dead"), maxReceiveCount: 2 }),
  });
  const { MessageId } = await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "poison" }));
  const sentMs = clock.now();
  for (let n = 0; n < 2; n++) {
    assert.equal((await receiveAll(started, QueueUrl)).length, 1);
    clock.advance(1000);
  }
  assert.deepEqual(await countsOf(started, dead), [0, 0, 0]);
  // Who waits at the dead-letter queue is woken by the receive that moves the message.
  const waiting = client.send(new sqs.ReceiveMessageCommand({ QueueUrl: dead, WaitTimeSeconds: 20, MessageSystemAttributeNames: ["All"] }));
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
  const [message] = (await waiting).Messages ?? [];
  assert.deepEqual([message?.MessageId, message?.Body], [MessageId, "poison"]);
  assert.equal(message?.Attributes?.DeadLetterQueueSourceArn, arnOf("q"));
  assert.equal(message?.Attributes?.SentTimestamp, String(sentMs));
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
});

test("messages older than the retention period are gone", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q", { MessageRetentionPeriod: "60" });
  await started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "old" }));
  started.clock.advance(59_999);
  assert.deepEqual(await countsOf(started, QueueUrl), [1, 0, 0]);
  started.clock.advance(1);
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
});

test("what was acknowledged is there after a restart: messages, claims, counts, deduplication, order", async (t) => {
  const first = await startSqs(t);
  const QueueUrl = await makeQueue(first, "q.fifo", { ContentBasedDeduplication: "true" });
  const send = (started: typeof first, MessageBody: string) =>
    started.client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody, MessageGroupId: "g" }));
  for (const body of ["1", "2", "3"]) await send(first, body);
  const { Messages: [one] = [] } = await first.client.send(new sqs.ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 60 }));
  await first.client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: one?.ReceiptHandle }));
  const { Messages: [two] = [] } = await first.client.send(new sqs.ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 60 }));
  assert.equal(two?.Body, "2");
  const second = await first.restart();
  assert.deepEqual(await receiveAll(second, QueueUrl), []);
  await send(second, "1");
  second.clock.advance(60_000);
  const left = await receiveAll(second, QueueUrl);
  assert.deepEqual(bodies(left), ["2", "3"]);
  assert.deepEqual(
    left.map((message) => message.Attributes?.ApproximateReceiveCount),
    ["2", "1"],
  );
});
