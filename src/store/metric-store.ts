// Where data points of metrics are kept and read from: put, query, list, expire. Drivers: memory, sqlite.
import type { Distribution } from "./distribution.ts";

export interface Dimension {
  readonly Name: string;
  readonly Value: string;
}

export interface MetricName {
  readonly account: string;
  readonly region: string;
  readonly namespace: string;
  readonly name: string;
  /** In order of their names; see `inOrder`. */
  readonly dimensions: readonly Dimension[];
}

export interface MetricPoint {
  readonly metric: MetricName;
  /** Wall time in ms. */
  readonly timestampMs: number;
  /** 1: kept by the second for three hours; 60: by the minute. */
  readonly resolution: 1 | 60;
  /** `Count`, `Milliseconds`, `None`, … */
  readonly unit: string;
  readonly values: Distribution;
}

export interface MetricQuery {
  readonly metric: MetricName;
  /** Absent: of every unit, each for itself. */
  readonly unit?: string;
  /** Inclusive; periods are counted from here. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  readonly periodMs: number;
  /** Periods returned at most. */
  readonly limit: number;
  /** The latest first. */
  readonly backwards?: boolean;
}

/** What was gathered in one period. */
export interface MetricPeriod {
  readonly startMs: number;
  readonly unit: string;
  readonly values: Distribution;
}

export interface MetricList {
  readonly account: string;
  readonly region: string;
  readonly namespace?: string;
  readonly name?: string;
  /** The metric has all of these; with any value where there is none. */
  readonly dimensions: readonly { readonly Name: string; readonly Value?: string }[];
  /** Only metrics that have got a point since. */
  readonly activeSinceMs: number;
  /** Continue after this id. */
  readonly after: number;
  readonly limit: number;
}

export interface ListedMetric {
  /** Rises in the order in which metrics were first seen. */
  readonly id: number;
  readonly metric: MetricName;
}

export interface MetricStore {
  /** All points or none; resolves when they are durable. `full`: there are METRICS_MAX metrics, and some of these would be new. */
  put(points: readonly MetricPoint[]): Promise<"stored" | "full">;
  /** In order of time, then of unit. */
  query(query: MetricQuery): Promise<readonly MetricPeriod[]>;
  list(list: MetricList): Promise<readonly ListedMetric[]>;
  /** Makes coarser what is past its time in a tier, and removes what is past all of them, with the metrics that have nothing left. */
  expire(nowMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Different metrics at most, over all accounts: what bounds the store together with the tiers. */
export const METRICS_MAX = 200_000;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long points are kept at which precision: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html */
export const TIERS: readonly { readonly seconds: number; readonly keptMs: number }[] = [
  { seconds: 1, keptMs: 3 * HOUR_MS },
  { seconds: 60, keptMs: 15 * DAY_MS },
  { seconds: 300, keptMs: 63 * DAY_MS },
  { seconds: 3600, keptMs: 455 * DAY_MS },
];

export const inOrder = (dimensions: readonly Dimension[]): readonly Dimension[] =>
  dimensions.map(({ Name, Value }) => ({ Name, Value })).toSorted((a, b) => (a.Name < b.Name ? -1 : a.Name > b.Name ? 1 : 0));
