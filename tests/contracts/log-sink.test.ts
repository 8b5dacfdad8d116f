// Runs the LogSink contract over its drivers, and what only the one on disk promises.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import { memoryLogSink } from "../../src/store/memory/memory-log-sink.ts";
import { sqliteLogSink } from "../../src/store/sqlite/sqlite-log-sink.ts";
import { logSinkContract } from "./log-sink.contract.ts";

const directories: string[] = [];
const makeDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-logs-"));
  directories.push(directory);
  return directory;
};
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

logSinkContract("memory", async (clock) => memoryLogSink({ clock }));
logSinkContract("sqlite", async (clock: ManualClock) => sqliteLogSink({ directory: await makeDirectory(), clock, log: silentLog }));

test("what was flushed is there after a restart", async () => {
  const options = { directory: await makeDirectory(), clock: manualClock(), log: silentLog };
  const name = { account: "000000000000", region: "us-east-1", group: "g", stream: "s" };
  const first = sqliteLogSink(options);
  first.append(name, [{ timestampMs: 1, message: "kept" }]);
  await first.close();
  const second = sqliteLogSink(options);
  assert.deepEqual(
    (await second.query({ ...name, limit: 9 })).map((event) => event.message),
    ["kept"],
  );
  await second.close();
});

test("more than the buffer holds drops the oldest and says so", async () => {
  const sink = sqliteLogSink({ directory: await makeDirectory(), clock: manualClock(), log: silentLog });
  const name = { account: "000000000000", region: "us-east-1", group: "g", stream: "s" };
  const message = "x".repeat(200_000);
  for (let count = 0; count < 200; count++) sink.append(name, [{ timestampMs: count, message }]);
  const events = await sink.query({ ...name, limit: 1000 });
  const kept = events.filter((event) => event.message === message).length;
  assert.ok(kept < 100, `${kept} events of 200 KB fit into 16 MiB`);
  assert.match(
    events.find((event) => event.message !== message)?.message ?? "",
    new RegExp(`^\\[lambent\\] ${200 - kept} log events were dropped`),
  );
  await sink.close();
});

test("who waits for what was appended does not wait for what comes after it", async () => {
  const sink = sqliteLogSink({ directory: await makeDirectory(), clock: manualClock(), log: silentLog });
  const name = { account: "000000000000", region: "us-east-1", group: "g", stream: "s" };
  // The thread is there, and has its database: from now on a flush takes a transaction.
  sink.append(name, [{ timestampMs: 0, message: "first" }]);
  await sink.flush();
  const endMs = performance.now() + 30_000;
  const hasTime = () => performance.now() < endMs;
  let appended = 2;
  const over = new AbortController();
  const busy = (async () => {
    for (; hasTime() && !over.signal.aborted; appended++) {
      sink.append(name, [{ timestampMs: 2, message: "later" }]);
      await new Promise((resolve) => void setImmediate(resolve));
    }
  })();
  sink.append(name, [{ timestampMs: 1, message: "before" }]);
  await sink.flush();
  const hasEnded = hasTime();
  over.abort();
  await busy;
  const messages = (await sink.query({ ...name, limit: appended + 1 })).map((event) => event.message);
  await sink.close();
  assert.ok(hasEnded, "a flush ends while others append");
  assert.equal(messages.length, appended);
  assert.deepEqual(messages.slice(0, 2), ["first", "before"]);
});
