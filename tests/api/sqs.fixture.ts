// SQS as its clients see it: the official SDK, the real wire and the real service, over a store in memory and a clock that tests move.
import type { TestContext } from "node:test";
import * as sqs from "@aws-sdk/client-sqs";
import { FAKE_ROOT, FAKE_STRANGER, fakeDoor, type FakeDoor } from "../../src/aws/fake-service.ts";
import { memoryIdentities, type FixedIdentity } from "../../src/aws/memory-identities.ts";
import { silentLog } from "../../src/base/log.ts";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import { sqsService, type SqsService } from "../../src/services/sqs/service.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import type { Mailboxes } from "../../src/store/mailboxes.ts";
import type { Storage } from "../../src/store/storage.ts";
import { eventually } from "../support/eventually.ts";

export const ACCOUNT = "000000000000";
export const OTHER_ACCOUNT = "111111111111";
export const REGION = "eu-west-1";
export const arnOf = (name: string) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;

/** Root of another account. */
export const NEIGHBOUR = {
  secretAccessKey: "secret-of-neighbour",
  caller: { kind: "root", account: OTHER_ACCOUNT, arn: `arn:aws:iam::${OTHER_ACCOUNT}:root`, userId: OTHER_ACCOUNT, accessKeyId: "AKIAN" },
} as const satisfies FixedIdentity;

export interface Started {
  readonly client: sqs.SQSClient;
  readonly stranger: sqs.SQSClient;
  readonly neighbour: sqs.SQSClient;
  readonly door: FakeDoor;
  readonly service: SqsService;
  readonly storage: Storage;
  readonly clock: ManualClock;
  /** Another service on the same data. */
  restart(): Promise<Started>;
}

/** `changed`: of what the service gets of the store. */
export async function startSqs(t: TestContext, changed: (mailboxes: Mailboxes) => Partial<Mailboxes> = () => ({})): Promise<Started> {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  t.after(() => storage.close());
  return await startOn(t, { ...storage, mailboxes: { ...storage.mailboxes, ...changed(storage.mailboxes) } }, clock);
}

async function startOn(t: TestContext, storage: Storage, clock: ManualClock): Promise<Started> {
  const service = await sqsService({ meta: storage.meta, mailboxes: storage.mailboxes, clock, log: silentLog });
  const door = await fakeDoor([service.definition], { identities: memoryIdentities([FAKE_ROOT, FAKE_STRANGER, NEIGHBOUR]) });
  const clients = [FAKE_ROOT, FAKE_STRANGER, NEIGHBOUR].map((who) => new sqs.SQSClient({ ...door.settings(who), region: REGION }));
  const [client, stranger, neighbour] = clients as [sqs.SQSClient, sqs.SQSClient, sqs.SQSClient];
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    for (const one of clients) one.destroy();
    service.endWaits();
    await door.door.close();
    await service.stop();
  };
  t.after(stop);
  return {
    client,
    stranger,
    neighbour,
    door,
    service,
    storage,
    clock,
    async restart() {
      await stop();
      return await startOn(t, storage, clock);
    },
  };
}

/** The URL of a queue that has just been made. */
export async function makeQueue({ client }: Started, name: string, attributes: Record<string, string> = {}): Promise<string> {
  const Attributes = name.endsWith(".fifo") ? { FifoQueue: "true", ...attributes } : attributes;
  const { QueueUrl = "" } = await client.send(new sqs.CreateQueueCommand({ QueueName: name, Attributes }));
  return QueueUrl;
}

/** Everything that can be received now, with all attributes. */
export async function receiveAll({ client }: Started, QueueUrl: string, more: Partial<sqs.ReceiveMessageCommandInput> = {}) {
  const all: sqs.Message[] = [];
  for (;;) {
    const input = {
      QueueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ["All" as const],
      MessageAttributeNames: ["All"],
      ...more,
    };
    const { Messages = [] } = await client.send(new sqs.ReceiveMessageCommand(input));
    if (Messages.length === 0) return all;
    all.push(...Messages);
  }
}

export const bodies = (messages: readonly sqs.Message[]) => messages.map(({ Body }) => Body);

export async function countsOf({ client }: Started, QueueUrl: string): Promise<[visible: number, claimed: number, delayed: number]> {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"] as const;
  const { Attributes = {} } = await client.send(new sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }));
  return names.map((name) => Number(Attributes[name])) as [number, number, number];
}

export { eventually };
