// Prepared sandboxes: which are kept ready, which give way, and that a cold start is the same with and without them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DataPlaneDeps, DataPlaneLimits } from "./invoke.ts";
import { deployment, describe, eventually, gate, plane, request } from "./data-plane.fixture.ts";
import type { FakeScript } from "../sandbox/fake.ts";

const KEY: FakeScript =
  () =>
  (_, { env }) =>
    env["KEY"];

const open = (limits: Partial<DataPlaneLimits> = {}, script: FakeScript = KEY, deps: Partial<DataPlaneDeps> = {}) =>
  plane(script, { preparedMax: 4, ...limits }, { hasMemory: () => true, ...deps });

/** Lets the pool make what it is going to make. */
async function ready({ plane: one, clock }: ReturnType<typeof open>, count: number): Promise<void> {
  clock.advance(20);
  await eventually(() => one.prepared().ready === count, `${count} are ready`);
}

const memory = (memoryMiB: number) => ({ memoryMiB, key: `k${memoryMiB}` });

void test("the first cold start is an ordinary one, the next of its kind finds a sandbox, and it is replaced", async () => {
  const { plane: one, host } = { ...open() };
  const all = open();
  assert.equal(describe(await all.plane.invoke(deployment("f"), request())), 'returned "f-1"');
  assert.deepEqual(all.plane.prepared(), { ready: 0, taken: 0 });
  await ready(all, 2);
  assert.equal(all.host.ledger().frozenNow, 2);
  assert.equal(describe(await all.plane.invoke(deployment("g"), request())), 'returned "g-1"');
  assert.deepEqual(all.plane.prepared(), { ready: 1, taken: 1 });
  await ready(all, 2);
  await all.plane.stop();
  assert.equal(all.host.ledger().runningNow, 0);
  await one.stop();
  assert.equal(host.ledger().started, 0, "nothing is made for kinds that nobody uses");
});

void test("provisioned environments take them too", async () => {
  const all = open();
  await all.plane.invoke(deployment("f"), request());
  await ready(all, 2);
  assert.equal(all.plane.provision(deployment("g"), 2), true);
  await eventually(() => all.plane.provisioned("g-1")?.available === 2);
  assert.equal(all.plane.prepared().taken, 2);
  await all.plane.stop();
});
