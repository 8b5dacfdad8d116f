// PutMetricData: checked by AWS's rules, durable before it is acknowledged.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
import { LimitExceededFault$ } from "@aws-sdk/client-cloudwatch";
import type * as client from "@aws-sdk/client-cloudwatch";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { Gathered, type Distribution } from "../../store/distribution.ts";
import { METRICS_MAX, type MetricPoint } from "../../store/metric-store.ts";
import { invalidCombination, invalidValue, metricName, missing, type CloudWatch } from "./model.ts";

const DATA_MAX = 1000;
const VALUES_MAX = 150;
const PAST_MS_MAX = 14 * 86_400_000;
const FUTURE_MS_MAX = 2 * 3_600_000;
/** "Values must be in the range of -2^360 to 2^360." */
const VALUE_MAX = 2 ** 360;

export function putMetricData(cloudWatch: CloudWatch) {
  return {
    async PutMetricData(context, { Namespace = "", MetricData = [], EntityMetricData }) {
      if (Namespace.startsWith("AWS/")) throw invalidValue(`The value ${Namespace} for parameter Namespace is invalid.`);
      if (EntityMetricData !== undefined && EntityMetricData.length > 0)
        throw invalidValue("Lambent keeps no entities: leave EntityMetricData out, and send its metrics as MetricData.");
      if (MetricData.length === 0) throw missing("MetricData");
      if (MetricData.length > DATA_MAX) throw invalidValue(`The collection MetricData must not have a size greater than ${DATA_MAX}.`);
      const nowMs = cloudWatch.clock.now();
      const points = MetricData.map((datum, index) => pointOf(context, Namespace, datum, `MetricData.member.${index + 1}`, nowMs));
      if ((await cloudWatch.metrics.put(points)) === "full")
        throw new Fault(LimitExceededFault$, `There are ${METRICS_MAX} metrics already; no more can be made.`);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, "PutMetricData">;
}

function pointOf(context: Context, Namespace: string, datum: client.MetricDatum, path: string, nowMs: number): MetricPoint {
  if (datum.MetricName === undefined) throw missing(`${path}.MetricName`);
  const { MetricName, Dimensions, Unit: unit = "None", StorageResolution: resolution = 60 } = datum;
  if (resolution !== 1 && resolution !== 60) throw invalidValue(`The parameter ${path}.StorageResolution must be 1 or 60.`);
  const timestampMs = datum.Timestamp?.getTime() ?? nowMs;
  if (timestampMs > nowMs + FUTURE_MS_MAX)
    throw invalidValue(`The parameter ${path}.Timestamp must specify a time no more than two hours in the future.`);
  if (timestampMs < nowMs - PAST_MS_MAX)
    throw invalidValue(`The parameter ${path}.Timestamp must specify a time no more than two weeks in the past.`);
  const metric = metricName(context, { Namespace, MetricName, Dimensions }, `${path}.Dimensions`);
  return { metric, timestampMs, resolution, unit, values: valuesOf(datum, path) };
}

/** Exactly one of the three forms. */
function valuesOf(datum: client.MetricDatum, path: string): Distribution {
  const given = (["Value", "Values", "StatisticValues"] as const).filter((name) => datum[name] !== undefined);
  const [first, second] = given;
  if (second !== undefined)
    throw invalidCombination(`The parameters ${path}.${first} and ${path}.${second} are mutually exclusive and you have specified both.`);
  if (datum.Counts !== undefined && first !== "Values") throw missing(`${path}.Values`);
  if (first === "StatisticValues") return ofStatistics(datum.StatisticValues ?? {}, `${path}.StatisticValues`);
  const gathered = new Gathered();
  if (first === "Values") addValues(gathered, datum.Values ?? [], datum.Counts, path);
  else gathered.add(checkedValue(datum.Value, `${path}.Value`));
  return gathered.distribution();
}

function addValues(gathered: Gathered, values: readonly number[], counts: readonly number[] | undefined, path: string): void {
  if (values.length === 0) throw missing(`${path}.Values`);
  if (values.length > VALUES_MAX) throw invalidValue(`The collection ${path}.Values must not have a size greater than ${VALUES_MAX}.`);
  if (counts !== undefined && counts.length !== values.length)
    throw invalidValue(`The parameters ${path}.Values and ${path}.Counts must be of the same size.`);
  for (const [index, value] of values.entries()) {
    const count = checkedValue(counts?.[index] ?? 1, `${path}.Counts.member.${index + 1}`);
    if (count <= 0) throw invalidValue(`The value ${count} for parameter ${path}.Counts.member.${index + 1} is invalid.`);
    gathered.add(checkedValue(value, `${path}.Values.member.${index + 1}`), count);
  }
}

/** Single values are known of it only when they are all the same. */
function ofStatistics(given: Partial<client.StatisticSet>, path: string): Distribution {
  const [count, sum, min, max] = (["SampleCount", "Sum", "Minimum", "Maximum"] as const).map((name) =>
    checkedValue(given[name], `${path}.${name}`),
  );
  if (count === undefined || sum === undefined || min === undefined || max === undefined) throw missing(path);
  if (count <= 0) throw invalidValue(`The value ${count} for parameter ${path}.SampleCount is invalid.`);
  if (min > max) throw invalidValue(`The parameter ${path}.Maximum must be greater than or equal to ${path}.Minimum.`);
  if (min !== max) return { count, sum, min, max };
  const gathered = new Gathered();
  gathered.add(min, count);
  return { ...gathered.distribution(), sum };
}

function checkedValue(value: number | undefined, name: string): number {
  if (value === undefined) throw missing(name);
  if (!Number.isFinite(value) || Math.abs(value) > VALUE_MAX) throw invalidValue(`The value ${value} for parameter ${name} is invalid.`);
  return value;
}
