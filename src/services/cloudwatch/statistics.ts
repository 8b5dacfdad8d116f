// The statistics of what was gathered in a period: the five simple ones, and percentiles.
import { percentile, type Distribution } from "../../store/distribution.ts";
import { invalidValue } from "./model.ts";

/** Undefined: there are data, but not this statistic of them. */
export type Statistic = (values: Distribution) => number | undefined;

const SIMPLE: ReadonlyMap<string, Statistic> = new Map<string, Statistic>([
  ["SampleCount", ({ count }) => count],
  ["Sum", ({ sum }) => sum],
  ["Average", ({ sum, count }) => sum / count],
  ["Minimum", ({ min }) => min],
  ["Maximum", ({ max }) => max],
]);

const PERCENTILE = /^p(\d{1,2}(?:\.\d{1,10})?|100)$/;

/** Throws InvalidParameterValue for what is no statistic, or one that is not computed here. `name`: of the parameter. */
export function statistic(text: string, name: string): Statistic {
  const simple = SIMPLE.get(text);
  if (simple !== undefined) return simple;
  const [, percent] = PERCENTILE.exec(text) ?? [];
  if (percent === undefined)
    throw invalidValue(
      `The value ${text} for parameter ${name} is invalid: Lambent computes SampleCount, Average, Sum, Minimum, Maximum and percentiles (p99, p99.9).`,
    );
  return (values) => percentile(values, Number(percent) / 100);
}
