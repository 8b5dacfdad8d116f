// The TraceStore drivers against their contract; what only one that keeps its data can promise; and the bound of all traces.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { memoryTraces } from "../../src/store/memory/memory-traces.ts";
import { sqliteTraces } from "../../src/store/sqlite/sqlite-traces.ts";
import { documents, NOW, segment, traceStoreContract } from "./trace-store.contract.ts";

const directories: string[] = [];
const makeDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-traces-"));
  directories.push(directory);
  return directory;
};
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

traceStoreContract("memory", () => memoryTraces());
traceStoreContract("sqlite", async () => sqliteTraces({ directory: await makeDirectory() }));

test("what was put is there after a restart, and puts at once are all there", async () => {
  const directory = await makeDirectory();
  const first = sqliteTraces({ directory });
  assert.deepEqual(await Promise.all([1, 2, 3].map((id) => first.put([segment(1, id, NOW)], NOW))), [[], [], []]);
  await first.close();
  const second = sqliteTraces({ directory });
  assert.deepEqual(
    (await documents(second, 1)).map((found) => found.length),
    [3],
  );
  await second.close();
  await assert.rejects(second.put([segment(1, 1, NOW)], NOW), /traces\.db is closed/);
});

test("nothing is made on the disk before there is a trace", async () => {
  const directory = await makeDirectory();
  const store = sqliteTraces({ directory });
  await store.expire(NOW);
  await store.close();
  assert.deepEqual(await readdir(directory), []);
  await assert.rejects(store.put([segment(1, 1, NOW)], NOW), /traces\.db is closed/);
});

test("all traces together take no more than their bytes: the oldest make room", async () => {
  const store = memoryTraces({ bytesMax: 10_000 });
  for (let trace = 1; trace <= 6; trace++) await store.put([segment(trace, 1, NOW, { document: "x".repeat(2000) })], NOW + trace);
  assert.equal((await documents(store, 1, 2)).length, 0);
  assert.equal((await documents(store, 3, 4, 5, 6)).length, 4);
  // One that goes on is not old.
  await store.put([segment(3, 2, NOW)], NOW + 7);
  await store.put([segment(7, 1, NOW, { document: "x".repeat(2000) })], NOW + 8);
  assert.equal((await documents(store, 4)).length, 0);
  assert.equal((await documents(store, 3, 5, 6, 7)).length, 4);
  await store.close();
});
