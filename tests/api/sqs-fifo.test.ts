// FIFO queues: order within groups, one claim at a time per group, deduplication, attempts that can be repeated.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sqs from "@aws-sdk/client-sqs";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { arnOf, bodies, countsOf, makeQueue, receiveAll, startSqs, type Started } from "./sqs.fixture.ts";

let ids = 0;
const send = ({ client }: Started, QueueUrl: string, body: string, group = "g", id = `id ${ids++}`.replace(" ", "-")) =>
  client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: body, MessageGroupId: group, MessageDeduplicationId: id }));
const receive = async ({ client }: Started, QueueUrl: string, more: Partial<sqs.ReceiveMessageCommandInput> = {}) =>
  (await client.send(new sqs.ReceiveMessageCommand({ QueueUrl, MessageSystemAttributeNames: ["All"], ...more }))).Messages ?? [];
const remove = ({ client }: Started, QueueUrl: string, message: sqs.Message | undefined) =>
  client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));

test("a group is received in order, by one receiver at a time; other groups go on", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo");
  for (const [body, group] of [
    ["a1", "a"],
    ["b1", "b"],
    ["a2", "a"],
    ["b2", "b"],
    ["a3", "a"],
  ] as const)
    await send(started, QueueUrl, body, group);
  const first = await receive(started, QueueUrl, { MaxNumberOfMessages: 2 });
  assert.deepEqual(bodies(first), ["a1", "a2"]);
  assert.ok((first[0]?.Attributes?.SequenceNumber ?? "") < (first[1]?.Attributes?.SequenceNumber ?? ""));
  assert.match(first[0]?.Attributes?.SequenceNumber ?? "", /^\d{20}$/);
  const second = await receive(started, QueueUrl, { MaxNumberOfMessages: 10 });
  assert.deepEqual(bodies(second), ["b1", "b2"]);
  assert.deepEqual(await countsOf(started, QueueUrl), [1, 4, 0]);
  await remove(started, QueueUrl, first[1]);
  // a1 is still in flight.
  assert.deepEqual(await receive(started, QueueUrl), []);
  started.clock.advance(30_000);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["a1", "a3", "b1", "b2"]);
});

test("deleting the last message in flight lets the next of the group out, to who waits for it", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo");
  await send(started, QueueUrl, "1");
  await send(started, QueueUrl, "2");
  const [one] = await receive(started, QueueUrl);
  const waiting = receive(started, QueueUrl, { WaitTimeSeconds: 20 });
  await remove(started, QueueUrl, one);
  assert.deepEqual(bodies(await waiting), ["2"]);
});

test("a message that is given back comes before those behind it", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo");
  for (const body of ["1", "2", "3"]) await send(started, QueueUrl, body);
  const [one, two] = await receive(started, QueueUrl, { MaxNumberOfMessages: 2 });
  const giveBack = (message: sqs.Message | undefined) =>
    started.client.send(new sqs.ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle, VisibilityTimeout: 0 }));
  await giveBack(two);
  assert.deepEqual(await receive(started, QueueUrl), []);
  await giveBack(one);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["1", "2", "3"]);
});

test("a handle whose time is over deletes nothing in a FIFO queue", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo");
  await send(started, QueueUrl, "1");
  const [one] = await receive(started, QueueUrl);
  started.clock.advance(30_000);
  await assertRefused(
    remove(started, QueueUrl, one),
    "InvalidParameterValue",
    400,
    `Value ${one?.ReceiptHandle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.`,
  );
});

test("duplicates are dropped for five minutes from the first, also when that is deleted", async (t) => {
  const started = await startSqs(t);
  const { clock } = started;
  const QueueUrl = await makeQueue(started, "q.fifo");
  const first = await send(started, QueueUrl, "original", "g", "same");
  const second = await send(started, QueueUrl, "another body", "other group", "same".repeat(1)).catch(() => undefined);
  assert.equal(second, undefined);
  const third = await send(started, QueueUrl, "another body", "other", "same");
  assert.deepEqual([third.MessageId, third.SequenceNumber], [first.MessageId, first.SequenceNumber]);
  const [message] = await receive(started, QueueUrl);
  assert.equal(message?.Body, "original");
  await remove(started, QueueUrl, message);
  clock.advance(299_999);
  await send(started, QueueUrl, "too early", "g", "same");
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 0]);
  clock.advance(1);
  const last = await send(started, QueueUrl, "late enough", "g", "same");
  assert.notEqual(last.MessageId, first.MessageId);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["late enough"]);
});

test("deduplication by content, and by group", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  const QueueUrl = await makeQueue(started, "q.fifo", { ContentBasedDeduplication: "true" });
  const sendTo = (MessageBody: string, MessageGroupId: string) =>
    client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody, MessageGroupId }));
  await sendTo("x", "a");
  await sendTo("x", "b");
  await sendTo("y", "a");
  assert.deepEqual(await countsOf(started, QueueUrl), [2, 0, 0]);
  const Attributes = { DeduplicationScope: "messageGroup", FifoThroughputLimit: "perMessageGroupId" };
  await client.send(new sqs.SetQueueAttributesCommand({ QueueUrl, Attributes }));
  await sendTo("x", "c");
  await sendTo("x", "d");
  await sendTo("x", "d");
  assert.deepEqual(await countsOf(started, QueueUrl), [4, 0, 0]);
});

test("a FIFO queue asks for a group and a way to tell duplicates", async (t) => {
  const started = await startSqs(t);
  const { client } = started;
  const QueueUrl = await makeQueue(started, "q.fifo");
  const plain = { QueueUrl, MessageBody: "m" };
  await assertRefused(
    client.send(new sqs.SendMessageCommand(plain)),
    "MissingParameter",
    400,
    "The request must contain the parameter MessageGroupId.",
  );
  await assertRefused(
    client.send(new sqs.SendMessageCommand({ ...plain, MessageGroupId: "g" })),
    "InvalidParameterValue",
    400,
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
  );
  await assertRefused(
    client.send(new sqs.SendMessageCommand({ ...plain, MessageGroupId: "g", MessageDeduplicationId: "d", DelaySeconds: 2 })),
    "InvalidParameterValue",
    400,
    "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.",
  );
  await assertRefused(
    client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries: [{ Id: "1", MessageBody: "m" }] })),
    "InvalidParameterValue",
    400,
    "The request must contain the parameter MessageGroupId.",
  );
  const whole = { Id: "1", MessageBody: "m", MessageGroupId: "g", MessageDeduplicationId: "d" };
  const { MessageDeduplicationId: _id, ...without } = { ...whole, Id: "2" };
  await assertRefused(
    client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries: [whole, without] })),
    "InvalidParameterValue",
    400,
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
  );
  assert.deepEqual(await receiveAll(started, QueueUrl), []);
});

test("an attempt to receive can be repeated: the same messages and handles, until one was touched", async (t) => {
  const started = await startSqs(t);
  const { clock } = started;
  const QueueUrl = await makeQueue(started, "q.fifo");
  for (const body of ["1", "2", "3", "4"]) await send(started, QueueUrl, body, body);
  const attempt = { MaxNumberOfMessages: 2, ReceiveRequestAttemptId: "attempt-1" };
  const first = await receive(started, QueueUrl, attempt);
  clock.advance(20_000);
  const again = await receive(started, QueueUrl, attempt);
  assert.deepEqual(again, first);
  // The repetition has renewed the claims.
  clock.advance(20_000);
  assert.deepEqual(await receive(started, QueueUrl, attempt), first);
  await remove(started, QueueUrl, first[0]);
  await assertRefused(
    receive(started, QueueUrl, attempt),
    "InvalidParameterValue",
    400,
    "Value attempt-1 for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.",
  );
  assert.deepEqual(bodies(await receive(started, QueueUrl, { ...attempt, ReceiveRequestAttemptId: "attempt-2" })), ["3", "4"]);
  clock.advance(300_000);
  assert.deepEqual(bodies(await receive(started, QueueUrl, attempt)), ["2", "3"]);
  const standard = await makeQueue(started, "standard");
  await assertRefused(receive(started, standard, attempt), "InvalidParameterValue", 400, /not valid for this queue type/);
});

test("the queue's delay holds back a FIFO queue's messages, each from its own send, in order", async (t) => {
  const started = await startSqs(t);
  const QueueUrl = await makeQueue(started, "q.fifo", { DelaySeconds: "10" });
  await send(started, QueueUrl, "1");
  started.clock.advance(4000);
  await send(started, QueueUrl, "2");
  await send(started, QueueUrl, "other", "h");
  assert.deepEqual(await countsOf(started, QueueUrl), [0, 0, 3]);
  started.clock.advance(6000);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["1"]);
  started.clock.advance(4000);
  assert.deepEqual(bodies(await receiveAll(started, QueueUrl)), ["other"]);
});

test("dead letters of a group keep their order, and let the group go on", async (t) => {
  const started = await startSqs(t);
  const dead = await makeQueue(started, "dead.fifo");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arnOf("dead.fifo"), maxReceiveCount: "1" });
  const QueueUrl = await makeQueue(started, "q.fifo", { RedrivePolicy, VisibilityTimeout: "1" });
  for (const body of ["1", "2", "3"]) await send(started, QueueUrl, body);
  assert.deepEqual(bodies(await receive(started, QueueUrl, { MaxNumberOfMessages: 2 })), ["1", "2"]);
  started.clock.advance(1000);
  assert.deepEqual(bodies(await receive(started, QueueUrl, { MaxNumberOfMessages: 10 })), ["3"]);
  assert.deepEqual(bodies(await receive(started, dead, { MaxNumberOfMessages: 10 })), ["1", "2"]);
});
