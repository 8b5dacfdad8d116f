// What is recorded is gathered by the minute, written once, for each of its dimensions; and never in the way of who records.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "../../base/log.ts";
import { manualClock } from "../../base/manual-clock.ts";
import type { Series } from "../../base/metrics.ts";
import { memoryMetrics } from "../../store/memory/memory-metrics.ts";
import type { MetricPoint, MetricStore } from "../../store/metric-store.ts";
import { MetricRecorder } from "./recorder.ts";

const series = (name: string): Series => ({
  account: "000000000000",
  region: "us-east-1",
  namespace: "AWS/Lambda",
  name,
  unit: "Count",
  dimensions: [{}, { Resource: "f:live", FunctionName: "f" }],
});

function start(put?: MetricStore["put"]) {
  const clock = manualClock();
  const written: MetricPoint[][] = [];
  const store = memoryMetrics();
  const metrics: MetricStore = {
    ...store,
    put: (points) => {
      written.push([...points]);
      return put === undefined ? store.put(points) : put(points);
    },
  };
  return { clock, written, recorder: new MetricRecorder({ metrics, clock, log: silentLog }) };
}

test("a minute of a series is one point for each set of dimensions, in order of their names", async () => {
  const { clock, written, recorder } = start();
  const one = series("Invocations");
  clock.advance(30_000);
  for (let n = 0; n < 10; n++) recorder.record(one, n);
  await recorder.flush();
  const startedMs = clock.now() - 30_000;
  assert.deepEqual(
    written
      .flat()
      .map(({ metric: { dimensions }, timestampMs, values }) => [
        dimensions.map(({ Name }) => Name),
        timestampMs,
        values.count,
        values.sum,
        values.max,
      ]),
    [
      [[], startedMs, 10, 45, 9],
      [["FunctionName", "Resource"], startedMs, 10, 45, 9],
    ],
  );
  await recorder.flush();
  assert.equal(written.length, 1);
});

test("minutes are kept apart, and written by themselves after a quarter of one", async () => {
  const { clock, written, recorder } = start();
  const one = series("Invocations");
  clock.advance(55_000);
  recorder.record(one, 1);
  clock.advance(6000);
  recorder.record(one, 2);
  assert.equal(written.length, 0);
  clock.advance(15_000);
  await recorder.flush();
  assert.deepEqual(
    written
      .flat()
      .filter(({ metric }) => metric.dimensions.length === 0)
      .map(({ timestampMs, values }) => [timestampMs % 3_600_000, values.sum]),
    [
      [0, 1],
      [60_000, 2],
    ],
  );
});

test("totals go on from write to write", async () => {
  const { recorder } = start();
  const one = series("Duration");
  recorder.record(one, 1.5);
  await recorder.flush();
  recorder.record(one, 2);
  assert.deepEqual(recorder.totals(), [{ series: one, count: 2, sum: 3.5 }]);
});

test("a store that fails or is full loses numbers and nothing else", async () => {
  const { recorder, written } = start(() => Promise.reject(new Error("the disk is full")));
  recorder.record(series("a"), 1);
  await recorder.flush();
  recorder.record(series("b"), 1);
  await recorder.flush();
  assert.equal(written.length, 2);
  const full = start(() => Promise.resolve("full"));
  full.recorder.record(series("a"), 1);
  await full.recorder.flush();
});
