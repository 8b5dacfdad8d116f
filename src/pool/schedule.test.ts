import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeContext } from "../sandbox/fake.ts";
import { deployment, describe, plane, request } from "./data-plane.fixture.ts";

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

const ACCOUNT_LIMIT = 12;
const RESERVED = new Map([
  ["small", 1],
  ["middle", 4],
  ["off", 0],
]);
const NAMES = ["small", "middle", "off", "free", "loose"];
const KINDS = ["return", "return", "return", "wait", "wait", "throw", "exit", "crash", "memory", "print"];

/** What runs inside the functions, counted there. */
function counters() {
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  const problems: string[] = [];
  const add = (name: string, change: number) => {
    const count = (running.get(name) ?? 0) + change;
    running.set(name, count);
    most.set(name, Math.max(most.get(name) ?? 0, count));
  };
  const busy = new Set<string>();
  const handler = async (event: unknown, { env, sandbox, exit, crash, outOfMemory, print }: FakeContext) => {
    const { kind, key, turns } = event as { kind: string; key: string; turns: number };
    const name = env["AWS_LAMBDA_FUNCTION_NAME"] ?? "";
    if (env["KEY"] !== key) problems.push(`${key} was run by an environment of ${env["KEY"]}`);
    if (busy.has(sandbox.id)) problems.push(`${sandbox.id} runs two invocations`);
    if (sandbox.isFrozen) problems.push(`${sandbox.id} runs while it is frozen`);
    busy.add(sandbox.id);
    for (const counted of [name, "all"]) add(counted, 1);
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    for (const counted of [name, "all"]) add(counted, -1);
    busy.delete(sandbox.id);
    if (kind === "throw") throw new Error("thrown");
    if (kind === "exit") return exit(1);
    if (kind === "crash") return crash();
    if (kind === "memory") return outOfMemory();
    if (kind === "print") print("some output\n");
    return key;
  };
  return { handler, most, problems };
}

let taken = 0;

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
  test(`limits and purity hold under a random schedule (seed ${seed})`, async () => {
    const next = random(seed);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] ?? assert.fail();
    const { handler, most, problems } = counters();
    const environmentsMax = 4 + Math.floor(next() * 12);
    const {
      plane: one,
      host,
      clock,
    } = plane(
      () => handler,
      { accountConcurrency: ACCOUNT_LIMIT, environmentsMax, idleExpiryMs: 50, waitMsMax: 100, preparedMax: seed % 2 === 0 ? 3 : 0 },
      { freeMemory: next },
    );
    for (const [name, limit] of RESERVED) one.reserve(deployment(name), limit);
    const generation = new Map(NAMES.map((name) => [name, 1]));
    const answers: Promise<string>[] = [];
    for (let step = 0; step < 600; step++) {
      const name = pick(NAMES);
      const key = `${name}-${generation.get(name)}`;
      const changes = { key, variables: { KEY: key } };
      const event = { kind: pick(KINDS), key, turns: Math.floor(next() * 6) };
      answers.push(one.invoke(deployment(name, changes), request(event, { wantsLogTail: next() < 0.2 })).then(describe));
      if (next() < 0.03) {
        generation.set(name, (generation.get(name) ?? 0) + 1);
        one.retire([key]);
      }
      if (next() < 0.5) await new Promise(setImmediate);
      if (next() < 0.2) clock.advance(next() * 30);
    }
    const state = { isDone: false };
    const outcomes = Promise.all(answers).finally(() => (state.isDone = true));
    while (!state.isDone) {
      await new Promise(setImmediate);
      clock.advance(10);
    }
    const kinds = new Set((await outcomes).map((outcome) => outcome.split(" ", 2)[0]));
    assert.deepEqual(problems, []);
    assert.ok((most.get("all") ?? 0) <= ACCOUNT_LIMIT);
    for (const [name, limit] of RESERVED) assert.ok((most.get(name) ?? 0) <= limit, name);
    assert.ok(host.ledger().runningMost <= environmentsMax);
    assert.ok(kinds.has("returned") && kinds.has("failed") && kinds.has("throttled"));
    assert.equal(one.concurrency("000000000000", "us-east-1").busy, 0);
    taken += one.prepared().taken;
    await one.stop();
    const { runningNow, frozenNow, started, killed } = host.ledger();
    assert.deepEqual([runningNow, frozenNow, started - killed], [0, 0, 0]);
  });

test("some of that was run in prepared sandboxes", () => {
  assert.ok(taken > 10, `${taken}`);
});
