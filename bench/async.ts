// Asynchronous invocations: durable 202s per second while events are worked off, against bare enqueues in the same run; and the time from
// the call to the start of the function when nothing else happens. Functions answer at once, so that what is measured is the way to them.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { fakeSandboxHost } from "../src/sandbox/fake.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import { cpuMicroseconds, describeResult, median, repeat, summarise, type Result } from "./measure.ts";
import { startBenchServer } from "./server.ts";
import { connections, send, signedInvoke, type Prepared } from "./signed-requests.ts";

const CALLERS = 64;
const RUNS = 7;
const EACH = 60;
const ALONE = 300;
const EVENT = JSON.stringify({ text: "x".repeat(1000) });

interface Load {
  readonly href: string;
  readonly prepared: Omit<Prepared, "url">;
}

interface Measured {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
}

/** Every caller makes one call after the other. */
async function measure(callers: number, each: number, call: () => Promise<unknown>): Promise<Measured> {
  const latenciesMs: number[] = [];
  const startedMs = systemClock.monotonic();
  const one = async () => {
    for (let n = 0; n < each; n++) {
      const beforeMs = systemClock.monotonic();
      await call();
      latenciesMs.push(systemClock.monotonic() - beforeMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, one));
  return { perSecond: (callers * each * 1000) / (systemClock.monotonic() - startedMs), latenciesMs };
}

// The clients, in a thread of their own.
if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const agent = connections(CALLERS);
  port.on("message", ({ href, prepared }: Load) => {
    void measure(CALLERS, EACH, () => send({ ...prepared, url: new URL(href) }, agent)).then((measured) => port.postMessage(measured));
  });
}

async function bareEnqueues(): Promise<{ many: Measured[]; aloneMs: number }> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  const body = Buffer.from(EVENT);
  const enqueue = () => storage.queue.enqueue([{ queue: "q", id: timeOrderedId(systemClock.now()), body }]);
  await measure(CALLERS, EACH, enqueue);
  const many = await repeat(RUNS, () => measure(CALLERS, EACH, enqueue));
  const { latenciesMs } = await measure(1, ALONE, enqueue);
  await storage.close();
  await rm(directory, { recursive: true });
  return { many, aloneMs: median(latenciesMs) };
}

const ratesOf = (runs: readonly Measured[]) => runs.map(({ perSecond }) => perSecond);
const latenciesOf = (runs: readonly Measured[]) => runs.flatMap(({ latenciesMs }) => latenciesMs);

export async function run(): Promise<Result[]> {
  let started = 0;
  let begun: () => void = () => undefined;
  const sandboxes = fakeSandboxHost(() => () => {
    started++;
    begun();
  });
  const server = await startBenchServer({ sandboxes });
  const clients = new Worker(new URL(import.meta.url));
  try {
    await server.make("f", "nodejs24.x", "index.handler", { "index.mjs": "" });
    const { url, ...prepared } = await signedInvoke(server.endpoint, server.keys, "f", EVENT, "Event");
    const agent = connections(1);
    /** Milliseconds from the call to the start of the function. */
    const oneMs = async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      begun = resolve;
      const beforeMs = systemClock.monotonic();
      const [, startMs] = await Promise.all([send({ ...prepared, url }, agent), promise.then(() => systemClock.monotonic())]);
      return startMs - beforeMs;
    };
    await repeat(ALONE, oneMs);
    const alone = await repeat(ALONE, oneMs);
    agent.destroy();
    const accepts = async () => {
      const wanted = started + CALLERS * EACH;
      const cpuBefore = cpuMicroseconds();
      const beforeMs = systemClock.monotonic();
      const { promise, resolve } = Promise.withResolvers<void>();
      begun = () => started === wanted && resolve();
      clients.postMessage({ href: url.href, prepared } satisfies Load);
      const [measured] = (await once(clients, "message")) as [Measured];
      await promise;
      const cpuEach = (cpuMicroseconds() - cpuBefore) / (CALLERS * EACH);
      return { measured, workedOff: (CALLERS * EACH * 1000) / (systemClock.monotonic() - beforeMs), cpuEach };
    };
    await accepts();
    const runs = await repeat(RUNS, accepts);
    const bare = await bareEnqueues();
    const measured = runs.map((one) => one.measured);
    return [
      summarise(`async: durable 202s of 1 KB, ${CALLERS} callers`, "1/s", ratesOf(measured), median(ratesOf(bare.many))),
      summarise(`async: durable 202s, ${CALLERS} callers, latency`, "ms", latenciesOf(measured), median(latenciesOf(bare.many))),
      summarise(
        "async: accepted and run",
        "1/s",
        runs.map(({ workedOff }) => workedOff),
      ),
      summarise(
        "async: CPU of an event, client and function included",
        "us",
        runs.map(({ cpuEach }) => cpuEach),
      ),
      summarise("async: call to start of the function, 1 caller", "ms", alone, bare.aloneMs),
    ];
  } finally {
    await clients.terminate();
    await server.stop();
  }
}

if (isMainThread && import.meta.main) for (const result of await run()) console.log(describeResult(result));
