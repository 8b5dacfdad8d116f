import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { silentLog } from "../base/log.ts";
import { manualClock } from "../base/manual-clock.ts";
import { memoryStorage } from "./memory/memory-storage.ts";
import { StorageError, type ClaimedTimer } from "./storage.ts";
import { TimerWorkers, type Firing } from "./timer-workers.ts";

/** Nothing here waits for a disk. */
const turn = () => new Promise((resolve) => void setImmediate(resolve));
const GROUP = "g";

function setUp(t: TestContext, fire: (timer: ClaimedTimer) => Firing | Promise<Firing>) {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const workers = new TimerWorkers({ timers: storage.timers, clock, log: silentLog, group: GROUP, fire });
  t.after(async () => {
    await workers.stop();
    await storage.close();
  });
  const at = (id: string, afterMs: number) => ({ group: GROUP, id, dueAtMs: clock.now() + afterMs, body: Buffer.from(id) });
  const pass = async (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 1000) {
      clock.advance(Math.min(1000, ms - passedMs));
      await turn();
    }
  };
  return { clock, storage, workers, at, pass };
}

test("timers fire when they are due, and set themselves again in the same transaction", async (t) => {
  const fired: string[] = [];
  const { storage, at, pass } = setUp(t, ({ id }) => {
    fired.push(id);
    return { effects: { timers: id === "again" ? [at("again", 5000)] : [] }, settled: () => fired.push(`${id} settled`) };
  });
  await storage.timers.set([at("once", 2000), at("again", 3000)]);
  await pass(1000);
  assert.deepEqual(fired, []);
  await pass(8000);
  assert.deepEqual(fired, ["once", "once settled", "again", "again settled", "again", "again settled"]);
});

test("many at once are all fired", async (t) => {
  const fired = new Set<string>();
  const { storage, at, pass } = setUp(t, ({ id }) => {
    fired.add(id);
    return { effects: {} };
  });
  await storage.timers.set(Array.from({ length: 350 }, (_, index) => at(String(index), 0)));
  await pass(2000);
  assert.equal(fired.size, 350);
});

test("what was read and is no longer so is read again; a bug comes again later", async (t) => {
  const key = { account: "a", region: "r", kind: "k", id: "i" };
  let tries = 0;
  const { storage, at, pass, clock } = setUp(t, async ({ id }) => {
    tries++;
    if (id === "bug" && tries < 3) throw new TypeError("bug");
    if (id === "late" && tries === 1) await storage.meta.write([{ key, value: 2 }]);
    const [entry] = await storage.meta.get([key]);
    return { effects: { writes: [{ key, value: 3, expect: tries === 1 ? 1 : (entry?.revision ?? 0) }] } };
  });
  await storage.meta.write([{ key, value: 1 }]);
  await storage.timers.set([at("late", 0)]);
  await pass(1000);
  assert.equal(tries, 2);
  tries = 0;
  await storage.timers.set([at("bug", 0)]);
  await pass(20_000);
  assert.equal(tries, 2, "once more after its claim has run out");
  await pass(20_000);
  assert.equal(tries, 3);
  assert.equal(clock.now() % 1000, 0);
});

test("a timer that was replaced meanwhile stays replaced, and a store that fails is asked again", async (t) => {
  const fired: string[] = [];
  const { storage, at, pass } = setUp(t, async ({ body }) => {
    const text = Buffer.from(body).toString();
    fired.push(text);
    if (text === "x") await storage.timers.set([{ ...at("x", 5000), body: Buffer.from("new") }]);
    return { effects: {} };
  });
  await storage.timers.set([at("x", 0)]);
  await pass(1000);
  await pass(6000);
  assert.deepEqual(fired, ["x", "new"]);
  const claimDue = storage.timers.claimDue.bind(storage.timers);
  let failures = 2;
  storage.timers.claimDue = async (...words) => {
    if (failures-- > 0) throw new StorageError("Unavailable", "no");
    return await claimDue(...words);
  };
  await storage.timers.set([at("y", 0)]);
  await pass(5000);
  assert.deepEqual(fired, ["x", "new", "y"]);
});
