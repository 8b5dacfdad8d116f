// Settings of buckets and tags of objects, and true answers about what is not there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { context, memoryS3, refused } from "./memory-s3.ts";

const where = { Bucket: "bucket" };

test("tags of buckets and objects", async (t) => {
  const { put, ...s3 } = await memoryS3(t);
  await refused(() => s3.GetBucketTagging(context, where), "NoSuchTagSet", 404);
  const TagSet = [{ Key: "team", Value: "a b" }];
  await s3.PutBucketTagging(context, { ...where, Tagging: { TagSet } });
  assert.deepEqual(await s3.GetBucketTagging(context, where), { TagSet });
  await s3.DeleteBucketTagging(context, where);
  await refused(() => s3.GetBucketTagging(context, where), "NoSuchTagSet", 404);
  await put("k", "x", { Tagging: "a=1" });
  const object = { ...where, Key: "k" };
  assert.deepEqual(await s3.GetObjectTagging(context, object), { TagSet: [{ Key: "a", Value: "1" }] });
  await s3.PutObjectTagging(context, { ...object, Tagging: { TagSet } });
  assert.equal((await s3.HeadObject(context, object)).TagCount, 1);
  await s3.DeleteObjectTagging(context, object);
  assert.deepEqual(await s3.GetObjectTagging(context, object), { TagSet: [] });
  const eleven = Array.from({ length: 11 }, (_, index) => ({ Key: `${index}`, Value: "" }));
  await refused(() => s3.PutObjectTagging(context, { ...object, Tagging: { TagSet: eleven } }), "BadRequest", 400);
  for (const Key of ["aws:x", "", "x".repeat(129), "<>"])
    await refused(() => s3.PutObjectTagging(context, { ...object, Tagging: { TagSet: [{ Key, Value: "" }] } }), "InvalidTag", 400);
  await refused(() => s3.PutObjectTagging(context, { ...where, Key: "missing", Tagging: { TagSet } }), "NoSuchKey", 404);
});

test("the public is kept out until the owner says otherwise", async (t) => {
  const s3 = await memoryS3(t);
  const all = { BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true };
  assert.deepEqual(await s3.GetPublicAccessBlock(context, where), { PublicAccessBlockConfiguration: all });
  await s3.PutPublicAccessBlock(context, { ...where, PublicAccessBlockConfiguration: { BlockPublicAcls: true } });
  assert.deepEqual(await s3.GetPublicAccessBlock(context, where), {
    PublicAccessBlockConfiguration: { ...all, IgnorePublicAcls: false, BlockPublicPolicy: false, RestrictPublicBuckets: false },
  });
  await s3.DeletePublicAccessBlock(context, where);
  await refused(() => s3.GetPublicAccessBlock(context, where), "NoSuchPublicAccessBlockConfiguration", 404);
});

test("the owner has full control, and no ACL says anything else", async (t) => {
  const s3 = await memoryS3(t);
  const acl = await s3.GetBucketAcl(context, where);
  assert.deepEqual(
    acl.Grants?.map(({ Grantee, Permission }) => [Grantee?.ID, Permission]),
    [[acl.Owner?.ID, "FULL_CONTROL"]],
  );
  assert.deepEqual(await s3.GetBucketOwnershipControls(context, where), {
    OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
  });
  await s3.PutBucketAcl(context, { ...where, ACL: "private" });
  await refused(() => s3.PutBucketAcl(context, { ...where, ACL: "public-read" }), "AccessControlListNotSupported", 400);
  await refused(() => s3.PutBucketAcl(context, { ...where, AccessControlPolicy: {} }), "AccessControlListNotSupported", 400);
  const Rules = [{ ObjectOwnership: "ObjectWriter" as const }];
  await refused(() => s3.PutBucketOwnershipControls(context, { ...where, OwnershipControls: { Rules } }), "NotImplemented", 501);
  await refused(() => s3.CreateBucket(context, { Bucket: "new-one", ACL: "public-read" }), "AccessControlListNotSupported", 400);
  await refused(() => s3.CreateBucket(context, { Bucket: "new-one", ObjectLockEnabledForBucket: true }), "NotImplemented", 501);
});

test("what no bucket has is said so, as AWS says it", async (t) => {
  const s3 = await memoryS3(t);
  const rows = [
    [s3.GetBucketCors, "NoSuchCORSConfiguration"],
    [s3.GetBucketLifecycleConfiguration, "NoSuchLifecycleConfiguration"],
    [s3.GetBucketReplication, "ReplicationConfigurationNotFoundError"],
    [s3.GetBucketWebsite, "NoSuchWebsiteConfiguration"],
    [s3.GetObjectLockConfiguration, "ObjectLockConfigurationNotFoundError"],
  ] as const;
  for (const [operation, code] of rows) await refused(() => operation(context, where), code, 404);
  for (const operation of [s3.GetBucketAccelerateConfiguration, s3.GetBucketLogging]) {
    assert.deepEqual(await operation(context, where), {});
    await refused(() => operation(context, { Bucket: "missing" }), "NoSuchBucket", 404);
  }
  assert.deepEqual(await s3.GetBucketRequestPayment(context, where), { Payer: "BucketOwner" });
});

test("versioning can't be asked for halfway", async (t) => {
  const s3 = await memoryS3(t);
  const put = (VersioningConfiguration: object) => s3.PutBucketVersioning(context, { ...where, VersioningConfiguration });
  await refused(() => put({}), "IllegalVersioningConfigurationException", 400);
  await refused(() => put({ Status: "Enabled", MFADelete: "Enabled" }), "NotImplemented", 501);
  await put({ Status: "Enabled" });
  assert.deepEqual(await s3.GetBucketVersioning(context, where), { Status: "Enabled" });
});

test("every bucket has AES256, and can't be promised more", async (t) => {
  const s3 = await memoryS3(t);
  const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" }, BucketKeyEnabled: false } as const;
  const put = (...Rules: object[]) => s3.PutBucketEncryption(context, { ...where, ServerSideEncryptionConfiguration: { Rules } });
  await put({ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } });
  await put(rule);
  await refused(() => put(), "MalformedXML", 400);
  await refused(() => put(rule, rule), "MalformedXML", 400);
  await refused(() => put({ BucketKeyEnabled: false }), "MalformedXML", 400);
  await refused(() => put({ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" } }), "NotImplemented", 501);
  await refused(() => put({ ...rule, BucketKeyEnabled: true }), "NotImplemented", 501);
  await refused(() => put({ ...rule, BlockedEncryptionTypes: { EncryptionType: ["SSE-C"] } }), "NotImplemented", 501);
  await s3.DeleteBucketEncryption(context, where);
  assert.deepEqual(await s3.GetBucketEncryption(context, where), { ServerSideEncryptionConfiguration: { Rules: [rule] } });
  for (const operation of [s3.GetBucketEncryption, s3.DeleteBucketEncryption])
    await refused(() => operation(context, { Bucket: "missing" }), "NoSuchBucket", 404);
});
