// Subscriptions through the real SDK: each operation with its errors; web endpoints confirm theirs by a link.
import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { test } from "node:test";
import * as sns from "@aws-sdk/client-sns";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeQueue, makeTopic, queueArn, receive, startEndpoint, subscribe, topicArn } from "./sns.fixture.ts";

const invalid = (message: string) => ({ name: "InvalidParameterException", message: `Invalid parameter: ${message}` });
const FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f";
const NO_SUBSCRIPTION = { name: "NotFoundException", message: "Subscription does not exist" };

async function attributesOf(client: sns.SNSClient, SubscriptionArn: string): Promise<Record<string, string>> {
  const { Attributes = {} } = await client.send(new sns.GetSubscriptionAttributesCommand({ SubscriptionArn }));
  return Attributes;
}

test("functions and queues of the account are subscribed at once, each once", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const first = await subscribe(client, TopicArn, "sqs", queueArn("q"), { Attributes: { RawMessageDelivery: "true" } });
  assert.equal(await subscribe(client, TopicArn, "sqs", queueArn("q")), first);
  await assert.rejects(
    subscribe(client, TopicArn, "sqs", queueArn("q"), { Attributes: { RawMessageDelivery: "false" } }),
    invalid("Attributes Reason: Subscription already exists with different attributes"),
  );
  const second = await subscribe(client, TopicArn, "lambda", `${FUNCTION}:live`);
  assert.deepEqual(await attributesOf(client, first), {
    SubscriptionArn: first,
    TopicArn,
    Protocol: "sqs",
    Endpoint: queueArn("q"),
    Owner: "000000000000",
    SubscriptionPrincipal: "arn:aws:iam::000000000000:root",
    ConfirmationWasAuthenticated: "true",
    PendingConfirmation: "false",
    RawMessageDelivery: "true",
  });
  const { Subscriptions = [] } = await client.send(new sns.ListSubscriptionsByTopicCommand({ TopicArn }));
  assert.deepEqual(new Set(Subscriptions.map(({ SubscriptionArn }) => SubscriptionArn)), new Set([first, second]));
  assert.equal((await client.send(new sns.ListSubscriptionsCommand({}))).Subscriptions?.length, 2);
  await client.send(new sns.UnsubscribeCommand({ SubscriptionArn: first }));
  await client.send(new sns.UnsubscribeCommand({ SubscriptionArn: first }));
  await assert.rejects(attributesOf(client, first), NO_SUBSCRIPTION);
  const { Attributes = {} } = await client.send(new sns.GetTopicAttributesCommand({ TopicArn }));
  assert.deepEqual([Attributes["SubscriptionsConfirmed"], Attributes["SubscriptionsDeleted"]], ["1", "1"]);
});

test("the password of a web endpoint is told to nobody", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const arn = await subscribe(client, TopicArn, "http", "http://user:pass:word@127.0.0.1:1/a@b?c=d:e@f");
  const { Subscriptions = [] } = await client.send(new sns.ListSubscriptionsCommand({}));
  for (const told of [Subscriptions[0]?.Endpoint, (await attributesOf(client, arn))["Endpoint"]])
    assert.equal(told, "http://user:****@127.0.0.1:1/a@b?c=d:e@f");
});

test("Subscribe refuses what can't be an endpoint", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const fifo = await makeTopic(client, "t.fifo");
  for (const [protocol, endpoint, message, arn = TopicArn] of [
    ["pigeon", "x", "Amazon SNS does not support this protocol string: pigeon"],
    ["sms", "+15550100", "Protocol Reason: Lambent does not deliver to sms: see docs/compatibility.md"],
    ["firehose", "x", "Protocol Reason: Lambent does not deliver to firehose: see docs/compatibility.md"],
    ["application", "x", "Protocol Reason: Lambent does not deliver to application: see docs/compatibility.md"],
    ["sqs", "http://x", "SQS endpoint ARN"],
    ["sqs", queueArn("q.fifo"), "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"],
    ["lambda", queueArn("q"), "Lambda endpoint ARN"],
    ["http", "https://example.com", "Endpoint must match the specified protocol"],
    ["https", "https://", "Endpoint Reason: Invalid URL"],
    ["email", "nobody", "Email address"],
    ["sqs", "", "Endpoint Reason: no value for required parameter"],
    ["lambda", FUNCTION, "Invalid parameter: Endpoint Reason: Please use FIFO SQS queue", fifo],
  ] as const)
    await assert.rejects(subscribe(client, arn, protocol, endpoint), invalid(message), protocol);
  await assert.rejects(subscribe(client, topicArn("missing"), "sqs", queueArn("q")), {
    name: "NotFoundException",
    message: "Topic does not exist",
  });
  assert.deepEqual((await client.send(new sns.ListSubscriptionsCommand({}))).Subscriptions, []);
});

test("attributes of a subscription are checked when it is made and when they are set", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const SubscriptionArn = await subscribe(client, TopicArn, "sqs", queueArn("q"));
  const set = (AttributeName: string, AttributeValue: string, arn = SubscriptionArn) =>
    client.send(new sns.SetSubscriptionAttributesCommand({ SubscriptionArn: arn, AttributeName, AttributeValue }));
  for (const [name, value, reason] of [
    ["FilterPolicy", "{", "FilterPolicy: failed to parse JSON."],
    ["FilterPolicy", '{"a":{"b":["c"]}}', "Filter policy scope MessageAttributes does not support nested filter policy"],
    ["FilterPolicyScope", "X", "FilterPolicyScope: Invalid value [X]. Please use either MessageBody or MessageAttributes"],
    ["RawMessageDelivery", "maybe", "RawMessageDelivery: Invalid value [maybe]. Must be true or false."],
    ["RedrivePolicy", "{", "RedrivePolicy: failed to parse JSON."],
    ["RedrivePolicy", '{"deadLetterTargetArn":"x"}', "RedrivePolicy: deadLetterTargetArn is an invalid arn"],
    ["DeliveryPolicy", "{}", "DeliveryPolicy: only for http and https endpoints"],
  ] as const) {
    await assert.rejects(set(name, value), invalid(reason), name);
    const made = subscribe(client, TopicArn, "sqs", queueArn("other"), { Attributes: { [name]: value } });
    await assert.rejects(made, invalid(`Attributes Reason: ${reason}`), name);
  }
  await assert.rejects(set("Wrong", "1"), invalid("AttributeName"));
  const fifo = await subscribe(client, await makeTopic(client, "t.fifo"), "sqs", queueArn("q.fifo"));
  await assert.rejects(
    set("RedrivePolicy", JSON.stringify({ deadLetterTargetArn: queueArn("dead") }), fifo),
    invalid("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."),
  );
  await assert.rejects(
    subscribe(client, TopicArn, "email", "a@example.com", { Attributes: { RawMessageDelivery: "true" } }),
    invalid("Attributes Reason: Delivery protocol [email] does not support raw message delivery."),
  );
  const missing = `${topicArn("t")}:00000000-0000-4000-8000-000000000000`;
  await assert.rejects(set("RawMessageDelivery", "true", missing), NO_SUBSCRIPTION);
  await assert.rejects(set("RawMessageDelivery", "true", topicArn("t")), invalid("SubscriptionId"));
  await assert.rejects(
    set("RawMessageDelivery", "true", "x"),
    invalid("SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"),
  );
  await set("FilterPolicy", '{"a":["b"]}');
  const told = await attributesOf(client, SubscriptionArn);
  assert.deepEqual([told["FilterPolicy"], told["FilterPolicyScope"]], ['{"a":["b"]}', "MessageAttributes"]);
  await set("FilterPolicyScope", "MessageBody");
  await set("FilterPolicy", "");
  const without = await attributesOf(client, SubscriptionArn);
  assert.deepEqual([without["FilterPolicy"], without["FilterPolicyScope"]], [undefined, undefined]);
});

test("a web endpoint is asked first, confirms by the link, gets notifications, and leaves by the link", async (t) => {
  const { server, clients } = await startApi(t);
  // Links have no signature, and so no region but the topic's.
  const client = clients(server.keys, "eu-west-1").sns;
  const { url, received } = await startEndpoint(t);
  const TopicArn = await makeTopic(client, "t");
  const { SubscriptionArn: told } = await client.send(
    new sns.SubscribeCommand({ TopicArn, Protocol: "http", Endpoint: `${url}/hook?a=1` }),
  );
  assert.equal(told, "pending confirmation");
  await client.send(new sns.PublishCommand({ TopicArn, Message: "too early" }));
  const asked = await eventually("the question", () => received[0]);
  assert.deepEqual(
    [asked.path, asked.headers["x-amz-sns-message-type"], asked.headers["x-amz-sns-topic-arn"], asked.headers["content-type"]],
    ["/hook?a=1", "SubscriptionConfirmation", TopicArn, "text/plain; charset=UTF-8"],
  );
  const question = JSON.parse(asked.body) as Record<string, string>;
  assert.deepEqual(Object.keys(question), [
    "Type",
    "MessageId",
    "Token",
    "TopicArn",
    "Message",
    "SubscribeURL",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
  ]);
  const { Subscriptions = [] } = await client.send(new sns.ListSubscriptionsCommand({}));
  assert.equal(Subscriptions[0]?.SubscriptionArn, "PendingConfirmation");
  for (const arn of [TopicArn, `${TopicArn}2`])
    await assert.rejects(client.send(new sns.ConfirmSubscriptionCommand({ TopicArn: arn, Token: "0af".repeat(40) })), invalid("Token"));
  await assert.rejects(client.send(new sns.ConfirmSubscriptionCommand({ TopicArn, Token: "wrong" })), {
    name: "InvalidParameterException",
    message: "Invalid token",
  });
  const confirmed = await (await fetch(question["SubscribeURL"] ?? "")).text();
  const arn = /<SubscriptionArn>(.*)<\/SubscriptionArn>/.exec(confirmed)?.[1] ?? "";
  assert.equal((await attributesOf(client, arn))["ConfirmationWasAuthenticated"], "false");
  await client.send(new sns.PublishCommand({ TopicArn, Message: "hello" }));
  const note = await eventually("the notification", () => received[1]);
  assert.deepEqual(
    [note.headers["x-amz-sns-message-type"], note.headers["x-amz-sns-subscription-arn"], note.headers["user-agent"]],
    ["Notification", arn, "Amazon Simple Notification Service Agent"],
  );
  const body = JSON.parse(note.body) as Record<string, string>;
  assert.deepEqual([body["Message"], body["MessageId"]], ["hello", note.headers["x-amz-sns-message-id"]]);
  assert.equal((await fetch(body["UnsubscribeURL"] ?? "")).status, 200);
  await assert.rejects(attributesOf(client, arn), NO_SUBSCRIPTION);
});

/** Confirms as the endpoint does, by the link; the ARN. */
async function confirmByLink({ body }: { readonly body: string }): Promise<string> {
  const { SubscribeURL = "" } = JSON.parse(body) as { SubscribeURL?: string };
  return /<SubscriptionArn>(.*)<\/SubscriptionArn>/.exec(await (await fetch(SubscribeURL)).text())?.[1] ?? "";
}

test("who leaves by the link is told how to come back, and who owns the subscription is not", async (t) => {
  const { server, clients } = await startApi(t);
  const client = clients().sns;
  const { url, received } = await startEndpoint(t);
  const TopicArn = await makeTopic(client, "t");
  await subscribe(client, TopicArn, "http", url, { Attributes: { RawMessageDelivery: "true" } });
  const question = await eventually("the question", () => received[0]);
  const arn = await confirmByLink(question);
  const leave = () => fetch(`${server.endpoint}/?Action=Unsubscribe&SubscriptionArn=${arn}`);
  assert.equal((await leave()).status, 200);
  await assert.rejects(attributesOf(client, arn), NO_SUBSCRIPTION);
  assert.deepEqual((await client.send(new sns.ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions, []);
  const told = await eventually("the way back", () => received[1]);
  const { "x-amz-sns-message-type": type, "x-amz-sns-subscription-arn": of } = told.headers;
  assert.deepEqual([type, of], ["UnsubscribeConfirmation", arn]);
  const body = JSON.parse(told.body) as Record<string, string>;
  const { Token = "", SigningCertURL = "", Signature = "" } = body;
  assert.equal(body["SubscribeURL"], `${server.endpoint}/?Action=ConfirmSubscription&TopicArn=${TopicArn}&Token=${Token}`);
  assert.equal(
    body["Message"],
    `You have chosen to deactivate subscription ${arn}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.`,
  );
  const names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
  const signed = names.map((name) => `${name}\n${body[name]}\n`).join("");
  const pem = await (await fetch(SigningCertURL)).text();
  assert.ok(verify("sha1", Buffer.from(signed), pem, Buffer.from(Signature, "base64")));
  await leave();
  assert.equal(await confirmByLink(question), "");
  assert.equal(await confirmByLink(told), arn);
  assert.equal((await attributesOf(client, arn))["RawMessageDelivery"], "true");
  await client.send(new sns.PublishCommand({ TopicArn, Message: "back again" }));
  assert.equal((await eventually("the notification", () => received[2])).body, "back again");
  await client.send(new sns.UnsubscribeCommand({ SubscriptionArn: arn }));
  const again = await subscribe(client, TopicArn, "http", url);
  assert.equal((await eventually("the next question", () => received[3])).headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
  assert.equal((await attributesOf(client, again))["RawMessageDelivery"], "false");
});

test("who confirms with a signature and asks for it is left by nobody without one", async (t) => {
  const { server, clients } = await startApi(t);
  const client = clients().sns;
  const { url, received } = await startEndpoint(t);
  const TopicArn = await makeTopic(client, "t");
  await subscribe(client, TopicArn, "http", url);
  const { Token } = JSON.parse((await eventually("the question", () => received[0])).body) as { Token: string };
  const { SubscriptionArn = "" } = await client.send(
    new sns.ConfirmSubscriptionCommand({ TopicArn, Token, AuthenticateOnUnsubscribe: "true" }),
  );
  assert.equal((await client.send(new sns.ConfirmSubscriptionCommand({ TopicArn, Token }))).SubscriptionArn, SubscriptionArn);
  const link = `${server.endpoint}/?${new URLSearchParams({ Action: "Unsubscribe", SubscriptionArn }).toString()}`;
  const refused = await fetch(link);
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /<Code>AuthorizationError<\/Code>/);
  assert.equal((await attributesOf(client, SubscriptionArn))["ConfirmationWasAuthenticated"], "true");
});

test("raw notifications, the content type and the retries of the delivery policy", async (t) => {
  const { clients } = await startApi(t);
  const { sns: client } = clients();
  const { url, received } = await startEndpoint(t, ({ headers }, count) =>
    headers["x-amz-sns-message-type"] === "Notification" && count < 4 ? 503 : 200,
  );
  const TopicArn = await makeTopic(client, "t");
  const DeliveryPolicy = JSON.stringify({
    healthyRetryPolicy: { numRetries: 3, numNoDelayRetries: 3, minDelayTarget: 1, maxDelayTarget: 1 },
    requestPolicy: { headerContentType: "application/json" },
  });
  const arn = await subscribe(client, TopicArn, "http", url, { Attributes: { RawMessageDelivery: "true", DeliveryPolicy } });
  const { Token } = JSON.parse((await eventually("the question", () => received[0])).body) as { Token: string };
  await client.send(new sns.ConfirmSubscriptionCommand({ TopicArn, Token }));
  const effective = JSON.parse((await attributesOf(client, arn))["EffectiveDeliveryPolicy"] ?? "") as Record<string, object>;
  assert.deepEqual(effective["requestPolicy"], { headerContentType: "application/json" });
  await client.send(new sns.PublishCommand({ TopicArn, Message: '{"raw":true}' }));
  const attempts = await eventually("the third attempt", () => received.length >= 4 && received.slice(1));
  for (const { body, headers } of attempts)
    assert.deepEqual([body, headers["content-type"], headers["x-amz-sns-rawdelivery"]], ['{"raw":true}', "application/json", "true"]);
});

test("a web endpoint that refuses leaves a dead letter", async (t) => {
  const { clients } = await startApi(t);
  const { sns: client, sqs } = clients();
  const queue = await makeQueue(sqs, "dead");
  const { url, received } = await startEndpoint(t, ({ headers }) => (headers["x-amz-sns-message-type"] === "Notification" ? 404 : 200));
  const TopicArn = await makeTopic(client, "t");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: queueArn("dead") });
  await subscribe(client, TopicArn, "http", url, { Attributes: { RedrivePolicy } });
  const { Token } = JSON.parse((await eventually("the question", () => received[0])).body) as { Token: string };
  await client.send(new sns.ConfirmSubscriptionCommand({ TopicArn, Token }));
  await client.send(new sns.PublishCommand({ TopicArn, Message: "unwanted" }));
  const [letter] = await receive(sqs, queue);
  assert.equal((JSON.parse(letter?.Body ?? "") as { Message: string }).Message, "unwanted");
  assert.equal(received.length, 2);
});
