// Prepared sandboxes: which are kept ready, which give way, and that a cold start is the same with and without them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { DataPlaneDeps, DataPlaneLimits } from "./invoke.ts";
import { deployment, describe, eventually, gate, plane, request } from "./data-plane.fixture.ts";
import type { Deployment } from "./invocation.ts";
import type { RuntimeLayout } from "../runtime/settings.ts";
import type { FakeScript } from "../sandbox/fake.ts";
import { SandboxError, type SandboxHost } from "../sandbox/sandbox.ts";

const KEY: FakeScript =
  () =>
  (_, { env }) =>
    env["KEY"];
const LAYOUT: RuntimeLayout = { argv: ["/var/lang/bin/node"], mounts: [], env: {}, protocol: "framed", version: "24.21.0" };
/** As with Node, each memory size is a kind of its own. */
const runtimes = { resolve: () => ({ ...LAYOUT, argvFor: ({ memoryMiB }: { memoryMiB: number }) => [...LAYOUT.argv, String(memoryMiB)] }) };

const open = (limits: Partial<DataPlaneLimits> = {}, script: FakeScript = KEY, deps: Partial<DataPlaneDeps> = {}) =>
  plane(script, { preparedMax: 4, ...limits }, { freeMemory: () => 1, runtimes, ...deps });

const isReady = ({ plane: one }: ReturnType<typeof open>, count: number) =>
  eventually(() => one.prepared().ready === count, `${count} are ready`);

/** An environment that answers and is gone; then the pool makes what it is going to make. */
async function use(all: ReturnType<typeof open>, memoryMiB: number, count: number): Promise<void> {
  const target = deployment("f", { memoryMiB, key: `k${memoryMiB}` });
  assert.equal(describe(await all.plane.invoke(target, request())), `returned "${target.key}"`);
  all.plane.retire([target.key]);
  all.clock.advance(20);
  await isReady(all, count);
}

const memories = ({ host }: ReturnType<typeof open>) =>
  [...host.sandboxes.values()]
    .filter(({ id }) => id.startsWith("prepared-"))
    .map(({ spec }) => Number(spec.argv.at(-1)))
    .toSorted((a, b) => a - b);

void test("the first cold start is an ordinary one, the next of its kind finds a sandbox, and it is replaced", async () => {
  const all = open();
  assert.equal(describe(await all.plane.invoke(deployment("f"), request())), 'returned "f-1"');
  assert.deepEqual(all.plane.prepared(), { ready: 0, taken: 0 });
  all.clock.advance(20);
  await isReady(all, 2);
  await eventually(() => all.host.ledger().frozenNow === 2, "they are frozen");
  assert.equal(describe(await all.plane.invoke(deployment("g"), request())), 'returned "g-1"');
  assert.deepEqual(all.plane.prepared(), { ready: 1, taken: 1 });
  all.clock.advance(20);
  await isReady(all, 2);
  await all.plane.stop();
  assert.equal(all.host.ledger().runningNow, 0);
});

void test("a function that is expected finds a sandbox at its first cold start", async () => {
  const all = open();
  all.plane.expect(deployment("f"));
  all.plane.expect(deployment("g", { variables: { NODE_OPTIONS: "--use-strict" } }));
  await eventually(() => (all.clock.advance(20), all.plane.prepared().ready === 2));
  assert.equal(describe(await all.plane.invoke(deployment("f"), request())), 'returned "f-1"');
  assert.deepEqual([all.plane.prepared().taken, all.host.ledger().started], [1, 2]);
  await all.plane.stop();
  all.plane.expect(deployment("f"));
  assert.equal(all.host.ledger().runningNow, 0);
});

void test("nothing is made for who asks for nothing, or for what can't be given late", async () => {
  const all = open();
  await all.plane.invoke(deployment("f", { variables: { NODE_OPTIONS: "--use-strict", KEY: "f-1" } }), request());
  all.clock.advance(1000);
  assert.equal(all.host.ledger().started, 1);
  await all.plane.stop();
});

void test("provisioned environments take them too", async () => {
  const all = open();
  await use(all, 128, 2);
  assert.equal(all.plane.provision(deployment("g"), 2), true);
  await eventually(() => all.plane.provisioned("g-1")?.available === 2);
  assert.equal(all.plane.prepared().taken, 2);
  await all.plane.stop();
});

void test("the kinds that were used last are ready; others give way, and nothing goes to and fro", async () => {
  const all = open();
  await use(all, 128, 2);
  await use(all, 256, 4);
  await use(all, 512, 4);
  await eventually(() => String(memories(all)) === "256,256,512,512");
  await use(all, 256, 4);
  const { started } = all.host.ledger();
  all.clock.advance(60_000);
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.deepEqual(memories(all), [256, 256, 512, 512]);
  assert.ok(all.host.ledger().started <= started + 1);
  await all.plane.stop();
});

void test("functions that use the SDK get one that has loaded it, or else any; the others never do", async () => {
  const directory = mkdtempSync(join(tmpdir(), "lambent-pool-sdk-"));
  writeFileSync(join(directory, "app.py"), "import boto3\n");
  const all = open({}, KEY, { runtimes: { resolve: () => ({ ...LAYOUT, sdk: "boto3" }) } });
  const waiting = () =>
    [...all.host.sandboxes.values()]
      .filter(({ id }) => id.startsWith("prepared-"))
      .map(({ loads }) => loads ?? "nothing")
      .toSorted();
  const start = async (changes: Partial<Deployment>) => {
    const target = deployment("f", { key: `k${all.host.ledger().started}`, ...changes });
    assert.equal(describe(await all.plane.invoke(target, request())), `returned "${target.key}"`);
    all.plane.retire([target.key]);
  };
  await start({});
  all.clock.advance(20);
  await eventually(() => String(waiting()) === "nothing,nothing");
  await start({ codeDirectory: directory });
  assert.equal(all.plane.prepared().taken, 1, "any is better than none");
  all.clock.advance(20);
  await eventually(() => String(waiting()) === "boto3,boto3,nothing,nothing");
  await start({ codeDirectory: directory });
  await eventually(() => String(waiting()) === "boto3,nothing,nothing");
  await start({});
  await eventually(() => String(waiting()) === "boto3,nothing");
  await all.plane.stop();
  rmSync(directory, { recursive: true });
});

void test("a kind that nobody uses any more is given up", async () => {
  const all = open({ idleExpiryMs: 100_000 });
  await use(all, 128, 2);
  all.clock.advance(60_000);
  await use(all, 256, 4);
  all.clock.advance(60_000);
  await eventually(() => String(memories(all)) === "256,256");
  all.clock.advance(120_000);
  await eventually(() => all.host.ledger().runningNow === 0);
  await all.plane.stop();
});

void test("a machine without memory to spare keeps none", async () => {
  const state = { free: 1 };
  const all = open({}, KEY, { freeMemory: () => state.free });
  await use(all, 128, 2);
  state.free = 0.09;
  all.clock.advance(30_000);
  await isReady(all, 0);
  await use(all, 128, 0);
  state.free = 1;
  all.clock.advance(30_000);
  await isReady(all, 2);
  await all.plane.stop();
});

void test("they count among the environments, and give way to them", async () => {
  const { script, open: release, waiting } = gate();
  const all = open({ environmentsMax: 3 }, script);
  const first = all.plane.invoke(deployment("a"), request({ name: "a" }));
  await eventually(() => waiting.has("a"));
  all.clock.advance(20);
  await isReady(all, 2);
  const others = ["b", "c"].map((name) => all.plane.invoke(deployment(name, { memoryMiB: 512 }), request({ name })));
  await eventually(() => waiting.has("b") && waiting.has("c"), "both have given way");
  all.clock.advance(5000);
  assert.equal(all.host.ledger().runningMost, 3);
  for (const name of ["a", "b", "c"]) release(name);
  assert.deepEqual((await Promise.all([first, ...others])).map(describe), ['returned "a-1"', 'returned "b-1"', 'returned "c-1"']);
  await all.plane.stop();
  assert.equal(all.host.ledger().runningNow, 0);
});

void test("one that ends is given up, and made again at growing intervals", async () => {
  const all = open();
  await use(all, 128, 2);
  const kill = () => {
    for (const sandbox of all.host.sandboxes.values()) sandbox.end({ signal: "SIGKILL", outOfMemory: false });
  };
  kill();
  await eventually(() => all.host.ledger().runningNow === 0, "they are gone");
  all.clock.advance(999);
  assert.equal(all.host.ledger().started, 3);
  all.clock.advance(1);
  await isReady(all, 2);
  kill();
  await eventually(() => all.host.ledger().runningNow === 0, "they are gone again");
  all.clock.advance(3999);
  assert.equal(all.host.ledger().started, 5);
  await all.plane.stop();
});

void test("one that does not start, or does not boot, is no function's business", async () => {
  const { host, ...rest } = open();
  await rest.plane.stop();
  let started = 0;
  const sandboxes: SandboxHost = {
    ...host,
    start: (spec) => {
      if (spec.isPrepared === true && ++started > 0) return Promise.reject(new SandboxError("no more user ids"));
      return host.start(spec);
    },
  };
  const all = open({}, KEY, { sandboxes });
  assert.equal(describe(await all.plane.invoke(deployment("f"), request())), 'returned "f-1"');
  all.clock.advance(20);
  await eventually(() => started === 1);
  assert.equal(describe(await all.plane.invoke(deployment("g"), request())), 'returned "g-1"');
  all.clock.advance(980);
  assert.equal(started, 1, "not in a hot loop");
  all.clock.advance(20);
  await eventually(() => started === 2);
  await all.plane.stop();
});

void test("one at a time is made, whatever happens to the others meanwhile", async () => {
  const { host } = open();
  const second = Promise.withResolvers<void>();
  let started = 0;
  const sandboxes: SandboxHost = {
    ...host,
    async start(spec) {
      if (spec.isPrepared === true && ++started === 2) await second.promise;
      return await host.start(spec);
    },
  };
  const all = open({}, KEY, { sandboxes });
  await all.plane.invoke(deployment("f"), request());
  all.clock.advance(20);
  await isReady(all, 1);
  await eventually(() => started === 2);
  for (const sandbox of host.sandboxes.values()) if (sandbox.id.startsWith("prepared-")) sandbox.end({ code: 1, outOfMemory: false });
  await isReady(all, 0);
  all.clock.advance(1000);
  assert.equal(started, 2);
  const stopped = all.plane.stop();
  second.resolve();
  await stopped;
  assert.equal(host.ledger().runningNow, 0);
});

void test("what is being made when the server stops is gone as well", async () => {
  const all = open();
  await all.plane.invoke(deployment("f"), request());
  all.clock.advance(20);
  await all.plane.stop();
  assert.equal(all.host.ledger().runningNow, 0);
});
