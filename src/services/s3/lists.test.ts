// Listings against a simple oracle, over seeded random keys.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { objectKey } from "./model.ts";
import { context, memoryS3, refused } from "./memory-s3.ts";

/** mulberry32 */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES = ["a", "b", "/", "/", "-", "é", "\u{1F600}", "\uFF21", "\u{10FFFF}", "z", "%", " ", "+", "0"];

function randomKeys(count: number, next: () => number): string[] {
  const keys = new Set<string>();
  while (keys.size < count) {
    const length = 1 + Math.floor(next() * 7);
    keys.add(Array.from({ length }, () => PIECES[Math.floor(next() * PIECES.length)]).join(""));
  }
  return [...keys];
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Everything that a listing has, as it should come. */
function oracle(keys: readonly string[], prefix: string, delimiter: string): string[] {
  const seen = new Set<string>();
  for (const key of keys.toSorted(byBytes)) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    seen.add(at === -1 ? `k ${key}` : `p ${key.slice(0, at + delimiter.length)}`);
  }
  return [...seen];
}

/** Writes the records themselves: 5,000 puts would each sync a file. */
async function filled(t: TestContext, count: number, seed: number) {
  const s3 = await memoryS3(t);
  const keys = randomKeys(count, random(seed));
  const common = { metadata: [], tags: [], headers: {}, storageClass: "STANDARD", versionId: "null", modifiedAtMs: 0 };
  const value = { ...common, sequence: 1, etag: "e", bytes: 1, content: { sha256: "0".repeat(64) } };
  await s3.storage.meta.write(keys.map((key) => ({ key: objectKey("bucket", key), value })));
  return { ...s3, keys };
}

const entriesOf = (page: Pick<ListObjectsV2CommandOutput, "Contents" | "CommonPrefixes">) => [
  ...(page.Contents ?? []).map(({ Key }) => `k ${Key}`),
  ...(page.CommonPrefixes ?? []).map(({ Prefix }) => `p ${Prefix}`),
];

const inOrder = (entries: readonly string[]) => entries.toSorted((a, b) => byBytes(a.slice(2), b.slice(2)));

test("5,000 keys: every page of every listing is what the oracle says", async (t) => {
  const seed = 20_261_101;
  const { ListObjectsV2, ListObjects, keys } = await filled(t, 5000, seed);
  for (const [prefix, delimiter, MaxKeys] of [
    ["", "", 1000],
    ["", "/", 1000],
    ["", "/", 7],
    ["a", "/", 50],
    ["a/", "/", 3],
    ["é", "", 100],
    ["", "b/", 90],
    ["\u{10FFFF}", "/", 10],
    ["nothing", "/", 10],
  ] as const) {
    const expected = oracle(keys, prefix, delimiter);
    const where = { Bucket: "bucket", Prefix: prefix, Delimiter: delimiter, MaxKeys };
    const found: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await ListObjectsV2(context, { ...where, ContinuationToken });
      const entries = inOrder(entriesOf(page));
      assert.equal(page.KeyCount, entries.length);
      if (page.IsTruncated) assert.equal(entries.length, MaxKeys);
      found.push(...entries);
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    assert.deepEqual(found, expected, `seed ${seed}: ${prefix} ${delimiter}`);
    const old: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await ListObjects(context, { ...where, Marker });
      old.push(...inOrder(entriesOf(page)));
      Marker = page.IsTruncated ? (page.NextMarker ?? page.Contents?.at(-1)?.Key) : undefined;
    } while (Marker !== undefined);
    assert.deepEqual(old, expected, `ListObjects, seed ${seed}: ${prefix} ${delimiter}`);
  }
});

test("a listing jumps over what it rolls up", async (t) => {
  const { ListObjectsV2, storage, keys } = await filled(t, 5000, 7);
  const read: number[] = [];
  const list = storage.meta.list.bind(storage.meta);
  Object.assign(storage.meta, {
    list: async (range: Parameters<typeof list>[0]) => {
      const page = await list(range);
      read.push(page.length);
      return page;
    },
  });
  const value = { etag: "e" };
  await storage.meta.write(Array.from({ length: 3000 }, (_, index) => ({ key: objectKey("bucket", `\u0001deep/${index}`), value })));
  const page = await ListObjectsV2(context, { Bucket: "bucket", Delimiter: "/", MaxKeys: 1 });
  assert.deepEqual(page.CommonPrefixes, [{ Prefix: "\u0001deep/" }]);
  assert.ok(read.reduce((sum, length) => sum + length, 0) < 100, String(read));
  assert.equal(keys.length, 5000);
});

test("start-after, owner, encoding, limits", async (t) => {
  const { put, ListObjectsV2, ListObjects } = await memoryS3(t);
  for (const key of ["a", "b c/ü+*", "c\u0001"]) await put(key, "x", { ChecksumCRC32: "jNxWsw==" }).catch(() => put(key, "x"));
  const list = (more: object) => ListObjectsV2(context, { Bucket: "bucket", ...more });
  assert.deepEqual(entriesOf(await list({ StartAfter: "a" })), ["k b c/ü+*", "k c\u0001"]);
  const encoded = await list({ EncodingType: "url", Delimiter: "+", Prefix: "b c" });
  assert.deepEqual(encoded.CommonPrefixes, [{ Prefix: "b%20c/%C3%BC%2B" }]);
  assert.deepEqual([encoded.Prefix, encoded.Delimiter], ["b%20c", "%2B"]);
  assert.equal((await list({ FetchOwner: true })).Contents?.[0]?.Owner?.ID?.length, 64);
  assert.equal((await list({})).Contents?.[0]?.Owner, undefined);
  const none = await list({ MaxKeys: 0 });
  assert.deepEqual([none.KeyCount, none.IsTruncated], [0, false]);
  assert.equal((await list({ MaxKeys: 5000 })).MaxKeys, 1000);
  await refused(() => list({ MaxKeys: -1 }), "InvalidArgument", 400);
  await refused(() => list({ ContinuationToken: "nonsense" }), "InvalidArgument", 400);
  await refused(() => list({ EncodingType: "rot13" }), "InvalidArgument", 400);
  await refused(() => ListObjects(context, { Bucket: "missing" }), "NoSuchBucket", 404);
});

test("versions are listed in pages, newest first within a key", async (t) => {
  const { put, DeleteObject, PutBucketVersioning, ListObjectVersions } = await memoryS3(t);
  await put("a");
  await put("a\u0001");
  await PutBucketVersioning(context, { Bucket: "bucket", VersioningConfiguration: { Status: "Enabled" } });
  const expected: string[] = [];
  for (const key of ["a", "a\u0001", "dir/x", "dir/y", "e"]) {
    const ids = key.startsWith("a") ? ["null"] : [];
    for (let count = 0; count < 3; count++) ids.unshift((await put(key, `${count}`)).VersionId ?? "");
    if (key !== "e") ids.unshift((await DeleteObject(context, { Bucket: "bucket", Key: key })).VersionId ?? "");
    expected.push(...ids.map((id, index) => `${key} ${id} ${index === 0}`));
  }
  for (const MaxKeys of [1, 2, 3, 7, 100]) {
    const found: string[] = [];
    let from: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (let more = true; more;) {
      const page = await ListObjectVersions(context, { Bucket: "bucket", MaxKeys, ...from });
      const entries = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map((one) => `${one.Key} ${one.VersionId} ${one.IsLatest}`);
      found.push(...expected.filter((one) => entries.includes(one)));
      assert.ok(
        entries.every((one) => expected.includes(one)),
        entries.join(),
      );
      more = page.IsTruncated === true;
      from = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
    assert.deepEqual(found, expected, `pages of ${MaxKeys}`);
  }
  const rolled = await ListObjectVersions(context, { Bucket: "bucket", Delimiter: "/", MaxKeys: 100, KeyMarker: "a\u0001" });
  assert.deepEqual([rolled.CommonPrefixes, rolled.Versions?.length, rolled.DeleteMarkers?.length], [[{ Prefix: "dir/" }], 3, 0]);
  const after = await ListObjectVersions(context, { Bucket: "bucket", KeyMarker: "a", VersionIdMarker: "null", Prefix: "a" });
  assert.deepEqual([after.Versions?.length, after.DeleteMarkers?.length], [4, 1]);
  await refused(() => ListObjectVersions(context, { Bucket: "bucket", VersionIdMarker: "x" }), "InvalidArgument", 400);
});
