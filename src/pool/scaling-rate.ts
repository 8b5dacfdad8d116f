// How fast a function may grow: new execution environments for each function, refilled all the time, never more than one burst.
// https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
import type { Clock } from "../base/clock.ts";

/** 1,000 every ten seconds. */
const BURST = 1000;
const PER_MS = 0.1;
/** Functions whose burst is not whole are remembered; beyond this many, those that have it back are forgotten. */
const KNOWN_MAX = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class ScalingRate {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether one more may be started now; if so, it is counted. */
  take(functionArn: string): boolean {
    const bucket = this.#filled(functionArn);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** None was started after all. */
  giveBack(functionArn: string): void {
    const bucket = this.#filled(functionArn);
    bucket.tokens = Math.min(BURST, bucket.tokens + 1);
  }

  #filled(functionArn: string): Bucket {
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(functionArn) ?? this.#made(functionArn, now);
    bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.atMs) * PER_MS);
    bucket.atMs = now;
    return bucket;
  }

  #made(functionArn: string, atMs: number): Bucket {
    if (this.#buckets.size >= KNOWN_MAX)
      for (const [arn, { tokens, atMs: sinceMs }] of this.#buckets)
        if (tokens + (atMs - sinceMs) * PER_MS >= BURST) this.#buckets.delete(arn);
    const bucket = { tokens: BURST, atMs };
    this.#buckets.set(functionArn, bucket);
    return bucket;
  }
}
