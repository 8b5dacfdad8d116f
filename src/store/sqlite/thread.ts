// The main thread's side of the database's thread: sends calls in batches, settles them in order, refuses what is too much.
import type { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import { StorageError } from "../storage.ts";
import { Arena } from "./arena.ts";
import type { CallResult } from "./database.ts";
import { startWorker } from "./start-worker.ts";
import type { FromWorker, ToWorker } from "./storage-worker.ts";
import type { TableCall } from "./tables.ts";

/** Calls, and bytes in them, that may wait for the disk; beyond it callers are told `Unavailable` at once. */
const WAITING_MAX = 100_000;
const WAITING_BYTES_MAX = 256 * 2 ** 20;
/** A disk that has not answered for so long gets no more work. */
const STALLED_MS = 30_000;
/** Bytes that go to the thread in one message at most. */
const BATCH_BYTES_MAX = 4 * 2 ** 20;

interface Waiting {
  readonly settle: (outcome: CallResult) => void;
  readonly reject: (error: Error) => void;
  readonly bytes: number;
  readonly sinceMs: number;
}

/** About what a call weighs: its texts and bodies. */
function bytesOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  let bytes = 8;
  if (Array.isArray(value)) for (const item of value) bytes += bytesOf(item);
  else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) bytes += bytesOf(item);
  return bytes;
}

export class Thread {
  /** Resolves when the database is open; rejects with why it can't be. */
  readonly ready: Promise<void>;
  readonly #clock: Clock;
  readonly #worker: Worker;
  readonly #failed: (cause: Error) => void;
  readonly #ended = Promise.withResolvers<void>();
  readonly #arena = new Arena();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #outgoing: TableCall[] = [];
  #outgoingBytes = 0;
  /** Why no more calls are taken. */
  #refusal: StorageError | undefined;
  #isOpen = false;
  #isClosing = false;

  /** `failed` is called once, when the store can no longer promise anything. */
  constructor(options: { path: string; wasKilled: boolean; clock: Clock; failed: (cause: Error) => void }) {
    this.#clock = options.clock;
    this.#failed = options.failed;
    const { path, wasKilled } = options;
    this.#worker = startWorker(new URL("./storage-worker.ts", import.meta.url), { path, wasKilled });
    const opened = Promise.withResolvers<void>();
    this.ready = opened.promise;
    this.#worker.on("message", (message: FromWorker) => {
      if ("results" in message) return this.#settle(message.results);
      if ("broken" in message) return this.#break(new Error(`the store has failed: ${message.broken}`));
      if ("closed" in message) return this.#ended.resolve();
      this.#isOpen = true;
      opened.resolve();
    });
    this.#worker.on("error", (cause) => {
      opened.reject(cause);
      if (this.#isOpen) this.#break(cause);
    });
    this.#worker.on("exit", () => {
      this.#ended.resolve();
      opened.reject(new StorageError("Unavailable", "the store's thread has ended"));
      if (this.#isOpen && !this.#isClosing) this.#break(new Error("the store's thread has ended"));
    });
  }

  /** To be passed to `run` in the same step. */
  copy(body: Uint8Array): Uint8Array {
    return this.#arena.copy(body);
  }

  run(call: TableCall, settle: (outcome: CallResult) => void, reject: (error: Error) => void): void {
    const refusal = this.#refusal ?? this.#overload();
    if (refusal !== undefined) {
      if (this.#outgoing.length === 0) this.#arena.take();
      return reject(refusal);
    }
    const bytes = bytesOf(call);
    this.#waiting.push({ settle, reject, bytes, sinceMs: this.#clock.monotonic() });
    this.#waitingBytes += bytes;
    this.#outgoingBytes += bytes;
    // What is called in one turn of the event loop goes in one message.
    if (this.#outgoing.push(call) === 1) setImmediate(() => this.#send());
    else if (this.#outgoingBytes > BATCH_BYTES_MAX) this.#send();
  }

  /** Waits for the calls that were taken, then closes the database. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#refusal ??= new StorageError("Unavailable", "the store is closed");
    this.#send();
    this.#worker.postMessage({ close: true } satisfies ToWorker);
    await this.#ended.promise;
  }

  #overload(): StorageError | undefined {
    if (this.#waiting.length >= WAITING_MAX || this.#waitingBytes >= WAITING_BYTES_MAX)
      return new StorageError("Unavailable", "too many calls wait for the disk");
    const [oldest] = this.#waiting;
    if (oldest !== undefined && this.#clock.monotonic() - oldest.sinceMs > STALLED_MS)
      return new StorageError("Unavailable", "the disk does not answer");
    return undefined;
  }

  #send(): void {
    if (this.#outgoing.length === 0) return;
    const message: ToWorker = { calls: this.#outgoing, bytes: this.#outgoingBytes };
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#worker.postMessage(message, this.#arena.take());
  }

  #settle(results: readonly CallResult[]): void {
    const settled = this.#waiting.splice(0, results.length);
    for (const [index, waiting] of settled.entries()) {
      this.#waitingBytes -= waiting.bytes;
      const outcome = results[index];
      if (outcome !== undefined) waiting.settle(outcome);
    }
  }

  /** Calls that were on their way may be on the disk or not; later ones are refused. */
  #break(cause: Error): void {
    if (this.#refusal !== undefined && !this.#isClosing) return;
    this.#refusal = new StorageError("Unavailable", "the store has failed", { cause });
    this.#outgoing = [];
    for (const { reject } of this.#waiting.splice(0))
      reject(new StorageError("Unknown", "the store has failed: what it was told last may be on the disk or not", { cause }));
    this.#failed(cause);
  }
}
