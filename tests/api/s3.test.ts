// S3 as its official client sees it: through the wire, with the checksums and encodings that SDKs use.
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketPolicyCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  PutPublicAccessBlockCommand,
  S3Client,
  UploadPartCommand,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { SignatureV4 } from "@smithy/signature-v4";
import { assertRefused, FAKE_ROOT, FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { takingAll } from "../../src/services/s3/memory-s3.ts";
import { s3Service } from "../../src/services/s3/service.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { eventually } from "../support/eventually.ts";

const MIB = 2 ** 20;
const Bucket = "bucket";
const md5 = (bytes: string | Uint8Array) => createHash("md5").update(bytes).digest("hex");

async function start(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "lambent-s3-api-"));
  const storage = memoryStorage({ clock: systemClock });
  const blobs = await diskBlobs({ directory, clock: systemClock });
  const s3 = await s3Service({ meta: storage.meta, blobs, clock: systemClock, log: silentLog, ...takingAll(storage, systemClock) });
  const { door, endpoint, port, settings } = await fakeDoor([s3.definition]);
  const clients: S3Client[] = [];
  const clientOf = (more: S3ClientConfig = {}, who: typeof FAKE_ROOT | typeof FAKE_STRANGER = FAKE_ROOT) => {
    const client = new S3Client({ ...settings(who), region: "us-east-1", forcePathStyle: true, ...more });
    clients.push(client);
    return client;
  };
  t.after(async () => {
    for (const client of clients) client.destroy();
    await door.close();
    await s3.stop();
    await storage.close();
    await rm(directory, { recursive: true });
  });
  const client = clientOf();
  await client.send(new CreateBucketCommand({ Bucket }));
  const files = async () => (await readdir(directory, { recursive: true, withFileTypes: true })).filter((one) => one.isFile()).length;
  return { client, clientOf, endpoint, port, files };
}

test("put, get, head, list, copy, delete with the client's defaults", async (t) => {
  const { client } = await start(t);
  const Key = "dir/ké y+%&?#.txt";
  const put = await client.send(
    new PutObjectCommand({ Bucket, Key, Body: "hello", ContentType: "text/plain", Metadata: { color: "blue" }, Tagging: "a=b" }),
  );
  assert.equal(put.ETag, `"${md5("hello")}"`);
  assert.equal(put.ChecksumCRC32, "NhCmhg==");
  const got = await client.send(new GetObjectCommand({ Bucket, Key }));
  assert.equal(await got.Body?.transformToString(), "hello");
  assert.deepEqual([got.ContentType, got.Metadata, got.ChecksumCRC32, got.TagCount], ["text/plain", { color: "blue" }, "NhCmhg==", 1]);
  const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
  assert.deepEqual([head.ContentLength, head.AcceptRanges, head.ServerSideEncryption], [5, "bytes", undefined]);
  const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
  assert.equal((await client.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource }))).CopyObjectResult?.ETag, put.ETag);
  const listed = await client.send(new ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  assert.deepEqual([listed.Contents?.map((one) => one.Key), listed.CommonPrefixes], [["copy"], [{ Prefix: "dir/" }]]);
  assert.deepEqual((await client.send(new GetObjectTaggingCommand({ Bucket, Key: "copy" }))).TagSet, [{ Key: "a", Value: "b" }]);
  await assertRefused(client.send(new DeleteBucketCommand({ Bucket })), "BucketNotEmpty", 409);
  const deleted = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }, { Key: "copy" }] } }));
  assert.deepEqual(deleted.Deleted?.map((one) => one.Key).toSorted(), ["copy", Key]);
  await client.send(new DeleteBucketCommand({ Bucket }));
  assert.deepEqual((await client.send(new ListBucketsCommand({}))).Buckets ?? [], []);
});

test("faults have S3's names, statuses and members", async (t) => {
  const { client } = await start(t);
  const missing = await client.send(new GetObjectCommand({ Bucket, Key: "missing" })).catch((cause: unknown) => cause);
  assert.ok(missing instanceof NoSuchKey);
  assert.equal((missing as unknown as { Key: string }).Key, "missing");
  assert.equal(missing.message, "The specified key does not exist.");
  await assertRefused(client.send(new HeadObjectCommand({ Bucket, Key: "missing" })), "NotFound", 404);
  await assertRefused(client.send(new HeadBucketCommand({ Bucket: "missing" })), "NotFound", 404);
  await assertRefused(
    client.send(new ListObjectsV2Command({ Bucket: "missing" })),
    "NoSuchBucket",
    404,
    "The specified bucket does not exist",
  );
  await assertRefused(client.send(new CreateBucketCommand({ Bucket: "No" })), "InvalidBucketName", 400);
  await assertRefused(client.send(new PutObjectCommand({ Bucket, Key: "x".repeat(1025), Body: "" })), "KeyTooLongError", 400);
  await assertRefused(client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "", IfMatch: '"x"' })), "NoSuchKey", 404);
  await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "0123456789", IfNoneMatch: "*" }));
  await assertRefused(client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "", IfNoneMatch: "*" })), "PreconditionFailed", 412);
  await assertRefused(client.send(new GetObjectCommand({ Bucket, Key: "k", Range: "bytes=10-" })), "InvalidRange", 416);
  await assertRefused(client.send(new PutObjectCommand({ Bucket: "missing", Key: "k", Body: Buffer.alloc(8 * MIB) })), "NoSuchBucket", 404);
  await assertRefused(
    client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", ServerSideEncryption: "aws:kms" })),
    "NotImplemented",
    501,
  );
});

test("of many keys to delete, those that IAM denies are errors and the others are deleted", async (t) => {
  const { client, clientOf } = await start(t);
  const stranger = clientOf({}, FAKE_STRANGER);
  for (const Key of ["mine/1", "mine/2", "yours"]) await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  const Objects = [{ Key: "mine/1" }, { Key: "yours" }, { Key: "mine/2" }];
  const all = await stranger.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual([all.Deleted, all.Errors?.length], [undefined, 3]);
  const statement = { Effect: "Allow", Principal: "*", Action: "s3:DeleteObject", Resource: `arn:aws:s3:::${Bucket}/mine/*` };
  await client.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: { BlockPublicPolicy: false } }));
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: "2012-10-17", Statement: [statement] }) }));
  const some = await stranger.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual(some.Deleted, [{ Key: "mine/1" }, { Key: "mine/2" }]);
  const [error] = some.Errors ?? [];
  assert.deepEqual([some.Errors?.length, error?.Key, error?.Code], [1, "yours", "AccessDenied"]);
  assert.match(error?.Message ?? "", /not authorized to perform: s3:DeleteObject on resource: arn:aws:s3:::bucket\/yours/);
  const left = await client.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual(
    left.Contents?.map(({ Key }) => Key),
    ["yours"],
  );
});

/** Sends these digests of its bodies in place of its own. */
function digesting(client: S3Client, digests: Readonly<Record<string, string>>): S3Client {
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      for (const one of Object.keys(headers)) if (one.startsWith("x-amz-checksum-")) delete headers[one];
      Object.assign(headers, digests);
      return next(args);
    },
    { step: "build", priority: "low" },
  );
  return client;
}

test("a body that is no content is checked against its digests as well", async (t) => {
  const { client, clientOf } = await start(t);
  await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [] });
  const calls: Readonly<Record<string, (other: S3Client) => Promise<unknown>>> = {
    DeleteObjects: (other) => other.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "k" }] } })),
    PutBucketPolicy: (other) => other.send(new PutBucketPolicyCommand({ Bucket, Policy })),
    PutBucketTagging: (other) => other.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "a", Value: "b" }] } })),
    PutBucketVersioning: (other) => other.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } })),
    PutObjectTagging: (other) =>
      other.send(new PutObjectTaggingCommand({ Bucket, Key: "k", Tagging: { TagSet: [{ Key: "a", Value: "b" }] } })),
  };
  for (const [operation, call] of Object.entries(calls)) {
    const refused = (headers: Readonly<Record<string, string>>, code: string) =>
      assertRefused(call(digesting(clientOf(), headers)), code, 400).catch((cause: unknown) => {
        throw new Error(`${operation} with ${JSON.stringify(headers)}`, { cause });
      });
    await refused({ "content-md5": Buffer.alloc(16).toString("base64") }, "BadDigest");
    await refused({ "content-md5": "short" }, "InvalidDigest");
    await refused({ "x-amz-checksum-crc32": "AAAAAA==" }, "BadDigest");
    await refused({ "x-amz-checksum-sha256": "AAAAAA==" }, "InvalidRequest");
    await refused({ "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA==" }, "InvalidRequest");
  }
  assert.equal((await client.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 1);
  assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined);
  assert.deepEqual((await client.send(new GetObjectTaggingCommand({ Bucket, Key: "k" }))).TagSet ?? [], []);
  await assertRefused(client.send(new GetBucketTaggingCommand({ Bucket })), "NoSuchTagSet", 404);
  await assertRefused(client.send(new GetBucketPolicyCommand({ Bucket })), "NoSuchBucketPolicy", 404);
  const message = "Missing required header for this request: Content-MD5";
  for (const operation of ["DeleteObjects", "PutBucketTagging"])
    await assertRefused(calls[operation]?.(digesting(clientOf(), {})) ?? assert.fail(), "InvalidRequest", 400, message);
  await calls["PutBucketVersioning"]?.(digesting(clientOf(), {}));
  assert.equal((await client.send(new GetBucketVersioningCommand({ Bucket }))).Status, "Enabled");
});

test("a range is a 206 with its place in the whole", async (t) => {
  const { client } = await start(t);
  await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "0123456789" }));
  const got = await client.send(new GetObjectCommand({ Bucket, Key: "k", Range: "bytes=2-4" }));
  assert.equal(await got.Body?.transformToString(), "234");
  assert.deepEqual([got.$metadata.httpStatusCode, got.ContentRange, got.ContentLength], [206, "bytes 2-4/10", 3]);
});

test("all checksum algorithms of the client, in headers and behind streams", async (t) => {
  const { client } = await start(t);
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"] as const) {
    const name = `Checksum${ChecksumAlgorithm}` as const;
    const put = await client.send(new PutObjectCommand({ Bucket, Key: ChecksumAlgorithm, Body: "hello", ChecksumAlgorithm }));
    const bytes = Buffer.alloc(300_000, 7);
    const streamed = new PutObjectCommand({
      Bucket,
      Key: "s",
      Body: Readable.from([bytes]),
      ContentLength: bytes.length,
      ChecksumAlgorithm,
    });
    assert.ok((await client.send(streamed))[name]);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }));
    assert.equal(await got.Body?.transformToString(), "hello");
    assert.deepEqual([got[name], got.ChecksumType], [put[name], "FULL_OBJECT"]);
  }
});

test("content that is not what its checksum says is refused", async (t) => {
  const { client, clientOf, files } = await start(t);
  await assertRefused(client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "hello", ChecksumCRC32: "AAAAAA==" })), "BadDigest", 400);
  const ContentMD5 = Buffer.from(md5("other"), "hex").toString("base64");
  const plain = clientOf({ requestChecksumCalculation: "WHEN_REQUIRED" });
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
  const part = { Bucket, Key: "k", UploadId, PartNumber: 1, Body: "hello" };
  const whole = { Bucket, Key: "k", Body: "hello" };
  for (const [digest, code] of [
    [{ ContentMD5 }, "BadDigest"],
    [{ ContentMD5: "short" }, "InvalidDigest"],
    [{ ChecksumSHA256: createHash("sha256").update("other").digest("base64") }, "BadDigest"],
    [{ ChecksumSHA256: "AAAA" }, "InvalidRequest"],
  ] as const) {
    await assertRefused(plain.send(new PutObjectCommand({ ...whole, ...digest })), code, 400);
    await assertRefused(plain.send(new UploadPartCommand({ ...part, ...digest })), code, 400);
  }
  assert.equal(await files(), 0);
  assert.equal((await client.send(new ListPartsCommand({ Bucket, Key: "k", UploadId }))).Parts, undefined);
  const right = Buffer.from(md5("hello"), "hex").toString("base64");
  await plain.send(new PutObjectCommand({ ...whole, ContentMD5: right }));
  await plain.send(new UploadPartCommand({ ...part, ContentMD5: right }));
});

test("multipart upload with the client's default checksums", async (t) => {
  const { client } = await start(t);
  const where = { Bucket, Key: "big" };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(where));
  const bodies = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(1000)];
  const Parts = await Promise.all(
    bodies.map(async (Body, index) => {
      const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand({ ...where, UploadId, PartNumber: index + 1, Body }));
      return { ETag, ChecksumCRC32, PartNumber: index + 1 };
    }),
  );
  const complete = () => client.send(new CompleteMultipartUploadCommand({ ...where, UploadId, MultipartUpload: { Parts } }));
  const done = await complete();
  assert.match(done.ETag ?? "", /^"[0-9a-f]{32}-3"$/);
  assert.equal((await complete()).ETag, done.ETag);
  const got = await client.send(new GetObjectCommand(where));
  assert.equal(md5((await got.Body?.transformToByteArray()) ?? new Uint8Array()), md5(Buffer.concat(bodies)));
  const other = await client.send(new CreateMultipartUploadCommand(where));
  await client.send(new AbortMultipartUploadCommand({ ...where, UploadId: other.UploadId }));
  const late = new UploadPartCommand({ ...where, UploadId: other.UploadId, PartNumber: 1, Body: "x" });
  await assertRefused(client.send(late), "NoSuchUpload", 404);
});

test("a large upload streams: the memory of the server does not follow its size", async (t) => {
  const { client } = await start(t);
  const chunk = randomBytes(MIB);
  const count = 256;
  let rssMax = 0;
  const rssBefore = process.memoryUsage().rss;
  async function* chunks() {
    for (let index = 0; index < count; index++) {
      rssMax = Math.max(rssMax, process.memoryUsage().rss);
      yield chunk;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
  const put = await client.send(new PutObjectCommand({ Bucket, Key: "large", Body: Readable.from(chunks()), ContentLength: count * MIB }));
  assert.ok(rssMax - rssBefore < 128 * MIB, `${(rssMax - rssBefore) / MIB} MiB for an upload of ${count} MiB, client included`);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: "large" }));
  const hash = createHash("md5");
  for await (const piece of got.Body as Readable) hash.update(piece as Uint8Array);
  assert.equal(`"${hash.digest("hex")}"`, put.ETag);
});

test("a client that leaves in the middle of its upload leaves nothing", async (t) => {
  const { client, files } = await start(t);
  const abort = new AbortController();
  async function* endless() {
    for (let index = 0; ; index++) {
      if (index === 20) abort.abort();
      yield Buffer.alloc(64 * 1024);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }
  const put = new PutObjectCommand({ Bucket, Key: "k", Body: Readable.from(endless()), ContentLength: 100 * MIB });
  await assert.rejects(client.send(put, { abortSignal: abort.signal }));
  await eventually("the unfinished blob is gone", async () => (await files()) === 0);
  await assertRefused(client.send(new HeadObjectCommand({ Bucket, Key: "k" })), "NotFound", 404);
});

function signerOf(who: typeof FAKE_ROOT | typeof FAKE_STRANGER) {
  class Sha256 {
    readonly #hash;
    constructor(secret?: string | Uint8Array) {
      this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
    }
    update(bytes: Uint8Array) {
      this.#hash.update(bytes);
    }
    digest() {
      return Promise.resolve(new Uint8Array(this.#hash.digest()));
    }
    reset() {}
  }
  const credentials = { accessKeyId: who.caller.accessKeyId, secretAccessKey: who.secretAccessKey };
  return new SignatureV4({
    service: "s3",
    region: "us-east-1",
    credentials,
    sha256: Sha256 as never,
    uriEscapePath: false,
    applyChecksum: false,
  });
}

async function presigned(
  port: number,
  method: "GET" | "PUT",
  path: string,
  options: { expiresIn: number; signingDate?: Date },
  who = FAKE_ROOT,
) {
  const unsigned = {
    method,
    protocol: "http:",
    hostname: "127.0.0.1",
    port,
    path,
    query: {},
    headers: { host: `127.0.0.1:${port}`, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" },
  };
  const { query } = await signerOf(who).presign(unsigned, options);
  const pairs = Object.entries(query ?? {}).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return `http://127.0.0.1:${port}${path}?${pairs.join("&")}`;
}

test("presigned URLs work as long as they say", async (t) => {
  const { port } = await start(t);
  const put = await fetch(await presigned(port, "PUT", "/bucket/a%20b", { expiresIn: 60 }), { method: "PUT", body: "hello" });
  assert.equal(put.status, 200, await put.text());
  const got = await fetch(await presigned(port, "GET", "/bucket/a%20b", { expiresIn: 60 }));
  assert.deepEqual([got.status, await got.text()], [200, "hello"]);
  const signingDate = new Date(Date.now() - 3_600_000);
  assert.equal((await fetch(await presigned(port, "GET", "/bucket/a%20b", { expiresIn: 3700, signingDate }))).status, 200);
  const late = await fetch(await presigned(port, "GET", "/bucket/a%20b", { expiresIn: 60, signingDate }));
  assert.deepEqual([late.status, /<Code>AccessDenied<.*Request has expired/.test(await late.text())], [403, true]);
  const tampered = await fetch((await presigned(port, "GET", "/bucket/a%20b", { expiresIn: 60 })).replace("a%20b", "other"));
  assert.equal(tampered.status, 403);
});

test("strangers see what a public policy shows, and no more", async (t) => {
  const { client, clientOf, endpoint } = await start(t);
  await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "hello" }));
  assert.equal((await fetch(`${endpoint}/bucket/k`)).status, 403);
  const stranger = clientOf({}, FAKE_STRANGER);
  await assertRefused(stranger.send(new GetObjectCommand({ Bucket, Key: "k" })), "AccessDenied", 403);
  const open = { BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: false, RestrictPublicBuckets: false };
  await client.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: open }));
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" }],
  });
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  const got = await fetch(`${endpoint}/bucket/k`);
  assert.deepEqual([got.status, await got.text(), got.headers.get("etag")], [200, "hello", `"${md5("hello")}"`]);
  const head = await fetch(`${endpoint}/bucket/k`, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, "5"]);
  assert.equal((await fetch(`${endpoint}/bucket/missing`)).status, 403);
  assert.equal((await fetch(`${endpoint}/bucket/k`, { method: "PUT", body: "x" })).status, 403);
  assert.equal((await fetch(`${endpoint}/bucket`)).status, 403);
});

test("versions through the client", async (t) => {
  const { client } = await start(t);
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
  const one = await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "one" }));
  await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "two" }));
  const old = await client.send(new GetObjectCommand({ Bucket, Key: "k", VersionId: one.VersionId }));
  assert.deepEqual([await old.Body?.transformToString(), old.VersionId], ["one", one.VersionId]);
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
  assert.deepEqual(
    Versions.map(({ IsLatest }) => IsLatest),
    [true, false],
  );
});

test("a paginator reads every key once", async (t) => {
  const { client } = await start(t);
  const keys = Array.from({ length: 25 }, (_, index) => `k${String(index).padStart(2, "0")}`);
  await Promise.all(keys.map((Key) => client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
  const found: (string | undefined)[] = [];
  for await (const page of paginateListObjectsV2({ client, pageSize: 10 }, { Bucket }))
    found.push(...(page.Contents ?? []).map(({ Key }) => Key));
  assert.deepEqual(found, keys);
});

test("keys that look like paths stay keys", async (t) => {
  const { client, port } = await start(t);
  for (const Key of ["../../etc/passwd", "a//b", "/", ".", "a/./b/../c", "__proto__"]) {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await got.Body?.transformToString(), Key);
  }
  const status = await new Promise((resolve, reject) => {
    request({ port, host: "127.0.0.1", path: "/bucket/..%c0%af..%c0%afetc", method: "GET" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  assert.ok(status === 400 || status === 403, String(status));
});
