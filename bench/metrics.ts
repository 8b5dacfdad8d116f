// Metrics: what counting adds to an invocation, in memory; and what a minute of many functions costs to write, on the disk, against the
// bare rows in the same run.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../src/base/clock.ts";
import { silentLog } from "../src/base/log.ts";
import type { Deployment, Outcome } from "../src/pool/invocation.ts";
import { LambdaMetrics } from "../src/lambda/invocation-metrics.ts";
import { MetricRecorder } from "../src/services/cloudwatch/recorder.ts";
import { sqliteMetrics } from "../src/store/sqlite/sqlite-metrics.ts";
import { describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";

const INVOCATIONS = 100_000;
const FUNCTIONS = 200;
const RUNS = 7;

const REPORT = { durationMs: 1.5, latencyMs: 1.5, billedMs: 2, memoryPeakMiB: 60 };
const RETURNED: Outcome = { kind: "returned", payload: new Uint8Array(), report: REPORT };
const place = { account: "000000000000", region: "us-east-1" };
const RUNNING = { function: 1, account: 3, unreserved: 3 };

const arnOf = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`;
const deploymentOf = (name: string) => ({ ...place, functionName: name, version: "$LATEST", functionArn: arnOf(name) }) as Deployment;

function invoked(metrics: LambdaMetrics, deployment: Deployment): void {
  metrics.began(deployment, RUNNING);
  metrics.ended(deployment, deployment.functionArn, RETURNED);
}

function bareRowsMs(directory: string, rows: number): number {
  const database = new DatabaseSync(join(directory, "bare.db"));
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, a REAL, b REAL, c TEXT)",
  );
  const insert = database.prepare("INSERT INTO row (a, b, c) VALUES (?, ?, ?)");
  const startedMs = systemClock.monotonic();
  database.exec("BEGIN");
  for (let row = 0; row < rows; row++) insert.run(row, 1, "[100020,500]");
  database.exec("COMMIT");
  const tookMs = systemClock.monotonic() - startedMs;
  database.close();
  return tookMs;
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const store = sqliteMetrics({ directory });
  const recorder = new MetricRecorder({ metrics: store, clock: systemClock, log: silentLog });
  const metrics = new LambdaMetrics(recorder);
  const one = deploymentOf("f");
  const counted = await repeat(RUNS + 1, () => {
    const startedMs = systemClock.monotonic();
    for (let n = 0; n < INVOCATIONS; n++) invoked(metrics, one);
    return ((systemClock.monotonic() - startedMs) * 1000) / INVOCATIONS;
  });
  await recorder.flush();
  const many = Array.from({ length: FUNCTIONS }, (_, index) => deploymentOf(`f${index}`));
  /** Of each function four series for three sets of dimensions and one for one, and two of the account. */
  const rows = FUNCTIONS * 13 + 2;
  const written = await repeat(RUNS, async () => {
    for (const deployment of many) invoked(metrics, deployment);
    const startedMs = systemClock.monotonic();
    await recorder.flush();
    return systemClock.monotonic() - startedMs;
  });
  const bare = await repeat(RUNS, () => bareRowsMs(directory, rows));
  await store.close();
  await rm(directory, { recursive: true });
  return [
    summarise("metrics: counting one invocation", "us", counted.slice(1)),
    summarise(`metrics: writing what ${FUNCTIONS} functions did (${rows} points)`, "ms", written, median(bare)),
  ];
}

if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
