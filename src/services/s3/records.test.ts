// What a collector of blobs may take.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { context, memoryS3 } from "./memory-s3.ts";

test("the collector keeps what is referred to, and what came to be while it looked", async (t) => {
  const { put, read, s3, files, blobs, clock, CopyObject, DeleteObject, CreateMultipartUpload, UploadPart, storage } = await memoryS3(t);
  const collect = async () => {
    const references = await s3.referencedBlobs();
    const removed = await blobs.collect((sha256) => references.has(sha256), -10 * 86_400_000);
    references.release();
    return removed;
  };
  clock.advance(365 * 86_400_000);
  await put("kept", "kept");
  await put("gone", "gone");
  await DeleteObject(context, { Bucket: "bucket", Key: "gone" });
  const where = { Bucket: "bucket", Key: "part" };
  const { UploadId } = await CreateMultipartUpload(context, where);
  await UploadPart(context, { ...where, UploadId, PartNumber: 1, Body: Readable.from(["part"]) });
  // What a crash leaves when it comes between the end of an upload and the end of its parts.
  const orphan = { account: "", region: "", kind: "s3.part", id: "gone-upload\u000000001" };
  await storage.meta.write([{ key: orphan, value: { sha256: "0".repeat(64), bytes: 1, etag: "x", modifiedAtMs: 0 } }]);
  assert.equal(await files(), 3);
  const before = await s3.referencedBlobs();
  await CopyObject(context, { Bucket: "bucket", Key: "copy", CopySource: "bucket/kept" });
  await DeleteObject(context, { Bucket: "bucket", Key: "kept" });
  await blobs.collect((sha256) => before.has(sha256), -10 * 86_400_000);
  before.release();
  assert.equal(await read("copy"), "kept");
  assert.equal(await files(), 2);
  assert.deepEqual(await storage.meta.get([orphan]), [undefined]);
  await DeleteObject(context, { Bucket: "bucket", Key: "copy" });
  assert.equal(await collect(), 1);
  assert.equal(await files(), 1);
});
