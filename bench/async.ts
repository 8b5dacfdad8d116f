// Asynchronous invocations: durable 202s per second while events wait and while they are worked off, against bare enqueues in the same run;
// and the time from the call to the start of the function when nothing else happens. Functions answer at once (or, while events are to wait,
// not at all), so that what is measured is the way to them; the callers are a process of their own with requests that are signed beforehand.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { timeOrderedId } from "../src/base/id.ts";
import { silentLog } from "../src/base/log.ts";
import { fakeSandboxHost } from "../src/sandbox/fake.ts";
import { sqliteStorage } from "../src/store/sqlite/sqlite-storage.ts";
import { measure, startCallers, type Demand, type Measured } from "./support/callers.ts";
import { cpuMicroseconds, describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";
import { startBenchServer } from "./support/server.ts";
import { rawConnection, wireText } from "./support/raw-connection.ts";
import { signedInvoke } from "./support/signed-requests.ts";

const CALLERS = 64;
const RUNS = 7;
/** Until the compiler is done. */
const WARM_UPS = 5;
const ALONE = 300;
const MANY: Demand = { callers: CALLERS, each: 60 };
const EVENTS = MANY.callers * MANY.each;
/** Less than what is accepted and run at most: latencies are those of a server that is busy, and not of one that can't follow. */
const OFFERED = { ...MANY, perSecond: 2000 } as const;
const EVENT = JSON.stringify({ text: "x".repeat(1000) });

async function bareEnqueues(): Promise<{ many: Measured[]; offeredMs: number; aloneMs: number }> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
  const body = Buffer.from(EVENT);
  const enqueue = () => storage.queue.enqueue([{ queue: "q", id: timeOrderedId(systemClock.now()), body }]);
  await measure(MANY, enqueue);
  const many = await repeat(RUNS, () => measure(MANY, enqueue));
  const { latenciesMs: offeredMs } = await measure(OFFERED, enqueue);
  const { latenciesMs } = await measure({ callers: 1, each: ALONE }, enqueue);
  await storage.close();
  await rm(directory, { recursive: true });
  return { many, offeredMs: median(offeredMs), aloneMs: median(latenciesMs) };
}

const ratesOf = (runs: readonly Measured[]) => runs.map(({ perSecond }) => perSecond);
const latenciesOf = (runs: readonly Measured[]) => runs.flatMap(({ latenciesMs }) => latenciesMs);

export async function run(): Promise<Result[]> {
  let started = 0;
  let begun: () => void = () => undefined;
  let mayAnswer: Promise<void> = Promise.resolve();
  const sandboxes = fakeSandboxHost(() => async () => {
    started++;
    begun();
    await mayAnswer;
    return "null";
  });
  const server = await startBenchServer({ sandboxes });
  const callers = startCallers();
  try {
    await server.make("f", "nodejs24.x", "index.handler", { "index.mjs": "" });
    const prepared = await signedInvoke(server.endpoint, server.keys, "f", EVENT, "Event");
    const [port, request] = [Number(prepared.url.port), wireText(prepared)];
    const connection = await rawConnection(port);
    /** Milliseconds from the call to the start of the function. */
    const oneMs = async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      begun = resolve;
      const beforeMs = systemClock.monotonic();
      const [, startMs] = await Promise.all([connection.call(request), promise.then(() => systemClock.monotonic())]);
      return startMs - beforeMs;
    };
    await repeat(ALONE, oneMs);
    const alone = await repeat(ALONE, oneMs);
    connection.close();
    const accepts = async (demand: Demand, waits: boolean) => {
      const { promise: accepted, resolve: goOn } = Promise.withResolvers<void>();
      mayAnswer = waits ? accepted : Promise.resolve();
      const wanted = started + EVENTS;
      const cpuBefore = cpuMicroseconds();
      const beforeMs = systemClock.monotonic();
      const { promise, resolve } = Promise.withResolvers<void>();
      begun = () => started === wanted && resolve();
      const measured = await callers.load({ port, request, ...demand });
      goOn();
      await promise;
      const cpuEach = (cpuMicroseconds() - cpuBefore) / EVENTS;
      return { measured, workedOff: (EVENTS * 1000) / (systemClock.monotonic() - beforeMs), cpuEach };
    };
    await repeat(WARM_UPS, () => accepts(MANY, false));
    const runs = await repeat(RUNS, () => accepts(MANY, false));
    const waiting = (await repeat(RUNS, () => accepts(MANY, true))).map((one) => one.measured);
    const offered = (await accepts(OFFERED, false)).measured;
    const bare = await bareEnqueues();
    const measured = runs.map((one) => one.measured);
    return [
      summarise(`async: durable 202s of 1 KB, ${CALLERS} callers`, "1/s", ratesOf(measured), median(ratesOf(bare.many))),
      summarise(`async: durable 202s, ${CALLERS} callers, latency`, "ms", latenciesOf(measured), median(latenciesOf(bare.many))),
      summarise("async: durable 202s of events that wait", "1/s", ratesOf(waiting), median(ratesOf(bare.many))),
      summarise("async: durable 202s of events that wait, latency", "ms", latenciesOf(waiting), median(latenciesOf(bare.many))),
      summarise(`async: durable 202s, ${OFFERED.perSecond}/s offered, latency`, "ms", offered.latenciesMs, bare.offeredMs),
      summarise(
        "async: accepted and run",
        "1/s",
        runs.map(({ workedOff }) => workedOff),
      ),
      summarise(
        "async: CPU of an event, function included",
        "us",
        runs.map(({ cpuEach }) => cpuEach),
      ),
      summarise("async: call to start of the function, 1 caller", "ms", alone, bare.aloneMs),
    ];
  } finally {
    callers.stop();
    await server.stop();
  }
}

if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
