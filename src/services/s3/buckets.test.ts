// Buckets, called directly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { context, contextOf, memoryS3, refused } from "./memory-s3.ts";

test("buckets: names, owners, regions", async (t) => {
  const { CreateBucket, DeleteBucket, GetBucketLocation, HeadBucket, ListBuckets, put } = await memoryS3(t);
  for (const Bucket of ["ab", "A-b", "a..b", "10.0.0.1", "-ab", "ab-", "xn--ab", "a".repeat(64), "../ab", "x-s3alias", "a_b", "__proto__"])
    await refused(() => CreateBucket(context, { Bucket }), "InvalidBucketName", 400);
  assert.equal((await CreateBucket(context, { Bucket: "bucket" })).Location, "/bucket");
  const elsewhere = contextOf("eu-west-1");
  await refused(() => CreateBucket(elsewhere, { Bucket: "other" }), "IllegalLocationConstraintException", 400);
  const CreateBucketConfiguration = { LocationConstraint: "eu-west-1" as const };
  await CreateBucket(elsewhere, { Bucket: "other", CreateBucketConfiguration });
  await refused(() => CreateBucket(elsewhere, { Bucket: "other", CreateBucketConfiguration }), "BucketAlreadyOwnedByYou", 409);
  const stranger = contextOf("us-east-1", "999999999999");
  await refused(() => CreateBucket(stranger, { Bucket: "other" }), "BucketAlreadyExists", 409);
  assert.deepEqual((await ListBuckets(stranger, {})).Buckets, []);
  assert.equal((await GetBucketLocation(context, { Bucket: "other" })).LocationConstraint, "eu-west-1");
  assert.deepEqual(await GetBucketLocation(context, { Bucket: "bucket" }), {});
  await refused(() => HeadBucket(context, { Bucket: "missing" }), "NoSuchBucket", 404);
  await refused(() => HeadBucket(context, { Bucket: "bucket", ExpectedBucketOwner: "999999999999" }), "AccessDenied", 403);
  await put("k");
  await refused(() => DeleteBucket(context, { Bucket: "bucket" }), "BucketNotEmpty", 409);
  await DeleteBucket(context, { Bucket: "other" });
  await refused(() => HeadBucket(context, { Bucket: "other" }), "NoSuchBucket", 404);
});

test("buckets are listed in pages", async (t) => {
  const { CreateBucket, ListBuckets } = await memoryS3(t);
  for (const Bucket of ["page-c", "page-a", "page-b"]) await CreateBucket(context, { Bucket });
  const first = await ListBuckets(context, { MaxBuckets: 2, Prefix: "page-" });
  assert.deepEqual(
    first.Buckets?.map(({ Name }) => Name),
    ["page-a", "page-b"],
  );
  const second = await ListBuckets(context, { MaxBuckets: 2, Prefix: "page-", ContinuationToken: first.ContinuationToken });
  assert.deepEqual(
    second.Buckets?.map(({ Name }) => Name),
    ["page-c"],
  );
  assert.equal(second.ContinuationToken, undefined);
});
