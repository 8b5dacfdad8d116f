// What all benches share: the shape of a result, repetition, and how results are printed.

export interface Result {
  readonly name: string;
  /** `us`, `ms`, `1/s`, `MiB` */
  readonly unit: string;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  /** What the machine could do at best, measured in the same run; absent where there is no such thing. */
  readonly floor?: number;
  /** Median over floor. */
  readonly ratio?: number;
  /** How many samples the figures come from. */
  readonly runs: number;
}

/** The value below which `share` (0 to 1) of the samples lie; `sorted` is in rising order and not empty. */
function quantile(sorted: readonly number[], share: number): number {
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1));
  return sorted[index] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return quantile(
    samples.toSorted((a, b) => a - b),
    0.5,
  );
}

/** More digits would only be noise. */
const rounded = (value: number) => Number(value.toPrecision(4));

/** Figures of four digits. */
export function summarise(name: string, unit: string, samples: readonly number[], floor?: number): Result {
  if (samples.length === 0) throw new RangeError(`${name}: no samples`);
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = quantile(sorted, 0.5);
  return {
    name,
    unit,
    min: rounded(quantile(sorted, 0)),
    median: rounded(middle),
    p99: rounded(quantile(sorted, 0.99)),
    max: rounded(quantile(sorted, 1)),
    ...(floor === undefined ? {} : { floor: rounded(floor), ratio: rounded(middle / floor) }),
    runs: sorted.length,
  };
}

/** Runs one after the other, so that they don't share the machine. */
export async function repeat<T>(runs: number, measure: (run: number) => T | Promise<T>): Promise<T[]> {
  const samples: T[] = [];
  for (let run = 0; run < runs; run++) samples.push(await measure(run));
  return samples;
}

/** CPU time of this process, all threads, in microseconds. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** A table row for people; machines get the object. */
export function describeResult(result: Result): string {
  const floor = result.floor === undefined ? "" : `  floor ${result.floor} (x ${result.ratio})`;
  const spread = `min ${result.min}  p99 ${result.p99}  max ${result.max}  of ${result.runs}`;
  return `${result.name.padEnd(48)} ${String(result.median).padStart(10)} ${result.unit.padEnd(4)} ${spread}${floor}`;
}
