import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeContext, FakeScript } from "../sandbox/fake.ts";
import type { DataPlaneLimits } from "./invoke.ts";
import { deployment, describe, eventually, gate, plane, request } from "./data-plane.fixture.ts";

const TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE";

/** Ends without anything left, and says so. */
function start(t: { after(end: () => Promise<void>): void }, script: FakeScript, limits: Partial<DataPlaneLimits> = {}) {
  const { plane: one, ...rest } = plane(script, limits);
  t.after(async () => {
    await one.stop();
    const { runningNow, frozenNow, started, killed } = rest.host.ledger();
    assert.deepEqual([runningNow, frozenNow, started - killed], [0, 0, 0]);
  });
  const allocated = (key: string) => one.provisioned(key)?.allocated;
  return { one, allocated, ...rest };
}

test("environments are initialised before anybody invokes, and say how", async (t) => {
  const handler = (_event: unknown, { env, sandbox }: FakeContext) => [env[TYPE], sandbox.id];
  const { one, allocated, host, clock, logged } = start(t, () => handler);
  assert.equal(one.provision(deployment("f"), 3), true);
  await eventually(() => allocated("f-1") === 3);
  assert.deepEqual(one.provisioned("f-1"), { requested: 3, allocated: 3, available: 3 });
  clock.advance(1000);
  await eventually(() => host.ledger().frozenNow === 3);
  const lines = logged.flatMap(({ events }) => events.map(({ message }) => message.split(" ", 1)[0]));
  assert.deepEqual(lines, ["INIT_START", "INIT_START", "INIT_START"], "nothing is billed");
  assert.match(describe(await one.invoke(deployment("f"), request())), /"provisioned-concurrency"/);
  assert.equal(host.ledger().started, 3, "the invocation started none");
  assert.match(describe(await one.invoke(deployment("g"), request())), /"on-demand"/);
});

test("what is beyond starts on demand and expires; what is provisioned stays and is taken first", async (t) => {
  const { script, waiting, open } = gate();
  const { one, allocated, host, clock } = start(t, script, { idleExpiryMs: 1000 });
  one.provision(deployment("f"), 1);
  await eventually(() => allocated("f-1") === 1);
  const answers = ["a", "b"].map((name) => one.invoke(deployment("f"), request({ name })));
  await eventually(() => waiting.size === 2);
  assert.deepEqual(one.provisioned("f-1"), { requested: 1, allocated: 1, available: 0 });
  open("a");
  open("b");
  await Promise.all(answers);
  clock.advance(1000);
  await eventually(() => host.ledger().runningNow === 1);
  clock.advance(1_000_000);
  assert.equal(one.provisioned("f-1")?.available, 1);
  assert.equal(describe(await one.invoke(deployment("f"), request())), 'returned "f-1"');
  assert.equal(host.ledger().started, 2);
});

test("fewer, then none: idle ones go at once, a busy one finishes", async (t) => {
  const { script, waiting, open } = gate();
  const { one, allocated, host, clock } = start(t, script, { idleExpiryMs: 1000 });
  one.provision(deployment("f"), 3);
  await eventually(() => allocated("f-1") === 3);
  const answer = one.invoke(deployment("f"), request({ name: "a" }));
  await eventually(() => waiting.size === 1);
  one.provision(deployment("f"), 1);
  await eventually(() => host.ledger().runningNow === 1);
  one.provision(deployment("f"), 0);
  assert.equal(one.provisioned("f-1"), undefined);
  open("a");
  assert.equal(describe(await answer), 'returned "f-1"');
  clock.advance(1000);
  await eventually(() => host.ledger().runningNow === 0);
});

test("one that ends is replaced, after a second", async (t) => {
  const { one, allocated, clock, host } = start(
    t,
    () =>
      (_event, { exit }) =>
        exit(1),
  );
  one.provision(deployment("f"), 2);
  await eventually(() => allocated("f-1") === 2);
  assert.equal(describe(await one.invoke(deployment("f"), request())), "failed exit");
  await eventually(() => host.ledger().runningNow === 1);
  assert.equal(allocated("f-1"), 1);
  clock.advance(1000);
  await eventually(() => allocated("f-1") === 2);
  assert.equal(host.ledger().started, 3);
});

test("an init that fails is told, tried again at growing intervals, and forgotten when it works", async (t) => {
  let isBroken = true;
  let inits = 0;
  const init = () => {
    inits++;
    if (isBroken) throw new Error("not yet");
  };
  const { one, allocated, clock, host } = start(t, () => ({ init, handler: () => "x" }));
  one.provision(deployment("f"), 1);
  for (const [tries, waitMs] of [1000, 2000, 4000].entries()) {
    await eventually(
      () => inits === tries + 1 && one.provisioned("f-1")?.problem?.failures === tries + 1 && host.ledger().runningNow === 0,
    );
    assert.deepEqual(one.provisioned("f-1"), {
      requested: 1,
      allocated: 0,
      available: 0,
      problem: { kind: "init", message: "The function's initialization failed.", failures: tries + 1 },
    });
    clock.advance(waitMs - 1);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    assert.equal(inits, tries + 1);
    if (tries === 2) isBroken = false;
    clock.advance(1);
  }
  await eventually(() => allocated("f-1") === 1);
  assert.equal(one.provisioned("f-1")?.problem, undefined);
});

test("a runtime that is not installed is told", (t) => {
  const { one, host } = start(t, () => () => "x");
  one.provision(deployment("f", { runtime: "python3.13" }), 1);
  assert.match(one.provisioned("f-1")?.problem?.message ?? "", /is not installed/);
  assert.equal(host.ledger().started, 0);
});

test("a tenth of the machine stays for the others, and a refusal changes nothing", async (t) => {
  const { one, allocated } = start(t, () => () => "x", { environmentsMax: 10 });
  assert.equal(one.provision(deployment("f"), 5), true);
  assert.equal(one.provision(deployment("g"), 5), false);
  assert.equal(one.provisioned("g-1"), undefined);
  assert.equal(one.provision(deployment("f"), 10), false);
  assert.equal(one.provision(deployment("f"), 9), true);
  await eventually(() => allocated("f-1") === 9);
  assert.equal(describe(await one.invoke(deployment("g"), request())), 'returned "x"');
  assert.equal(describe(await one.invoke(deployment("h"), request())), 'returned "x"');
  assert.equal(allocated("f-1"), 9, "it made no room");
});

test("a full machine gives up its idle environments for it, not its busy ones", async (t) => {
  const { script, waiting, open } = gate();
  const { one, allocated, host } = start(t, script, { environmentsMax: 4 });
  const answers = ["a", "b", "c", "d"].map((name) => one.invoke(deployment(name), request({ name })));
  await eventually(() => waiting.size === 4);
  one.provision(deployment("f"), 2);
  assert.equal(allocated("f-1"), 0);
  open("a");
  open("b");
  await eventually(() => allocated("f-1") === 2);
  assert.equal(host.ledger().killed, 2);
  open("c");
  open("d");
  await Promise.all(answers);
});

test("no more than two start at once, and deployments take turns", async (t) => {
  const order: string[] = [];
  const go: (() => void)[] = [];
  const init = async ({ env }: { env: Readonly<Record<string, string>> }) => {
    order.push(env["KEY"] ?? "");
    await new Promise<void>((resolve) => go.push(resolve));
  };
  const { one, allocated } = start(t, () => ({ init, handler: () => "x" }));
  one.provision(deployment("f"), 4);
  one.provision(deployment("g"), 2);
  for (let at = 0; at < 6; at++) {
    await eventually(() => go.length > 0);
    assert.ok(go.length <= 2);
    go.shift()?.();
  }
  await eventually(() => allocated("f-1") === 4 && allocated("g-1") === 2);
  assert.ok(order.indexOf("g-1") <= 3, order.join(" "));
});

test("a retired deployment keeps nothing", async (t) => {
  const { one, allocated, host, clock } = start(t, () => () => "x");
  one.provision(deployment("f"), 2);
  await eventually(() => allocated("f-1") === 2);
  one.retire(["f-1"]);
  assert.equal(one.provisioned("f-1"), undefined);
  await eventually(() => host.ledger().runningNow === 0);
  clock.advance(100_000);
  assert.equal(host.ledger().started, 2);
});

test("a stopping server starts no more", async (t) => {
  const { one } = start(t, () => () => "x");
  one.provision(deployment("f"), 5);
  const stopped = one.stop();
  assert.equal(one.provision(deployment("g"), 1), false);
  await stopped;
});

test("one whose credentials become old is replaced ahead of that, and goes when the other is ready", async (t) => {
  const { one, allocated, host, clock } = start(
    t,
    () =>
      (_event, { sandbox }) =>
        sandbox.id,
    { idleExpiryMs: 100_000_000 },
  );
  one.provision(deployment("f"), 2);
  await eventually(() => allocated("f-1") === 2);
  // Credentials are good for an hour, an invocation may take a minute.
  clock.advance(52 * 60_000);
  assert.equal(host.ledger().started, 2);
  clock.advance(2 * 60_000);
  await eventually(() => host.ledger().started === 4 && host.ledger().runningNow === 2);
  assert.deepEqual(one.provisioned("f-1"), { requested: 2, allocated: 2, available: 2 });
  clock.advance(30 * 60_000);
  assert.match(describe(await one.invoke(deployment("f"), request())), /^returned/);
  assert.equal(host.ledger().started, 4, "the invocation started none");
});

test("provisioned concurrency is taken from the function's own, and its others spill over or wait for a second", async (t) => {
  const handler = (_event: unknown, { env }: FakeContext) => env[TYPE];
  const { one, allocated, clock } = start(t, () => handler);
  one.reserve(deployment("f"), 1);
  one.provision(deployment("f", { key: "f-v1" }), 1);
  await eventually(() => allocated("f-v1") === 1);
  const invoke = (key: string) => one.invoke(deployment("f", { key }), request());
  assert.equal(describe(await invoke("f-latest")), "throttled ReservedFunctionConcurrentInvocationLimitExceeded");
  for (let count = 0; count < 10; count++) assert.equal(describe(await invoke("f-v1")), 'returned "provisioned-concurrency"');
  assert.equal(describe(await invoke("f-v1")), "throttled ReservedFunctionInvocationRateLimitExceeded", "too fast for one");
  clock.advance(1000);
  assert.equal(describe(await invoke("f-v1")), 'returned "provisioned-concurrency"');
});
