// S3 over the store in memory and blobs in a temporary folder, as tests call it: without a wire.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { CommonFault } from "../../aws/fault.ts";
import type { Caller } from "../../aws/identity.ts";
import type { Context } from "../../aws/operations.ts";
import type { Deliverer } from "../../aws/deliver.ts";
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { manualClock } from "../../base/manual-clock.ts";
import { deliveries } from "../../deliveries.ts";
import { diskBlobs } from "../../store/disk-blobs.ts";
import { memoryStorage } from "../../store/memory/memory-storage.ts";
import type { Storage } from "../../store/storage.ts";
import { s3Service } from "./service.ts";

export const ACCOUNT = "123456789012";
export const STRANGER = "999999999999";

export const contextOf = (region = "us-east-1", account = ACCOUNT, kind: Caller["kind"] = "root"): Context => ({
  requestId: "r",
  account,
  region,
  caller: { kind, account, arn: `arn:aws:iam::${account}:${kind}`, userId: account, accessKeyId: "AKIA" },
  endpoint: "http://localhost:4566",
  signal: new AbortController().signal,
});

export const context = contextOf();

const DELIVERED = Promise.resolve({ kind: "delivered" } as const);

/** Every target takes what it gets. */
export function takingAll({ queue }: Pick<Storage, "queue">, clock: Clock) {
  const targets: Deliverer = { supports: () => true, deliver: () => DELIVERED, mayDeliver: () => DELIVERED };
  return { targets, deliveries: deliveries({ queue, clock, log: silentLog, deliver: targets.deliver }) };
}

/** With a bucket named `bucket` in us-east-1. */
export async function memoryS3(t: { after(run: () => Promise<void>): void }) {
  const directory = await mkdtemp(join(tmpdir(), "lambent-s3-"));
  const clock = manualClock(Date.UTC(2026, 10, 1));
  const storage = memoryStorage({ clock });
  const blobs = await diskBlobs({ directory, clock });
  const s3 = await s3Service({ meta: storage.meta, blobs, clock, log: silentLog, ...takingAll(storage, clock) });
  t.after(async () => {
    await s3.stop();
    await storage.close();
    await rm(directory, { recursive: true });
  });
  await s3.operations.CreateBucket(context, { Bucket: "bucket" });
  const put = (Key: string, body: string | Buffer = "", more: object = {}) =>
    s3.operations.PutObject(context, { Bucket: "bucket", Key, Body: Readable.from([Buffer.from(body)]), ...more });
  const get = (Key: string, more: object = {}) => s3.operations.GetObject(context, { Bucket: "bucket", Key, ...more });
  const read = async (Key: string, more: object = {}) => await text((await get(Key, more)).Body as Readable);
  const files = async () => (await readdir(directory, { recursive: true, withFileTypes: true })).filter((one) => one.isFile()).length;
  return { ...s3.operations, s3, put, get, read, files, clock, storage, blobs, directory };
}

export async function refused(call: () => unknown, code: string, status: number): Promise<CommonFault> {
  try {
    await call();
  } catch (cause) {
    assert.ok(cause instanceof CommonFault, String(cause));
    assert.deepEqual([cause.code, cause.status], [code, status], cause.message);
    return cause;
  }
  return assert.fail(`expected ${code}`);
}

export const md5 = (bytes: string | Buffer): string => createHash("md5").update(bytes).digest("hex");

/** Base64, as its header has it. */
export function crc32Of(bytes: string | Buffer): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString("base64");
}
