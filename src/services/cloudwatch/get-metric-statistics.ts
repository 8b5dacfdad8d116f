// GetMetricStatistics: one metric, several statistics, no pages.
import type * as client from "@aws-sdk/client-cloudwatch";
import type { Context, Operations } from "../../aws/operations.ts";
import type { MetricPeriod } from "../../store/metric-store.ts";
import { checkPeriod, invalidCombination, metricName, roundedStart, timeRange, type CloudWatch } from "./model.ts";
import { statistic, type Statistic } from "./statistics.ts";

const DATAPOINTS_MAX = 1440;

type Given = client.GetMetricStatisticsCommandInput;
type Asked = readonly (readonly [name: string, of: Statistic])[];

export function getMetricStatistics(cloudWatch: CloudWatch) {
  return {
    async GetMetricStatistics(context, input) {
      const { Statistics, ExtendedStatistics } = input;
      if ((Statistics === undefined) === (ExtendedStatistics === undefined))
        throw invalidCombination("You must specify either Statistics or ExtendedStatistics, but not both.");
      const simple: Asked = (Statistics ?? []).map((name) => [name, statistic(name, "Statistics")]);
      const extended: Asked = (ExtendedStatistics ?? []).map((name) => [name, statistic(name, "ExtendedStatistics")]);
      const found = await periods(cloudWatch, context, input);
      const Datapoints = found.map((period) => datapoint(period, simple, extended)).filter((one) => one !== undefined);
      return { Label: input.MetricName, Datapoints };
    },
  } satisfies Pick<Operations<typeof client>, "GetMetricStatistics">;
}

async function periods(cloudWatch: CloudWatch, context: Context, input: Given): Promise<readonly MetricPeriod[]> {
  const { fromMs, toMs } = timeRange(input.StartTime, input.EndTime);
  const periodMs = checkPeriod(input.Period, "Period");
  const metric = metricName(context, input, "Dimensions");
  const start = roundedStart(cloudWatch.clock.now(), fromMs, periodMs);
  const wanted = Math.ceil((toMs - fromMs) / periodMs);
  if (wanted > DATAPOINTS_MAX)
    throw invalidCombination(
      `You have requested up to ${wanted.toLocaleString("en-US")} datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.`,
    );
  if (start === undefined) return [];
  await cloudWatch.flush();
  const unit = input.Unit === undefined ? {} : { unit: input.Unit };
  return await cloudWatch.metrics.query({ metric, ...unit, fromMs: start, toMs, periodMs, limit: Infinity });
}

/** Undefined: nothing of what was asked for is known of this period. */
function datapoint({ startMs, unit, values }: MetricPeriod, simple: Asked, extended: Asked): client.Datapoint | undefined {
  const numbers = (asked: Asked) =>
    Object.fromEntries(
      asked.flatMap(([name, of]) => {
        const value = of(values);
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  const ExtendedStatistics = numbers(extended);
  const common = { Timestamp: new Date(startMs), Unit: unit as client.StandardUnit };
  if (simple.length > 0) return { ...common, ...numbers(simple) };
  return Object.keys(ExtendedStatistics).length === 0 ? undefined : { ...common, ExtendedStatistics };
}
