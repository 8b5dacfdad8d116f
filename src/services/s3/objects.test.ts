// Objects, called directly: what is put comes back, and what does not fit leaves nothing.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ACCOUNT, context, contextOf, crc32Of, md5, memoryS3, refused } from "./memory-s3.ts";

test("an object comes back with what it was put with", async (t) => {
  const { put, get, HeadObject } = await memoryS3(t);
  const sent = await put("dir/ä", "hello", {
    ContentType: "text/plain",
    ContentEncoding: "identity",
    ContentDisposition: "inline",
    ContentLanguage: "de",
    CacheControl: "no-cache",
    Expires: new Date(1_800_000_000_000),
    Metadata: { Color: "blue", ["__proto__"]: "x", constructor: "y" },
    StorageClass: "STANDARD_IA",
    Tagging: "a=1&b=%20",
  });
  assert.deepEqual(sent, { ETag: `"${md5("hello")}"` });
  const { Body, ...got } = await get("dir/ä");
  assert.equal(await text(Body as Readable), "hello");
  const { Metadata, ...head } = await HeadObject(context, { Bucket: "bucket", Key: "dir/ä" });
  assert.deepEqual({ Metadata, ...head }, got);
  assert.equal(Metadata?.["color"], "blue");
  assert.deepEqual(
    head,
    {
      ContentType: "text/plain",
      ContentEncoding: "identity",
      ContentDisposition: "inline",
      ContentLanguage: "de",
      CacheControl: "no-cache",
      Expires: new Date(1_800_000_000_000),
      StorageClass: "STANDARD_IA",
      TagCount: 2,
      AcceptRanges: "bytes",
      LastModified: new Date(Date.UTC(2026, 10, 1)),
      ContentLength: 5,
      ETag: `"${md5("hello")}"`,
    },
    JSON.stringify(head),
  );
});

test("keys are bytes: nothing in them is a path, and what XML and UTF-8 can't carry is refused", async (t) => {
  const { put, read, get, directory } = await memoryS3(t);
  const keys = [
    "../../etc/passwd",
    "/",
    "//",
    ".",
    "..",
    "a//b/",
    "__proto__",
    "x".repeat(1024),
    "é".repeat(512),
    "\u{10FFFF}",
    "con",
    "\u0001",
    "a\nb",
  ];
  for (const key of keys) await put(key, `at ${key}`);
  for (const key of keys) assert.equal(await read(key), `at ${key}`);
  await refused(() => put("x".repeat(1025)), "KeyTooLongError", 400);
  await refused(() => put("é".repeat(513)), "KeyTooLongError", 400);
  await refused(() => put("a\0b"), "InvalidURI", 400);
  await refused(() => put("\uD800"), "InvalidURI", 400);
  await refused(() => get("missing"), "NoSuchKey", 404);
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name !== "incoming" && !/^[0-9a-f]{2}$/.test(name)),
    [],
  );
});

test("ranges, as RFC 9110 has them", async (t) => {
  const { put, get, read } = await memoryS3(t);
  await put("k", "0123456789");
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["bytes=0-0", "0", "bytes 0-0/10"],
    ["bytes=2-4", "234", "bytes 2-4/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=7-99", "789", "bytes 7-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-99", "0123456789", "bytes 0-9/10"],
    ["bytes=4-2", "0123456789", undefined],
    ["bytes=0-1,3-4", "0123456789", undefined],
    ["lines=1-2", "0123456789", undefined],
    ["bytes=-", "0123456789", undefined],
  ];
  for (const [Range, expected, ContentRange] of cases) {
    const got = await get("k", { Range });
    assert.deepEqual(
      [await text(got.Body as Readable), got.ContentRange, got.ContentLength],
      [expected, ContentRange, expected.length],
      Range,
    );
  }
  for (const Range of ["bytes=10-", "bytes=10-12", "bytes=-0"]) {
    const fault = await refused(() => get("k", { Range }), "InvalidRange", 416);
    assert.deepEqual(fault.members, { RangeRequested: Range, ActualObjectSize: 10 });
  }
  await put("empty", "");
  assert.equal(await read("empty"), "");
  await refused(() => get("empty", { Range: "bytes=0-" }), "InvalidRange", 416);
  assert.equal(await read("k", { PartNumber: 1 }), "0123456789");
  await refused(() => get("k", { PartNumber: 2 }), "InvalidPartNumber", 416);
  await refused(() => get("k", { PartNumber: 1, Range: "bytes=0-1" }), "InvalidRequest", 400);
});

test("conditional reads", async (t) => {
  const { put, get, read, clock } = await memoryS3(t);
  const { ETag } = await put("k", "x");
  const now = new Date(clock.now());
  const before = new Date(clock.now() - 1000);
  assert.equal(await read("k", { IfMatch: ETag }), "x");
  assert.equal(await read("k", { IfMatch: `"other", ${ETag}` }), "x");
  await refused(() => get("k", { IfMatch: '"other"' }), "PreconditionFailed", 412);
  await refused(() => get("k", { IfNoneMatch: ETag }), "NotModified", 304);
  assert.equal(await read("k", { IfNoneMatch: '"other"' }), "x");
  await refused(() => get("k", { IfModifiedSince: now }), "NotModified", 304);
  assert.equal(await read("k", { IfModifiedSince: before }), "x");
  await refused(() => get("k", { IfUnmodifiedSince: before }), "PreconditionFailed", 412);
  assert.equal(await read("k", { IfMatch: ETag, IfUnmodifiedSince: before }), "x");
  await refused(() => get("k", { IfNoneMatch: ETag, IfModifiedSince: before }), "NotModified", 304);
  assert.equal((await get("k", { ResponseContentType: "a/b" })).ContentType, "a/b");
  const { GetObject } = await memoryS3(t);
  const anonymous = contextOf("us-east-1", ACCOUNT, "anonymous");
  await refused(() => GetObject(anonymous, { Bucket: "bucket", Key: "k", ResponseContentType: "a/b" }), "InvalidRequest", 400);
});

test("checksums and lengths that do not fit leave nothing", async (t) => {
  const { put, get, files } = await memoryS3(t);
  const wrong = crc32Of("other");
  const cases: readonly (readonly [object, string])[] = [
    [{ ContentMD5: Buffer.from(md5("other"), "hex").toString("base64") }, "BadDigest"],
    [{ ContentMD5: "nonsense" }, "InvalidDigest"],
    [{ ChecksumCRC32: wrong }, "BadDigest"],
    [{ ChecksumCRC32: "nonsense" }, "InvalidRequest"],
    [{ ChecksumCRC32: wrong, ChecksumSHA1: wrong }, "InvalidRequest"],
    [{ ChecksumXXHASH64: wrong }, "NotImplemented"],
    [{ ContentLength: 4 }, "IncompleteBody"],
    [{ ContentLength: 6 }, "IncompleteBody"],
    [{ ContentLength: 5 * 2 ** 30 + 1 }, "EntityTooLarge"],
    [{ SSECustomerAlgorithm: "AES256" }, "NotImplemented"],
    [{ ServerSideEncryption: "aws:kms" }, "NotImplemented"],
    [{ ObjectLockMode: "GOVERNANCE" }, "NotImplemented"],
    [{ ACL: "public-read" }, "AccessControlListNotSupported"],
    [{ GrantRead: "id=x" }, "AccessControlListNotSupported"],
    [{ StorageClass: "GLACIER" }, "InvalidStorageClass"],
    [{ Tagging: "a=1&a=2" }, "InvalidTag"],
    [{ Tagging: "aws:a=1" }, "InvalidTag"],
    [{ Tagging: "%zz=1" }, "InvalidArgument"],
    [{ Metadata: { a: "x".repeat(2048) } }, "MetadataTooLarge"],
  ];
  for (const [more, code] of cases) {
    const fault = await refused(() => put("k", "hello", more), code, code === "NotImplemented" ? 501 : 400);
    assert.ok(fault.message.length > 0);
  }
  assert.equal(await files(), 0);
  await refused(() => get("k"), "NoSuchKey", 404);
});

test("checksums are kept, and given to who asks", async (t) => {
  const { put, get, HeadObject, GetObjectAttributes } = await memoryS3(t);
  const hash = (name: string) => createHash(name).update("123456789").digest("base64");
  const cases: readonly (readonly [string, string])[] = [
    ["CRC32", crc32Of("123456789")],
    ["CRC32C", Buffer.from("e3069283", "hex").toString("base64")],
    ["CRC64NVME", Buffer.from("ae8b14860a799888", "hex").toString("base64")],
    ["SHA1", hash("sha1")],
    ["SHA256", hash("sha256")],
    ["SHA512", hash("sha512")],
  ];
  for (const [name, value] of cases) {
    const member = `Checksum${name}`;
    const sent: Record<string, unknown> = { ...(await put(name, "123456789", { [member]: value })) };
    assert.deepEqual([sent[member], sent["ChecksumType"]], [value, "FULL_OBJECT"]);
    const asked: Record<string, unknown> = { ...(await HeadObject(context, { Bucket: "bucket", Key: name, ChecksumMode: "ENABLED" })) };
    assert.deepEqual([asked[member], asked["ChecksumType"]], [value, "FULL_OBJECT"]);
    const silent: Record<string, unknown> = { ...(await get(name)) };
    assert.equal(silent[member], undefined);
    (silent["Body"] as Readable).destroy();
    const found = await GetObjectAttributes(context, {
      Bucket: "bucket",
      Key: name,
      ObjectAttributes: ["Checksum", "ObjectSize", "ETag", "StorageClass"],
    });
    assert.deepEqual(
      [found.Checksum, found.ObjectSize, found.ETag, found.StorageClass],
      [{ [member]: value, ChecksumType: "FULL_OBJECT" }, 9, md5("123456789"), "STANDARD"],
    );
  }
});

test("a checksum behind the content is verified, announced or not", async (t) => {
  const { PutObject, HeadObject, files } = await memoryS3(t);
  const withTrailer = (value: string) =>
    Object.assign(Readable.from([Buffer.from("hello")]), { trailers: new Map([["x-amz-checksum-crc32", value]]) });
  const put = (value: string, more: object) => PutObject(context, { Bucket: "bucket", Key: "k", Body: withTrailer(value), ...more });
  await refused(() => put(crc32Of("other"), { ChecksumAlgorithm: "CRC32" }), "BadDigest", 400);
  await refused(() => put("nonsense", { ChecksumAlgorithm: "CRC32" }), "InvalidRequest", 400);
  assert.equal(await files(), 0);
  await refused(() => put(crc32Of("other"), {}), "BadDigest", 400);
  await refused(() => HeadObject(context, { Bucket: "bucket", Key: "k" }), "NoSuchKey", 404);
  assert.equal((await put(crc32Of("hello"), {})).ChecksumCRC32, crc32Of("hello"));
  assert.equal((await put(crc32Of("hello"), { ChecksumAlgorithm: "CRC32" })).ChecksumCRC32, crc32Of("hello"));
  await refused(() => put(crc32Of("hello"), { ChecksumAlgorithm: "SHA1" }), "InvalidRequest", 400);
});

test("an upload that breaks off leaves nothing", async (t) => {
  const { PutObject, get, files } = await memoryS3(t);
  async function* broken() {
    yield Buffer.alloc(100_000);
    await Promise.resolve();
    throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  }
  const put = PutObject(context, { Bucket: "bucket", Key: "k", Body: Readable.from(broken()), ContentLength: 200_000 });
  await refused(() => put, "RequestTimeout", 400);
  assert.equal(await files(), 0);
  await refused(() => get("k"), "NoSuchKey", 404);
});

test("delete, one and many", async (t) => {
  const { put, get, DeleteObject, DeleteObjects, ListObjectsV2 } = await memoryS3(t);
  assert.deepEqual(await DeleteObject(context, { Bucket: "bucket", Key: "missing" }), {});
  await put("k", "x");
  await refused(() => DeleteObject(context, { Bucket: "bucket", Key: "k", IfMatch: '"other"' }), "PreconditionFailed", 412);
  await DeleteObject(context, { Bucket: "bucket", Key: "k", IfMatch: `"${md5("x")}"` });
  await refused(() => get("k"), "NoSuchKey", 404);
  const Objects = Array.from({ length: 120 }, (_, index) => ({ Key: `many/${index}` }));
  for (const { Key } of Objects) await put(Key);
  const deleted = await DeleteObjects(context, {
    Bucket: "bucket",
    Delete: { Objects: [...Objects, { Key: "x", VersionId: "wrong" }, { Key: "a\0b" }] },
  });
  assert.deepEqual(deleted.Deleted, Objects);
  assert.deepEqual(deleted.Errors, [
    { Key: "x", VersionId: "wrong", Code: "InvalidArgument", Message: "Invalid version id specified" },
    { Key: "a\0b", Code: "InvalidURI", Message: "Couldn't parse the specified URI." },
  ]);
  assert.equal((await ListObjectsV2(context, { Bucket: "bucket" })).KeyCount, 0);
  assert.deepEqual(await DeleteObjects(context, { Bucket: "bucket", Delete: { Objects, Quiet: true } }), { Deleted: [], Errors: [] });
  await refused(() => DeleteObjects(context, { Bucket: "bucket", Delete: { Objects: [] } }), "MalformedXML", 400);
  const tooMany = Array.from({ length: 1001 }, (_, index) => ({ Key: `${index}` }));
  await refused(() => DeleteObjects(context, { Bucket: "bucket", Delete: { Objects: tooMany } }), "MalformedXML", 400);
});

test("copies: metadata, tags, conditions, itself", async (t) => {
  const { put, read, CopyObject, HeadObject, CreateBucket, GetObjectTagging, files } = await memoryS3(t);
  await CreateBucket(context, { Bucket: "target" });
  const { ETag } = await put("a b/ü", "hello", {
    ContentType: "text/x",
    Metadata: { m: "1" },
    Tagging: "t=1",
    StorageClass: "STANDARD_IA",
  });
  const CopySource = `/bucket/${encodeURIComponent("a b/ü")}`;
  const copied = await CopyObject(context, { Bucket: "target", Key: "copy", CopySource });
  assert.equal(copied.CopyObjectResult?.ETag, ETag);
  const head = await HeadObject(context, { Bucket: "target", Key: "copy" });
  assert.deepEqual([head.ContentType, head.Metadata, head.StorageClass, head.TagCount], ["text/x", { m: "1" }, undefined, 1]);
  assert.equal(await files(), 1);
  const replaced = {
    MetadataDirective: "REPLACE",
    TaggingDirective: "REPLACE",
    Metadata: { n: "2" },
    Tagging: "u=2",
    ContentType: "text/y",
  } as const;
  await CopyObject(context, { Bucket: "bucket", Key: "copy", CopySource, ...replaced });
  const second = await HeadObject(context, { Bucket: "bucket", Key: "copy" });
  assert.deepEqual([second.ContentType, second.Metadata], ["text/y", { n: "2" }]);
  assert.deepEqual((await GetObjectTagging(context, { Bucket: "bucket", Key: "copy" })).TagSet, [{ Key: "u", Value: "2" }]);
  const withSum = await CopyObject(context, { Bucket: "bucket", Key: "summed", CopySource, ChecksumAlgorithm: "CRC32" });
  assert.equal(withSum.CopyObjectResult?.ChecksumCRC32, crc32Of("hello"));
  assert.equal(await read("summed"), "hello");
  const copy = (more: object) => CopyObject(context, { Bucket: "bucket", Key: "z", CopySource, ...more });
  await refused(() => copy({ CopySourceIfMatch: '"other"' }), "PreconditionFailed", 412);
  await refused(() => copy({ CopySourceIfNoneMatch: ETag }), "PreconditionFailed", 412);
  await refused(() => copy({ CopySource: "bucket/missing" }), "NoSuchKey", 404);
  await refused(() => copy({ CopySource: "missing/k" }), "NoSuchBucket", 404);
  await refused(() => copy({ CopySource: "nonsense" }), "InvalidArgument", 400);
  await refused(() => copy({ CopySource: "bucket/%zz" }), "InvalidArgument", 400);
  await refused(() => copy({ CopySource: "bucket/k?versionId=wrong" }), "InvalidArgument", 400);
  await refused(() => CopyObject(context, { Bucket: "bucket", Key: "a b/ü", CopySource }), "InvalidRequest", 400);
  await CopyObject(context, { Bucket: "bucket", Key: "a b/ü", CopySource, MetadataDirective: "REPLACE" });
});
