// Writes to a store until it is killed or refused, and prints what was acknowledged, one JSON object a line.
import { argv, stdout } from "node:process";
import { systemClock } from "../../src/base/clock.ts";
import { timeOrderedId } from "../../src/base/id.ts";
import { silentLog } from "../../src/base/log.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import { StorageError } from "../../src/store/storage.ts";

export type Acknowledged =
  | { readonly did: "record" | "enqueue" | "process"; readonly id: string }
  | { readonly did: "append"; readonly sequence: number }
  | { readonly did: "lease"; readonly epoch: number }
  /** The first write was refused: what a read is told then. */
  | { readonly did: "end"; readonly read: string };

const CALLERS = 4;
const directory = argv[2] ?? "";
const round = argv[3] ?? "";

// Written when it returns: standard output is a pipe.
const tell = (acknowledged: Acknowledged) => stdout.write(`${JSON.stringify(acknowledged)}\n`);
const storage = await sqliteStorage({ directory, clock: systemClock, log: silentLog });
const key = (kind: string, id: string) => ({ account: "0", region: "", kind, id });

async function writeRecords(caller: number): Promise<void> {
  for (let n = 0; ; n++) {
    const id = `${round}-${caller}-${n}`;
    await storage.meta.write([
      { key: key("record", id), value: id },
      { key: key("twin", id), value: id },
    ]);
    tell({ did: "record", id });
  }
}

async function enqueue(): Promise<void> {
  for (;;) {
    const id = timeOrderedId(systemClock.now());
    await storage.queue.enqueue([{ queue: "work", id, body: Buffer.from(`body of ${id}`) }]);
    tell({ did: "enqueue", id });
  }
}

async function work(): Promise<void> {
  for (;;) {
    for (const { id, token } of await storage.queue.claim("work", 3, 60_000)) {
      await storage.queue.acknowledge([token], { writes: [{ key: key("done", id), value: id, expect: "absent" }] });
      tell({ did: "process", id });
    }
  }
}

async function append(): Promise<void> {
  let sequence = (await storage.journal.read("journal", 0, 1e6)).length;
  for (;;) {
    await storage.journal.append("journal", sequence, [Buffer.from(String(sequence + 1))]);
    sequence += 1;
    tell({ did: "append", sequence });
  }
}

const [lease] = await storage.leases.acquire(["lease"], round, 0);
tell({ did: "lease", epoch: lease?.epoch ?? 0 });
const writers = [...Array.from({ length: CALLERS }, (_, caller) => writeRecords(caller)), enqueue(), enqueue(), work(), append()];
await Promise.race(writers).catch((error: unknown) => {
  if (!(error instanceof StorageError)) throw error;
});
const read = await storage.meta.get([key("record", "any")]).then(
  () => "answered",
  (error: unknown) => (error instanceof StorageError ? error.failure : String(error)),
);
tell({ did: "end", read });
process.exit(7);
