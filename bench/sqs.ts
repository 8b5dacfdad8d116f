// SQS in batches of ten through the wire and the SDK, to the disk and back; against the same messages handed to the store directly.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { fakeDoor } from "../src/aws/fake-service.ts";
import { systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { sqsService } from "../src/services/sqs/service.ts";
import type { Storage } from "../src/store/storage.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import { describeResult, median, repeat, summarise, type Result } from "./measure.ts";

const CALLERS = 16;
const BATCH = 10;
const ROUNDS = 25;
const RUNS = 5;
const MESSAGES = CALLERS * ROUNDS * BATCH;
const BODY = "a".repeat(1024);
const HOUR_MS = 3_600_000;

/** Messages per second, when every caller makes its calls one after the other. */
async function rateOf(call: () => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonic();
  const caller = async () => {
    for (let n = 0; n < ROUNDS; n++) await call();
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return (MESSAGES * 1000) / (systemClock.monotonic() - startMs);
}

/** The store alone: send, and receive with remove. */
async function bare({ mailboxes }: Storage, round: number): Promise<{ send: number; receive: number }> {
  const mailbox = `bare ${round}`;
  const body = Buffer.from(BODY);
  const options = { limit: BATCH, visibilityMs: HOUR_MS, keptMs: HOUR_MS, claimedMax: 120_000 };
  const send = await rateOf(() =>
    mailboxes.send(Array.from({ length: BATCH }, () => ({ mailbox, id: timeOrderedId(systemClock.now()), body }))),
  );
  const receive = await rateOf(async () => {
    const { mail } = await mailboxes.receive(mailbox, options);
    await mailboxes.remove(
      mailbox,
      mail.map(({ token }) => token),
    );
  });
  return { send, receive };
}

async function throughTheWire(client: SQSClient, round: number): Promise<{ send: number; receive: number }> {
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: `bench-${round}` }));
  const Entries = Array.from({ length: BATCH }, (_, n) => ({ Id: String(n), MessageBody: BODY }));
  const send = await rateOf(() => client.send(new SendMessageBatchCommand({ QueueUrl, Entries })));
  const receive = await rateOf(async () => {
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: BATCH }));
    const handles = Messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }));
    await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: handles }));
  });
  return { send, receive };
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  const service = await sqsService({ meta: storage.meta, mailboxes: storage.mailboxes, clock: systemClock, log: silentLog });
  const { door, settings } = await fakeDoor([service.definition]);
  const client = new SQSClient(settings());
  try {
    await throughTheWire(client, -1);
    const floors = await repeat(RUNS, (round) => bare(storage, round));
    const rates = await repeat(RUNS, (round) => throughTheWire(client, round));
    const row = (name: string, which: "send" | "receive") =>
      summarise(
        name,
        "1/s",
        rates.map((rate) => rate[which]),
        median(floors.map((floor) => floor[which])),
      );
    return [
      row(`SQS send, 1 KiB, batches of ${BATCH}, ${CALLERS} callers`, "send"),
      row(`SQS receive and delete, batches of ${BATCH}`, "receive"),
    ];
  } finally {
    client.destroy();
    await door.close();
    await service.stop();
    await storage.close();
    await rm(directory, { recursive: true });
  }
}

if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
