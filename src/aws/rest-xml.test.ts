// restXml as S3's official client sees it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import * as s3 from "@aws-sdk/client-s3";
import type { ServiceDefinition } from "./definition.ts";
import { assertRefused, fakeDoor, fakeService } from "./fake-service.ts";
import { CommonFault } from "./fault.ts";
import { notBuilt, type Operations } from "./operations.ts";

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

function objectStore() {
  const objects = new Map<string, { bytes: Buffer; type: string | undefined; metadata: Record<string, string> | undefined }>();
  const operations: Partial<Operations<typeof s3>> = {
    CreateBucket: (_context, input) => ({ Location: `/${input.Bucket}` }),
    ListBuckets: () => ({ Buckets: [{ Name: "b", CreationDate: new Date(1_700_000_000_000) }], Owner: { ID: "o" } }),
    GetBucketLocation: () => ({ LocationConstraint: "eu-west-1" }),
    async PutObject(_context, input) {
      const bytes = await buffer(input.Body ?? Readable.from([]));
      objects.set(`${input.Bucket}/${input.Key}`, { bytes, type: input.ContentType, metadata: input.Metadata });
      return { ETag: `"${md5(bytes)}"` };
    },
    GetObject(_context, input) {
      const object = objects.get(`${input.Bucket}/${input.Key}`);
      if (object === undefined) throw new CommonFault("NoSuchKey", "The specified key does not exist.", 404, { Key: input.Key });
      const { bytes, type, metadata } = object;
      return {
        Body: Readable.from([bytes]),
        ContentLength: bytes.length,
        ContentType: type,
        Metadata: metadata,
        LastModified: new Date(0),
      };
    },
    HeadObject(_context, input) {
      const object = objects.get(`${input.Bucket}/${input.Key}`);
      if (object === undefined) throw new CommonFault("NotFound", "", 404);
      return { ContentLength: object.bytes.length, ContentType: object.type };
    },
    CopyObject: (_context, input) => ({ CopyObjectResult: { ETag: input.CopySource, LastModified: new Date(0) } }),
    async UploadPart(_context, input) {
      const bytes = await buffer(input.Body ?? Readable.from([]));
      return { ETag: `"${input.PartNumber}-${input.UploadId}-${bytes.length}"` };
    },
    CompleteMultipartUpload: (_context, input) => ({ ETag: input.MultipartUpload?.Parts?.map(({ ETag }) => ETag).join("+") }),
    DeleteObjects: (_context, input) => ({ Deleted: (input.Delete?.Objects ?? []).map(({ Key }) => ({ Key })) }),
    ListObjectsV2: (_context, input) => ({
      Name: input.Bucket,
      KeyCount: objects.size,
      Contents: [...objects.keys()].map((Key) => ({ Key, Size: 1, LastModified: new Date(0) })),
      CommonPrefixes: [{ Prefix: "p/" }],
    }),
    PutBucketAcl: (_context, input) => {
      assert.equal(input.AccessControlPolicy?.Grants?.[0]?.Grantee?.Type, "CanonicalUser");
      return {};
    },
    GetBucketAcl: () => ({ Grants: [{ Grantee: { Type: "CanonicalUser", ID: "x" }, Permission: "READ" }] }),
  };
  return { objects, operations };
}

async function start(t: TestContext, services: readonly ServiceDefinition[]) {
  const fake = await fakeDoor(services);
  t.after(() => fake.door.close());
  return fake;
}

test("S3: XML both ways, bodies as streams, the bucket in the path or in the host", async (t) => {
  const { objects, operations } = objectStore();
  const { settings, port } = await start(t, [fakeService("s3", s3, "S3Client", operations)]);
  const client = new s3.S3Client({ ...settings(), forcePathStyle: true });
  t.after(() => client.destroy());
  const Key = "dir/ké y+%/./../x//";
  const body = Buffer.from("hello é");
  const put = await client.send(new s3.PutObjectCommand({ Bucket: "b", Key, Body: body, ContentType: "text/plain", Metadata: { a: "1" } }));
  assert.equal(put.ETag, `"${md5(body)}"`);
  assert.deepEqual([...objects.keys()], [`b/${Key}`]);
  const got = await client.send(new s3.GetObjectCommand({ Bucket: "b", Key }));
  assert.equal(await got.Body?.transformToString(), "hello é");
  assert.deepEqual([got.ContentType, got.Metadata, got.LastModified?.getTime()], ["text/plain", { a: "1" }, 0]);
  const large = Buffer.alloc(300_000, 7);
  const streamed = new s3.PutObjectCommand({
    Bucket: "b",
    Key: "large",
    Body: Readable.from([large.subarray(0, 70_000), large.subarray(70_000)]),
    ContentLength: large.length,
  });
  assert.equal((await client.send(streamed)).ETag, `"${md5(large)}"`);
  assert.equal((await client.send(new s3.HeadObjectCommand({ Bucket: "b", Key: "large" }))).ContentLength, large.length);
  const hosted = new s3.S3Client({ ...settings(), endpoint: `http://localhost:${port}` });
  t.after(() => hosted.destroy());
  assert.equal((await hosted.send(new s3.HeadObjectCommand({ Bucket: "b", Key: "large" }))).ContentLength, large.length);
  const copied = await client.send(new s3.CopyObjectCommand({ Bucket: "b", Key: "k2", CopySource: "b/large" }));
  assert.equal(copied.CopyObjectResult?.ETag, "b/large");
  const part = await client.send(new s3.UploadPartCommand({ Bucket: "b", Key: "k", UploadId: "u", PartNumber: 2, Body: "xyz" }));
  assert.equal(part.ETag, '"2-u-3"');
  const Parts = [
    { ETag: '"a"', PartNumber: 1 },
    { ETag: "<&>", PartNumber: 2 },
  ];
  const completed = await client.send(
    new s3.CompleteMultipartUploadCommand({ Bucket: "b", Key: "k", UploadId: "u", MultipartUpload: { Parts } }),
  );
  assert.equal(completed.ETag, '"a"+<&>');
  const Objects = [{ Key: "a&b" }, { Key: "c" }];
  const deleted = await client.send(new s3.DeleteObjectsCommand({ Bucket: "b", Delete: { Objects } }));
  assert.deepEqual(deleted.Deleted, Objects);
  const listed = await client.send(new s3.ListObjectsV2Command({ Bucket: "b" }));
  assert.deepEqual(
    listed.Contents?.map((one) => one.Key),
    [...objects.keys()],
  );
  assert.deepEqual(listed.CommonPrefixes, [{ Prefix: "p/" }]);
  assert.equal((await client.send(new s3.GetBucketLocationCommand({ Bucket: "b" }))).LocationConstraint, "eu-west-1");
  assert.equal((await client.send(new s3.ListBucketsCommand({}))).Buckets?.[0]?.CreationDate?.getTime(), 1_700_000_000_000);
  assert.equal((await client.send(new s3.CreateBucketCommand({ Bucket: "new" }))).Location, "/new");
  const Grants = [{ Grantee: { Type: "CanonicalUser" as const, ID: "x" }, Permission: "READ" as const }];
  await client.send(new s3.PutBucketAclCommand({ Bucket: "b", AccessControlPolicy: { Grants, Owner: { ID: "o" } } }));
  assert.deepEqual((await client.send(new s3.GetBucketAclCommand({ Bucket: "b" }))).Grants, Grants);
});

test("S3: errors in S3's document with its ids, none on HEAD", async (t) => {
  const { operations } = objectStore();
  const { settings, endpoint } = await start(t, [
    fakeService(
      "s3",
      s3,
      "S3Client",
      { ...operations, GetBucketPolicy: notBuilt },
      { anonymous: new Set(["GetObject"]), access: () => [] },
    ),
  ]);
  const client = new s3.S3Client({ ...settings(), forcePathStyle: true });
  t.after(() => client.destroy());
  await assertRefused(
    client.send(new s3.GetObjectCommand({ Bucket: "b", Key: "no" })),
    "NoSuchKey",
    404,
    "The specified key does not exist.",
  );
  await assertRefused(client.send(new s3.HeadObjectCommand({ Bucket: "b", Key: "no" })), "NotFound", 404);
  await assertRefused(client.send(new s3.GetBucketPolicyCommand({ Bucket: "b" })), "NotImplemented", 501, /s3:GetBucketPolicy/);
  const anonymous = await fetch(`${endpoint}/b/no`);
  const id = anonymous.headers.get("x-amz-request-id");
  assert.equal(anonymous.headers.get("x-amzn-requestid"), id);
  assert.equal(
    await anonymous.text(),
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>no</Key><RequestId>${id}</RequestId><HostId>${anonymous.headers.get("x-amz-id-2")}</HostId></Error>`,
  );
  const unsigned = await fetch(`${endpoint}/b/no`, { method: "PUT", body: "x" });
  assert.match(await unsigned.text(), /<Code>AccessDenied<\/Code><Message>Access Denied<\/Message>/);
  assert.equal(unsigned.status, 403);
});
