// The embedded Storage: SQLite in a thread of its own, FULL durability, group commit; one server per directory.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { storageOver, type RunCall, type TableCall } from "../storage-over.ts";
import { StorageError, type Storage } from "../storage.ts";
import type { CallResult } from "./database.ts";
import type { FromWorker, ToWorker } from "./storage-worker.ts";

/** Calls that may wait for the disk; beyond it callers are told `Throttled` at once. */
const WAITING_MAX = 100_000;

interface Waiting {
  readonly settle: (outcome: CallResult) => void;
  readonly reject: (error: Error) => void;
}

/** Sends calls in batches, one message per turn of the event loop, and settles them in order. */
class Thread {
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #failed: (cause: Error) => void;
  readonly #closed = Promise.withResolvers<void>();
  #waiting: Waiting[] = [];
  #outgoing: TableCall[] = [];
  #broken: Error | undefined;

  constructor(path: string, mustCheck: boolean, failed: (cause: Error) => void) {
    this.#failed = failed;
    this.#worker = new Worker(new URL("./storage-worker.ts", import.meta.url), { workerData: { path, mustCheck }, execArgv: [] });
    const opened = Promise.withResolvers<void>();
    this.ready = opened.promise;
    this.#worker.on("message", (message: FromWorker) => {
      if ("opened" in message) opened.resolve();
      else if ("closed" in message) this.#closed.resolve();
      else if ("results" in message) for (const outcome of message.results) this.#waiting.shift()?.settle(outcome);
      else this.#groupFailed(message);
    });
    this.#worker.on("error", (cause) => {
      opened.reject(cause);
      this.#break(cause);
    });
    this.#worker.on("exit", () => {
      this.#closed.resolve();
      opened.reject(new StorageError("Unavailable", "the store's thread has ended"));
    });
  }

  call(call: TableCall, waiting: Waiting): void {
    if (this.#broken !== undefined) return waiting.reject(this.#broken);
    if (this.#waiting.length >= WAITING_MAX) return waiting.reject(new StorageError("Throttled", "too many calls wait for the disk"));
    this.#waiting.push(waiting);
    if (this.#outgoing.push(call) === 1) setImmediate(() => this.#send());
  }

  async close(): Promise<void> {
    this.#broken ??= new StorageError("Unavailable", "the store is closed");
    this.#send();
    this.#worker.postMessage({ close: true } satisfies ToWorker);
    await this.#closed.promise;
  }

  #send(): void {
    if (this.#outgoing.length === 0) return;
    const calls = this.#outgoing;
    this.#outgoing = [];
    this.#worker.postMessage({ calls } satisfies ToWorker);
  }

  #groupFailed(message: { readonly failed: string; readonly count: number; readonly isFull: boolean }): void {
    const error = new StorageError("Unavailable", message.isFull ? "the disk is full" : `the store has failed: ${message.failed}`);
    for (const { reject } of this.#waiting.splice(0, message.count)) reject(error);
    // A failed commit or sync leaves the state of the file unknown: going on could acknowledge what is lost.
    if (!message.isFull) this.#break(error);
  }

  #break(cause: Error): void {
    this.#broken ??= new StorageError("Unavailable", "the store has failed", { cause });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#broken);
    this.#failed(cause);
  }
}

/** Held until the process ends, however it ends: the lock is the file system's, taken through SQLite because Node has none. */
function lockDirectory(directory: string): () => void {
  const lock = new DatabaseSync(join(directory, "lock.db"));
  const holder = join(directory, "lock.pid");
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held (at INTEGER); COMMIT;");
  } catch (cause) {
    lock.close();
    const pid = existsSync(holder) ? readFileSync(holder, "utf8") : "unknown";
    throw new StorageError("Unavailable", `${directory} is in use by another Lambent server (pid ${pid})`, { cause });
  }
  writeFileSync(holder, String(process.pid));
  return () => {
    rmSync(holder, { force: true });
    lock.close();
  };
}

/**
 * Opens (or makes) the store in a directory. Throws StorageError `Unavailable` when another server holds it, and an Error when the data is
 * newer than this program or damaged. `failed` is called when the store can no longer promise durability: the process should end.
 */
export async function sqliteStorage(options: {
  directory: string;
  clock: Clock;
  log: Log;
  failed?: (cause: Error) => void;
}): Promise<Storage> {
  const { directory, clock, log } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const unlock = lockDirectory(directory);
  const clean = join(directory, "clean");
  const isClean = existsSync(clean) || !existsSync(join(directory, "store.db"));
  if (!isClean) log.info("the last server did not stop cleanly: checking the database");
  rmSync(clean, { force: true });
  const fail = options.failed ?? ((cause: Error) => log.error("the store has failed", { cause }));
  const thread = new Thread(join(directory, "store.db"), !isClean, fail);
  try {
    await thread.ready;
  } catch (error) {
    unlock();
    throw error;
  }
  const run: RunCall = (call, settled) =>
    new Promise((resolve, reject) => {
      const settle = (outcome: CallResult) => {
        if ("failure" in outcome) return reject(new StorageError(outcome.failure, outcome.message));
        settled?.(outcome.result as never);
        resolve(outcome.result as never);
      };
      thread.call(call, { settle, reject });
    });
  return storageOver(clock, run, async () => {
    await thread.close();
    writeFileSync(clean, "");
    unlock();
  });
}
