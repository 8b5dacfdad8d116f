// SQS against its model: random operations with restarts in between, on both drivers of the store, at times that the test makes.
//
// SQS_OPERATIONS=1000000 for a long run (a quarter of an hour: start it with `node --test`), SEED for another course.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { test } from "node:test";
import { FAKE_ROOT } from "../../src/aws/fake-service.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import { sqsService, type SqsService } from "../../src/services/sqs/service.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import type { Storage } from "../../src/store/storage.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { ModelQueue, type Seen } from "./sqs-model.ts";

const OPERATIONS = Number(env["SQS_OPERATIONS"] ?? 50_000);
const SEED = Number(env["SEED"] ?? 20_261_123);
/** What the disk does, of all operations: its commits wait for the disk. */
const ON_DISK_SHARE = 0.04;
const RETENTION_SECONDS = 600;
const HANDLES_MAX = 200;
const PURGE_MS = 60_000;
/** Messages in a queue from which on it is emptied: what the model does with them takes the square of it. */
const BACKLOG_MAX = 50;

const context = {
  requestId: "model",
  account: "000000000000",
  region: "us-east-1",
  caller: FAKE_ROOT.caller,
  endpoint: "http://localhost",
  signal: new AbortController().signal,
};

interface Pair {
  readonly url: string;
  readonly isFifo: boolean;
  readonly model: ModelQueue;
  /** Of the queue whose dead letters come here. */
  readonly source?: ModelQueue;
  purgedAtMs: number;
}

class Course {
  readonly #random;
  readonly #clock: ManualClock;
  readonly #open: () => Promise<Storage>;
  readonly #pairs: Pair[] = [];
  #storage: Storage;
  #service: SqsService;
  #sent = 0;
  readonly done = new Map<string, number>();

  private constructor(seed: number, clock: ManualClock, open: () => Promise<Storage>, storage: Storage, service: SqsService) {
    this.#random = seededRandom(seed);
    this.#clock = clock;
    this.#open = open;
    this.#storage = storage;
    this.#service = service;
  }

  static async start(seed: number, clock: ManualClock, open: () => Promise<Storage>): Promise<Course> {
    const storage = await open();
    const course = new Course(seed, clock, open, storage, await serviceOn(storage, clock));
    await course.#makeQueues();
    return course;
  }

  async run(operations: number, restarts: number): Promise<void> {
    const restartShare = restarts / operations;
    for (let n = 0; n < operations; n++) {
      if (this.#random.chance(restartShare)) await this.#restart();
      await this.#step();
    }
    // At the end everything that is left can be received.
    this.#clock.advance(100_000);
    for (const pair of this.#pairs) for (let n = 0; n < 30; n++) await this.#receive(pair, 10, 60_000);
  }

  async stop(): Promise<void> {
    await this.#service.stop();
    await this.#storage.close();
  }

  async #makeQueues(): Promise<void> {
    const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
    const make = async (name: string, Attributes: Record<string, string>, source?: Pair) => {
      const { QueueUrl } = await this.#service.operations.CreateQueue(context, { QueueName: name, Attributes });
      const isFifo = name.endsWith(".fifo");
      return { url: QueueUrl, isFifo, purgedAtMs: -Infinity, ...(source === undefined ? {} : { source: source.model }) };
    };
    for (const suffix of ["", ".fifo"]) {
      const isFifo = suffix !== "";
      const more: Record<string, string> = isFifo ? { FifoQueue: "true" } : {};
      // A message of a FIFO queue is as old as its move: the model could not tell how old one is that nobody has seen move.
      const MessageRetentionPeriod = String(isFifo ? 1_209_600 : RETENTION_SECONDS);
      const retentionMs = Number(MessageRetentionPeriod) * 1000;
      const dead = await make(`dead${suffix}`, { ...more, MessageRetentionPeriod });
      const deadModel = new ModelQueue({ isFifo, retentionMs });
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arn(`dead${suffix}`), maxReceiveCount: 3 });
      const main = await make(`q${suffix}`, { ...more, MessageRetentionPeriod, RedrivePolicy });
      const model = new ModelQueue({ isFifo, retentionMs, maxReceives: 3, deadLetters: deadModel });
      this.#pairs.push({ ...main, model }, { ...dead, model: deadModel, source: model });
    }
  }

  #step(): Promise<void> | void {
    const pair = this.#random.of(this.#pairs) as Pair;
    if (pair.model.size > BACKLOG_MAX) return this.#count("drain", () => this.#drain(pair));
    const choice = this.#random.below(100);
    if (choice < 32) return this.#count("send", () => this.#send(pair));
    if (choice < 62) return this.#count("receive", () => this.#receive(pair, 1 + this.#random.below(10), this.#random.below(30) * 1000));
    if (choice < 78) return this.#count("delete", () => this.#delete(pair));
    if (choice < 86) return this.#count("hide", () => this.#hide(pair));
    if (choice < 90) return this.#count("counts", () => this.#compareCounts(pair));
    if (choice === 90 && this.#random.chance(0.1)) return this.#count("purge", () => this.#purge(pair));
    this.#clock.advance(this.#random.below(8000));
  }

  async #count(what: string, run: () => Promise<unknown>): Promise<void> {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
    await run();
  }

  async #restart(): Promise<void> {
    await this.stop();
    this.#storage = await this.#open();
    this.#service = await serviceOn(this.#storage, this.#clock);
  }

  async #send({ url, isFifo, model, source }: Pair): Promise<void> {
    // Dead letters come from their source alone, so that the model knows where in the order they stand.
    if (source !== undefined) return;
    const nowMs = this.#clock.now();
    const Entries = Array.from({ length: 1 + this.#random.below(4) }, (_, n) => {
      const entry = { Id: String(n), MessageBody: `message ${this.#sent++}` };
      if (isFifo)
        return {
          ...entry,
          MessageGroupId: `g${this.#random.below(5)}`,
          MessageDeduplicationId: this.#random.chance(0.1) ? `d${this.#random.below(5)}` : entry.MessageBody.replace(" ", "-"),
        };
      return { ...entry, DelaySeconds: this.#random.chance(0.2) ? this.#random.below(20) : 0 };
    });
    const { Successful } = await this.#service.operations.SendMessageBatch(context, { QueueUrl: url, Entries });
    assert.equal(Successful.length, Entries.length);
    for (const [index, entry] of Entries.entries()) {
      const id = Successful[index]?.MessageId ?? "";
      const key = "MessageDeduplicationId" in entry ? entry.MessageDeduplicationId : undefined;
      const first = key === undefined ? undefined : model.duplicateOf(key, nowMs);
      if (first !== undefined) assert.equal(id, first, "a duplicate has the id of the first");
      else
        model.send(
          {
            id,
            body: entry.MessageBody,
            group: "MessageGroupId" in entry ? entry.MessageGroupId : undefined,
            dueMs: nowMs + ("DelaySeconds" in entry ? entry.DelaySeconds * 1000 : 0),
          },
          key,
          nowMs,
        );
    }
  }

  async #receive({ url, model, source }: Pair, limit: number, visibilityMs: number): Promise<string[]> {
    const nowMs = this.#clock.now();
    const { Messages = [] } = await this.#service.operations.ReceiveMessage(context, {
      QueueUrl: url,
      MaxNumberOfMessages: limit,
      VisibilityTimeout: visibilityMs / 1000,
      MessageSystemAttributeNames: ["All"],
    });
    const seen = Messages.map((message): Seen => ({
      id: message.MessageId ?? "",
      body: message.Body ?? "",
      group: message.Attributes?.MessageGroupId,
      receives: Number(message.Attributes?.ApproximateReceiveCount),
      handle: message.ReceiptHandle ?? "",
    }));
    source?.passSeen(new Set(seen.map(({ id }) => id)), nowMs);
    model.received(seen, limit, visibilityMs, nowMs);
    model.trim(HANDLES_MAX);
    return seen.map(({ handle }) => handle);
  }

  async #drain(pair: Pair): Promise<void> {
    const handles = await this.#receive(pair, 10, 30_000);
    for (const handle of handles) await this.#delete(pair, handle);
    // What is left is hidden or late: where every queue is full of that, nothing else would ever happen again.
    if (handles.length === 0) this.#clock.advance(this.#random.below(8000));
  }

  async #delete({ url, isFifo, model }: Pair, handle = this.#random.of(model.handles())): Promise<void> {
    const expected = handle === undefined ? undefined : model.removal(handle, this.#clock.now());
    if (handle === undefined || expected === undefined) return;
    const outcome = await this.#service.operations.DeleteMessage(context, { QueueUrl: url, ReceiptHandle: handle }).then(
      () => "done",
      (cause: Error) => cause.name,
    );
    assert.equal(
      outcome,
      expected === "refused" ? "InvalidParameterValueException" : "done",
      `${isFifo ? "FIFO" : "standard"}: ${expected}`,
    );
    if (expected === "removed") model.remove(handle);
  }

  async #hide({ url, model }: Pair): Promise<void> {
    const handle = this.#random.of(model.handles());
    const isHeld = handle === undefined ? undefined : model.isHeld(handle, this.#clock.now());
    if (handle === undefined || isHeld === undefined) return;
    const VisibilityTimeout = this.#random.chance(0.3) ? 0 : this.#random.below(40);
    const change = this.#service.operations.ChangeMessageVisibility(context, { QueueUrl: url, ReceiptHandle: handle, VisibilityTimeout });
    if (!isHeld) return await assert.rejects(change);
    await change;
    model.hide(handle, VisibilityTimeout * 1000, this.#clock.now());
  }

  async #compareCounts({ url, model, source }: Pair): Promise<void> {
    const { Attributes = {} } = await this.#service.operations.GetQueueAttributes(context, { QueueUrl: url, AttributeNames: ["All"] });
    const { visible, claimed, delayed, uncertain } = model.counts(this.#clock.now());
    assert.deepEqual(
      [Number(Attributes["ApproximateNumberOfMessagesNotVisible"]), Number(Attributes["ApproximateNumberOfMessagesDelayed"])],
      [claimed, delayed],
    );
    const counted = Number(Attributes["ApproximateNumberOfMessages"]);
    const underway = source?.counts(this.#clock.now()).uncertain ?? 0;
    assert.ok(
      counted >= visible - uncertain && counted <= visible + underway,
      `${counted} visible, not ${visible} -${uncertain} +${underway}`,
    );
  }

  async #purge(pair: Pair): Promise<void> {
    const nowMs = this.#clock.now();
    // What is between the queues would be purged with the one in which it is, which the model can't tell.
    const isSettled = pair.model.counts(nowMs).uncertain + (pair.source?.counts(nowMs).uncertain ?? 0) === 0;
    if (!isSettled) return;
    const purge = this.#service.operations.PurgeQueue(context, { QueueUrl: pair.url });
    if (nowMs - pair.purgedAtMs < PURGE_MS) return await assert.rejects(purge, { name: "PurgeQueueInProgress" });
    await purge;
    pair.purgedAtMs = nowMs;
    pair.model.purge();
  }
}

const serviceOn = ({ meta, mailboxes }: Storage, clock: ManualClock) => sqsService({ meta, mailboxes, clock, log: silentLog });

test(`SQS does what its model says, in memory (seed ${SEED})`, async (t) => {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  // The service restarts on a store that goes on.
  const course = await Course.start(SEED, clock, async () => ({ ...storage, close: async () => undefined }));
  try {
    await course.run(OPERATIONS, 50);
  } finally {
    await course.stop();
    await storage.close();
  }
  t.diagnostic([...course.done].map(([what, count]) => `${what} ${count}`).join(", "));
});

test(`SQS does what its model says, on the disk, over restarts (seed ${SEED + 1})`, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-sqs-"));
  t.after(() => rm(directory, { recursive: true }));
  const clock = manualClock();
  const course = await Course.start(SEED + 1, clock, () => sqliteStorage({ directory, clock, disk: systemClock, log: silentLog }));
  try {
    await course.run(Math.round(OPERATIONS * ON_DISK_SHARE), 20);
  } finally {
    await course.stop();
  }
  t.diagnostic([...course.done].map(([what, count]) => `${what} ${count}`).join(", "));
});
