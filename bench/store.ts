// What a durable call costs: enqueues in groups and alone, claims, reads; against bare write + fdatasync and a bare message to a thread.
import { once } from "node:events";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { sleep, systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import type { Storage } from "../src/store/storage.ts";
import { describeResult, median, repeat, summarise, type Result } from "./measure.ts";

const CALLERS = 64;
const BODY = new Uint8Array(1024).fill(0x61);
const RUNS = 9;
const ROUNDS = 150;
const ALONE = 1500;
/** What the callers ask for together where they don't ask as fast as they are answered, and for how long. */
const OFFERED = { perSecond: 20_000, calls: 20_000 } as const;

const elapsedMs = async (task: () => Promise<unknown>) => {
  const start = systemClock.monotonic();
  await task();
  return systemClock.monotonic() - start;
};

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

/** Every caller makes one call after the other; the latencies of all of them. */
async function callers(count: number, rounds: number, call: (caller: number) => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  const one = async (caller: number) => {
    for (let round = 0; round < rounds; round++) samples.push(await elapsedMs(() => call(caller)));
  };
  await Promise.all(Array.from({ length: count }, (_, caller) => one(caller)));
  return samples;
}

/** The callers take turns at a steady rate, as far as timers and the store have it. */
async function atRate(call: (caller: number) => Promise<unknown>): Promise<{ perSecond: number; samples: number[] }> {
  const samples: number[] = [];
  const startMs = systemClock.monotonic();
  const one = async (caller: number) => {
    for (let n = caller; n < OFFERED.calls; n += CALLERS) {
      const aheadMs = startMs + (n * 1000) / OFFERED.perSecond - systemClock.monotonic();
      if (aheadMs >= 1) await sleep(systemClock, aheadMs);
      samples.push(await elapsedMs(() => call(caller)));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => one(caller)));
  return { perSecond: (OFFERED.calls * 1000) / (systemClock.monotonic() - startMs), samples };
}

const enqueueOne = (storage: Storage, queue: string) => () =>
  storage.queue.enqueue([{ queue, id: timeOrderedId(systemClock.now()), body: BODY }]);

async function enqueues(storage: Storage, directory: string): Promise<Result[]> {
  const latencies: number[] = [];
  const floors: number[] = [];
  const rates = await repeat(RUNS, async (round) => {
    floors.push(...syncedWritesMs(directory, CALLERS * BODY.length, ROUNDS));
    const tookMs = await elapsedMs(async () => latencies.push(...(await callers(CALLERS, ROUNDS, enqueueOne(storage, `queue ${round}`)))));
    return (CALLERS * ROUNDS * 1000) / tookMs;
  });
  const floorMs = median(floors);
  return [
    summarise(`enqueue 1 KiB, ${CALLERS} callers`, "1/s", rates, (CALLERS * 1000) / floorMs),
    summarise(`enqueue 1 KiB, ${CALLERS} callers, latency`, "ms", latencies, floorMs),
  ];
}

async function offered(storage: Storage, directory: string): Promise<Result[]> {
  const floor = median(syncedWritesMs(directory, BODY.length, ROUNDS));
  const runs = await repeat(3, () => atRate(enqueueOne(storage, "offered")));
  const [name, rates] = [`enqueue 1 KiB, ${OFFERED.perSecond}/s offered by ${CALLERS} callers`, runs.map(({ perSecond }) => perSecond)];
  const samples = runs.flatMap((one) => one.samples);
  return [summarise(name, "1/s", rates, OFFERED.perSecond), summarise(`${name}, latency`, "ms", samples, floor)];
}

async function alone(storage: Storage, directory: string): Promise<Result> {
  const floor = median(syncedWritesMs(directory, BODY.length, ALONE));
  return summarise("enqueue 1 KiB, 1 caller, latency", "ms", await callers(1, ALONE, enqueueOne(storage, "alone")), floor);
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
    const tookMs = await elapsedMs(() => callers(4, ROUNDS / 5, drain));
    return (drained * 1000) / tookMs;
  });
  return summarise("claim 64 and acknowledge, 4 callers", "1/s", rates);
}

/** Milliseconds of a message to a thread and back. */
async function messagesMs(count: number): Promise<number[]> {
  const echo = new Worker(
    "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))",
    {
      eval: true,
    },
  );
  try {
    return await callers(1, count, async () => {
      const answered = once(echo, "message");
      echo.postMessage(0);
      await answered;
    });
  } finally {
    await echo.terminate();
  }
}

async function reads(storage: Storage): Promise<Result> {
  const key = (n: number) => ({ account: "000000000000", region: "us-east-1", kind: "bench", id: `record ${n}` });
  await storage.meta.write(Array.from({ length: 1000 }, (_, n) => ({ key: key(n), value: { n, text: "x".repeat(400) } })));
  let next = 0;
  const samples = await callers(1, ALONE, () => storage.meta.get([key((next += 7) % 1000)]));
  return summarise("get a record, 1 caller, latency", "ms", samples, median(await messagesMs(ALONE)));
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  try {
    await callers(CALLERS, ROUNDS, enqueueOne(storage, "warm"));
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
