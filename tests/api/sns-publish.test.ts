// Publish and PublishBatch through the real SDK: what is refused, what each protocol gets, FIFO topics, filter policies in use.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sns from "@aws-sdk/client-sns";
import type { Message } from "@aws-sdk/client-sqs";
import { startApi } from "../support/api.ts";
import { makeQueue, makeTopic, queueArn, receive, subscribe, topicArn } from "./sns.fixture.ts";

const invalid = (message: string) => ({ name: "InvalidParameterException", message: `Invalid parameter: ${message}` });
const invalidValue = (message: string) => ({ name: "InvalidParameterValueException", message });
const text = (StringValue: string, DataType = "String") => ({ DataType, StringValue });
const messageOf = ({ Body = "" }: Message) => (JSON.parse(Body) as { Message: string }).Message;

test("Publish refuses what is no message", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const publish = (more: Partial<sns.PublishCommandInput>) => client.send(new sns.PublishCommand({ TopicArn, Message: "m", ...more }));
  for (const [input, fault] of [
    [{ Message: "" }, invalid("Empty message")],
    [{ Message: "x".repeat(262_145) }, invalid("Message too long")],
    [{ Message: "x".repeat(262_140), MessageAttributes: { a: text("b") } }, invalid("Message too long")],
    [{ Subject: "" }, invalid("Subject")],
    [{ Subject: "a\nb" }, invalid("Subject")],
    [{ Subject: "x".repeat(101) }, invalid("Subject")],
    [{ MessageStructure: "json" }, invalid("Message Structure - JSON message body failed to parse")],
    [{ MessageStructure: "json", Message: '{"sqs":"x"}' }, invalid("Message Structure - No default entry in JSON message body")],
    [{ MessageStructure: "xml" }, invalid("MessageStructure")],
    [{ TopicArn: undefined }, invalid("TopicArn or TargetArn Reason: no value for required parameter")],
    [
      { TopicArn: undefined, TargetArn: "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/app/1" },
      invalid("TargetArn Reason: No endpoint found for the target arn specified"),
    ],
    [{ TargetArn: TopicArn }, invalid("TopicArn or TargetArn Reason: only one of them can be given")],
    [{ TopicArn: topicArn("missing") }, { name: "NotFoundException", message: "Topic does not exist" }],
    [
      { MessageDeduplicationId: "1" },
      invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"),
    ],
    [{ MessageAttributes: { "a..b": text("c") } }, invalidValue("Message attribute name can not have successive '.' character.")],
    [
      { MessageAttributes: { a: text("") } },
      invalidValue("The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'."),
    ],
    [
      { MessageAttributes: { a: text("x", "Colour") } },
      invalidValue(
        "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
      ),
    ],
    [
      { MessageAttributes: { a: text("x", "Binary") } },
      invalidValue("The message attribute 'a' with type 'Binary' must use field 'Binary'."),
    ],
    [{ MessageAttributes: { a: text("x", "Number") } }, invalidValue("Could not cast message attribute 'a' value to number.")],
    // A long one is refused at once, too.
    [
      { MessageAttributes: { a: text(`${"1".repeat(250_000)}x`, "Number") } },
      invalidValue("Could not cast message attribute 'a' value to number."),
    ],
  ] as const satisfies readonly (readonly [Partial<sns.PublishCommandInput>, object])[])
    await assert.rejects(publish(input), fault, JSON.stringify(input).slice(0, 100));
  assert.match((await publish({ Message: "x".repeat(262_144) })).MessageId ?? "", /^[0-9a-f-]{36}$/);
  const { MessageId } = await client.send(new sns.PublishCommand({ TargetArn: TopicArn, Message: "m", MessageGroupId: "g" }));
  assert.ok(MessageId);
});

test("with MessageStructure json each protocol gets its own text", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const queue = await makeQueue(sqs, "q");
  const TopicArn = await makeTopic(client, "t");
  await subscribe(client, TopicArn, "sqs", queueArn("q"));
  const publish = (texts: object) =>
    client.send(new sns.PublishCommand({ TopicArn, MessageStructure: "json", Message: JSON.stringify(texts) }));
  await publish({ default: "for all", sqs: "for queues" });
  await publish({ default: "for all", lambda: "for functions" });
  assert.deepEqual(new Set((await receive(sqs, queue, 2)).map(messageOf)), new Set(["for queues", "for all"]));
});

test("PublishBatch publishes all or nothing", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const queue = await makeQueue(sqs, "q");
  const TopicArn = await makeTopic(client, "t");
  await subscribe(client, TopicArn, "sqs", queueArn("q"));
  const publish = (entries: sns.PublishBatchRequestEntry[], arn = TopicArn) =>
    client.send(new sns.PublishBatchCommand({ TopicArn: arn, PublishBatchRequestEntries: entries }));
  await assert.rejects(
    publish([
      { Id: "a", Message: "never" },
      { Id: "b", Message: "m", MessageAttributes: { a: text("") } },
    ]),
    invalidValue("The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'."),
  );
  const { Successful = [], Failed = [] } = await publish([
    { Id: "a", Message: "one" },
    { Id: "c", Message: "two" },
  ]);
  assert.deepEqual(
    Successful.map(({ Id }) => Id),
    ["a", "c"],
  );
  assert.deepEqual(Failed, []);
  assert.deepEqual(new Set((await receive(sqs, queue, 2)).map(messageOf)), new Set(["one", "two"]));
  const entry = (Id: string, Message = "m") => ({ Id, Message });
  for (const [entries, name, message] of [
    [[], "EmptyBatchRequestException", "The batch request doesn't contain any entries."],
    [
      Array.from({ length: 11 }, (_, index) => entry(String(index))),
      "TooManyEntriesInBatchRequestException",
      "The batch request contains more entries than permissible.",
    ],
    [[entry("a"), entry("a")], "BatchEntryIdsNotDistinctException", "Two or more batch entries in the request have the same Id."],
    [[entry("a b")], "InvalidBatchEntryIdException", "The Id of a batch entry in a batch request doesn't abide by the specification."],
    [
      [entry("a", "x".repeat(200_000)), entry("b", "x".repeat(100_000))],
      "BatchRequestTooLongException",
      "The length of all the messages put together is more than the limit.",
    ],
  ] as const)
    await assert.rejects(publish([...entries]), { name, message });
  await assert.rejects(publish([entry("a")], topicArn("missing")), { name: "NotFoundException" });
});

test("a FIFO topic keeps the order of its groups, drops duplicates, and numbers", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const queue = await makeQueue(sqs, "q.fifo");
  const other = await makeQueue(sqs, "plain");
  const TopicArn = await makeTopic(client, "t.fifo", { ContentBasedDeduplication: "true" });
  await subscribe(client, TopicArn, "sqs", queueArn("q.fifo"), { Attributes: { RawMessageDelivery: "true" } });
  await subscribe(client, TopicArn, "sqs", queueArn("plain"));
  const publish = (Message: string, more: Partial<sns.PublishCommandInput> = {}) =>
    client.send(new sns.PublishCommand({ TopicArn, Message, MessageGroupId: "g", ...more }));
  const first = await publish("0");
  const again = await publish("0");
  assert.deepEqual([again.MessageId, again.SequenceNumber], [first.MessageId, first.SequenceNumber]);
  assert.match(first.SequenceNumber ?? "", /^\d{20}$/);
  await client.send(
    new sns.PublishBatchCommand({
      TopicArn,
      PublishBatchRequestEntries: Array.from({ length: 9 }, (_, index) => ({
        Id: String(index),
        Message: String(index + 1),
        MessageGroupId: "g",
      })),
    }),
  );
  const got = await receive(sqs, queue, 10);
  assert.deepEqual(
    got.map(({ Body }) => Body),
    Array.from({ length: 10 }, (_, index) => String(index)),
  );
  assert.equal(got[0]?.Attributes?.MessageGroupId, "g");
  const [enveloped] = await receive(sqs, other, 10);
  const fields = JSON.parse(enveloped?.Body ?? "") as { SequenceNumber: string };
  assert.match(fields.SequenceNumber, /^\d{20}$/);
  // Unlike those of standard topics they are not signed.
  assert.deepEqual(Object.keys(fields), ["Type", "MessageId", "SequenceNumber", "TopicArn", "Message", "Timestamp", "UnsubscribeURL"]);
  await assert.rejects(publish("x", { MessageGroupId: undefined }), invalid("The MessageGroupId parameter is required for FIFO topics"));
  await assert.rejects(
    publish("x", { MessageGroupId: "a b" }),
    invalid("MessageGroupId Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."),
  );
  const strict = await makeTopic(client, "strict.fifo");
  await assert.rejects(
    publish("x", { TopicArn: strict }),
    invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"),
  );
});

test("a FIFO topic's message that its queue refuses is a dead letter, and those behind it go on", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const dead = await makeQueue(sqs, "dead.fifo");
  const TopicArn = await makeTopic(client, "t.fifo");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: queueArn("dead.fifo") });
  await subscribe(client, TopicArn, "sqs", queueArn("missing.fifo"), { Attributes: { RawMessageDelivery: "true", RedrivePolicy } });
  for (const id of ["1", "2"])
    await client.send(new sns.PublishCommand({ TopicArn, Message: id, MessageGroupId: "g", MessageDeduplicationId: id }));
  assert.deepEqual(
    (await receive(sqs, dead, 2)).map(({ Body }) => Body),
    ["1", "2"],
  );
});

test("only what the filter policies let through arrives", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const TopicArn = await makeTopic(client, "t");
  const [byAttributes, byBody] = [await makeQueue(sqs, "attributes"), await makeQueue(sqs, "body")];
  const FilterPolicy = JSON.stringify({ price: [{ numeric: [">=", 100] }], colours: ["red"] });
  await subscribe(client, TopicArn, "sqs", queueArn("attributes"), { Attributes: { FilterPolicy } });
  const BodyPolicy = JSON.stringify({ store: { name: [{ prefix: "ex" }] } });
  await subscribe(client, TopicArn, "sqs", queueArn("body"), {
    Attributes: { FilterPolicy: BodyPolicy, FilterPolicyScope: "MessageBody" },
  });
  const publish = (Message: string, price: string, colours: string) =>
    client.send(
      new sns.PublishCommand({
        TopicArn,
        Message,
        MessageAttributes: { price: text(price, "Number"), colours: text(colours, "String.Array") },
      }),
    );
  await publish("no JSON", "99", '["red"]');
  await publish('{"store":{"name":"other"}}', "100", '["blue"]');
  await publish('{"store":{"name":"example"}}', "100.0", '["blue","red"]');
  for (const queue of [byAttributes, byBody])
    assert.deepEqual((await receive(sqs, queue)).map(messageOf), ['{"store":{"name":"example"}}']);
});

test("one message reaches many subscribers", async (t) => {
  const { sns: client, sqs } = (await startApi(t)).clients();
  const TopicArn = await makeTopic(client, "t");
  const queues = await Promise.all(Array.from({ length: 40 }, (_, index) => makeQueue(sqs, `q${index}`)));
  await Promise.all(queues.map((_, index) => subscribe(client, TopicArn, "sqs", queueArn(`q${index}`))));
  await client.send(new sns.PublishCommand({ TopicArn, Message: "to all" }));
  for (const queue of queues) assert.deepEqual((await receive(sqs, queue)).map(messageOf), ["to all"]);
});
