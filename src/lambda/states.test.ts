// Pending → Active and InProgress → Successful, also when the store does not answer or somebody else was quicker.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { manualClock } from "../base/manual-clock.ts";
import { memoryStorage } from "../store/memory/memory-storage.ts";
import { StorageError, type Key, type MetaStore } from "../store/storage.ts";
import { backgroundWork } from "./background.ts";
import type { FunctionRecord } from "./model.ts";
import { completeSoon } from "./states.ts";

const KEY = { account: "000000000000", region: "eu-west-1", kind: "lambda.function", id: "f" };
const RECORD = { wanted: { id: "new" }, revisionId: "first", lastModifiedMs: 1, tags: {} } as unknown as FunctionRecord;

function setUp(t: TestContext, over: (meta: MetaStore) => Partial<MetaStore> = () => ({})) {
  const clock = manualClock();
  const storage = memoryStorage({ clock: systemClock });
  t.after(() => storage.close());
  const meta: MetaStore = { ...storage.meta, ...over(storage.meta) };
  const background = backgroundWork({ clock, log: silentLog });
  const read = async () => (await storage.meta.get<FunctionRecord>([KEY]))[0]?.value;
  /** Lets what the timers began go on until it waits for the next one. */
  const advance = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const completed: Key[] = [];
  const deps = { meta, log: silentLog, completed: (key: Key) => void completed.push(key) };
  return { storage, meta, background, read, advance, completed, soon: () => completeSoon(deps, background, KEY) };
}

test("what is wanted becomes what runs, with a new revision", async (t) => {
  const { storage, read, advance, soon, background } = setUp(t);
  await storage.meta.write([{ key: KEY, value: RECORD }]);
  soon();
  assert.equal((await read())?.running, undefined);
  await advance(10);
  const after = await read();
  assert.deepEqual(after?.running, RECORD.wanted);
  assert.notEqual(after?.revisionId, "first");
  soon();
  await advance(10);
  assert.equal((await read())?.revisionId, after?.revisionId, "once is enough");
  await background.stop();
});

test("a store that does not answer is asked again until it does", async (t) => {
  let failures = 4;
  const { storage, read, advance, soon, completed, background } = setUp(t, (meta) => ({
    write: (writes) => (failures-- > 0 ? Promise.reject(new StorageError("Unavailable", "not now")) : meta.write(writes)),
  }));
  await storage.meta.write([{ key: KEY, value: RECORD }]);
  soon();
  for (let count = 0; count < 6; count++) await advance(10_000);
  assert.deepEqual((await read())?.running, RECORD.wanted);
  assert.deepEqual(completed, [KEY], "told when it is done");
  await background.stop();
});

test("a change in between that completes nothing does not leave it pending", async (t) => {
  let changes = 2;
  const { storage, read, advance, soon, background } = setUp(t, (meta) => ({
    get: async (keys) => {
      const found = await meta.get<never>(keys);
      if (changes-- > 0) await meta.write([{ key: KEY, value: { ...RECORD, tags: { a: String(changes) } } }]);
      return found;
    },
  }));
  await storage.meta.write([{ key: KEY, value: RECORD }]);
  soon();
  for (let count = 0; count < 4; count++) await advance(1000);
  assert.deepEqual([(await read())?.running, (await read())?.tags], [RECORD.wanted, { a: "0" }]);
  await background.stop();
});

test("a function that is deleted or changed meanwhile is left alone", async (t) => {
  const { storage, read, advance, soon, background } = setUp(t, (meta) => ({
    get: async (keys) => {
      const found = await meta.get<never>(keys);
      await meta.write([{ key: KEY, value: { ...RECORD, revisionId: "somebody else's" } }]);
      return found;
    },
  }));
  soon();
  await advance(10);
  await storage.meta.write([{ key: KEY, value: RECORD }]);
  soon();
  await advance(10);
  assert.equal((await read())?.revisionId, "somebody else's");
  await background.stop();
});

test("after the stop nothing begins", async (t) => {
  const { storage, read, advance, soon, background } = setUp(t);
  await storage.meta.write([{ key: KEY, value: RECORD }]);
  soon();
  await background.stop();
  soon();
  await advance(1000);
  assert.equal((await read())?.running, undefined);
});
