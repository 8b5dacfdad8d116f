// Multipart uploads, called directly.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { context, crc32Of, md5, memoryS3, refused } from "./memory-s3.ts";

const MIB = 2 ** 20;
const part = (fill: number, bytes = 5 * MIB) => Buffer.alloc(bytes, fill);

test("multipart: order, sizes, tags, the whole and its parts", async (t) => {
  const { get, read, ...s3 } = await memoryS3(t);
  const where = { Bucket: "bucket", Key: "big" };
  const { UploadId = "" } = await s3.CreateMultipartUpload(context, { ...where, ContentType: "x/y", Metadata: { a: "b" } });
  const upload = async (PartNumber: number, body: Buffer) => {
    const { ETag } = await s3.UploadPart(context, {
      ...where,
      UploadId,
      PartNumber,
      Body: Readable.from([body]),
      ContentLength: body.length,
    });
    return { PartNumber, ETag };
  };
  const one = await upload(1, part(1));
  const small = await upload(3, part(3, 10));
  const wrong = await upload(7, part(7, 7));
  const seven = await upload(7, part(8, 8));
  const complete = (Parts: object[], more: object = {}) =>
    s3.CompleteMultipartUpload(context, { ...where, UploadId, MultipartUpload: { Parts }, ...more });
  await refused(() => complete([small, one]), "InvalidPartOrder", 400);
  await refused(() => complete([one, small, seven]), "EntityTooSmall", 400);
  await refused(() => complete([one, wrong]), "InvalidPart", 400);
  await refused(() => complete([one, { PartNumber: 5, ETag: one.ETag }]), "InvalidPart", 400);
  await refused(() => complete([]), "MalformedXML", 400);
  await refused(() => complete([one], { MpuObjectSize: 1 }), "InvalidRequest", 400);
  await refused(() => s3.HeadObject(context, where), "NoSuchKey", 404);
  const done = await complete([one, seven]);
  const expected = createHash("md5")
    .update(Buffer.from(md5(part(1)) + md5(part(8, 8)), "hex"))
    .digest("hex");
  assert.equal(done.ETag, `"${expected}-2"`);
  assert.equal(done.Location, "http://localhost:4566/bucket/big");
  const got = await get("big", { Range: `bytes=${5 * MIB - 2}-${5 * MIB + 1}` });
  assert.deepEqual(await buffer(got.Body as Readable), Buffer.from([1, 1, 8, 8]));
  assert.deepEqual([got.ContentType, got.Metadata], ["x/y", { a: "b" }]);
  const second = await get("big", { PartNumber: 2 });
  assert.deepEqual([second.PartsCount, second.ContentRange], [2, `bytes ${5 * MIB}-${5 * MIB + 7}/${5 * MIB + 8}`]);
  assert.deepEqual(await buffer(second.Body as Readable), part(8, 8));
  assert.equal(md5(await read("big")), md5(Buffer.concat([part(1), part(8, 8)]).toString()));
  // A client that lost the answer asks again; the parts that it did not take are gone.
  assert.deepEqual(await complete([one, seven]), done);
  await refused(() => complete([one]), "NoSuchUpload", 404);
  await refused(() => s3.ListParts(context, { ...where, UploadId }), "NoSuchUpload", 404);
  const attributes = await s3.GetObjectAttributes(context, { ...where, ObjectAttributes: ["ObjectParts"] });
  assert.deepEqual(attributes.ObjectParts, { TotalPartsCount: 2 });
  // A copy is one blob, with the MD5 of its content.
  const copied = await s3.CopyObject(context, { Bucket: "bucket", Key: "copy", CopySource: "bucket/big" });
  assert.equal(copied.CopyObjectResult?.ETag, `"${md5(Buffer.concat([part(1), part(8, 8)]))}"`);
});

test("multipart: abort, list, copy of a part", async (t) => {
  const { put, storage, clock, ...s3 } = await memoryS3(t);
  const where = { Bucket: "bucket", Key: "k" };
  const { UploadId = "" } = await s3.CreateMultipartUpload(context, where);
  await put("source", "0123456789");
  const copy = (PartNumber: number, CopySourceRange?: string) =>
    s3.UploadPartCopy(context, { ...where, UploadId, PartNumber, CopySource: "bucket/source", CopySourceRange });
  const copied = await copy(2, "bytes=2-4");
  assert.equal(copied.CopyPartResult?.ETag, `"${md5("234")}"`);
  await copy(1);
  await refused(() => copy(3, "bytes=5-10"), "InvalidArgument", 400);
  await refused(() => copy(3, "bytes=5-"), "InvalidArgument", 400);
  await refused(() => copy(10_001), "InvalidArgument", 400);
  const first = await s3.ListParts(context, { ...where, UploadId, MaxParts: 1 });
  assert.deepEqual(
    [first.Parts?.map((one) => [one.PartNumber, one.Size]), first.IsTruncated, first.NextPartNumberMarker],
    [[[1, 10]], true, "1"],
  );
  const rest = await s3.ListParts(context, { ...where, UploadId, PartNumberMarker: "1" });
  assert.deepEqual([rest.Parts?.map((one) => one.PartNumber), rest.IsTruncated], [[2], false]);
  clock.advance(1);
  const another = await s3.CreateMultipartUpload(context, where);
  await s3.CreateMultipartUpload(context, { ...where, Key: "dir/x" });
  const page = await s3.ListMultipartUploads(context, { Bucket: "bucket", MaxUploads: 2, Delimiter: "/" });
  assert.deepEqual(
    [page.CommonPrefixes, page.Uploads?.map((one) => one.UploadId), page.IsTruncated],
    [[{ Prefix: "dir/" }], [UploadId], true],
  );
  const next = await s3.ListMultipartUploads(context, {
    Bucket: "bucket",
    KeyMarker: page.NextKeyMarker,
    UploadIdMarker: page.NextUploadIdMarker,
  });
  assert.deepEqual([next.Uploads?.map((one) => one.UploadId), next.IsTruncated], [[another.UploadId], false]);
  await s3.AbortMultipartUpload(context, { ...where, UploadId });
  await refused(() => s3.AbortMultipartUpload(context, { ...where, UploadId }), "NoSuchUpload", 404);
  await refused(() => copy(1), "NoSuchUpload", 404);
  const parts = await storage.meta.list({ account: "", region: "", kind: "s3.part", limit: 10 });
  assert.deepEqual(parts, []);
});

test("multipart checksums: of the checksums, and of the whole", async (t) => {
  const { CreateMultipartUpload, UploadPart, CompleteMultipartUpload, HeadObject, GetObjectAttributes } = await memoryS3(t);
  const where = { Bucket: "bucket", Key: "k" };
  const bodies = [part(1), part(2, 100)];
  const run = async (create: object, algorithm: "CRC32" | "SHA256", more: object = {}) => {
    const { UploadId } = await CreateMultipartUpload(context, { ...where, ...create });
    const Parts = [];
    for (const [index, body] of bodies.entries()) {
      const sent = await UploadPart(context, {
        ...where,
        UploadId,
        PartNumber: index + 1,
        Body: Readable.from([body]),
        ChecksumAlgorithm: algorithm,
      });
      Parts.push({ PartNumber: index + 1, ETag: sent.ETag, [`Checksum${algorithm}`]: sent[`Checksum${algorithm}`] });
    }
    return await CompleteMultipartUpload(context, { ...where, UploadId, MultipartUpload: { Parts }, ...more });
  };
  const whole = crc32Of(Buffer.concat(bodies));
  const full = await run({ ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" }, "CRC32", { ChecksumCRC32: whole });
  assert.deepEqual([full.ChecksumCRC32, full.ChecksumType], [whole, "FULL_OBJECT"]);
  await refused(
    () => run({ ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" }, "CRC32", { ChecksumCRC32: crc32Of("other") }),
    "BadDigest",
    400,
  );
  const composite = await run({ ChecksumAlgorithm: "SHA256" }, "SHA256");
  const hashes = Buffer.concat(bodies.map((body) => createHash("sha256").update(body).digest()));
  const value = `${createHash("sha256").update(hashes).digest("base64")}-2`;
  assert.deepEqual([composite.ChecksumSHA256, composite.ChecksumType], [value, "COMPOSITE"]);
  assert.equal((await HeadObject(context, { ...where, ChecksumMode: "ENABLED" })).ChecksumSHA256, value);
  const { ObjectParts } = await GetObjectAttributes(context, { ...where, ObjectAttributes: ["ObjectParts"] });
  assert.deepEqual(
    ObjectParts?.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
    [
      [1, 5 * MIB],
      [2, 100],
    ],
  );
  await refused(() => run({ ChecksumAlgorithm: "SHA256" }, "CRC32"), "InvalidRequest", 400);
  await refused(
    () => CreateMultipartUpload(context, { ...where, ChecksumAlgorithm: "SHA256", ChecksumType: "FULL_OBJECT" }),
    "InvalidRequest",
    400,
  );
});
