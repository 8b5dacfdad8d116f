// Versions of keys, and changes that meet.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { CommonFault } from "../../aws/fault.ts";
import { context, md5, memoryS3, refused } from "./memory-s3.ts";

test("conditional writes let one of many through", async (t) => {
  const { put, read } = await memoryS3(t);
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => put("once", `${index}`, { IfNoneMatch: "*" })));
  const won = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
  assert.equal(won.length, 1);
  assert.equal(await read("once"), String(won[0]));
  for (const outcome of outcomes)
    if (outcome.status === "rejected") assert.equal((outcome.reason as CommonFault).code, "PreconditionFailed");
  const etag = `"${md5(String(won[0]))}"`;
  const swaps = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => put("once", `swap ${index}`, { IfMatch: etag })));
  assert.equal(swaps.filter(({ status }) => status === "fulfilled").length, 1);
  await refused(() => put("missing", "x", { IfMatch: etag }), "NoSuchKey", 404);
  await refused(() => put("once", "x", { IfNoneMatch: etag }), "NotImplemented", 501);
});

test("many puts of one key at once: one of them is there, whole", async (t) => {
  const { put, get, ListObjectsV2 } = await memoryS3(t);
  const bodies = Array.from({ length: 40 }, (_, index) => `${index}:`.repeat(5000));
  await Promise.all(bodies.map((body) => put("k", body)));
  const got = await get("k");
  const body = await text(got.Body as Readable);
  assert.ok(bodies.includes(body));
  assert.equal(got.ETag, `"${md5(body)}"`);
  assert.equal((await ListObjectsV2(context, { Bucket: "bucket" })).KeyCount, 1);
});

test("versions: put, delete, undelete, delete for good", async (t) => {
  const { put, get, read, DeleteObject, PutBucketVersioning, GetBucketVersioning, DeleteBucket, HeadObject, ListObjectVersions } =
    await memoryS3(t);
  const versions = async () => {
    const { Versions = [], DeleteMarkers = [] } = await ListObjectVersions(context, { Bucket: "bucket" });
    return [
      ...Versions.map((one) => `${one.VersionId} ${one.IsLatest}`),
      ...DeleteMarkers.map((one) => `x${one.VersionId} ${one.IsLatest}`),
    ];
  };
  const remove = (VersionId?: string) => DeleteObject(context, { Bucket: "bucket", Key: "k", VersionId });
  await put("k", "zero");
  assert.deepEqual(await GetBucketVersioning(context, { Bucket: "bucket" }), {});
  await PutBucketVersioning(context, { Bucket: "bucket", VersioningConfiguration: { Status: "Enabled" } });
  const one = await put("k", "one");
  const two = await put("k", "two");
  assert.equal(await read("k"), "two");
  assert.equal(await read("k", { VersionId: one.VersionId }), "one");
  assert.equal(await read("k", { VersionId: "null" }), "zero");
  assert.deepEqual(await versions(), [`${two.VersionId} true`, `${one.VersionId} false`, "null false"]);
  const marker = await remove();
  assert.equal(marker.DeleteMarker, true);
  await refused(() => get("k"), "NoSuchKey", 404);
  await refused(() => HeadObject(context, { Bucket: "bucket", Key: "k", VersionId: marker.VersionId }), "MethodNotAllowed", 405);
  assert.equal(await read("k", { VersionId: two.VersionId }), "two");
  assert.equal((await versions()).at(-1), `x${marker.VersionId} true`);
  await refused(() => get("k", { VersionId: "nonsense" }), "InvalidArgument", 400);
  await refused(() => get("k", { VersionId: "A".repeat(32) }), "NoSuchVersion", 404);
  await remove(marker.VersionId);
  assert.equal(await read("k"), "two");
  await remove(two.VersionId);
  assert.equal(await read("k"), "one");
  await PutBucketVersioning(context, { Bucket: "bucket", VersioningConfiguration: { Status: "Suspended" } });
  const suspended = await put("k", "null again");
  assert.equal(suspended.VersionId, "null");
  assert.deepEqual(await versions(), ["null true", `${one.VersionId} false`]);
  await put("k", "null once more");
  assert.equal((await versions()).length, 2);
  const hidden = await remove();
  assert.deepEqual([hidden.DeleteMarker, hidden.VersionId], [true, "null"]);
  assert.deepEqual(await versions(), [`${one.VersionId} false`, "xnull true"]);
  await refused(() => DeleteBucket(context, { Bucket: "bucket" }), "BucketNotEmpty", 409);
  await remove("null");
  assert.equal(await read("k"), "one");
  await remove(one.VersionId);
  assert.deepEqual(await versions(), []);
  await DeleteBucket(context, { Bucket: "bucket" });
});

test("versions under concurrent writers are all kept, in one order", async (t) => {
  const { put, read, PutBucketVersioning, ListObjectVersions, DeleteObject } = await memoryS3(t);
  await PutBucketVersioning(context, { Bucket: "bucket", VersioningConfiguration: { Status: "Enabled" } });
  const sent = await Promise.all(Array.from({ length: 30 }, (_, index) => put("k", `${index}`)));
  const { Versions = [] } = await ListObjectVersions(context, { Bucket: "bucket" });
  assert.deepEqual(new Set(Versions.map(({ VersionId }) => VersionId)), new Set(sent.map(({ VersionId }) => VersionId)));
  assert.equal(Versions.filter(({ IsLatest }) => IsLatest).length, 1);
  // Deleting the newest again and again brings back each one before it.
  for (const [index, { VersionId, ETag }] of Versions.entries()) {
    assert.equal(`"${md5(await read("k"))}"`, ETag);
    await DeleteObject(context, { Bucket: "bucket", Key: "k", VersionId });
    const left = await ListObjectVersions(context, { Bucket: "bucket" });
    assert.equal(left.Versions?.length, Versions.length - index - 1);
  }
});

test("a bucket is not deleted from under a put", async (t) => {
  const { CreateBucket, DeleteBucket, PutObject, HeadObject } = await memoryS3(t);
  for (let round = 0; round < 20; round++) {
    const Bucket = `race-${round}`;
    await CreateBucket(context, { Bucket });
    const put = PutObject(context, { Bucket, Key: "k", Body: Readable.from(["x"]) }).then(
      () => "put",
      (cause: CommonFault) => cause.code,
    );
    const deleted = DeleteBucket(context, { Bucket }).then(
      () => "deleted",
      (cause: CommonFault) => cause.code,
    );
    const outcome = [await put, await deleted].join(" ");
    assert.match(outcome, /^(?:put BucketNotEmpty|(?:NoSuchBucket|OperationAborted) deleted)$/);
    if (outcome.startsWith("put")) assert.ok(await HeadObject(context, { Bucket, Key: "k" }));
  }
});

interface ModelVersion {
  readonly id: string;
  /** Absent: a delete marker. */
  readonly body?: string;
}

test("versions behave like a plain list of them, whatever is done", async (t) => {
  const { put, read, get, DeleteObject, PutBucketVersioning, ListObjectVersions } = await memoryS3(t);
  const seed = 20_261_123;
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let versioning: "Enabled" | "Suspended" | undefined;
  let model: ModelVersion[] = [];
  /** What goes on top: a `null` version replaces the one there is. */
  const push = (id: string, body?: string) => {
    if (id === "null") model = model.filter((one) => one.id !== "null");
    model.unshift(body === undefined ? { id } : { id, body });
  };
  for (let step = 0; step < 250; step++) {
    const dice = next(10);
    if (dice < 4) push((await put("k", `${step}`)).VersionId ?? "null", `${step}`);
    else if (dice < 6) {
      const { VersionId, DeleteMarker } = await DeleteObject(context, { Bucket: "bucket", Key: "k" });
      if (DeleteMarker === true) push(VersionId ?? "");
      else model = [];
    } else if (dice < 9) {
      const id = model[next(model.length)]?.id ?? "null";
      await DeleteObject(context, { Bucket: "bucket", Key: "k", VersionId: id });
      model = model.filter((one) => one.id !== id);
    } else if (step > 20) {
      versioning = versioning === "Enabled" ? "Suspended" : "Enabled";
      await PutBucketVersioning(context, { Bucket: "bucket", VersioningConfiguration: { Status: versioning } });
    }
    const { Versions = [], DeleteMarkers = [] } = await ListObjectVersions(context, { Bucket: "bucket" });
    const ids = (of: (one: ModelVersion) => boolean) => model.filter(of).map(({ id }) => `${id} ${id === model[0]?.id}`);
    const where = `seed ${seed}, step ${step}`;
    assert.deepEqual(
      Versions.map((one) => `${one.VersionId} ${one.IsLatest}`),
      ids(({ body }) => body !== undefined),
      where,
    );
    assert.deepEqual(
      DeleteMarkers.map((one) => `${one.VersionId} ${one.IsLatest}`),
      ids(({ body }) => body === undefined),
      where,
    );
    if (model[0]?.body === undefined) await refused(() => get("k"), "NoSuchKey", 404);
    else assert.equal(await read("k"), model[0].body, where);
    const any = model[next(model.length)];
    if (any?.body !== undefined) assert.equal(await read("k", { VersionId: any.id }), any.body, where);
  }
});
