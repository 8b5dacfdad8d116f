// Message move tasks: dead letters go back to where they came from, or to another queue; they go on after a restart.
import type { ListMessageMoveTasksResultEntry } from "@aws-sdk/client-sqs";
import type * as client from "@aws-sdk/client-sqs";
import { randomUUID } from "node:crypto";
import { timeOrderedId } from "../../base/id.ts";
import { sleep } from "../../base/clock.ts";
import type { Operations } from "../../aws/operations.ts";
import { StorageError, type Entry, type Key } from "../../store/storage.ts";
import { invalidParameter, invalidValue, missingParameter, notFound } from "./faults.ts";
import { findQueue, queueOf, queueWithArn, type Queue, type QueueName, type SqsParts } from "./model.ts";
import { sourcesOf } from "./redrive.ts";

const TASK_KIND = "sqs.move-task";
const KEPT_MAX = 10;
const PER_SECOND_MAX = 500;
/** Messages moved in one call of the store. */
const STEP = 100;
const SECOND_MS = 1000;
/** After an error of the store. */
const RETRY_MS = 30_000;

type Status = "RUNNING" | "COMPLETED" | "CANCELLING" | "CANCELLED" | "FAILED";

interface TaskRecord {
  readonly sourceArn: string;
  readonly destinationArn?: string;
  readonly perSecond?: number;
  readonly status: Status;
  readonly startedAtMs: number;
  readonly moved: number;
  readonly toMove: number;
  readonly failure?: string;
}

/** `id`: the source's name, a slash, and a time-ordered id. */
const taskKey = ({ account, region }: QueueName, id: string): Key => ({ account, region, kind: TASK_KIND, id });

const handleOf = (sourceArn: string, id: string) =>
  Buffer.from(JSON.stringify({ taskId: id.slice(id.indexOf("/") + 1), sourceArn })).toString("base64");

function readHandle(handle: string): { taskId: string; sourceArn: string } {
  const invalid = () => invalidParameter("Value for parameter TaskHandle is invalid.");
  let read: { taskId?: unknown; sourceArn?: unknown } | null;
  try {
    read = JSON.parse(Buffer.from(handle, "base64").toString()) as typeof read;
  } catch {
    throw invalid();
  }
  if (typeof read?.taskId !== "string" || typeof read.sourceArn !== "string") throw invalid();
  return { taskId: read.taskId, sourceArn: read.sourceArn };
}

const alreadyRunning = () =>
  invalidParameter("There is already a task running. Only one active task is allowed for a source queue arn at a given time.");

const noSuch = (parameter: "SourceArn" | "DestinationArn") => () =>
  notFound(`The resource that you specified for the ${parameter} parameter doesn't exist.`);

export class MoveTasks {
  readonly #parts: SqsParts;
  readonly #running = new Map<string, Promise<void>>();
  /** ARNs of the sources whose task is being made. */
  readonly #making = new Set<string>();
  readonly #stop = new AbortController();

  constructor(parts: SqsParts) {
    this.#parts = parts;
  }

  /** Takes up the tasks that the last stop has cut short. */
  async resume(): Promise<void> {
    const feed = await this.#parts.meta.follow([TASK_KIND], (changes) => {
      for (const { key, value } of changes) if (isActive(value as TaskRecord)) this.run(key);
    });
    // Only those that were there: later ones are begun by who makes them.
    feed.stop();
  }

  run(key: Key): void {
    const name = `${key.account}/${key.region}/${key.id}`;
    if (this.#running.has(name) || this.#stop.signal.aborted) return;
    this.#running.set(
      name,
      this.#untilDone(key).finally(() => this.#running.delete(name)),
    );
  }

  async #untilDone(key: Key): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#stop;
    for (let isDone = false; !isDone && !signal.aborted;)
      try {
        await this.#work(key);
        isDone = true;
      } catch (cause) {
        if (signal.aborted) return;
        log.error("moving messages failed; it goes on in half a minute", { task: key.id, cause });
        await sleep(clock, RETRY_MS, signal).catch(() => undefined);
      }
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("the service stops"));
    await Promise.all(this.#running.values());
  }

  /** Between the look for a running task and the new one's record no other may be made. Throws InvalidParameterValue for who comes second. */
  async alone<T>(sourceArn: string, make: () => Promise<T>): Promise<T> {
    if (this.#making.has(sourceArn)) throw alreadyRunning();
    this.#making.add(sourceArn);
    try {
      return await make();
    } finally {
      this.#making.delete(sourceArn);
    }
  }

  /** Newest first. */
  async of(queue: QueueName): Promise<readonly Entry<TaskRecord>[]> {
    const { account, region, name } = queue;
    const range = { account, region, kind: TASK_KIND, prefix: `${name}/`, limit: 1000 };
    return (await this.#parts.meta.list<TaskRecord>(range)).toReversed();
  }

  async #work(key: Key): Promise<void> {
    for (;;) {
      const [entry] = await this.#parts.meta.get<TaskRecord>([key]);
      if (entry === undefined || !isActive(entry.value)) return;
      const after =
        entry.value.status === "CANCELLING" ? { ...entry.value, status: "CANCELLED" as const } : await this.#step(key, entry.value);
      await this.#parts.meta.write([{ key, value: after, expect: entry.revision }]).catch(async (cause: unknown) => {
        if (!(cause instanceof StorageError) || cause.failure !== "Conflict") throw cause;
        await this.#addMoved(key, after.moved - entry.value.moved);
      });
      if (this.#stop.signal.aborted || !isActive(after)) return;
      if (after.perSecond !== undefined) await sleep(this.#parts.clock, SECOND_MS, this.#stop.signal);
    }
  }

  /** Somebody cancelled it meanwhile: what was moved counts all the same. */
  async #addMoved(key: Key, moved: number): Promise<void> {
    const [entry] = await this.#parts.meta.get<TaskRecord>([key]);
    if (entry !== undefined) await this.#parts.meta.write([{ key, value: { ...entry.value, moved: entry.value.moved + moved } }]);
  }

  async #step(key: Key, task: TaskRecord): Promise<TaskRecord> {
    const { mailboxes } = this.#parts;
    const source = findQueue(this.#parts, queueOf(task.sourceArn));
    const to = source === undefined ? undefined : this.#targets(source, task.destinationArn);
    if (source === undefined || to === undefined) return { ...task, status: "FAILED", failure: "AWS.SimpleQueueService.NonExistentQueue" };
    const count = task.perSecond === undefined ? STEP : Math.min(task.perSecond, PER_SECOND_MAX);
    const ids = Array.from({ length: count }, () => randomUUID());
    const { moved, stop } = await mailboxes.forward(source.record.mailbox, ids, to);
    const after = { ...task, moved: task.moved + moved };
    if (stop === "no-source") return { ...after, status: "FAILED", failure: "CouldNotDetermineMessageSource" };
    if (stop === "no-target") return { ...after, status: "FAILED", failure: "AWS.SimpleQueueService.NonExistentQueue" };
    return moved < count ? { ...after, status: "COMPLETED" } : after;
  }

  /** A mailbox, or for messages that go back the mailbox of each source. */
  #targets(source: Queue, destinationArn: string | undefined): string | Record<string, string> | undefined {
    if (destinationArn !== undefined) return findQueue(this.#parts, queueOf(destinationArn))?.record.mailbox;
    const { account, region } = source;
    const all = this.#parts.queues.list(account, region, { limit: Number.MAX_SAFE_INTEGER });
    return Object.fromEntries(all.map(({ key, value }) => [`arn:aws:sqs:${region}:${account}:${key.id}`, value.mailbox]));
  }
}

const isActive = (task: TaskRecord | undefined) => task?.status === "RUNNING" || task?.status === "CANCELLING";

function described(id: string, task: TaskRecord): ListMessageMoveTasksResultEntry {
  const { sourceArn, destinationArn, perSecond, status, startedAtMs, moved, toMove, failure } = task;
  return {
    ...(status === "RUNNING" ? { TaskHandle: handleOf(sourceArn, id) } : {}),
    Status: status,
    SourceArn: sourceArn,
    ...(destinationArn === undefined ? {} : { DestinationArn: destinationArn }),
    ...(perSecond === undefined ? {} : { MaxNumberOfMessagesPerSecond: perSecond }),
    ApproximateNumberOfMessagesMoved: moved,
    ApproximateNumberOfMessagesToMove: toMove,
    ...(failure === undefined ? {} : { FailureReason: failure }),
    StartedTimestamp: startedAtMs,
  };
}

function checkTask(parts: SqsParts, source: Queue, destinationArn: string | undefined, perSecond: number | undefined): void {
  if (perSecond !== undefined && (perSecond < 1 || perSecond > PER_SECOND_MAX))
    throw invalidValue(perSecond, "MaxNumberOfMessagesPerSecond", `Must be between 1 and ${PER_SECOND_MAX}, if provided.`);
  if (sourcesOf(parts, source).length === 0) throw invalidParameter("Source queue must be configured as a Dead Letter Queue.");
  if (destinationArn === undefined) return;
  const destination = queueWithArn(parts, destinationArn, noSuch("DestinationArn"));
  if (destination.arn === source.arn) throw invalidParameter("Source queue arn and destination queue arn cannot be the same.");
  if (destination.account !== source.account || destination.region !== source.region || destination.isFifo !== source.isFifo)
    throw invalidParameter("Destination queue must be of the account, the region and the type of the source queue.");
}

export function moveTasks(parts: SqsParts, tasks: MoveTasks) {
  const { meta, mailboxes, clock } = parts;

  async function start(source: Queue, asked: Pick<TaskRecord, "destinationArn" | "perSecond">): Promise<Key> {
    const before = await tasks.of(source);
    if (before.some(({ value }) => isActive(value))) throw alreadyRunning();
    const nowMs = clock.now();
    const record: TaskRecord = {
      sourceArn: source.arn,
      ...asked,
      status: "RUNNING",
      startedAtMs: nowMs,
      moved: 0,
      toMove: (await mailboxes.counts(source.record.mailbox)).visible,
    };
    const key = taskKey(source, `${source.name}/${timeOrderedId(nowMs)}`);
    const tooOld = before.slice(KEPT_MAX - 1).map((entry) => ({ key: entry.key }));
    await meta.write([{ key, value: record, expect: "absent" }, ...tooOld]);
    return key;
  }

  return {
    async StartMessageMoveTask(_context, { SourceArn, DestinationArn, MaxNumberOfMessagesPerSecond: perSecond }) {
      if (SourceArn === undefined) throw missingParameter("SourceArn");
      const source = queueWithArn(parts, SourceArn, noSuch("SourceArn"));
      checkTask(parts, source, DestinationArn, perSecond);
      const destination = DestinationArn === undefined ? {} : { destinationArn: DestinationArn };
      const asked = { ...destination, ...(perSecond === undefined ? {} : { perSecond }) };
      const key = await tasks.alone(source.arn, () => start(source, asked));
      tasks.run(key);
      return { TaskHandle: handleOf(source.arn, key.id) };
    },

    async CancelMessageMoveTask(_context, { TaskHandle }) {
      if (TaskHandle === undefined) throw missingParameter("TaskHandle");
      const { taskId, sourceArn } = readHandle(TaskHandle);
      const source = queueWithArn(parts, sourceArn, noSuch("SourceArn"));
      const key = taskKey(source, `${source.name}/${taskId}`);
      for (;;) {
        const [entry] = await meta.get<TaskRecord>([key]);
        if (entry === undefined) throw notFound("Task does not exist.");
        if (entry.value.status !== "RUNNING") throw invalidParameter("Only active tasks can be cancelled.");
        try {
          await meta.write([{ key, value: { ...entry.value, status: "CANCELLING" }, expect: entry.revision }]);
          return { ApproximateNumberOfMessagesMoved: entry.value.moved };
        } catch (cause) {
          // The task has moved something meanwhile.
          if (!(cause instanceof StorageError) || cause.failure !== "Conflict") throw cause;
        }
      }
    },

    async ListMessageMoveTasks(_context, { SourceArn, MaxResults: max = 1 }) {
      if (SourceArn === undefined) throw missingParameter("SourceArn");
      if (max < 1 || max > KEPT_MAX) throw invalidValue(max, "MaxResults", `Must be between 1 and ${KEPT_MAX}, if provided.`);
      const source = queueWithArn(parts, SourceArn, noSuch("SourceArn"));
      const found = await tasks.of(source);
      return { Results: found.slice(0, max).map(({ key, value }) => described(key.id, value)) };
    },
  } satisfies Pick<Operations<typeof client>, "StartMessageMoveTask" | "CancelMessageMoveTask" | "ListMessageMoveTasks">;
}
