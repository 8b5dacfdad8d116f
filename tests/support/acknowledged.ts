// Compares a store with what store-writer.ts was told: what was acknowledged is there, and nothing is there by half.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { readInstallKeys } from "../../src/install-keys.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { sqliteStorage } from "../../src/store/sqlite/sqlite-storage.ts";
import type { Storage } from "../../src/store/storage.ts";
import type { Acknowledged } from "./store-writer.ts";

/** Mail that the writer removes, if it comes so far. */
const isRemoved = (id: string) => /[02]$/.test(id);

/** A clock on which every claim has run out. */
const tomorrow: Clock = { ...systemClock, now: () => systemClock.now() + 86_400_000 };

export const idsOf = (acknowledged: readonly Acknowledged[], did: Acknowledged["did"]) =>
  acknowledged.flatMap((one) => (one.did === did && "id" in one ? [one.id] : []));

async function recordsOf(storage: Storage, kind: string): Promise<Set<string>> {
  const entries = await storage.meta.list({ account: "0", region: "", kind, limit: 1e6 });
  return new Set(entries.map((entry) => entry.key.id));
}

/** Fails when something is lost, when half of something is there, or when what is there is not what was written. */
export async function checkAcknowledged(directory: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  const storage = await sqliteStorage({ directory, clock: tomorrow, log: silentLog });
  try {
    await checkRecords(storage, acknowledged);
    await checkQueue(storage, acknowledged);
    const events = await storage.journal.read("journal", 0, 1e6);
    for (const [index, event] of events.entries()) assert.equal(Buffer.from(event.body).toString(), String(index + 1));
    for (const one of acknowledged) if (one.did === "append") assert.ok(one.sequence <= events.length, "an event is lost");
    await checkMail(storage, acknowledged);
  } finally {
    await storage.close();
  }
  await checkBlobs(directory, acknowledged);
}

async function checkRecords(storage: Storage, acknowledged: readonly Acknowledged[]): Promise<void> {
  const [records, twins, blobs] = [await recordsOf(storage, "record"), await recordsOf(storage, "twin"), await recordsOf(storage, "blob")];
  const missing = (did: Acknowledged["did"], present: Set<string>) => idsOf(acknowledged, did).filter((id) => !present.has(id));
  assert.deepEqual(missing("record", records), [], "a record is lost");
  assert.deepEqual(missing("blob", blobs), [], "a blob's record is lost");
  assert.deepEqual(twins, records, "half of a batch was written");
}

async function checkQueue(storage: Storage, acknowledged: readonly Acknowledged[]): Promise<void> {
  const done = await recordsOf(storage, "done");
  assert.deepEqual(
    idsOf(acknowledged, "process").filter((id) => !done.has(id)),
    [],
    "an effect is lost",
  );
  const left = await storage.queue.claim("work", 1e6, 1000);
  for (const { id, body } of left) assert.equal(Buffer.from(body).toString(), `body of ${id}`);
  const waiting = new Set(left.map((one) => one.id));
  for (const id of idsOf(acknowledged, "enqueue"))
    assert.ok(waiting.has(id) !== done.has(id), `${id} must be in the queue or done, not both`);
}

async function checkMail(storage: Storage, acknowledged: readonly Acknowledged[]): Promise<void> {
  const { mail } = await storage.mailboxes.receive("mail", { limit: 1e6, visibilityMs: 1000, keptMs: 1e9, claimedMax: 1e6 });
  const left = new Map(mail.map(({ id, body }) => [id, Buffer.from(body).toString()]));
  for (const [id, body] of left) assert.equal(body, id);
  for (const id of idsOf(acknowledged, "send")) assert.ok(left.has(id) || isRemoved(id), `the mail ${id} is lost`);
  for (const id of idsOf(acknowledged, "remove")) assert.ok(!left.has(id), `the mail ${id} is back`);
}

async function checkBlobs(directory: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock });
  for (const one of acknowledged) {
    if (one.did === "keys") assert.equal((await readInstallKeys(directory))?.accessKeyId, one.accessKeyId, "the install's keys are lost");
    if (one.did !== "blob") continue;
    const stream = await blobs.read(one.sha256);
    assert.ok(stream !== undefined, `the blob of ${one.id} is lost`);
    const sha256 = createHash("sha256")
      .update(await buffer(stream))
      .digest("hex");
    assert.equal(sha256, one.sha256, `the blob of ${one.id} is not what was written`);
  }
}
