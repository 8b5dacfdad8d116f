// How many requests may begin within any one second: exact, and only those of the last second are remembered.

const SECOND_MS = 1000;
const FIRST_SIZE = 16;

export class RequestRate {
  /** A ring of the times at which the last ones began; the oldest is at `#first`. */
  #times = new Float64Array(FIRST_SIZE);
  #first = 0;
  #count = 0;

  /** Monotonic time. False: it would be one too many, and is not counted. */
  admit(nowMs: number, perSecond: number): boolean {
    while (this.#count > 0 && nowMs - (this.#times[this.#first] ?? 0) >= SECOND_MS) {
      this.#first = (this.#first + 1) % this.#times.length;
      this.#count--;
    }
    if (this.#count >= perSecond) return false;
    if (this.#count === this.#times.length) this.#grow();
    this.#times[(this.#first + this.#count) % this.#times.length] = nowMs;
    this.#count++;
    return true;
  }

  #grow(): void {
    const larger = new Float64Array(this.#times.length * 2);
    larger.set(this.#times.subarray(this.#first));
    larger.set(this.#times.subarray(0, this.#first), this.#times.length - this.#first);
    this.#times = larger;
    this.#first = 0;
  }
}
