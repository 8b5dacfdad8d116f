// Runs the MetricStore contract over its drivers, and what only the one on disk promises.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { memoryMetrics } from "../../src/store/memory/memory-metrics.ts";
import { sqliteMetrics } from "../../src/store/sqlite/sqlite-metrics.ts";
import { metric, metricStoreContract, NOW, point } from "./metric-store.contract.ts";

const directories: string[] = [];
const makeDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-metrics-"));
  directories.push(directory);
  return directory;
};
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

metricStoreContract("memory", () => memoryMetrics());
metricStoreContract("sqlite", async () => sqliteMetrics({ directory: await makeDirectory() }));

test("what was put is there after a restart, and puts at once are all there", async () => {
  const directory = await makeDirectory();
  const first = sqliteMetrics({ directory });
  assert.deepEqual(await Promise.all([1, 2, 3].map((value) => first.put([point("a", NOW, [value])]))), ["stored", "stored", "stored"]);
  await first.close();
  const second = sqliteMetrics({ directory });
  const found = await second.query({ metric: metric("a"), fromMs: NOW, toMs: NOW + 1, periodMs: 60_000, limit: 9 });
  assert.deepEqual(
    found.map(({ values }) => values.sum),
    [6],
  );
  await second.close();
  await assert.rejects(second.put([point("a", NOW, [1])]), /metrics\.db is closed/);
});
