// SNS with a clock that the test moves and callers of two accounts: what is pending, who may what, what survives, what the log is told.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as sns from "@aws-sdk/client-sns";
import type { Deliver, DeliveryOutcome } from "../../src/aws/deliver.ts";
import { FAKE_ROOT, FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { memoryIdentities } from "../../src/aws/memory-identities.ts";
import { manualClock } from "../../src/base/manual-clock.ts";
import { silentLog, type LogFields } from "../../src/base/log.ts";
import { deliveries } from "../../src/deliveries.ts";
import { snsService } from "../../src/services/sns/service.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { eventually } from "../support/eventually.ts";
import { NEIGHBOUR } from "./sqs.fixture.ts";

const REGION = "eu-west-1";
const QUEUE = `arn:aws:sqs:${REGION}:000000000000:q`;
const DAY_MS = 86_400_000;

async function startSns(t: TestContext, outcome: () => DeliveryOutcome = () => ({ kind: "delivered" })) {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const delivered: { target: string; body: string }[] = [];
  const logged: { message: string; fields: LogFields }[] = [];
  const log = { ...silentLog, info: (message: string, fields: LogFields = {}) => void logged.push({ message, fields }) };
  const deliver: Deliver = (target, event) => {
    const result = outcome();
    if (result.kind === "delivered") delivered.push({ target, body: Buffer.from(event).toString() });
    return Promise.resolve(result);
  };
  const { meta, queue, mailboxes } = storage;
  const outgoing = deliveries({ queue, clock, log, deliver });
  const service = await snsService({
    meta,
    queue,
    mailboxes,
    deliveries: outgoing,
    deliver,
    clock,
    log,
    endpoint: () => "http://localhost:4566",
  });
  const door = await fakeDoor([service.definition], { identities: memoryIdentities([FAKE_ROOT, FAKE_STRANGER, NEIGHBOUR]) });
  const clients = [FAKE_ROOT, NEIGHBOUR].map((who) => new sns.SNSClient({ ...door.settings(who), region: REGION }));
  t.after(async () => {
    for (const one of clients) one.destroy();
    await door.door.close();
    await service.pause();
    await outgoing.stop();
    service.stop();
    await storage.close();
  });
  const [own, neighbour] = clients as [sns.SNSClient, sns.SNSClient];
  const { TopicArn = "" } = await own.send(new sns.CreateTopicCommand({ Name: "t" }));
  return { own, neighbour, clock, outgoing, service, delivered, logged, TopicArn };
}

const subscribe = (TopicArn: string, Protocol: string, Endpoint: string) =>
  new sns.SubscribeCommand({ TopicArn, Protocol, Endpoint, ReturnSubscriptionArn: true });

test("another account publishes and subscribes when the topic's policy lets it", async (t) => {
  const { own, neighbour, TopicArn } = await startSns(t);
  const publish = () => neighbour.send(new sns.PublishCommand({ TopicArn, Message: "m" }));
  await assert.rejects(publish(), { name: "AuthorizationErrorException" });
  const grant = { TopicArn, Label: "l", AWSAccountId: [NEIGHBOUR.caller.account], ActionName: ["Publish", "Subscribe"] };
  await own.send(new sns.AddPermissionCommand(grant));
  assert.ok((await publish()).MessageId);
  // Its owner has not asked for it: the queue must confirm.
  const { SubscriptionArn = "" } = await neighbour.send(subscribe(TopicArn, "sqs", QUEUE));
  const { Attributes = {} } = await own.send(new sns.GetSubscriptionAttributesCommand({ SubscriptionArn }));
  assert.deepEqual([Attributes["PendingConfirmation"], Attributes["Owner"]], ["true", NEIGHBOUR.caller.account]);
  await own.send(subscribe(TopicArn, "sqs", `${QUEUE}2`));
  const { Subscriptions = [] } = await own.send(new sns.ListSubscriptionsCommand({}));
  const other = Subscriptions.find(({ Endpoint }) => Endpoint === `${QUEUE}2`);
  await assert.rejects(neighbour.send(new sns.UnsubscribeCommand({ SubscriptionArn: other?.SubscriptionArn ?? "" })), {
    name: "AuthorizationErrorException",
  });
});

test("who does not confirm within two days is no subscriber", async (t) => {
  const { own, clock, TopicArn } = await startSns(t);
  const first = await own.send(subscribe(TopicArn, "http", "http://example.com/"));
  const list = async () => (await own.send(new sns.ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions?.length;
  clock.advance(2 * DAY_MS - 1000);
  assert.equal(await list(), 1);
  clock.advance(1000);
  assert.equal(await list(), 0);
  assert.equal((await own.send(subscribe(TopicArn, "http", "http://example.com/"))).SubscriptionArn, first.SubscriptionArn);
  assert.equal(await list(), 1);
});

test("mail is told to the log: first the link that confirms, then what is published", async (t) => {
  const { own, logged, TopicArn } = await startSns(t);
  await own.send(subscribe(TopicArn, "email", "a@example.com"));
  const [asked] = logged;
  const link = new URL(String(asked?.fields["link"]));
  assert.equal(asked?.fields["to"], "a@example.com");
  await own.send(new sns.ConfirmSubscriptionCommand({ TopicArn, Token: link.searchParams.get("Token") ?? "" }));
  await own.send(new sns.PublishCommand({ TopicArn, Subject: "s", Message: "m" }));
  const { to, subject, message } = logged.at(-1)?.fields ?? {};
  assert.deepEqual([to, subject, message], ["a@example.com", "s", "m"]);
});

test("what is acknowledged is delivered by whoever works on the store later", async (t) => {
  const { own, outgoing, service, clock, delivered, TopicArn } = await startSns(t);
  await own.send(subscribe(TopicArn, "sqs", QUEUE));
  await own.send(new sns.PublishCommand({ TopicArn, Message: "standard" }));
  const { TopicArn: fifo } = await own.send(new sns.CreateTopicCommand({ Name: "t.fifo", Attributes: { FifoTopic: "true" } }));
  await own.send(subscribe(fifo ?? "", "sqs", `${QUEUE}.fifo`));
  const ordered = { TopicArn: fifo, Message: "ordered", MessageGroupId: "g", MessageDeduplicationId: "1" };
  await own.send(new sns.PublishCommand(ordered));
  assert.deepEqual(delivered, []);
  outgoing.begin();
  await service.begin();
  await eventually("both messages", () => {
    clock.advance(1000);
    return delivered.length === 2;
  });
  assert.deepEqual(new Set(delivered.map(({ target }) => target)), new Set([QUEUE, `${QUEUE}.fifo`]));
});

test("a FIFO topic whose queue is not to be had keeps the order until it is", async (t) => {
  let isThere = false;
  const { own, service, clock, delivered } = await startSns(t, () =>
    isThere ? { kind: "delivered" } : { kind: "unavailable", code: "ServiceUnavailable", message: "not now" },
  );
  await service.begin();
  const { TopicArn: fifo = "" } = await own.send(new sns.CreateTopicCommand({ Name: "t.fifo", Attributes: { FifoTopic: "true" } }));
  await own.send(subscribe(fifo, "sqs", `${QUEUE}.fifo`));
  for (const id of ["1", "2", "3"])
    await own.send(new sns.PublishCommand({ TopicArn: fifo, Message: id, MessageGroupId: "g", MessageDeduplicationId: id }));
  isThere = true;
  await eventually("all three", () => {
    clock.advance(1000);
    return delivered.length === 3;
  });
  assert.deepEqual(
    delivered.map(({ body }) => (JSON.parse(body) as { Message: string }).Message),
    ["1", "2", "3"],
  );
});
