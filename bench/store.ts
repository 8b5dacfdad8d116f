// What a durable call costs: enqueues in groups and alone, claims, reads; against bare write + fdatasync and a bare message to a thread.
import { once } from "node:events";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import type { Storage } from "../src/store/storage.ts";
import { measure, type Demand } from "./support/callers.ts";
import { describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";

const CALLERS = 64;
const BODY = new Uint8Array(1024).fill(0x61);
const RUNS = 9;
const ROUNDS = 150;
const ALONE = 1500;
const MANY: Demand = { callers: CALLERS, each: ROUNDS };
const ONE: Demand = { callers: 1, each: ALONE };
const DRAIN: Demand = { callers: 4, each: ROUNDS / 5 };
const OFFERED = { callers: CALLERS, each: 300, perSecond: 20_000 } as const;

/** Milliseconds of one write of `bytes` and fdatasync, in a file that grows as a log does. */
function syncedWritesMs(directory: string, bytes: number, count: number): number[] {
  const file = openSync(join(directory, "floor"), "w");
  const chunk = Buffer.alloc(bytes, "a");
  const samples = Array.from({ length: count }, () => {
    const start = systemClock.monotonic();
    writeSync(file, chunk);
    fdatasyncSync(file);
    return systemClock.monotonic() - start;
  });
  closeSync(file);
  return samples;
}

const enqueueOne = (storage: Storage, queue: string) => () =>
  storage.queue.enqueue([{ queue, id: timeOrderedId(systemClock.now()), body: BODY }]);

async function enqueues(storage: Storage, directory: string): Promise<Result[]> {
  const latencies: number[] = [];
  const floors: number[] = [];
  const rates = await repeat(RUNS, async (round) => {
    floors.push(...syncedWritesMs(directory, CALLERS * BODY.length, ROUNDS));
    const { perSecond, latenciesMs } = await measure(MANY, enqueueOne(storage, `queue ${round}`));
    latencies.push(...latenciesMs);
    return perSecond;
  });
  const floorMs = median(floors);
  return [
    summarise(`enqueue 1 KiB, ${CALLERS} callers`, "1/s", rates, (CALLERS * 1000) / floorMs),
    summarise(`enqueue 1 KiB, ${CALLERS} callers, latency`, "ms", latencies, floorMs),
  ];
}

async function offered(storage: Storage, directory: string): Promise<Result[]> {
  const floor = median(syncedWritesMs(directory, BODY.length, ROUNDS));
  const runs = await repeat(3, () => measure(OFFERED, enqueueOne(storage, "offered")));
  const [name, rates] = [`enqueue 1 KiB, ${OFFERED.perSecond}/s offered by ${CALLERS} callers`, runs.map(({ perSecond }) => perSecond)];
  const samples = runs.flatMap(({ latenciesMs }) => latenciesMs);
  return [summarise(name, "1/s", rates, OFFERED.perSecond), summarise(`${name}, latency`, "ms", samples, floor)];
}

async function alone(storage: Storage, directory: string): Promise<Result> {
  const floor = median(syncedWritesMs(directory, BODY.length, ALONE));
  const { latenciesMs } = await measure(ONE, enqueueOne(storage, "alone"));
  return summarise("enqueue 1 KiB, 1 caller, latency", "ms", latenciesMs, floor);
}

/** Claims 64, acknowledges them in one call; the queue holds what `enqueues` has left. */
async function drains(storage: Storage): Promise<Result> {
  const rates = await repeat(RUNS, async (round) => {
    let drained = 0;
    const drain = async () => {
      const claimed = await storage.queue.claim(`queue ${round}`, CALLERS, 60_000);
      drained += claimed.length;
      await storage.queue.acknowledge(claimed.map((message) => message.token));
    };
    const { perSecond } = await measure(DRAIN, drain);
    return (perSecond * drained) / (DRAIN.callers * DRAIN.each);
  });
  return summarise("claim 64 and acknowledge, 4 callers", "1/s", rates);
}

/** Milliseconds of a message to a thread and back. */
async function messagesMs(): Promise<readonly number[]> {
  const echo = new Worker(
    "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))",
    {
      eval: true,
    },
  );
  try {
    const { latenciesMs } = await measure(ONE, async () => {
      const answered = once(echo, "message");
      echo.postMessage(0);
      await answered;
    });
    return latenciesMs;
  } finally {
    await echo.terminate();
  }
}

async function reads(storage: Storage): Promise<Result> {
  const key = (n: number) => ({ account: "000000000000", region: "us-east-1", kind: "bench", id: `record ${n}` });
  await storage.meta.write(Array.from({ length: 1000 }, (_, n) => ({ key: key(n), value: { n, text: "x".repeat(400) } })));
  let next = 0;
  const { latenciesMs } = await measure(ONE, () => storage.meta.get([key((next += 7) % 1000)]));
  return summarise("get a record, 1 caller, latency", "ms", latenciesMs, median(await messagesMs()));
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  try {
    await measure(MANY, enqueueOne(storage, "warm"));
    return [
      ...(await enqueues(storage, directory)),
      ...(await offered(storage, directory)),
      await drains(storage),
      await alone(storage, directory),
      await reads(storage),
    ];
  } finally {
    await storage.close();
    await rm(directory, { recursive: true });
  }
}

if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
