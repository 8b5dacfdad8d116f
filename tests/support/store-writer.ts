// Writes to a store until it is killed, stopped or refused, and prints what was acknowledged, one JSON object a line.
//
// Words: the directory, the name of the round, and `all` for blobs, mailboxes and the install's keys as well.
import { join } from "node:path";
import { argv, stdout } from "node:process";
import { systemClock } from "../../src/base/clock.ts";
import { timeOrderedId } from "../../src/base/id.ts";
import { silentLog } from "../../src/base/log.ts";
import { installSecrets } from "../../src/install-keys.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import { StorageError } from "../../src/store/storage.ts";

export type Acknowledged =
  | { readonly did: "record" | "enqueue" | "process"; readonly id: string }
  | { readonly did: "append"; readonly sequence: number }
  | { readonly did: "lease"; readonly epoch: number }
  | { readonly did: "keys"; readonly accessKeyId: string }
  | { readonly did: "blob"; readonly id: string; readonly sha256: string }
  | { readonly did: "send" | "remove"; readonly id: string }
  /** The first write was refused: what a read is told then. */
  | { readonly did: "end"; readonly read: string };

const CALLERS = 4;
const directory = argv[2] ?? "";
const round = argv[3] ?? "";
const isAll = argv[4] === "all";

// Written when it returns: standard output is a pipe.
const tell = (acknowledged: Acknowledged) => stdout.write(`${JSON.stringify(acknowledged)}\n`);
if (isAll) tell({ did: "keys", accessKeyId: (await installSecrets(directory)).accessKeyId });
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

/** A blob, and then the record that refers to it. */
async function writeBlobs(): Promise<void> {
  const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock });
  for (let n = 0; ; n++) {
    const id = `${round}-${n}`;
    const { sha256 } = await blobs.put(Buffer.from(`blob ${id} `.repeat(1 + (n % 500))));
    await storage.meta.write([{ key: key("blob", id), value: sha256 }]);
    tell({ did: "blob", id, sha256 });
  }
}

async function sendMail(): Promise<void> {
  for (let n = 0; ; n++) {
    const id = `${round}-${n}`;
    await storage.mailboxes.send([{ mailbox: "mail", id, body: Buffer.from(id) }]);
    tell({ did: "send", id });
  }
}

/** Removes those whose number ends in 0 or 2. */
async function removeMail(): Promise<void> {
  for (;;) {
    const { mail } = await storage.mailboxes.receive("mail", { limit: 5, visibilityMs: 60_000, keptMs: 1e9, claimedMax: 1e6 });
    const chosen = mail.filter(({ id }) => id.endsWith("0") || id.endsWith("2"));
    await storage.mailboxes.remove(
      "mail",
      chosen.map(({ token }) => token),
    );
    for (const { id } of chosen) tell({ did: "remove", id });
  }
}

let stopping: Promise<void> | undefined;
process.once("SIGTERM", () => {
  stopping = storage.close();
});
const [lease] = await storage.leases.acquire(["lease"], round, 0);
tell({ did: "lease", epoch: lease?.epoch ?? 0 });
const writers = [...Array.from({ length: CALLERS }, (_, caller) => writeRecords(caller)), enqueue(), enqueue(), work(), append()];
if (isAll) writers.push(writeBlobs(), sendMail(), removeMail());
await Promise.race(writers).catch((error: unknown) => {
  if (!(error instanceof StorageError)) throw error;
});
const read = await storage.meta.get([key("record", "any")]).then(
  () => "answered",
  (error: unknown) => (error instanceof StorageError ? error.failure : String(error)),
);
await stopping;
tell({ did: "end", read });
process.exit(7);
