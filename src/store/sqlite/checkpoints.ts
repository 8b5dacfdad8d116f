// Keeps the WAL short without holding up commits: another thread copies the bulk, and this one the little that came meanwhile.
//
// SQLite begins the WAL anew only when all of it is copied. Under load the other thread never gets there, because commits go on behind it;
// so the thread that commits does the last step itself, between two commits.
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import type { FromCheckpointer, ToCheckpointer } from "./checkpoint-worker.ts";
import { isDiskFull, type Database } from "./database.ts";
import { startWorker } from "./start-worker.ts";

/** The other thread begins when so many frames, of 4 KiB, are not copied. */
const COPY_FRAMES = 1000;
/** From this length on the WAL is to begin anew; about 32 MiB. */
const RESTART_FRAMES = 8000;
/** What is left may be copied between two commits when it is no more than this. */
const REST_FRAMES = 250;
/** Commits wait for the copying beyond this; about 64 MiB. */
const FRAMES_MAX = 16_000;
/** Commits between two looks at the WAL. */
const LOOK_COMMITS = 8;

export class Checkpoints {
  readonly #database: Database;
  readonly #path: string;
  readonly #failed: (cause: Error) => void;
  #copier: Worker | undefined;
  #isCopying = false;
  #commits = 0;
  /** Frames that are not copied, from which on it is worth to try: more after the disk was full. */
  #copyFrames = COPY_FRAMES;

  /** `failed`: the disk can't be trusted any more. */
  constructor(database: Database, path: string, failed: (cause: Error) => void) {
    this.#database = database;
    this.#path = path;
    this.#failed = failed;
  }

  /** After every commit; throws when the disk can't be trusted any more. */
  committed(): void {
    this.#commits += 1;
    if (this.#commits % LOOK_COMMITS !== 0) return;
    const { frames, copied } = this.#database.walState();
    if (frames > FRAMES_MAX) this.#database.restartWal();
    else if (frames - copied >= this.#copyFrames && !this.#isCopying) this.#copy();
  }

  async close(): Promise<void> {
    if (this.#copier === undefined) return;
    const ended = once(this.#copier, "exit");
    this.#tell("close");
    await ended;
  }

  abandon(): void {
    void this.#copier?.terminate();
  }

  #tell(message: ToCheckpointer): void {
    this.#copier?.postMessage(message);
  }

  #copy(): void {
    this.#copier ??= this.#start();
    this.#isCopying = true;
    this.#tell("copy");
  }

  #start(): Worker {
    const worker = startWorker(new URL("./checkpoint-worker.ts", import.meta.url), { path: this.#path });
    worker.on("message", (message: FromCheckpointer) => this.#copied(message));
    worker.on("error", (cause) => this.#failed(cause));
    return worker;
  }

  #copied({ error }: FromCheckpointer): void {
    this.#isCopying = false;
    if (error !== undefined && !isDiskFull(error)) return this.#failed(new Error(`the WAL can't be copied: ${error.message}`));
    try {
      const { frames, copied } = this.#database.walState();
      this.#copyFrames = error === undefined ? COPY_FRAMES : frames - copied + COPY_FRAMES;
      if (error !== undefined || frames < RESTART_FRAMES) return;
      if (frames - copied > REST_FRAMES) this.#copy();
      else this.#database.copyWal();
    } catch (cause) {
      this.#failed(cause as Error);
    }
  }
}
