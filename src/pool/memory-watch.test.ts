// A machine that runs out of memory: what nobody uses goes, also while nothing new starts, and no more of it than has to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog, type Log } from "../base/log.ts";
import { deployment, describe, eventually, gate, plane, request } from "./data-plane.fixture.ts";
import type { DataPlaneLimits } from "./invoke.ts";

const LOOK_MS = 1000;

/** Functions that have been used one after the other, and are idle. */
async function idle(names: readonly string[], limits: Partial<DataPlaneLimits> = {}) {
  const memory = { free: 1, reads: 0 };
  const freeMemory = () => (memory.reads++, memory.free);
  const told: unknown[] = [];
  const log: Log = { ...silentLog, warn: (_, fields) => void told.push(fields?.["sandboxes"]) };
  const { script, open: release, waiting } = gate();
  const all = plane(script, limits, { freeMemory, log });
  const use = async (name: string) => describe(await all.plane.invoke(deployment(name), request()));
  for (const name of names) assert.equal(await use(name), `returned "${name}-1"`);
  const present = () => [...all.host.sandboxes.values()].map(({ spec }) => String(spec.env["KEY"]).slice(0, -2));
  /** The next look, and its consequences. */
  const look = async (free: number, left: number) => {
    memory.free = free;
    all.clock.advance(LOOK_MS);
    await eventually(() => all.host.ledger().runningNow === left, `${left} are left`);
  };
  return { ...all, memory, told, release, waiting, use, present, look };
}

const letters = (count: number) => Array.from({ length: count }, (_, index) => `f${String(index).padStart(2, "0")}`);

test("idle environments go when memory is short, those first that nobody has used for longest, and only as long as it is", async () => {
  const { plane: one, look, use, present, memory } = await idle(letters(20));
  await use("f00");
  await look(0.06, 20);
  await look(0.04, 12);
  assert.deepEqual(present().toSorted(), ["f00", ...letters(20).slice(9)]);
  // What is short goes on until there is a little more than that.
  await look(0.06, 4);
  await look(0.08, 4);
  await look(0.06, 4);
  assert.deepEqual(present().toSorted(), ["f00", "f17", "f18", "f19"]);
  assert.equal(one.total().evicted, 16);
  await look(0.01, 0);
  const { reads } = memory;
  await look(0.01, 0);
  assert.equal(memory.reads, reads, "nothing is read where there is nothing to give up");
  assert.equal(await use("f00"), 'returned "f00-1"');
  await one.stop();
});

test("what runs goes on, and what is provisioned stays", async () => {
  const { plane: one, look, use, present, waiting, release, host } = await idle(["a"]);
  one.provision(deployment("kept"), 2);
  await eventually(() => one.provisioned("kept-1")?.available === 2);
  const running = one.invoke(deployment("busy"), request({ name: "busy" }));
  await eventually(() => waiting.has("busy"));
  await look(0.01, 3);
  assert.deepEqual(present().toSorted(), ["busy", "kept", "kept"]);
  release("busy");
  assert.equal(describe(await running), 'returned "busy-1"');
  await look(0.01, 2);
  assert.equal(await use("kept"), 'returned "kept-1"');
  assert.equal(host.ledger().started, 4);
  await one.stop();
});

test("prepared sandboxes go first, and none is made until there is memory to spare", async () => {
  const { plane: one, clock, look, told, host } = await idle(letters(9), { preparedMax: 2 });
  await eventually(() => (clock.advance(20), one.prepared().ready === 2 && host.ledger().runningNow === 11));
  await look(0.04, 3);
  assert.equal(one.prepared().ready, 0);
  await look(0.09, 3);
  assert.deepEqual(told, [8]);
  await one.stop();
  assert.equal(host.ledger().runningNow, 0);
});
