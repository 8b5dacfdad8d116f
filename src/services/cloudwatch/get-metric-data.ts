// GetMetricData: many metrics at once, arithmetic between them, in pages.
import type * as client from "@aws-sdk/client-cloudwatch";
import type { Context, Operations } from "../../aws/operations.ts";
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { Gathered, type Distribution } from "../../store/distribution.ts";
import type { MetricPeriod } from "../../store/metric-store.ts";
import { evaluateExpression, type Line } from "./expression.ts";
import { invalidToken } from "./list-metrics.ts";
import {
  checkPeriod,
  invalidCombination,
  invalidValue,
  metricName,
  missing,
  roundedStart,
  timeRange,
  type CloudWatch,
  type Range,
} from "./model.ts";
import { statistic } from "./statistics.ts";

const QUERIES_MAX = 500;
const DATAPOINTS_MAX = 100_800;
const LIST = "GetMetricData";
const ID = /^[a-z][a-zA-Z0-9_]*$/;

type Query = client.MetricDataQuery & { readonly Id: string };

export function getMetricData(cloudWatch: CloudWatch) {
  return {
    async GetMetricData(context, input) {
      const { MetricDataQueries = [], ScanBy = "TimestampDescending", MaxDatapoints = DATAPOINTS_MAX } = input;
      const range = timeRange(input.StartTime, input.EndTime);
      const queries = checkedQueries(MetricDataQueries);
      if (MaxDatapoints < 1 || MaxDatapoints > DATAPOINTS_MAX)
        throw invalidValue(`The parameter MaxDatapoints must be between 1 and ${DATAPOINTS_MAX}.`);
      const from = positionOf(input.NextToken, queries.length);
      await cloudWatch.flush();
      const lines = linesOf(cloudWatch, context, queries, range);
      return await pageOf(queries, lines, from, { limit: MaxDatapoints, isAscending: ScanBy === "TimestampAscending" });
    },
  } satisfies Pick<Operations<typeof client>, "GetMetricData">;
}

function checkedQueries(given: readonly client.MetricDataQuery[]): readonly Query[] {
  if (given.length === 0) throw missing("MetricDataQueries");
  if (given.length > QUERIES_MAX) throw invalidValue(`The collection MetricDataQueries must not have a size greater than ${QUERIES_MAX}.`);
  const ids = new Set<string>();
  for (const [index, { Id = "", MetricStat, Expression, AccountId }] of given.entries()) {
    const path = `MetricDataQueries.member.${index + 1}`;
    if (!ID.test(Id)) throw invalidValue(`The value ${Id} for parameter ${path}.Id is not matching the expected pattern ${ID.source}.`);
    if (ids.has(Id)) throw invalidValue(`The parameter ${path}.Id must be unique within a request.`);
    if ((MetricStat === undefined) === (Expression === undefined))
      throw invalidCombination(`You must specify either ${path}.MetricStat or ${path}.Expression, but not both.`);
    if (AccountId !== undefined) throw invalidValue("There are no linked accounts: leave AccountId out.");
    if (MetricStat !== undefined) checkStat(MetricStat, `${path}.MetricStat`);
    ids.add(Id);
  }
  return given as readonly Query[];
}

function checkStat({ Metric, Period, Stat }: client.MetricStat, path: string): void {
  if (Metric?.MetricName === undefined) throw missing(`${path}.Metric.MetricName`);
  if (Metric.Namespace === undefined) throw missing(`${path}.Metric.Namespace`);
  checkPeriod(Period, `${path}.Period`);
  statistic(Stat ?? "", `${path}.Stat`);
}

type LineOf = (id: string) => Promise<Line>;

/** Each line is read when it is needed, and once; an expression needs those that it names. */
function linesOf(cloudWatch: CloudWatch, context: Context, queries: readonly Query[], range: Range): LineOf {
  const known = new Map<string, Promise<Line>>();
  const byId = new Map(queries.map((query) => [query.Id, query]));
  const read = async (query: Query, above: readonly string[]): Promise<Line> => {
    if (query.MetricStat !== undefined) return await metricLine(cloudWatch, context, query.MetricStat, range);
    const text = query.Expression ?? "";
    const names = (text.match(/\b[a-z]\w*/g) ?? []).filter((name) => byId.has(name));
    if (above.includes(query.Id)) throw invalidValue(`The expression ${query.Id} refers to itself.`);
    const lines = new Map<string, Line>();
    for (const name of names) lines.set(name, await line(name, [...above, query.Id]));
    return evaluateExpression(text, (id) => lines.get(id));
  };
  const line = (id: string, above: readonly string[]): Promise<Line> => {
    const query = byId.get(id);
    if (query === undefined) return Promise.resolve(new Map());
    if (above.includes(id)) return Promise.reject(invalidValue(`The expression ${id} refers to itself.`));
    const present = known.get(id) ?? read(query, above);
    known.set(id, present);
    return present;
  };
  return (id) => line(id, []);
}

async function metricLine(cloudWatch: CloudWatch, context: Context, asked: client.MetricStat, { fromMs, toMs }: Range): Promise<Line> {
  const periodMs = checkPeriod(asked.Period, "Period");
  const start = roundedStart(cloudWatch.clock.now(), fromMs, periodMs);
  if (start === undefined) return new Map();
  const metric = metricName(context, asked.Metric ?? {}, "Dimensions");
  const unit = asked.Unit === undefined ? {} : { unit: asked.Unit };
  const found = await cloudWatch.metrics.query({ metric, ...unit, fromMs: start, toMs, periodMs, limit: DATAPOINTS_MAX });
  const of = statistic(asked.Stat ?? "", "Stat");
  const line = new Map<number, number>();
  for (const [startMs, values] of withoutUnits(found)) {
    const value = of(values);
    if (value !== undefined) line.set(startMs, value);
  }
  return line;
}

/** Without a unit in the question, all units count as one. */
function withoutUnits(periods: readonly MetricPeriod[]): ReadonlyMap<number, Distribution> {
  const merged = new Map<number, Distribution>();
  for (const { startMs, values } of periods) {
    const before = merged.get(startMs);
    const gathered = new Gathered();
    for (const one of before === undefined ? [] : [before, values]) gathered.merge(one);
    merged.set(startMs, before === undefined ? values : gathered.distribution());
  }
  return merged;
}

/** Where a page begins: in which query, and behind how many of its points. */
interface Position {
  readonly query: number;
  readonly skipped: number;
}

function positionOf(token: string | undefined, count: number): Position {
  if (token === undefined) return { query: 0, skipped: 0 };
  const [query = -1, skipped = -1] = (decodeMarker(LIST, token) ?? "").split(" ").map(Number);
  if (!Number.isSafeInteger(query) || query < 0 || query >= count || !Number.isSafeInteger(skipped) || skipped < 0) throw invalidToken();
  return { query, skipped };
}

async function pageOf(queries: readonly Query[], lineOf: LineOf, from: Position, how: { limit: number; isAscending: boolean }) {
  const MetricDataResults: client.MetricDataResult[] = [];
  let left = how.limit;
  for (const [index, query] of queries.entries()) {
    if (index < from.query || query.ReturnData === false) continue;
    const points = [...(await lineOf(query.Id))].toSorted(([a], [b]) => (how.isAscending ? a - b : b - a));
    const skipped = index === from.query ? from.skipped : 0;
    const some = points.slice(skipped, skipped + left);
    const isCut = skipped + some.length < points.length;
    MetricDataResults.push(resultOf(query, some, isCut));
    left -= some.length;
    if (isCut) return { MetricDataResults, NextToken: encodeMarker(LIST, `${index} ${skipped + some.length}`), Messages: [] };
  }
  return { MetricDataResults, Messages: [] };
}

function resultOf(
  { Id, Label, MetricStat, Expression }: Query,
  points: readonly (readonly [number, number])[],
  isCut: boolean,
): client.MetricDataResult {
  return {
    Id,
    Label: Label ?? MetricStat?.Metric?.MetricName ?? (Expression === undefined ? "" : Id),
    Timestamps: points.map(([timeMs]) => new Date(timeMs)),
    Values: points.map(([, value]) => value),
    StatusCode: isCut ? "PartialData" : "Complete",
  };
}
