// Gives up what nobody uses when the machine's memory gets short, also while nothing new starts.
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";

export interface MemoryWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How much of the machine's memory programs could still have, of 1. */
  readonly freeMemory: () => number;
  /** How many sandboxes nobody uses. */
  readonly unused: () => number;
  /** Gives up as many as bring those that are on their way out to `endingMax`; returns how many. */
  readonly giveUp: (endingMax: number) => number;
}

/**
 * The kernel would tell by itself (PSI), but to who may write into its files and polls for POLLPRI, which Node can't; reading takes some ten
 * microseconds.
 */
const INTERVAL_MS = 1000;
/** Memory is short below the first, until there is more than the second again. What is prepared ahead stops well above both. */
const SHORT_BELOW = 0.05;
const ENOUGH_FROM = 0.075;
/** Ending one takes milliseconds, and what it had is free then: the next look sees it. */
const ENDING_MAX = 8;

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #timer: Timer | undefined;
  #isShort = false;
  #evicted = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** How many have been given up so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /** There is something that nobody uses. For every invocation: a comparison, once it watches. */
  begin(): void {
    this.#timer ??= this.#options.clock.after(INTERVAL_MS, () => this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer = undefined;
    const { freeMemory, unused } = this.#options;
    if (unused() === 0) this.#isShort = false;
    else {
      this.#judge(freeMemory());
      this.begin();
    }
  }

  #judge(free: number): void {
    const { giveUp, log } = this.#options;
    this.#isShort = free < (this.#isShort ? ENOUGH_FROM : SHORT_BELOW);
    const sandboxes = this.#isShort ? giveUp(ENDING_MAX) : 0;
    if (sandboxes === 0) return;
    this.#evicted += sandboxes;
    log.warn("memory is short: sandboxes that nobody uses are given up", { sandboxes, freePercent: Math.round(free * 1000) / 10 });
  }
}
