// A hundred thousand invocations against every limit at once: counted inside the functions, no limit is exceeded by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deployment, eventually, plane, request } from "../../src/pool/data-plane.fixture.ts";
import type { FakeContext } from "../../src/sandbox/fake.ts";

const INVOCATIONS = 100_000;
const ACCOUNT_LIMIT = 40;
const RESERVED: Readonly<Record<string, number>> = { one: 1, five: 5, off: 0 };
/** Without a reservation, and within one. */
const PROVISIONED: Readonly<Record<string, number>> = { warm: 4, five: 2 };
const SHARED_LIMIT = ACCOUNT_LIMIT - 6 - 4;
const SHARING = ["free", "loose"];
const NAMES = ["one", "five", "off", "warm", "warm", ...SHARING, ...SHARING];

/** Small, seeded, good enough to vary a schedule (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Counts itself, in the function. */
function counted() {
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const add = (name: string, change: number) => {
    const count = (running.get(name) ?? 0) + change;
    running.set(name, count);
    most.set(name, Math.max(most.get(name) ?? 0, count));
  };
  const handler = async (event: unknown, { env }: FakeContext) => {
    const name = env["AWS_LAMBDA_FUNCTION_NAME"] ?? "";
    const names = ["all", name, ...(SHARING.includes(name) ? ["shared"] : [])];
    for (const one of names) add(one, 1);
    for (let turn = (event as { turns: number }).turns; turn > 0; turn--) await new Promise(setImmediate);
    for (const one of names) add(one, -1);
    return env["AWS_LAMBDA_INITIALIZATION_TYPE"];
  };
  return { handler, most };
}

test("no limit is exceeded by one", async (t) => {
  const { handler, most } = counted();
  const { plane: one, clock } = plane(() => handler, { accountConcurrency: ACCOUNT_LIMIT, environmentsMax: 60 });
  const next = random(7);
  for (const [name, limit] of Object.entries(RESERVED)) one.reserve(deployment(name), limit);
  for (const [name, count] of Object.entries(PROVISIONED)) assert.equal(one.provision(deployment(name), count), true);
  for (const [name, count] of Object.entries(PROVISIONED)) await eventually(() => one.provisioned(`${name}-1`)?.allocated === count);
  const admitted = new Map<string, number[]>();
  const outcomes = new Map<string, number>();
  const flying = new Set<Promise<void>>();
  const invoke = async (name: string, isEvent: boolean) => {
    const nowMs = clock.monotonic();
    const outcome = await one.invoke(deployment(name), request({ turns: Math.floor(next() * 60) }, { isEvent }));
    const kind = outcome.kind === "throttled" ? outcome.reason : outcome.kind;
    outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    if (outcome.kind === "returned" && !isEvent) admitted.set(name, [...(admitted.get(name)?.slice(-500) ?? []), nowMs]);
    checkRate(admitted.get(name) ?? [], name);
  };
  for (let count = 0; count < INVOCATIONS; count++) {
    const name = NAMES[Math.floor(next() * NAMES.length)] ?? "";
    const task = invoke(name, next() < 0.1).finally(() => flying.delete(task));
    flying.add(task);
    if (count % 20 === 0) clock.advance(next() * 40);
    if (count % 4 === 0) await new Promise(setImmediate);
  }
  await Promise.all(flying);
  t.diagnostic(JSON.stringify([Object.fromEntries(most), Object.fromEntries(outcomes)]));
  const limits = { all: ACCOUNT_LIMIT, shared: SHARED_LIMIT, ...RESERVED };
  for (const [name, limit] of Object.entries(limits)) assert.ok((most.get(name) ?? 0) <= limit, `${name}: ${most.get(name)}`);
  assert.deepEqual([most.get("one"), most.get("five"), most.get("all")], [1, 5, ACCOUNT_LIMIT], "and they were reached");
  for (const reason of [
    "ConcurrentInvocationLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
  ])
    assert.ok((outcomes.get(reason) ?? 0) > 0, reason);
  assert.ok((outcomes.get("returned") ?? 0) > INVOCATIONS / 4);
  assert.equal(one.concurrency("000000000000", "us-east-1").busy, 0);
  await one.stop();
});

/** Answers come in another order than invocations; what is provisioned has a rate of its own. */
function checkRate(times: readonly number[], name: string): void {
  const perSecond = 10 * ((RESERVED[name] ?? ACCOUNT_LIMIT) + (PROVISIONED[name] ?? 0));
  const last = times.toSorted((a, b) => a - b).slice(-perSecond - 1);
  const [first = 0] = last;
  if (last.length > perSecond) assert.ok((last.at(-1) ?? 0) - first >= 1000, `${name}: more than ${perSecond} in a second`);
}
