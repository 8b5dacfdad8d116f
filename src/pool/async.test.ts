import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { silentLog } from "../base/log.ts";
import type { FakeContext, FakeHandler } from "../sandbox/fake.ts";
import { memoryStorage } from "../store/memory/memory-storage.ts";
import { decodeAsyncEvent } from "./async-event.ts";
import { asyncInvocations, type AsyncSettings, type Ending } from "./async.ts";
import type { Deployment } from "./invocation.ts";
import type { DataPlaneLimits } from "./invoke.ts";
import { isRecursive } from "./recursion.ts";
import { deployment, eventually, plane } from "./data-plane.fixture.ts";

const ARN = "arn:aws:lambda:us-east-1:000000000000:function:f";
const SETTINGS: AsyncSettings = { retriesMax: 2, ageMaxMs: 21_600_000 };

interface Options {
  readonly settings?: Partial<AsyncSettings>;
  readonly limits?: Partial<DataPlaneLimits>;
  readonly deployment?: Partial<Deployment>;
  readonly concurrencyMax?: number;
}

/** Events of functions whose name is the queue's, in sandboxes that are a handler; times are milliseconds since the start. */
function start(t: TestContext, handler: FakeHandler, options: Options = {}) {
  const { plane: invoker, clock } = plane(() => handler, options.limits);
  const storage = memoryStorage({ clock });
  const startedMs = clock.now();
  const endings: { ending: Ending; atMs: number }[] = [];
  const control = { isGone: false, unready: 0 };
  const begin = () =>
    asyncInvocations({
      queue: storage.queue,
      invoker,
      clock,
      log: silentLog,
      concurrencyMax: options.concurrencyMax ?? 50,
      watcher: { received() {}, attempted() {}, recursionStopped() {} },
      settingsOf: () => (control.isGone ? undefined : { ...SETTINGS, ...options.settings }),
      isStopped: ({ traceHeader, invokedArn }) => isRecursive(traceHeader, invokedArn),
      deploymentOf({ invokedArn }) {
        if (control.unready-- > 0) return Promise.reject(new Error("the code is not there yet"));
        return Promise.resolve(deployment(invokedArn.split(":")[6] ?? "", { functionArn: invokedArn, ...options.deployment }));
      },
      ended: (ending) => ({ effects: {}, settled: () => void endings.push({ ending, atMs: clock.now() - startedMs }) }),
    });
  let events = begin();
  // The first look at the queue.
  clock.advance(0);
  const stop = async () => {
    events.pause();
    const stopped = invoker.stop();
    clock.advance(60_000);
    await stopped;
    await events.stop();
  };
  t.after(async () => {
    await stop();
    await storage.close();
  });
  /** Second by second, with time for what each of them begins. */
  const until = async (condition: () => boolean, secondsMax = 30_000) => {
    for (let second = 0; second < secondsMax; second++) {
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      if (condition()) return;
      clock.advance(1000);
    }
    assert.fail(`never: ${String(condition)}`);
  };
  return {
    clock,
    storage,
    endings,
    control,
    until,
    sinceStart: () => clock.now() - startedMs,
    accept: (requestId: string, more: { name?: string; traceHeader?: string } = {}) => {
      const { name = "f", ...rest } = more;
      const invokedArn = ARN.replace(/f$/, name);
      return events.accept(name, { requestId, invokedArn, payload: Buffer.from(JSON.stringify({ id: requestId })), ...rest });
    },
    pause: () => events.pause(),
    stop,
    async restart() {
      events.pause();
      await events.stop();
      events = begin();
    },
    depth: (name = "f") => storage.queue.depth(`lambda.async/${name}`),
  };
}

const summary = ({ ending: { condition, runs, event, response, problem }, atMs }: { ending: Ending; atMs: number }) => ({
  condition,
  runs,
  atMs,
  requestId: event.requestId,
  ...(response === undefined ? {} : { response: JSON.parse(Buffer.from(response.payload).toString()) as unknown }),
  ...(problem === undefined ? {} : { problem }),
});

test("an event that is worked off at once ends in success, with the answer", async (t) => {
  const seen: unknown[] = [];
  const one = start(t, (event, { requestId }) => {
    seen.push([event, requestId]);
    return { ok: true };
  });
  await one.accept("r1");
  await eventually(() => one.endings.length === 1);
  assert.deepEqual(one.endings.map(summary), [{ condition: "Success", runs: 1, atMs: 0, requestId: "r1", response: { ok: true } }]);
  assert.deepEqual(seen, [[{ id: "r1" }, "r1"]]);
  assert.deepEqual(await one.depth(), { visible: 0, claimed: 0, delayed: 0 });
});

/** Fails as often as told to; remembers when it was run and under which request id. */
function failing(times: number) {
  const runs: { atMs: number; requestId: string }[] = [];
  const handler =
    (now: () => number) =>
    (_event: unknown, { requestId }: FakeContext) => {
      runs.push({ atMs: now(), requestId });
      if (runs.length <= times) throw new Error(`failure ${runs.length}`);
      return "at last";
    };
  return { runs, handler };
}

test("after errors of the function it is run again after one and two minutes, under the same request id", async (t) => {
  const { runs, handler } = failing(2);
  let now = () => 0;
  const one = start(t, (event, context) => handler(now)(event, context));
  now = one.sinceStart;
  await one.accept("r1");
  await one.until(() => one.endings.length === 1);
  assert.deepEqual(
    runs.map(({ atMs }) => atMs),
    [0, 60_000, 180_000],
  );
  assert.deepEqual(new Set(runs.map(({ requestId }) => requestId)), new Set(["r1"]));
  assert.deepEqual(one.endings.map(summary), [{ condition: "Success", runs: 3, atMs: 180_000, requestId: "r1", response: "at last" }]);
});

for (const { retriesMax, ageMaxMs, condition, atMs, runs } of [
  { retriesMax: 2, ageMaxMs: 21_600_000, condition: "RetriesExhausted", atMs: 180_000, runs: 3 },
  { retriesMax: 1, ageMaxMs: 21_600_000, condition: "RetriesExhausted", atMs: 60_000, runs: 2 },
  { retriesMax: 0, ageMaxMs: 21_600_000, condition: "RetriesExhausted", atMs: 0, runs: 1 },
  // The look-ahead: the third attempt would be at 180 s.
  { retriesMax: 2, ageMaxMs: 120_000, condition: "EventAgeExceeded", atMs: 60_000, runs: 2 },
] as const)
  test(`${retriesMax} retries within ${ageMaxMs / 1000} s: ${condition} after ${runs} runs`, async (t) => {
    const one = start(t, () => assert.fail("always"), { settings: { retriesMax, ageMaxMs } });
    await one.accept("r1");
    await one.until(() => one.endings.length === 1);
    const [ending] = one.endings.map(summary);
    assert.deepEqual([ending?.condition, ending?.atMs, ending?.runs], [condition, atMs, runs]);
    assert.match(JSON.stringify(ending?.response), /always/);
    assert.deepEqual(await one.depth(), { visible: 0, claimed: 0, delayed: 0 });
  });

test("an event of 60 s whose first attempt fails a moment later is over then: the next would come too late", async (t) => {
  let go = () => {};
  const one = start(
    t,
    async () => {
      await new Promise<void>((resolve) => (go = resolve));
      throw new Error("late");
    },
    { settings: { ageMaxMs: 60_000 } },
  );
  await one.accept("r1");
  const before = go;
  await eventually(() => go !== before);
  one.clock.advance(1);
  go();
  await eventually(() => one.endings.length === 1);
  const [ending] = one.endings.map(summary);
  assert.deepEqual([ending?.condition, ending?.runs, ending?.atMs], ["EventAgeExceeded", 1, 1]);
  assert.match(JSON.stringify(ending?.response), /late/);
});

test("an event that is too old before its first attempt ends without a run, and says so", async (t) => {
  const one = start(t, () => assert.fail("never run"), { settings: { ageMaxMs: 60_000 } });
  one.pause();
  await one.accept("r1");
  one.clock.advance(60_001);
  await one.restart();
  await one.until(() => one.endings.length === 1);
  const [ending] = one.endings.map(summary);
  const problem = { status: 429, message: "The event was too old before the function had room for it." };
  assert.deepEqual([ending?.condition, ending?.runs, ending?.problem, ending?.response], ["EventAgeExceeded", 0, problem, undefined]);
});

test("throttles take no attempt away: back-off from 1 s to 5 minutes, until the event is too old", async (t) => {
  const one = start(t, () => assert.fail("throttled"), { limits: { accountConcurrency: 0 } });
  await one.accept("r1");
  await one.until(() => one.endings.length === 1);
  const [ending] = one.endings.map(summary);
  assert.deepEqual(
    [ending?.condition, ending?.runs, ending?.problem, ending?.response],
    ["EventAgeExceeded", 0, { status: 429, message: "Rate Exceeded." }, undefined],
  );
  // 1 + 2 + 4 + … + 256 s = 511 s, then every 300 s: the last attempt whose successor would be too late.
  assert.equal(ending?.atMs, (511 + 300 * Math.floor((21_600 - 511) / 300)) * 1000);
});

test("a system error is tried again after 1, 2 and 4 s, and the function is run once", async (t) => {
  const one = start(t, () => "done");
  one.control.unready = 3;
  await one.accept("r1");
  await one.until(() => one.endings.length === 1);
  assert.deepEqual(one.endings.map(summary), [{ condition: "Success", runs: 1, atMs: 7000, requestId: "r1", response: "done" }]);
});

test("a function whose reserved concurrency is 0 does not run, and its event is over", async (t) => {
  const one = start(t, () => assert.fail("it is off"), { settings: { isSwitchedOff: true } });
  await one.accept("r1");
  await eventually(() => one.endings.length === 1);
  assert.deepEqual(one.endings.map(summary), [
    { condition: "ZeroReservedConcurrency", runs: 0, atMs: 0, requestId: "r1", problem: { status: 429, message: "Rate Exceeded." } },
  ]);
});

test("events of a function that is gone end without a run, and say so", async (t) => {
  const one = start(t, () => assert.fail("there is none"));
  one.control.isGone = true;
  await one.accept("r1");
  await eventually(() => one.endings.length === 1);
  const [ending] = one.endings.map(summary);
  assert.deepEqual([ending?.condition, ending?.runs, ending?.problem?.status], ["FunctionNotFound", 0, 404]);
});

test("the 17th pass through a function in one chain is stopped", async (t) => {
  const headers: string[] = [];
  const one = start(t, (_event, { traceHeader }) => void headers.push(traceHeader));
  await one.accept("first");
  for (let pass = 0; pass < 16; pass++) {
    await eventually(() => headers.length === pass + 1);
    await one.accept(`again ${pass}`, { traceHeader: headers[pass] ?? "" });
  }
  await eventually(() => one.endings.length === 17);
  assert.equal(headers.length, 16);
  assert.deepEqual(
    one.endings.map(({ ending }) => ending.condition).filter((condition) => condition !== "Success"),
    ["RetriesExhausted"],
  );
  assert.equal(one.endings.at(-1)?.ending.problem?.status, 400);
});

test("what waits is worked off after a restart, without a call", async (t) => {
  const runs: string[] = [];
  const one = start(t, (_event, { requestId }) => void runs.push(requestId));
  one.pause();
  for (let n = 0; n < 40; n++) await one.accept(`r${n}`);
  assert.deepEqual(runs, []);
  await one.restart();
  await one.until(() => one.endings.length === 40);
  assert.deepEqual(new Set(runs), new Set(Array.from({ length: 40 }, (_, n) => `r${n}`)));
  assert.equal(runs.length, 40);
});

test("never more at once than may be, and a function with a thousand events keeps no other waiting", async (t) => {
  let [running, most] = [0, 0];
  const order: string[] = [];
  const waiting: (() => void)[] = [];
  const one = start(
    t,
    async (event) => {
      order.push((event as { id: string }).id);
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => waiting.push(resolve));
      running--;
    },
    { concurrencyMax: 4 },
  );
  for (let n = 0; n < 100; n++) await one.accept(`hot ${n}`, { name: "hot" });
  await eventually(() => waiting.length === 4);
  await one.accept("cold", { name: "cold" });
  let released = 0;
  while (!order.includes("cold")) {
    await eventually(() => waiting.length > 0);
    waiting.shift()?.();
    released++;
  }
  assert.ok(released <= 8, `${released} events of the other function came first`);
  for (let ended = released; ended < 101; ended++) {
    await eventually(() => waiting.length > 0);
    waiting.shift()?.();
  }
  await eventually(() => one.endings.length === 101);
  assert.equal(most, 4);
});

test("events that are accepted while others of their function wait come behind them", async (t) => {
  const order: string[] = [];
  const waiting: (() => void)[] = [];
  const one = start(
    t,
    async (_event, { requestId }) => {
      order.push(requestId);
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    { concurrencyMax: 1 },
  );
  const ids = ["0", "1", "2", "3", "4", "5"];
  for (const id of ids.slice(0, 3)) await one.accept(id);
  for (const id of ids.slice(3)) {
    await eventually(() => waiting.length === 1);
    const accepted = one.accept(id);
    waiting.shift()?.();
    await accepted;
  }
  for (let ended = 3; ended < ids.length; ended++) {
    await eventually(() => waiting.length === 1);
    waiting.shift()?.();
  }
  await eventually(() => one.endings.length === ids.length);
  assert.deepEqual(order, ids);
});

test("an event that can't be made durable is not run, and leaves room for others", async (t) => {
  const order: string[] = [];
  const one = start(t, (_event, { requestId }) => void order.push(requestId), { concurrencyMax: 1 });
  // No text of the store has a lone surrogate.
  await assert.rejects(one.accept("\ud800"), /surrogate/);
  await one.accept("taken");
  await eventually(() => one.endings.length === 1);
  assert.deepEqual(order, ["taken"]);
});

test("a claim is kept while the function runs, longer than a claim lasts", async (t) => {
  let go = () => {};
  let runs = 0;
  const one = start(t, async () => {
    runs++;
    await new Promise<void>((resolve) => (go = resolve));
  });
  await one.accept("r1");
  await eventually(() => runs === 1);
  const untilMs = one.sinceStart() + 50_000;
  await one.until(() => one.sinceStart() >= untilMs);
  go();
  await eventually(() => one.endings.length === 1);
  assert.equal(runs, 1);
});

test("a server that stops gives back what it was running, and that takes no attempt away", async (t) => {
  let isRunning = false;
  const one = start(t, (_event, { hang }) => {
    isRunning = true;
    return hang();
  });
  await one.accept("r1");
  await eventually(() => isRunning);
  await one.stop();
  assert.deepEqual(one.endings, []);
  one.clock.advance(1000);
  const [given] = await one.storage.queue.claim("lambda.async/f", 1, 1000);
  assert.equal(decodeAsyncEvent(given?.body ?? new Uint8Array()).failures, 0);
});
