import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SandboxError } from "../sandbox/sandbox.ts";
import { ACCOUNT, deployment, describe, eventually, gate, plane, REGION, request } from "./data-plane.fixture.ts";

test("an invocation is answered, and its log goes to the function's group", async () => {
  const { plane: one, host, logged } = plane(() => (event) => event);
  assert.equal(describe(await one.invoke(deployment("f"), request({ a: 1 }))), 'returned {"a":1}');
  assert.deepEqual(one.concurrency(ACCOUNT, REGION), { busy: 0, environments: 1 });
  await eventually(() => logged.some(({ events }) => events.some(({ message }) => message.startsWith("REPORT"))));
  assert.ok(logged.every(({ name }) => name.account === ACCOUNT && name.region === REGION && name.group === "/aws/lambda/f"));
  assert.equal(new Set(logged.map(({ name }) => name.stream)).size, 1);
  await one.stop();
  assert.equal(host.ledger().runningNow, 0);
});

const UNAVAILABLE = [
  { name: "an unknown runtime", runtime: "cobol68", message: "There is no runtime cobol68." },
  {
    name: "a runtime that is not installed",
    runtime: "python3.13",
    message: "Runtime python3.13 is not installed: run  lambent runtime install python3.13",
  },
];
for (const { name, runtime, message } of UNAVAILABLE)
  test(`${name} is told, and takes nothing`, async () => {
    const { plane: one, host } = plane(() => () => "x");
    const outcome = await one.invoke(deployment("f", { runtime }), request());
    assert.deepEqual(outcome, { kind: "unavailable", code: "runtime-not-installed", message });
    assert.equal(host.ledger().started, 0);
  });

test("a sandbox that cannot be made is told, and leaves no room taken", async () => {
  let isBroken = true;
  const script = () => {
    if (isBroken) throw new SandboxError("no control groups");
    return () => "x";
  };
  const { plane: one } = plane(script, { environmentsMax: 1 });
  assert.equal(describe(await one.invoke(deployment("f"), request())), "unavailable sandbox-failed");
  isBroken = false;
  await eventually(() => one.concurrency(ACCOUNT, REGION).environments === 0);
  assert.equal(describe(await one.invoke(deployment("f"), request())), 'returned "x"');
  await one.stop();
});

test("what the source of credentials says about a role is what the caller hears", async () => {
  const { plane: one } = plane(
    () => () => "x",
    { environmentsMax: 1 },
    { credentials: () => Promise.reject(new RangeError("no such role")) },
  );
  for (let at = 0; at < 3; at++) await assert.rejects(one.invoke(deployment("f"), request()), /no such role/);
  assert.equal(one.concurrency(ACCOUNT, REGION).busy, 0);
  await eventually(() => one.concurrency(ACCOUNT, REGION).environments === 0);
  await one.stop();
});

test("limits of concurrency are told with their reason", async () => {
  const { script, open, waiting } = gate();
  const { plane: one } = plane(script, { accountConcurrency: 2 });
  const reserved = deployment("reserved");
  one.reserve(reserved, 1);
  const running = [one.invoke(reserved, request({ name: "1" })), one.invoke(deployment("free"), request({ name: "2" }))];
  await eventually(() => waiting.size === 2);
  assert.equal(describe(await one.invoke(reserved, request())), "throttled ReservedFunctionConcurrentInvocationLimitExceeded");
  assert.equal(describe(await one.invoke(deployment("free"), request())), "throttled ConcurrentInvocationLimitExceeded");
  assert.deepEqual(one.concurrency(ACCOUNT, REGION), { busy: 2, environments: 2 });
  open("1");
  open("2");
  assert.deepEqual((await Promise.all(running)).map(describe), ['returned "reserved-1"', 'returned "free-1"']);
  assert.equal(describe(await one.invoke(reserved, request())), 'returned "reserved-1"');
  await one.stop();
});

test("as many environments as invocations at once, and the newest one is used again", async () => {
  const { script, open, waiting } = gate();
  const { plane: one, host, clock } = plane(script, { idleExpiryMs: 1000 });
  const both = [one.invoke(deployment("f"), request({ name: "1" })), one.invoke(deployment("f"), request({ name: "2" }))];
  await eventually(() => waiting.size === 2);
  open("1");
  await both[0];
  open("2");
  await both[1];
  assert.equal(host.ledger().started, 2);
  for (let at = 0; at < 5; at++) {
    clock.advance(300);
    await one.invoke(deployment("f"), request());
  }
  await eventually(() => host.ledger().runningNow === 1, "the one that nobody needs expires");
  assert.equal(host.ledger().started, 2);
  clock.advance(999);
  assert.equal(host.ledger().runningNow, 1);
  clock.advance(1001);
  await eventually(() => one.concurrency(ACCOUNT, REGION).environments === 0);
  assert.equal(host.ledger().runningNow, 0);
  await one.stop();
});

test("where there is no room, the environment that is idle for longest makes some, whosever it is", async () => {
  const { plane: one, host } = plane(gate().script, { environmentsMax: 2 });
  for (const name of ["a", "b", "c"]) await one.invoke(deployment(name), request());
  const left = [...host.sandboxes.values()].map(({ spec }) => spec.env["KEY"]);
  assert.deepEqual(left, ["b-1", "c-1"]);
  assert.equal(host.ledger().runningMost, 2);
  await one.stop();
});

test("where all are busy, invocations wait for a while, and then are told so", async () => {
  const { script, open, waiting } = gate();
  const { plane: one, host, clock } = plane(script, { environmentsMax: 1, waitersMax: 2, waitMsMax: 1000 });
  const first = one.invoke(deployment("a"), request({ name: "1" }));
  await eventually(() => waiting.size === 1);
  const aborted = new AbortController();
  const queued = [one.invoke(deployment("a"), request({})), one.invoke(deployment("b"), request({}, { signal: aborted.signal }))];
  assert.equal(describe(await one.invoke(deployment("c"), request())), "unavailable overloaded", "the queue is full");
  aborted.abort();
  assert.equal(describe(await (queued[1] ?? assert.fail())), "unavailable overloaded");
  const inTime = one.invoke(deployment("b"), request());
  open("1");
  assert.deepEqual((await Promise.all([first, queued[0] ?? assert.fail(), inTime])).map(describe), [
    'returned "a-1"',
    'returned "a-1"',
    'returned "b-1"',
  ]);
  const blocking = one.invoke(deployment("b"), request({ name: "2" }));
  await eventually(() => waiting.size === 1);
  const late = one.invoke(deployment("a"), request());
  await new Promise(setImmediate);
  clock.advance(1000);
  assert.equal(describe(await late), "unavailable overloaded");
  open("2");
  await blocking;
  assert.equal(host.ledger().runningMost, 1);
  await one.stop();
  assert.equal(host.ledger().runningNow, 0);
});

test("who has many waiting does not keep others from their turn", async () => {
  const { script, open, waiting } = gate();
  const { plane: one } = plane(script, { environmentsMax: 1 });
  const order: string[] = [];
  const first = one.invoke(deployment("a"), request({ name: "first" }));
  await eventually(() => waiting.size === 1);
  const invoke = async (name: string) => void order.push(describe(await one.invoke(deployment(name), request())));
  const all = [...Array.from({ length: 5 }, () => invoke("a")), invoke("b")];
  open("first");
  await Promise.all([first, ...all]);
  assert.ok(order.indexOf('returned "b-1"') <= 2, order.join());
  await one.stop();
});

test("retired environments: idle ones go at once, busy ones when they are done, and new ones see the new deployment", async () => {
  const { script, open, waiting } = gate();
  const { plane: one, host } = plane(script);
  const old = deployment("f", { key: "old" });
  const busy = [one.invoke(old, request({ name: "1" })), one.invoke(old, request({ name: "2" }))];
  await eventually(() => waiting.size === 2);
  open("1");
  await busy[0];
  const other = one.invoke(deployment("other"), request());
  one.retire(["old", "unknown"]);
  await eventually(() => host.ledger().runningNow === 2);
  assert.equal(describe(await one.invoke(deployment("f", { key: "new" }), request())), 'returned "new"');
  open("2");
  assert.equal(describe(await (busy[1] ?? assert.fail())), 'returned "old"');
  await other;
  await eventually(() => ![...host.sandboxes.values()].some(({ spec }) => spec.env["KEY"] === "old"));
  assert.equal(host.ledger().runningNow, 2);
  await one.stop();
});

test("a deployment that is retired while its environment starts still serves the invocation, once", async () => {
  const start = Promise.withResolvers<void>();
  const { plane: one, host } = plane(async () => {
    await start.promise;
    return () => "x";
  });
  const answer = one.invoke(deployment("f"), request());
  await new Promise(setImmediate);
  one.retire(["f-1"]);
  start.resolve();
  assert.equal(describe(await answer), 'returned "x"');
  await eventually(() => host.ledger().started === 1 && host.ledger().runningNow === 0);
  await one.stop();
});

test("a function whose init fails is initialised once for each invocation after the first, until it works", async () => {
  let inits = 0;
  let isBroken = true;
  const init = () => {
    inits++;
    if (isBroken) throw new Error("bad");
  };
  const { plane: one } = plane(() => ({ init, handler: () => "well" }));
  const counts: number[] = [];
  for (let at = 0; at < 3; at++) {
    assert.equal(describe(await one.invoke(deployment("f"), request())), "failed init");
    counts.push(inits);
  }
  assert.deepEqual(counts, [2, 3, 4]);
  isBroken = false;
  assert.equal(describe(await one.invoke(deployment("f"), request())), 'returned "well"');
  assert.equal(describe(await one.invoke(deployment("f"), request())), 'returned "well"');
  assert.equal(inits, 5);
  await one.stop();
});

test("an environment whose credentials run out is replaced in time", async () => {
  const { plane: one, host, clock } = plane(() => () => "x", { idleExpiryMs: 10_000_000 });
  await one.invoke(deployment("f"), request());
  clock.advance(3_600_000 - 121_000);
  await one.invoke(deployment("f"), request());
  assert.equal(host.ledger().started, 1);
  clock.advance(2000);
  await one.invoke(deployment("f"), request());
  assert.equal(host.ledger().started, 2);
  await eventually(() => host.ledger().runningNow === 1);
  await one.stop();
});

test("a stop refuses new invocations, lets running ones end, and then ends them", async () => {
  const { script, open, waiting } = gate();
  const { plane: one, host, clock } = plane(script, { environmentsMax: 2, stopGraceMs: 1000 });
  const quick = one.invoke(deployment("f"), request({ name: "quick" }));
  const slow = one.invoke(deployment("f"), request({ name: "slow" }));
  await eventually(() => waiting.size === 2);
  const queued = one.invoke(deployment("g"), request());
  await new Promise(setImmediate);
  const stopped = one.stop();
  assert.equal(stopped, one.stop());
  assert.equal(describe(await queued), "unavailable stopping");
  assert.equal(describe(await one.invoke(deployment("f"), request())), "unavailable stopping");
  open("quick");
  assert.equal(describe(await quick), 'returned "f-1"');
  assert.equal(host.ledger().killed <= 1, true);
  clock.advance(1000);
  assert.equal(describe(await slow), "unavailable stopping");
  await stopped;
  assert.equal(host.ledger().runningNow, 0);
});

test("a stop with nothing to wait for does not wait", async () => {
  const { script, open, waiting } = gate();
  const { plane: one, host } = plane(script);
  const answer = one.invoke(deployment("f"), request({ name: "1" }));
  await eventually(() => waiting.size === 1);
  const stopped = one.stop();
  open("1");
  await Promise.all([answer, stopped]);
  assert.equal(host.ledger().runningNow, 0);
});

test("ten thousand warm invocations leave nothing behind in memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { plane: one, host } = plane(() => (event) => event, {}, { logs: { append: () => undefined } });
  const payload = { padding: "x".repeat(1000) };
  const round = async (count: number) => {
    for (let at = 0; at < count; at++) await one.invoke(deployment("f"), request(payload));
    await new Promise(setImmediate);
    collect();
    return process.memoryUsage().heapUsed;
  };
  await round(2000);
  const before = await round(500);
  const after = await round(10_000);
  assert.ok(after - before < 2 ** 20, `${after - before} bytes more`);
  assert.equal(host.ledger().started, 1);
  await one.stop();
});

test("a function starts a thousand environments at once, and then a hundred a second", async () => {
  // Its whole sandbox goes: after an exit the next invocation would have the same environment.
  const { plane: one, clock } = plane(
    () =>
      (_event, { sandbox, hang }) => (void sandbox.kill(), hang()),
  );
  for (let count = 0; count < 1000; count++) assert.equal(describe(await one.invoke(deployment("f"), request())), "failed exit");
  const outcome = await one.invoke(deployment("f"), request());
  assert.deepEqual(outcome, { kind: "throttled", reason: "ConcurrentInvocationLimitExceeded", retryAfterSeconds: 1 });
  assert.equal(describe(await one.invoke(deployment("g"), request())), "failed exit");
  clock.advance(10);
  assert.equal(describe(await one.invoke(deployment("f"), request())), "failed exit");
  assert.equal(describe(await one.invoke(deployment("f"), request())), "throttled ConcurrentInvocationLimitExceeded");
  await one.stop();
});

test("the init phase has two CPUs, the handler its share", async () => {
  const seen: number[] = [];
  const { plane: one } = plane(() => ({
    init: ({ sandbox }) => void seen.push(sandbox.cpuMillis),
    handler: (_event, { sandbox }) => void seen.push(sandbox.cpuMillis),
  }));
  await one.invoke(deployment("f", { memoryMiB: 1769 }), request());
  await one.invoke(deployment("g", { memoryMiB: 10_240 }), request());
  assert.deepEqual(seen, [2000, 1000, 5788, 5788]);
  await one.stop();
});
