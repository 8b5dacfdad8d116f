// Who may do what: needs of operations, bucket policies, the public access block.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { evaluate } from "../../aws/policy.ts";
import { ACCOUNT, context, contextOf, memoryS3, refused, STRANGER } from "./memory-s3.ts";

const PUBLIC = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" }],
});
const OPEN = { BlockPublicAcls: false, IgnorePublicAcls: false, BlockPublicPolicy: false, RestrictPublicBuckets: false };

const anonymous = contextOf("us-east-1", ACCOUNT, "anonymous");
const stranger = contextOf("us-east-1", STRANGER, "user");
const user = contextOf("us-east-1", ACCOUNT, "user");

async function start(t: TestContext) {
  const s3 = await memoryS3(t);
  const needs = async (operation: string, input: object, who = user) =>
    (await s3.s3.definition.access(operation, who, { Bucket: "bucket", ...input })).map(({ action, resource }) => `${action} ${resource}`);
  const may = async (operation: string, input: object, who = user) =>
    (await s3.s3.definition.access(operation, who, { Bucket: "bucket", ...input })).every(
      (need) => evaluate({ caller: who.caller, need, identity: [], session: [], conditions: () => new Map() }).allowed,
    );
  return { ...s3, needs, may };
}

test("operations need their actions on buckets and objects", async (t) => {
  const { needs, put } = await start(t);
  await put("k");
  const rows: readonly (readonly [string, object, readonly string[]])[] = [
    ["GetObject", { Key: "k" }, ["s3:GetObject arn:aws:s3:::bucket/k"]],
    ["GetObject", { Key: "k", VersionId: "v" }, ["s3:GetObjectVersion arn:aws:s3:::bucket/k"]],
    ["HeadObject", { Key: "missing" }, ["s3:GetObject arn:aws:s3:::bucket/missing", "s3:ListBucket arn:aws:s3:::bucket"]],
    ["PutObject", { Key: "k", Tagging: "a=1" }, ["s3:PutObject arn:aws:s3:::bucket/k", "s3:PutObjectTagging arn:aws:s3:::bucket/k"]],
    ["CopyObject", { Key: "k", CopySource: "/src/a%20b" }, ["s3:PutObject arn:aws:s3:::bucket/k", "s3:GetObject arn:aws:s3:::src/a b"]],
    [
      "UploadPartCopy",
      { Key: "k", CopySource: "src/a?versionId=v" },
      ["s3:PutObject arn:aws:s3:::bucket/k", "s3:GetObjectVersion arn:aws:s3:::src/a"],
    ],
    [
      "DeleteObjects",
      { Delete: { Objects: [{ Key: "a" }, { Key: "b", VersionId: "v" }] } },
      ["s3:DeleteObject arn:aws:s3:::bucket/a", "s3:DeleteObjectVersion arn:aws:s3:::bucket/b"],
    ],
    ["ListObjectsV2", {}, ["s3:ListBucket arn:aws:s3:::bucket"]],
    ["HeadBucket", {}, ["s3:ListBucket arn:aws:s3:::bucket"]],
    ["PutBucketPolicy", {}, ["s3:PutBucketPolicy arn:aws:s3:::bucket"]],
    ["GetBucketCors", {}, ["s3:GetBucketCORS arn:aws:s3:::bucket"]],
    ["ListBuckets", {}, ["s3:ListAllMyBuckets *"]],
  ];
  for (const [operation, input, expected] of rows) assert.deepEqual(await needs(operation, input), expected, operation);
});

test("every operation that is built has its need", async (t) => {
  const { s3 } = await start(t);
  for (const [name, operation] of Object.entries(s3.definition.operations))
    if (typeof operation === "function")
      assert.ok((await s3.definition.access(name, user, { Bucket: "bucket", Key: "k" })).length > 0, name);
});

test("a public policy lets everyone read, once its bucket's owner allows public policies", async (t) => {
  const { may, put, PutBucketPolicy, GetBucketPolicy, PutPublicAccessBlock, GetBucketPolicyStatus, DeleteBucketPolicy } = await start(t);
  await put("k");
  await refused(() => GetBucketPolicy(context, { Bucket: "bucket" }), "NoSuchBucketPolicy", 404);
  await refused(() => PutBucketPolicy(context, { Bucket: "bucket", Policy: PUBLIC }), "AccessDenied", 403);
  assert.equal(await may("GetObject", { Key: "k" }, anonymous), false);
  await PutPublicAccessBlock(context, { Bucket: "bucket", PublicAccessBlockConfiguration: OPEN });
  await PutBucketPolicy(context, { Bucket: "bucket", Policy: PUBLIC });
  assert.deepEqual(await GetBucketPolicy(context, { Bucket: "bucket" }), { Policy: PUBLIC });
  assert.deepEqual(await GetBucketPolicyStatus(context, { Bucket: "bucket" }), { PolicyStatus: { IsPublic: true } });
  assert.equal(await may("GetObject", { Key: "k" }, anonymous), true);
  assert.equal(await may("GetObject", { Key: "k" }, user), true);
  // What is missing is not told to who may not list.
  assert.equal(await may("GetObject", { Key: "missing" }, anonymous), false);
  assert.equal(await may("PutObject", { Key: "k" }, anonymous), false);
  // Across accounts the caller's own policies must allow it too.
  assert.equal(await may("GetObject", { Key: "k" }, stranger), false);
  await PutPublicAccessBlock(context, { Bucket: "bucket", PublicAccessBlockConfiguration: { ...OPEN, RestrictPublicBuckets: true } });
  assert.equal(await may("GetObject", { Key: "k" }, anonymous), false);
  assert.equal(await may("GetObject", { Key: "k" }, user), true);
  await DeleteBucketPolicy(context, { Bucket: "bucket" });
  assert.equal(await may("GetObject", { Key: "k" }, user), false);
});

test("a policy that denies everything can be taken away by the root user alone", async (t) => {
  const { may, put, PutBucketPolicy } = await start(t);
  await put("k");
  const Statement = [{ Effect: "Deny", Principal: "*", Action: "s3:*", Resource: ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"] }];
  await PutBucketPolicy(context, { Bucket: "bucket", Policy: JSON.stringify({ Statement }) });
  assert.equal(await may("GetObject", { Key: "k" }, context), false);
  assert.equal(await may("DeleteBucketPolicy", {}, context), true);
  assert.equal(await may("DeleteBucketPolicy", {}, user), false);
});

test("policies: what is malformed, and what is not public", async (t) => {
  const { PutBucketPolicy, GetBucketPolicyStatus } = await start(t);
  const statement = { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" };
  const set = (more: object) =>
    PutBucketPolicy(context, {
      Bucket: "bucket",
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: [{ ...statement, ...more }] }),
    });
  for (const more of [
    { Principal: undefined },
    { Resource: "arn:aws:s3:::other/*" },
    { Resource: undefined },
    { Action: "lambda:Invoke" },
    { Effect: "Maybe" },
  ])
    await refused(() => set(more), "MalformedPolicy", 400);
  await refused(() => PutBucketPolicy(context, { Bucket: "bucket", Policy: "{" }), "MalformedPolicy", 400);
  for (const Condition of [
    { StringEquals: { "aws:SourceIp": "*" } },
    { StringLike: { "aws:SourceArn": "arn:aws:*" } },
    { IpAddress: { "aws:SourceIp": "0.0.0.0/1" } },
    { StringEquals: { "s3:prefix": "x" } },
  ])
    await refused(() => set({ Condition }), "AccessDenied", 403);
  for (const more of [
    { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/x` } },
    { Effect: "Deny" },
    { Condition: { StringEquals: { "AWS:SourceAccount": ACCOUNT } } },
    { Condition: { IpAddress: { "aws:SourceIp": "203.0.113.0/24" } } },
  ]) {
    await set(more);
    assert.deepEqual(await GetBucketPolicyStatus(context, { Bucket: "bucket" }), { PolicyStatus: { IsPublic: false } });
  }
});
