// Which requests a function with active tracing records, where nobody has decided yet: the first in every second, and a twentieth of the others.
// https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
import type { Clock } from "../base/clock.ts";

const SHARE = 0.05;

export class Sampler {
  readonly #clock: Clock;
  readonly #chance: () => number;
  #second = Number.NaN;
  /** Functions that have had their first in this second. */
  readonly #served = new Set<string>();

  /** `chance`: from 0 up to 1. */
  constructor(clock: Clock, chance: () => number) {
    this.#clock = clock;
    this.#chance = chance;
  }

  samples(functionArn: string): boolean {
    const second = Math.floor(this.#clock.monotonic() / 1000);
    if (second !== this.#second) this.#served.clear();
    this.#second = second;
    if (this.#served.has(functionArn)) return this.#chance() < SHARE;
    this.#served.add(functionArn);
    return true;
  }
}
