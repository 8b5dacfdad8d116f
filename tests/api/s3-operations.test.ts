// Operations of S3 that no other API test needs: each is called once by the official client and does what it says.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as s3 from "@aws-sdk/client-s3";
import { startApi } from "../support/api.ts";

const Bucket = "bucket-1";
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: "000000000000" }, Action: "s3:GetObject", Resource: `arn:aws:s3:::${Bucket}/*` }],
});
const PART_BYTES = 5 * 2 ** 20;

/** What a bucket without a configuration answers: the error, or nothing. */
const UNSET = {
  GetBucketCors: "NoSuchCORSConfiguration",
  GetBucketLifecycleConfiguration: "NoSuchLifecycleConfiguration",
  GetBucketReplication: "ReplicationConfigurationNotFoundError",
  GetBucketWebsite: "NoSuchWebsiteConfiguration",
  GetObjectLockConfiguration: "ObjectLockConfigurationNotFoundError",
} as const;

test("settings of buckets", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().s3;
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  assert.equal((await client.send(new s3.HeadBucketCommand({ Bucket }))).BucketRegion, "us-east-1");
  assert.equal((await client.send(new s3.GetBucketLocationCommand({ Bucket }))).LocationConstraint, undefined);
  assert.equal((await client.send(new s3.GetBucketAclCommand({ Bucket }))).Grants?.[0]?.Permission, "FULL_CONTROL");
  await client.send(new s3.PutBucketAclCommand({ Bucket, ACL: "private" }));
  const elsewhere = clients(undefined, "eu-west-1").s3;
  const LocationConstraint = "eu-west-1";
  const again = elsewhere.send(new s3.CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint } }));
  await assert.rejects(again, { name: "BucketAlreadyOwnedByYou" });
  assert.equal((await client.send(new s3.GetBucketVersioningCommand({ Bucket }))).Status, undefined);
  await client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy: POLICY }));
  assert.deepEqual(JSON.parse((await client.send(new s3.GetBucketPolicyCommand({ Bucket }))).Policy ?? ""), JSON.parse(POLICY));
  assert.equal((await client.send(new s3.GetBucketPolicyStatusCommand({ Bucket }))).PolicyStatus?.IsPublic, false);
  await client.send(new s3.DeleteBucketPolicyCommand({ Bucket }));
  const TagSet = [{ Key: "a", Value: "b" }];
  await client.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
  assert.deepEqual((await client.send(new s3.GetBucketTaggingCommand({ Bucket }))).TagSet, TagSet);
  await client.send(new s3.DeleteBucketTaggingCommand({ Bucket }));
  assert.equal((await client.send(new s3.GetPublicAccessBlockCommand({ Bucket }))).PublicAccessBlockConfiguration?.BlockPublicPolicy, true);
  await client.send(new s3.DeletePublicAccessBlockCommand({ Bucket }));
  const OwnershipControls = { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] } as const;
  await client.send(new s3.PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: [...OwnershipControls.Rules] } }));
  assert.deepEqual((await client.send(new s3.GetBucketOwnershipControlsCommand({ Bucket }))).OwnershipControls, OwnershipControls);
  await client.send(new s3.DeleteBucketOwnershipControlsCommand({ Bucket }));
  assert.equal((await client.send(new s3.GetBucketAccelerateConfigurationCommand({ Bucket }))).Status, undefined);
  assert.equal((await client.send(new s3.GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined);
  assert.equal((await client.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }))).QueueConfigurations, undefined);
  assert.equal((await client.send(new s3.GetBucketRequestPaymentCommand({ Bucket }))).Payer, "BucketOwner");
  const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" as const }, BucketKeyEnabled: false }];
  await client.send(new s3.PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules } }));
  await client.send(new s3.DeleteBucketEncryptionCommand({ Bucket }));
  assert.deepEqual((await client.send(new s3.GetBucketEncryptionCommand({ Bucket }))).ServerSideEncryptionConfiguration?.Rules, Rules);
  const unset = {
    GetBucketCors: () => client.send(new s3.GetBucketCorsCommand({ Bucket })),
    GetBucketLifecycleConfiguration: () => client.send(new s3.GetBucketLifecycleConfigurationCommand({ Bucket })),
    GetBucketReplication: () => client.send(new s3.GetBucketReplicationCommand({ Bucket })),
    GetBucketWebsite: () => client.send(new s3.GetBucketWebsiteCommand({ Bucket })),
    GetObjectLockConfiguration: () => client.send(new s3.GetObjectLockConfigurationCommand({ Bucket })),
  };
  for (const [operation, name] of Object.entries(UNSET)) await assert.rejects(unset[operation as keyof typeof UNSET](), { name });
  await assert.rejects(client.send(new s3.HeadBucketCommand({ Bucket: "none-of-it" })), { name: "NotFound" });
});

test("tags, access and attributes of objects, and their lists", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().s3;
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  const one = { Bucket, Key: "one" };
  await client.send(new s3.PutObjectCommand({ ...one, Body: "12345" }));
  assert.equal((await client.send(new s3.GetObjectAttributesCommand({ ...one, ObjectAttributes: ["ObjectSize"] }))).ObjectSize, 5);
  assert.equal((await client.send(new s3.GetObjectAclCommand(one))).Grants?.[0]?.Permission, "FULL_CONTROL");
  const TagSet = [{ Key: "a", Value: "b" }];
  await client.send(new s3.PutObjectTaggingCommand({ ...one, Tagging: { TagSet } }));
  assert.deepEqual((await client.send(new s3.GetObjectTaggingCommand(one))).TagSet, TagSet);
  await client.send(new s3.DeleteObjectTaggingCommand(one));
  assert.deepEqual((await client.send(new s3.GetObjectTaggingCommand(one))).TagSet, []);
  assert.deepEqual(
    (await client.send(new s3.ListObjectsCommand({ Bucket }))).Contents?.map(({ Key }) => Key),
    ["one"],
  );
  const none = { Bucket, Key: "none" };
  await assert.rejects(client.send(new s3.GetObjectAttributesCommand({ ...none, ObjectAttributes: ["ObjectSize"] })), {
    name: "NoSuchKey",
  });
  await assert.rejects(client.send(new s3.GetObjectAclCommand(none)), { name: "NoSuchKey" });
  await assert.rejects(client.send(new s3.PutObjectAclCommand({ ...none, ACL: "bucket-owner-full-control" })), { name: "NoSuchKey" });
  await client.send(new s3.PutObjectAclCommand({ ...one, ACL: "bucket-owner-full-control" }));
  await assert.rejects(client.send(new s3.ListObjectsCommand({ Bucket: "none-of-it" })), { name: "NoSuchBucket" });
  await client.send(new s3.DeleteObjectCommand(one));
  assert.equal((await client.send(new s3.ListObjectsCommand({ Bucket }))).Contents, undefined);
});

test("parts that are copied, and lists of what is under way", async (t) => {
  const { clients } = await startApi(t);
  const client = clients().s3;
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  await client.send(new s3.PutObjectCommand({ Bucket, Key: "source", Body: Buffer.alloc(PART_BYTES) }));
  const target = { Bucket, Key: "target" };
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand(target));
  await client.send(new s3.UploadPartCopyCommand({ ...target, UploadId, PartNumber: 1, CopySource: `${Bucket}/source` }));
  const { Parts } = await client.send(new s3.ListPartsCommand({ ...target, UploadId }));
  assert.deepEqual(
    Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
    [[1, PART_BYTES]],
  );
  const { Uploads } = await client.send(new s3.ListMultipartUploadsCommand({ Bucket }));
  assert.deepEqual(
    Uploads?.map((upload) => upload.UploadId),
    [UploadId],
  );
  await client.send(new s3.AbortMultipartUploadCommand({ ...target, UploadId }));
  await assert.rejects(client.send(new s3.AbortMultipartUploadCommand({ ...target, UploadId })), { name: "NoSuchUpload" });
});
