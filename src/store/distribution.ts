// Many numbers as a few: count, sum, least and greatest, and how many lie in each range of about two percent, for percentiles.

/** What is stored of the values of a metric in a period. `values` is absent where single values are not known: then there are no percentiles. */
export interface Distribution {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Range and count by turns, ranges in rising order. */
  readonly values?: readonly number[];
}

/** Ranges grow by this factor, so that the middle of one is at most a hundredth from any value in it. */
const GROWTH = Math.log(1.02);
/** Above every logarithm of a double; positive values have positive ranges, negative ones negative, 0 has 0. */
const MIDDLE = 100_000;

const rangeOf = (value: number): number => (value === 0 ? 0 : Math.sign(value) * (MIDDLE + Math.round(Math.log(Math.abs(value)) / GROWTH)));

const valueIn = (range: number): number => (range === 0 ? 0 : Math.sign(range) * Math.exp((Math.abs(range) - MIDDLE) * GROWTH));

/** Grows by single values and by what others have gathered. */
export class Gathered {
  count = 0;
  sum = 0;
  min = Infinity;
  max = -Infinity;
  #values: Map<number, number> | undefined = new Map();

  add(value: number, count = 1): void {
    this.count += count;
    this.sum += value * count;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    if (this.#values === undefined) return;
    const range = rangeOf(value);
    this.#values.set(range, (this.#values.get(range) ?? 0) + count);
  }

  merge({ count, sum, min, max, values }: Distribution): void {
    this.count += count;
    this.sum += sum;
    this.min = Math.min(this.min, min);
    this.max = Math.max(this.max, max);
    if (values === undefined) this.#values = undefined;
    const mine = this.#values;
    if (mine === undefined || values === undefined) return;
    for (let at = 0; at < values.length; at += 2) mine.set(values[at] ?? 0, (mine.get(values[at] ?? 0) ?? 0) + (values[at + 1] ?? 0));
  }

  distribution(): Distribution {
    const { count, sum, min, max } = this;
    if (this.#values === undefined) return { count, sum, min, max };
    return { count, sum, min, max, values: [...this.#values].toSorted(([a], [b]) => a - b).flat() };
  }
}

/** The value below which `share` (0 to 1) of all lie, to a hundredth of itself; undefined where single values are not known. */
export function percentile({ count, min, max, values }: Distribution, share: number): number | undefined {
  if (values === undefined || count === 0) return undefined;
  if (share >= 1) return max;
  let left = share * count;
  for (let at = 0; at < values.length; at += 2) {
    left -= values[at + 1] ?? 0;
    if (left <= 0) return Math.min(max, Math.max(min, valueIn(values[at] ?? 0)));
  }
  return max;
}
