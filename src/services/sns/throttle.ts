// How many requests a web endpoint gets in a second: each is given its time in advance.
import type { Clock } from "../../base/clock.ts";

export class Throttle {
  readonly #clock: Clock;
  /** When the next one may be sent, by subscription, in monotonic time; those of the past are removed when there are many. */
  readonly #next = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Wall time in ms. */
  slot(subscriptionArn: string, perSecond: number): number {
    const nowMs = this.#clock.monotonic();
    const atMs = Math.max(nowMs, this.#next.get(subscriptionArn) ?? nowMs);
    if (this.#next.size >= KEPT_MAX) this.#forget(nowMs);
    this.#next.set(subscriptionArn, atMs + 1000 / perSecond);
    return Math.ceil(this.#clock.now() + atMs - nowMs);
  }

  #forget(nowMs: number): void {
    for (const [arn, atMs] of this.#next) if (atMs <= nowMs) this.#next.delete(arn);
  }
}

const KEPT_MAX = 1000;
