// The embedded LogSink: buffers in memory within a bound, writes in batches through a thread that owns logs.db.
import { join } from "node:path";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { LogEvent, LogSink, LogStreamName } from "../log-sink.ts";
import { logTails } from "../log-tails.ts";
import { callThread } from "./call-thread.ts";
import type { AppendBatch, LogCalls } from "./log-worker.ts";

/** What may wait for the disk: beyond it the oldest events go, and a line in the same stream says how many. */
const BUFFER_BYTES_MAX = 16 * 2 ** 20;
const BATCH_DELAY_MS = 50;
const EVENT_OVERHEAD_BYTES = 64;

const bytesOf = (events: readonly LogEvent[]) => events.reduce((sum, event) => sum + event.message.length + EVENT_OVERHEAD_BYTES, 0);

class Buffered {
  readonly #write: (batches: readonly AppendBatch[]) => Promise<unknown>;
  readonly #clock: Clock;
  readonly #log: Log;
  #pending: AppendBatch[] = [];
  #bytes = 0;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  /** Begins when that one is done. */
  #next: Promise<void> | undefined;
  readonly #dropped = new Map<string, { name: LogStreamName; count: number }>();

  constructor(clock: Clock, log: Log, write: (batches: readonly AppendBatch[]) => Promise<unknown>) {
    this.#clock = clock;
    this.#log = log;
    this.#write = write;
  }

  add(name: LogStreamName, events: readonly LogEvent[]): void {
    this.#pending.push({ name, ingestedAtMs: this.#clock.now(), events });
    this.#bytes += bytesOf(events);
    while (this.#bytes > BUFFER_BYTES_MAX && this.#pending.length > 1) this.#drop();
    this.#timer ??= this.#clock.after(BATCH_DELAY_MS, () => void this.flush());
  }

  #drop(): void {
    const oldest = this.#pending.shift();
    if (oldest === undefined) return;
    this.#bytes -= bytesOf(oldest.events);
    const key = JSON.stringify(oldest.name);
    const before = this.#dropped.get(key)?.count ?? 0;
    this.#dropped.set(key, { name: oldest.name, count: before + oldest.events.length });
  }

  /** Resolves when everything that was added before is on disk; what is added meanwhile has its own turn, or nobody would ever get to the end. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    return (this.#next ??= this.#writeNext());
  }

  async #writeNext(): Promise<void> {
    await this.#writing;
    this.#next = undefined;
    this.#writing = this.#pending.length > 0 ? this.#writeOut() : undefined;
    await this.#writing;
  }

  async #writeOut(): Promise<void> {
    const batches = this.#pending;
    this.#pending = [];
    this.#bytes = 0;
    const nowMs = this.#clock.now();
    for (const { name, count } of this.#dropped.values())
      batches.push({
        name,
        ingestedAtMs: nowMs,
        events: [{ timestampMs: nowMs, message: `[lambent] ${count} log events were dropped: the disk could not keep up` }],
      });
    this.#dropped.clear();
    try {
      await this.#write(batches);
    } catch (cause) {
      // Logs are not worth stopping invocations for: a full disk loses them, and the server's log says so.
      this.#log.error("function logs could not be written", { batches: batches.length, cause });
    }
  }
}

export function sqliteLogSink(options: { directory: string; clock: Clock; log: Log }): LogSink {
  const thread = new URL("./log-worker.ts", import.meta.url);
  const call = callThread<LogCalls>(thread, join(options.directory, "logs.db"));
  const buffer = new Buffered(options.clock, options.log, (batches) => call("append", batches));
  const tails = logTails();
  const settled = async <T>(work: () => Promise<T>): Promise<T> => {
    await buffer.flush();
    return await work();
  };
  return {
    append(name, events) {
      if (events.length === 0) return;
      buffer.add(name, events);
      tails.publish(name, events);
    },
    async put(name, events) {
      await settled(() => call("append", [{ name, ingestedAtMs: options.clock.now(), events }]));
      tails.publish(name, events);
    },
    flush: () => buffer.flush(),
    query: (query) => settled(() => call("query", query)),
    streams: (account, region, group) => settled(() => call("streams", account, region, group)),
    createStream: (name) => settled(() => call("createStream", name, options.clock.now())),
    deleteStream: (name) => settled(() => call("deleteStream", name)),
    deleteGroup: (account, region, group) => settled(() => call("deleteGroup", account, region, group)),
    groups: (account, region) => settled(() => call("groups", account, region)),
    storedBytes: (account, region, group) => settled(() => call("storedBytes", account, region, group)),
    expire: (account, region, group, beforeMs) => settled(() => call("expire", account, region, group, beforeMs)),
    tail: (account, region, group, seen) => tails.follow(account, region, group, seen),
    close: () => settled(() => call("close")),
  };
}
