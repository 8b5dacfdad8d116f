// EventBridge and its Scheduler as their clients see them, with a real SQS behind them, over a store in memory and a clock that tests move.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import * as events from "@aws-sdk/client-eventbridge";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import * as sqs from "@aws-sdk/client-sqs";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { FAKE_ROOT, FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { memoryIdentities } from "../../src/aws/memory-identities.ts";
import { silentLog } from "../../src/base/log.ts";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import { deliverer } from "../../src/deliver.ts";
import { deliveries } from "../../src/deliveries.ts";
import { eventsService, type EventsService } from "../../src/services/events/service.ts";
import { schedulerService } from "../../src/services/scheduler/service.ts";
import { sqsService } from "../../src/services/sqs/service.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import type { NewMessage, Storage, Write } from "../../src/store/storage.ts";
import { eventually } from "../support/eventually.ts";

export const ACCOUNT = "000000000000";
export const REGION = "eu-west-1";
export const arnOf = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
export const queueArn = (name: string) => arnOf("sqs", name);
/** May do everything; every service may assume it. */
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/sender`;
/** No service may assume it. */
export const CLOSED_ROLE = `arn:aws:iam::${ACCOUNT}:role/closed`;

export interface Started {
  readonly events: events.EventBridgeClient;
  readonly scheduler: SchedulerClient;
  readonly sqs: sqs.SQSClient;
  /** Has no rights. */
  readonly stranger: { readonly events: events.EventBridgeClient; readonly scheduler: SchedulerClient };
  readonly service: EventsService;
  /** In one transaction. */
  commit(writes: readonly Write[], messages: readonly NewMessage[]): Promise<void>;
  readonly clock: ManualClock;
  /** Another server on the same data. */
  restart(): Promise<Started>;
  stop(): Promise<void>;
}

export async function startEvents(t: TestContext): Promise<Started> {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  t.after(() => storage.close());
  return await startOn(t, storage, clock);
}

const NO_WEB = { post: () => assert.fail("nothing goes to the web"), close: () => undefined };
const isOpen = (role: string) => role === ROLE;

async function startOn(t: TestContext, storage: Storage, clock: ManualClock): Promise<Started> {
  const { meta, mailboxes, queue, timers } = storage;
  const log = silentLog;
  const identities = memoryIdentities([FAKE_ROOT, FAKE_STRANGER]);
  const services = new Map<string, () => Promise<ServiceDefinition>>();
  const assume = (role: string) => (isOpen(role) ? FAKE_ROOT.caller : undefined);
  const ways = deliverer({ clock, identities, services, assume, web: NO_WEB });
  const outgoing = deliveries({ queue, clock, log, deliver: ways.deliver });
  const common = { meta, timers, clock, log, deliveries: outgoing, supportsTarget: ways.supports };
  const queues = await sqsService({ meta, mailboxes, clock, log });
  const service = await eventsService({ ...common, queue });
  const schedules = await schedulerService({ ...common, canAssume: isOpen });
  const definitions = [queues.definition, service.definition, schedules.definition];
  for (const definition of definitions) services.set(definition.name, () => Promise.resolve(definition));
  const door = await fakeDoor(definitions, { identities });
  const [own, other] = [door.settings(), door.settings(FAKE_STRANGER)];
  const clients = {
    events: new events.EventBridgeClient(own),
    scheduler: new SchedulerClient(own),
    sqs: new sqs.SQSClient(own),
    stranger: { events: new events.EventBridgeClient(other), scheduler: new SchedulerClient(other) },
  };
  outgoing.begin();
  service.begin();
  schedules.begin();
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    for (const client of [clients.events, clients.scheduler, clients.sqs, clients.stranger.events, clients.stranger.scheduler])
      client.destroy();
    queues.endWaits();
    await door.door.close();
    await schedules.stop();
    await service.stop();
    outgoing.pause();
    await outgoing.stop();
    await queues.stop();
  };
  t.after(stop);
  return {
    ...clients,
    service,
    clock,
    stop,
    async commit(writes, messages) {
      await meta.write(writes, messages);
      outgoing.wake(messages);
    },
    async restart() {
      await stop();
      return await startOn(t, storage, clock);
    },
  };
}

/** A queue that takes what EventBridge's rules send; its URL. */
export async function makeQueue({ sqs: client }: Started, name: string, attributes: Record<string, string> = {}): Promise<string> {
  const Statement = [
    { Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sqs:SendMessage", Resource: queueArn(name) },
  ];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  const fifo = name.endsWith(".fifo") ? { FifoQueue: "true", ContentBasedDeduplication: "true" } : {};
  const { QueueUrl = "" } = await client.send(
    new sqs.CreateQueueCommand({ QueueName: name, Attributes: { Policy, ...fifo, ...attributes } }),
  );
  return QueueUrl;
}

/** Waits until that many messages are there, takes them, and sees that there are no more. */
export async function received({ sqs: client, clock }: Started, QueueUrl: string, count: number): Promise<sqs.Message[]> {
  const found: sqs.Message[] = [];
  const receive = async () => {
    const { Messages = [] } = await client.send(
      new sqs.ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ["All"],
        MessageSystemAttributeNames: ["All"],
      }),
    );
    for (const message of Messages) {
      found.push(message);
      await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
    }
    return found.length >= count ? true : undefined;
  };
  if (count > 0) await eventually(`${count} messages arrive`, receive);
  // What else is on its way has a second of the clock.
  clock.advance(1000);
  await turn();
  await receive();
  if (found.length !== count) throw new Error(`${found.length} messages instead of ${count}: ${JSON.stringify(bodiesOf(found))}`);
  return found;
}

/** What the clock has set off is done: nothing here waits for a disk or a network. */
export const turn = () => new Promise((resolve) => void setImmediate(resolve));

export const bodiesOf = (messages: readonly sqs.Message[]): unknown[] => messages.map(({ Body = "" }) => JSON.parse(Body) as unknown);

export { eventually };
