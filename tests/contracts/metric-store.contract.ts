// What every MetricStore promises.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gathered } from "../../src/store/distribution.ts";
import type { MetricName, MetricPoint, MetricStore } from "../../src/store/metric-store.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
/** A whole hour. */
export const NOW = Date.UTC(2026, 0, 31);
export const metric = (name: string, dimensions: MetricName["dimensions"] = []): MetricName => ({
  account: "000000000000",
  region: "us-east-1",
  namespace: "Tests",
  name,
  dimensions,
});
export function point(name: string, timestampMs: number, values: readonly number[], more: Partial<MetricPoint> = {}): MetricPoint {
  const gathered = new Gathered();
  for (const value of values) gathered.add(value);
  return { metric: metric(name), timestampMs, resolution: 60, unit: "Count", values: gathered.distribution(), ...more };
}

export function metricStoreContract(driver: string, open: () => Promise<MetricStore> | MetricStore): void {
  const check = (name: string, run: (store: MetricStore) => Promise<void>) =>
    void test(`${driver}: ${name}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });
  const ask = (name: string, more: object = {}) => ({
    metric: metric(name),
    fromMs: NOW,
    toMs: NOW + DAY,
    periodMs: MINUTE,
    limit: 100,
    ...more,
  });

  check("what falls into a period is one", async (store) => {
    await store.put([point("a", NOW, [1, 2]), point("a", NOW + 59_999, [9]), point("a", NOW + MINUTE, [4])]);
    await store.put([point("a", NOW + 1, [0], { unit: "Bytes" })]);
    const found = await store.query(ask("a"));
    assert.deepEqual(
      found.map(({ startMs, unit, values: { count, sum, min, max } }) => [startMs - NOW, unit, count, sum, min, max]),
      [
        [0, "Bytes", 1, 0, 0, 0],
        [0, "Count", 3, 12, 1, 9],
        [MINUTE, "Count", 1, 4, 4, 4],
      ],
    );
    const whole = await store.query(ask("a", { periodMs: 5 * MINUTE, unit: "Count" }));
    assert.deepEqual(
      whole.map(({ values }) => [values.count, values.sum]),
      [[4, 16]],
    );
    assert.deepEqual(await store.query(ask("b")), []);
    assert.deepEqual(
      (await store.query(ask("a", { unit: "Count", backwards: true, limit: 1 }))).map(({ startMs }) => startMs - NOW),
      [MINUTE],
    );
  });

  check("periods are counted from the start of the question", async (store) => {
    await store.put([point("a", NOW + 2 * MINUTE, [1]), point("a", NOW + 6 * MINUTE, [1])]);
    const found = await store.query(ask("a", { fromMs: NOW + 2 * MINUTE, periodMs: 5 * MINUTE }));
    assert.deepEqual(
      found.map(({ startMs, values }) => [(startMs - NOW) / MINUTE, values.count]),
      [[2, 2]],
    );
  });

  check("values that are not known make percentiles of the period unknown", async (store) => {
    await store.put([point("a", NOW, [1]), point("a", NOW, [], { values: { count: 2, sum: 5, min: 1, max: 4 } })]);
    const [found] = await store.query(ask("a"));
    assert.deepEqual(found?.values, { count: 3, sum: 6, min: 1, max: 4 });
  });

  check("lists by namespace, name, dimensions and age, in pages", async (store) => {
    const f = [{ Name: "F", Value: "f" }];
    const fg = [...f, { Name: "G", Value: "g" }];
    await store.put([
      point("a", NOW, [1]),
      point("a", NOW, [1], { metric: metric("a", f) }),
      point("b", NOW - DAY, [1], { metric: metric("b", fg) }),
      point("c", NOW, [1], { metric: { ...metric("c"), namespace: "Other" } }),
      point("d", NOW, [1], { metric: { ...metric("d"), region: "eu-west-1" } }),
    ]);
    const list = async (more: object) => {
      const found = await store.list({
        account: "000000000000",
        region: "us-east-1",
        dimensions: [],
        activeSinceMs: 0,
        after: 0,
        limit: 100,
        ...more,
      });
      return found.map((one) => `${one.metric.namespace} ${one.metric.name} ${one.metric.dimensions.map(({ Name }) => Name).join("")}`);
    };
    assert.deepEqual(await list({}), ["Tests a ", "Tests a F", "Tests b FG", "Other c "]);
    assert.deepEqual(await list({ namespace: "Other" }), ["Other c "]);
    assert.deepEqual(await list({ name: "a" }), ["Tests a ", "Tests a F"]);
    assert.deepEqual(await list({ dimensions: [{ Name: "F" }] }), ["Tests a F", "Tests b FG"]);
    assert.deepEqual(await list({ dimensions: [{ Name: "F", Value: "x" }] }), []);
    assert.deepEqual(await list({ dimensions: [{ Name: "F", Value: "f" }, { Name: "G" }] }), ["Tests b FG"]);
    assert.deepEqual(await list({ activeSinceMs: NOW }), ["Tests a ", "Tests a F", "Other c "]);
    assert.deepEqual(await list({ after: 2, limit: 1 }), ["Tests b FG"]);
  });

  check("what grows old becomes coarser, loses nothing of its sums, and goes in the end", async (store) => {
    const seconds = [0, 1, 2].map((at) => point("a", NOW + at * 1000, [at], { resolution: 1 }));
    const minutes = [0, 1, 7].map((at) => point("b", NOW + at * MINUTE, [at]));
    await store.put([...seconds, ...minutes]);
    const starts = async (name: string, periodMs: number) =>
      (await store.query(ask(name, { periodMs }))).map(({ startMs, values }) => [(startMs - NOW) / 1000, values.count]);
    assert.equal((await starts("a", 1000)).length, 3);
    await store.expire(NOW + 4 * 3_600_000);
    assert.deepEqual(await starts("a", 1000), [[0, 3]]);
    assert.equal((await starts("b", MINUTE)).length, 3);
    await store.expire(NOW + 16 * DAY);
    assert.deepEqual(await starts("b", MINUTE), [
      [0, 2],
      [300, 1],
    ]);
    await store.expire(NOW + 64 * DAY);
    assert.deepEqual(await starts("b", MINUTE), [[0, 3]]);
    await store.expire(NOW + 456 * DAY);
    assert.deepEqual(await starts("b", MINUTE), []);
    assert.deepEqual(
      await store.list({ account: "000000000000", region: "us-east-1", dimensions: [], activeSinceMs: 0, after: 0, limit: 9 }),
      [],
    );
  });
}
