// SQS in batches of ten through the wire, to the disk and back; against the same messages handed to the store directly. The callers are a
// process of their own that costs little.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { fakeDoor } from "../src/aws/fake-service.ts";
import { systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { sqsService } from "../src/services/sqs/service.ts";
import type { Storage } from "../src/store/storage.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import { measure } from "./support/callers.ts";
import { rawConnection, wireText, type RawConnection } from "./support/raw-connection.ts";
import { signedPost, type Credentials } from "./support/signed-requests.ts";
import { describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";

const CALLERS = 16;
const BATCH = 10;
const ROUNDS = 25;
const RUNS = 5;
const BODY = "a".repeat(1024);
const HOUR_MS = 3_600_000;

/** Messages per second, when every caller makes its calls one after the other. */
const rateOf = async (call: (caller: number) => Promise<unknown>): Promise<number> =>
  (await measure({ callers: CALLERS, each: ROUNDS }, call)).perSecond * BATCH;

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

/** Of the process that is the callers. */
const CALLERS_ROLE = "callers";

interface Load {
  readonly what: "send" | "receive";
  readonly endpoint: string;
  readonly credentials: Credentials;
  readonly QueueUrl: string;
}

async function callAll({ what, endpoint, credentials, QueueUrl }: Load): Promise<number> {
  const request = async (operation: string, input: object) => {
    const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${operation}` };
    const body = JSON.stringify({ QueueUrl, ...input });
    return wireText(await signedPost({ endpoint, credentials, service: "sqs", path: "/", headers, body }));
  };
  const Entries = Array.from({ length: BATCH }, (_, n) => ({ Id: String(n), MessageBody: BODY }));
  const sendBatch = await request("SendMessageBatch", { Entries });
  const receiveBatch = await request("ReceiveMessage", { MaxNumberOfMessages: BATCH });
  const receiveAndDelete = async (connection: RawConnection) => {
    const { Messages = [] } = JSON.parse(await connection.call(receiveBatch)) as { Messages?: { ReceiptHandle: string }[] };
    const handles = Messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }));
    if (handles.length > 0) await connection.call(await request("DeleteMessageBatch", { Entries: handles }));
  };
  const connections = await Promise.all(Array.from({ length: CALLERS }, () => rawConnection(Number(new URL(endpoint).port))));
  const rate = await rateOf(async (caller) => {
    const connection = connections[caller];
    if (connection !== undefined) await (what === "send" ? connection.call(sendBatch) : receiveAndDelete(connection));
  });
  for (const connection of connections) connection.close();
  return rate;
}

if (process.argv[2] === CALLERS_ROLE) process.on("message", (load: Load) => void callAll(load).then((rate) => process.send?.(rate)));

async function throughTheWire(client: SQSClient, callers: ChildProcess, to: Omit<Load, "what" | "QueueUrl">, round: number) {
  const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName: `bench-${round}` }));
  const load = async (what: Load["what"]) => {
    callers.send({ what, ...to, QueueUrl } satisfies Load);
    const [rate] = (await once(callers, "message")) as [number];
    return rate;
  };
  return { send: await load("send"), receive: await load("receive") };
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  const service = await sqsService({ meta: storage.meta, mailboxes: storage.mailboxes, clock: systemClock, log: silentLog });
  const { door, settings } = await fakeDoor([service.definition]);
  const { endpoint, credentials } = settings();
  const client = new SQSClient({ ...settings(), region: "us-east-1" });
  const callers = fork(import.meta.filename, [CALLERS_ROLE]);
  const wire = (round: number) => throughTheWire(client, callers, { endpoint, credentials }, round);
  try {
    await wire(-1);
    const floors = await repeat(RUNS, (round) => bare(storage, round));
    const rates = await repeat(RUNS, wire);
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
    callers.kill();
    client.destroy();
    await door.close();
    await service.stop();
    await storage.close();
    await rm(directory, { recursive: true });
  }
}

if (import.meta.main && process.argv[2] !== CALLERS_ROLE) for (const result of await run()) console.log(describeResult(result));
