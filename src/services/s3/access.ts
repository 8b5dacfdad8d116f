// What IAM must allow for each operation, on which ARN and under which bucket policy.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
import type { AccessNeed } from "../../aws/definition.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { policyFor } from "./bucket-policy.ts";
import { parseCopySource } from "./copy.ts";
import { bucketArn, objectKey, type BucketRecord, type S3Store } from "./model.ts";

type Members = Readonly<Record<string, unknown>>;

/** Actions on a bucket whose name is not the operation's. */
const BUCKET_ACTIONS: Readonly<Record<string, string>> = {
  DeleteBucketEncryption: "PutEncryptionConfiguration",
  DeleteBucketOwnershipControls: "PutBucketOwnershipControls",
  DeleteBucketTagging: "PutBucketTagging",
  DeletePublicAccessBlock: "PutBucketPublicAccessBlock",
  GetBucketAccelerateConfiguration: "GetAccelerateConfiguration",
  GetBucketCors: "GetBucketCORS",
  GetBucketEncryption: "GetEncryptionConfiguration",
  GetBucketLifecycleConfiguration: "GetLifecycleConfiguration",
  GetBucketNotificationConfiguration: "GetBucketNotification",
  GetBucketReplication: "GetReplicationConfiguration",
  GetObjectLockConfiguration: "GetBucketObjectLockConfiguration",
  GetPublicAccessBlock: "GetBucketPublicAccessBlock",
  HeadBucket: "ListBucket",
  ListMultipartUploads: "ListBucketMultipartUploads",
  ListObjects: "ListBucket",
  ListObjectsV2: "ListBucket",
  ListObjectVersions: "ListBucketVersions",
  PutBucketEncryption: "PutEncryptionConfiguration",
  PutBucketNotificationConfiguration: "PutBucketNotification",
  PutPublicAccessBlock: "PutBucketPublicAccessBlock",
};

/** Actions on an object, and on a version of it that the request names. */
const OBJECT_ACTIONS: Readonly<Record<string, readonly [plain: string, ofVersion: string]>> = {
  AbortMultipartUpload: ["AbortMultipartUpload", "AbortMultipartUpload"],
  CompleteMultipartUpload: ["PutObject", "PutObject"],
  CopyObject: ["PutObject", "PutObject"],
  CreateMultipartUpload: ["PutObject", "PutObject"],
  DeleteObject: ["DeleteObject", "DeleteObjectVersion"],
  DeleteObjectTagging: ["DeleteObjectTagging", "DeleteObjectVersionTagging"],
  GetObject: ["GetObject", "GetObjectVersion"],
  GetObjectAcl: ["GetObjectAcl", "GetObjectVersionAcl"],
  GetObjectAttributes: ["GetObjectAttributes", "GetObjectVersionAttributes"],
  GetObjectTagging: ["GetObjectTagging", "GetObjectVersionTagging"],
  HeadObject: ["GetObject", "GetObjectVersion"],
  ListParts: ["ListMultipartUploadParts", "ListMultipartUploadParts"],
  PutObject: ["PutObject", "PutObject"],
  PutObjectAcl: ["PutObjectAcl", "PutObjectVersionAcl"],
  PutObjectTagging: ["PutObjectTagging", "PutObjectVersionTagging"],
  UploadPart: ["PutObject", "PutObject"],
  UploadPartCopy: ["PutObject", "PutObject"],
};

const READS = new Set(["GetObject", "HeadObject", "GetObjectAttributes"]);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Condition keys of S3 that the request answers. */
function conditionsOf(input: Members): Record<string, string> {
  const keys: readonly (readonly [name: string, member: string])[] = [
    ["s3:prefix", "Prefix"],
    ["s3:delimiter", "Delimiter"],
    ["s3:max-keys", "MaxKeys"],
    ["s3:VersionId", "VersionId"],
    ["s3:x-amz-acl", "ACL"],
    ["s3:x-amz-storage-class", "StorageClass"],
    ["s3:x-amz-server-side-encryption", "ServerSideEncryption"],
    ["s3:x-amz-metadata-directive", "MetadataDirective"],
    ["s3:x-amz-copy-source", "CopySource"],
    ["s3:LocationConstraint", "LocationConstraint"],
  ];
  const conditions: Record<string, string> = {};
  for (const [name, member] of keys) {
    const value = input[member];
    if (typeof value === "string" || typeof value === "number") conditions[name] = String(value);
  }
  return conditions;
}

const POLICY_ACTIONS = new Set(["DeleteBucketPolicy", "GetBucketPolicy", "PutBucketPolicy"]);

/** Whatever a policy says, the root user of the bucket's account can still take it away. */
function isLastResort({ caller }: Context, action: string, { account }: BucketRecord): boolean {
  return caller.kind === "root" && caller.account === account && POLICY_ACTIONS.has(action);
}

export function accessOf(store: S3Store) {
  const need = (context: Context, action: string, bucket: string, key: string | undefined, input: Members): AccessNeed => {
    const record = store.buckets.get("", "", bucket)?.value;
    const policy = record === undefined || isLastResort(context, action, record) ? undefined : policyFor(context, record);
    return {
      action: `s3:${action}`,
      resource: key === undefined ? bucketArn(bucket) : `${bucketArn(bucket)}/${key}`,
      conditions: () => conditionsOf(input),
      ...(record === undefined ? {} : { owner: record.account }),
      ...(policy === undefined ? {} : { resourcePolicy: policy }),
    };
  };

  /** Who may not list a bucket may not learn from a missing key that it is missing either. */
  const listNeed = async (context: Context, bucket: string, key: string, versionId: unknown): Promise<AccessNeed[]> => {
    if (versionId !== undefined || context.caller.kind === "root" || store.buckets.get("", "", bucket) === undefined) return [];
    const [live] = await store.meta.get([objectKey(bucket, key)]);
    return live === undefined ? [need(context, "ListBucket", bucket, undefined, {})] : [];
  };

  const sourceNeeds = (context: Context, input: Members): AccessNeed[] => {
    try {
      const { bucket, key, versionId } = parseCopySource(textOf(input["CopySource"]));
      const conditions = versionId === undefined ? {} : { VersionId: versionId };
      return [need(context, versionId === undefined ? "GetObject" : "GetObjectVersion", bucket, key, conditions)];
    } catch (cause) {
      // A source that is none is refused by the operation.
      if (cause instanceof CommonFault) return [];
      throw cause;
    }
  };

  const deleteNeeds = (context: Context, bucket: string, input: Members): AccessNeed[] => {
    const objects = (input["Delete"] as { Objects?: unknown } | undefined)?.Objects;
    const named = Array.isArray(objects) && objects.length > 0 ? (objects as readonly Members[]) : [{ Key: "*" }];
    return named.map((one, index) => ({
      ...need(context, one["VersionId"] === undefined ? "DeleteObject" : "DeleteObjectVersion", bucket, textOf(one["Key"]), one),
      // Of a bucket that is missing, only who may delete in it learns that it is.
      ...(store.buckets.get("", "", bucket) === undefined ? {} : { part: String(index) }),
    }));
  };

  const objectNeeds = async (operation: string, context: Context, bucket: string, input: Members): Promise<AccessNeed[]> => {
    const [plain = operation, ofVersion = operation] = OBJECT_ACTIONS[operation] ?? [];
    const key = textOf(input["Key"]);
    const versionId = input["VersionId"];
    const needs = [need(context, versionId === undefined ? plain : ofVersion, bucket, key, input)];
    if (READS.has(operation)) needs.push(...(await listNeed(context, bucket, key, versionId)));
    if (operation === "GetObjectAttributes")
      needs.push(need(context, versionId === undefined ? "GetObject" : "GetObjectVersion", bucket, key, input));
    if (input["CopySource"] !== undefined) needs.push(...sourceNeeds(context, input));
    if (typeof input["Tagging"] === "string") needs.push(need(context, "PutObjectTagging", bucket, key, input));
    return needs;
  };

  return async (operation: string, context: Context, input: Members): Promise<readonly AccessNeed[]> => {
    if (operation === "ListBuckets") return [{ action: "s3:ListAllMyBuckets", resource: "*" }];
    const bucket = textOf(input["Bucket"]);
    if (operation === "DeleteObjects") return deleteNeeds(context, bucket, input);
    if (operation in OBJECT_ACTIONS) return await objectNeeds(operation, context, bucket, input);
    const action = BUCKET_ACTIONS[operation] ?? operation;
    const location = (input["CreateBucketConfiguration"] as Members | undefined)?.["LocationConstraint"];
    return [need(context, action, bucket, undefined, location === undefined ? input : { ...input, LocationConstraint: location })];
  };
}
