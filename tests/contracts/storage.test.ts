// Runs the Storage contract over its drivers, and what only the one on disk promises.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import { storageContract } from "./storage.contract.ts";

const directories: string[] = [];
const makeDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-store-"));
  directories.push(directory);
  return directory;
};
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});
const openIn = (directory: string) => sqliteStorage({ directory, clock: systemClock, log: silentLog });
const key = (id: string) => ({ account: "000000000000", region: "us-east-1", kind: "thing", id });

storageContract("memory", async (clock) => memoryStorage({ clock }));
storageContract("sqlite", async (clock) => sqliteStorage({ directory: await makeDirectory(), clock, log: silentLog }));

test("what was written is there after a restart, and epochs go on rising", async () => {
  const directory = await makeDirectory();
  const first = await openIn(directory);
  await first.meta.write([{ key: key("a"), value: "kept" }]);
  const [lease] = await first.leases.acquire(["l"], "me", 1);
  await first.close();
  const second = await openIn(directory);
  assert.equal((await second.meta.get([key("a")]))[0]?.value, "kept");
  assert.equal((await second.leases.acquire(["l"], "me", 1000))[0]?.epoch, (lease?.epoch ?? 0) + 1);
  await second.close();
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
});

test("a second server on one directory is refused, with the pid of the first", async () => {
  const directory = await makeDirectory();
  const first = await openIn(directory);
  await assert.rejects(openIn(directory), new RegExp(`${directory} is in use by another Lambent server \\(pid ${process.pid}\\)`));
  await first.close();
  await (await openIn(directory)).close();
});

test("data of a newer version is refused and not touched", async () => {
  const directory = await makeDirectory();
  await (await openIn(directory)).close();
  const database = new DatabaseSync(join(directory, "store.db"));
  database.exec("PRAGMA user_version = 999");
  database.close();
  const before = await readFile(join(directory, "store.db"));
  await assert.rejects(openIn(directory), /written by a newer Lambent \(format 999/);
  assert.deepEqual(await readFile(join(directory, "store.db")), before);
});

test("a damaged database is refused after an unclean stop", async () => {
  const directory = await makeDirectory();
  const storage = await openIn(directory);
  await storage.meta.write(Array.from({ length: 2000 }, (_, n) => ({ key: key(`record ${n}`), value: "x".repeat(100) })));
  await storage.close();
  await writeFile(join(directory, "store.db-wal"), Buffer.alloc(64)); // what a server that was killed leaves
  const path = join(directory, "store.db");
  const content = await readFile(path);
  content.fill(0xa5, 40_000, 60_000);
  await writeFile(path, content);
  await assert.rejects(openIn(directory), /is damaged|malformed/);
});

test("a writer killed in the middle loses nothing that was acknowledged", { timeout: 120_000 }, async () => {
  const directory = await makeDirectory();
  const writer = `
    import { sqliteStorage } from "${join(import.meta.dirname, "../../src/store/sqlite/sqlite-storage.ts")}";
    import { systemClock } from "${join(import.meta.dirname, "../../src/base/clock.ts")}";
    import { silentLog } from "${join(import.meta.dirname, "../../src/base/log.ts")}";
    const storage = await sqliteStorage({ directory: process.argv[1], clock: systemClock, log: silentLog });
    const round = process.argv[2];
    await Promise.all(Array.from({ length: 16 }, async (_, caller) => {
      for (let n = 0; n < 100000; n++) {
        const id = round + "-" + caller + "-" + n;
        await storage.meta.write([{ key: { account: "0", region: "", kind: "k", id }, value: id }, { key: { account: "0", region: "", kind: "twin", id }, value: id }]);
        console.log(id);
      }
    }));`;
  const acknowledged: string[] = [];
  for (let round = 0; round < 10; round++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", writer, directory, String(round)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const enough = 200 + round * 150;
    let count = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (++count === enough) child.kill("SIGKILL");
    }
    await exited;
  }
  assert.ok(acknowledged.length >= 8000);
  const storage = await openIn(directory);
  const kept = async (kind: string) =>
    new Set((await storage.meta.list({ account: "0", region: "", kind, limit: 1e6 })).map((entry) => entry.key.id));
  const [records, twins] = [await kept("k"), await kept("twin")];
  assert.deepEqual(
    acknowledged.filter((id) => !records.has(id)),
    [],
  );
  assert.deepEqual(twins, records);
  await storage.close();
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.endsWith("-wal")),
    [],
  );
});
