// Runs the Storage contract over its drivers, and what the one on disk promises of its directory.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { manualClock } from "../../src/base/manual-clock.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import { storageContract } from "./storage.contract.ts";
import { bytes, failsWith, key, message, textOf } from "./storage-values.ts";

const directories: string[] = [];
const makeDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-store-"));
  directories.push(directory);
  return directory;
};
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});
const openIn = (directory: string, clock: Clock = systemClock) => sqliteStorage({ directory, clock, log: silentLog });

storageContract("memory", async (clock) => memoryStorage({ clock }));
storageContract("sqlite", async (clock) => openIn(await makeDirectory(), clock));

test("what was written is there after a restart", async () => {
  const directory = await makeDirectory();
  const clock = manualClock();
  const first = await openIn(directory, clock);
  const [revision = 0] = await first.meta.write([{ key: key("a"), value: "kept" }]);
  await first.queue.enqueue([message("claimed"), message("visible"), { ...message("delayed"), visibleAtMs: clock.now() + 1000 }]);
  const [claimed] = await first.queue.claim("q", 1, 1000);
  await first.journal.append("s", 0, [bytes("one")]);
  await first.timers.set([{ group: "g", id: "t", dueAtMs: clock.now() + 10, body: bytes("timer") }]);
  const [lease] = await first.leases.acquire(["l"], "me", 10);
  await first.capacity.limit("p", 5);
  await first.capacity.draw("p", 3, 1000);
  await first.close();

  clock.advance(100);
  const second = await openIn(directory, clock);
  assert.deepEqual(await second.meta.get([key("a")]), [{ key: key("a"), revision, value: "kept" }]);
  assert.ok(((await second.meta.write([{ key: key("b"), value: 1 }]))[0] ?? 0) > revision);
  assert.deepEqual(await second.queue.depth("q"), { visible: 1, claimed: 1, delayed: 1 });
  await second.queue.acknowledge([claimed?.token ?? ""]);
  assert.equal(textOf((await second.journal.read("s", 0, 9))[0]?.body), "one");
  await assert.rejects(second.journal.append("s", 0, [bytes("again")]), failsWith("Conflict"));
  assert.equal(textOf((await second.timers.claimDue("g", 9, 1000))[0]?.body), "timer");
  assert.ok(((await second.leases.acquire(["l"], "me", 1000))[0]?.epoch ?? 0) > (lease?.epoch ?? 0));
  assert.equal((await second.capacity.draw("p", 9, 1000))?.amount, 2);
  await second.close();
});

test("a clock that was set back between two servers holds nothing up", async () => {
  const directory = await makeDirectory();
  const first = manualClock(Date.UTC(2026, 0, 2));
  const before = await openIn(directory, first);
  await before.queue.enqueue([{ ...message("retry"), visibleAtMs: first.now() + 60_000 }]);
  await before.mailboxes.send([{ mailbox: "m", id: "1", body: bytes("1"), dueAtMs: first.now() + 60_000 }]);
  await before.timers.set([{ group: "g", id: "t", dueAtMs: first.now() + 60_000, body: bytes("t") }]);
  await before.close();
  const clock = manualClock(Date.UTC(2026, 0, 1, 23));
  const storage = await openIn(directory, clock);
  clock.advance(59_999);
  assert.equal((await storage.queue.depth("q")).delayed, 1);
  clock.advance(1);
  assert.equal((await storage.queue.depth("q")).visible, 1);
  assert.equal((await storage.mailboxes.counts("m")).visible, 1);
  assert.equal((await storage.timers.claimDue("g", 9, 1000)).length, 1);
  await storage.close();
});

test("only the server's user may read the store", async () => {
  const directory = join(await makeDirectory(), "made", "by", "us");
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const storage = await openIn(directory);
  await storage.meta.write([{ key: key("a"), value: 1 }]);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
  const names = (await readdir(directory)).toSorted();
  assert.deepEqual(names, ["lock.db", "lock.pid", "store.db", "store.db-shm", "store.db-wal"]);
  for (const name of names) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  await storage.close();
  assert.deepEqual((await readdir(directory)).toSorted(), ["lock.db", "store.db"]);
});

test("a second server on one directory is refused, with the pid of the first, until that one is gone", async () => {
  const directory = await makeDirectory();
  const first = await openIn(directory);
  const refused = (pid: number | undefined) => (error: unknown) =>
    failsWith("Unavailable")(error) && (error as Error).message === `${directory} is in use by another Lambent server (pid ${pid})`;
  await assert.rejects(openIn(directory), refused(process.pid));
  await first.meta.write([{ key: key("a"), value: "the first goes on" }]);
  await first.close();
  const child = spawn(process.execPath, [join(import.meta.dirname, "../support/store-writer.ts"), directory, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  try {
    await once(createInterface({ input: child.stdout }), "line");
    await assert.rejects(openIn(directory), refused(child.pid));
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
  await (await openIn(directory)).close();
});

/** Everything that a reader of the directory could notice. */
async function contentOf(directory: string): Promise<unknown[]> {
  const names = (await readdir(directory)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const hash = createHash("sha256").update(await readFile(path));
      return [name, (await stat(path)).mtimeMs, hash.digest("hex")];
    }),
  );
}

for (const { title, change, refusal } of [
  {
    title: "data of a newer version is refused",
    change: "PRAGMA user_version = 999",
    refusal: /store\.db: the data was written by a newer Lambent \(format 999, this one knows \d+\): use that version/,
  },
  {
    title: "a database that is not Lambent's is refused",
    change: "PRAGMA application_id = 1",
    refusal: /store\.db: it is not a database of Lambent/,
  },
])
  test(`${title}, and nothing is touched`, async () => {
    const directory = await makeDirectory();
    await (await openIn(directory)).close();
    const database = new DatabaseSync(join(directory, "store.db"));
    database.exec(change);
    database.close();
    const before = await contentOf(directory);
    await assert.rejects(openIn(directory), refusal);
    assert.deepEqual(await contentOf(directory), before);
  });

test("newer data that a killed server has left is refused, and its WAL is not touched either", async () => {
  const [directory, left] = [await makeDirectory(), await makeDirectory()];
  const storage = await openIn(directory);
  await storage.meta.write([{ key: key("a"), value: 1 }]);
  for (const name of ["lock.db", "store.db", "store.db-wal"]) await copyFile(join(directory, name), join(left, name));
  await storage.close();
  const file = await open(join(left, "store.db"), "r+");
  const version = Buffer.alloc(4);
  version.writeUInt32BE(999);
  await file.write(version, 0, 4, 60);
  await file.close();
  const before = await contentOf(left);
  await assert.rejects(openIn(left), /written by a newer Lambent \(format 999/);
  assert.deepEqual(await contentOf(left), before);
});

test("a directory that can't be locked for another reason says so", async () => {
  const directory = await makeDirectory();
  await writeFile(join(directory, "lock.db"), "this is not a database".repeat(100));
  await assert.rejects(openIn(directory), /file is not a database/);
});
