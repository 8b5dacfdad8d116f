// How much a sandbox may write: at what pace it is read, and how much of one invocation is kept.
import type { Clock, Timer } from "../base/clock.ts";

/** An event costs memory beyond its text; one-letter lines must not multiply. */
export const EVENT_COST_BYTES = 100;
/** Reading pauses when this much came within one window; the function then waits in write(2). */
const WINDOW_BYTES_MAX = 4 * 1024 * 1024;
const WINDOW_MS = 250;
/** Of one invocation; what is beyond is counted and thrown away. */
export const INVOCATION_BYTES_MAX = 32 * 1024 * 1024;
/** Throwing away is cheaper than keeping, so that a flood ends sooner. */
const DROPPED_COST = 1 / 8;

/** Of everything that the runtime and its function log in one invocation. */
export class Allowance {
  #keptBytes = 0;
  #droppedBytes = 0;

  /** An invocation begins: it has its own allowance. */
  begin(): void {
    this.#keptBytes = 0;
  }

  get isSpent(): boolean {
    return this.#keptBytes >= INVOCATION_BYTES_MAX;
  }

  keep(bytes: number): void {
    this.#keptBytes += bytes;
  }

  drop(bytes: number): void {
    this.#droppedBytes += bytes;
  }

  /** Says what was dropped since the last time, if anything was. */
  takeNotice(): string | undefined {
    const dropped = this.#droppedBytes;
    this.#droppedBytes = 0;
    return dropped === 0 ? undefined : `[${dropped} bytes of output dropped: more than ${INVOCATION_BYTES_MAX} in one invocation]`;
  }
}

/** One source that may be stopped for several reasons; it flows when none is left. Each call makes the handle of one reason. */
export function valveOf(source: { pause(): unknown; resume(): unknown }): () => { pause(): void; resume(): void } {
  let stops = 0;
  return () => {
    let isStopped = false;
    return {
      pause() {
        if (isStopped) return;
        isStopped = true;
        if (++stops === 1) source.pause();
      },
      resume() {
        if (!isStopped) return;
        isStopped = false;
        if (--stops === 0) source.resume();
      },
    };
  };
}

/** Keeps one source at a pace that the server can bear, by not reading it for a while. */
export class Pace {
  readonly #clock: Clock;
  readonly #source: { pause(): unknown; resume(): unknown };
  #windowEndsMs = 0;
  #windowBytes = 0;
  #resume: Timer | undefined;

  constructor(clock: Clock, source: { pause(): unknown; resume(): unknown }) {
    this.#clock = clock;
    this.#source = source;
  }

  spend(bytes: number, isDropped: boolean): void {
    const now = this.#clock.monotonic();
    if (now >= this.#windowEndsMs) {
      this.#windowEndsMs = now + WINDOW_MS;
      this.#windowBytes = 0;
    }
    this.#windowBytes += isDropped ? bytes * DROPPED_COST : bytes;
    if (this.#windowBytes < WINDOW_BYTES_MAX || this.#resume !== undefined) return;
    this.#source.pause();
    this.#resume = this.#clock.after(this.#windowEndsMs - now, () => {
      this.#resume = undefined;
      this.#source.resume();
    });
  }

  close(): void {
    this.#resume?.cancel();
    this.#resume = undefined;
  }
}
