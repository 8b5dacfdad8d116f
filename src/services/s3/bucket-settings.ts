// What is set on a bucket: versioning, policy, tags, public access, ownership; and true answers about what no bucket here has.
import type * as client from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { bucketEncryption } from "./bucket-encryption.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { checkPolicy, isPublic, policyOf } from "./bucket-policy.ts";
import { changeBucket } from "./buckets.ts";
import { aclsNotSupported, malformedXml } from "./faults.ts";
import { ownerOf, type BucketRecord, type S3Store } from "./model.ts";
import { BUCKET_TAGS_MAX, checkedTags } from "./tags.ts";

type Client = typeof client;
type Named = { readonly Bucket?: string | undefined; readonly ExpectedBucketOwner?: string | undefined };

const notFound = (code: string, message: string, name: string) => new CommonFault(code, message, 404, { BucketName: name });

function without<K extends keyof BucketRecord>(bucket: BucketRecord, member: K): Omit<BucketRecord, K> {
  const { [member]: _removed, ...rest } = bucket;
  return rest;
}

function versioning(store: S3Store) {
  return {
    GetBucketVersioning(_context: Context, input: Input<Client, "GetBucketVersioning">): Output<Client, "GetBucketVersioning"> {
      const status = existingBucket(store, input).value.versioning;
      return status === undefined ? {} : { Status: status };
    },
    async PutBucketVersioning(_context: Context, input: Input<Client, "PutBucketVersioning">) {
      const { name } = existingBucket(store, input);
      const { Status, MFADelete } = input.VersioningConfiguration ?? {};
      if (MFADelete === "Enabled") throw new CommonFault("NotImplemented", "MFA delete is not implemented.", 501);
      if (Status !== "Enabled" && Status !== "Suspended")
        throw new CommonFault("IllegalVersioningConfigurationException", "The Versioning element must be specified", 400);
      await changeBucket(store, name, (bucket) => ({ ...bucket, versioning: Status }));
      return {};
    },
  };
}

function policy(store: S3Store) {
  const existing = (input: Named) => {
    const { name, value } = existingBucket(store, input);
    if (value.policy === undefined) throw notFound("NoSuchBucketPolicy", "The bucket policy does not exist", name);
    return value;
  };
  return {
    GetBucketPolicy: (_context: Context, input: Input<Client, "GetBucketPolicy">): Output<Client, "GetBucketPolicy"> => ({
      Policy: existing(input).policy,
    }),
    GetBucketPolicyStatus(_context: Context, input: Input<Client, "GetBucketPolicyStatus">): Output<Client, "GetBucketPolicyStatus"> {
      const document = policyOf(existing(input));
      return { PolicyStatus: { IsPublic: document !== undefined && isPublic(document) } };
    },
    async PutBucketPolicy(context: Context, input: Input<Client, "PutBucketPolicy">) {
      const { name } = existingBucket(store, input);
      const text = input.Policy ?? "";
      await changeBucket(store, name, (bucket) => {
        checkPolicy(context, name, bucket, text);
        return { ...bucket, policy: text };
      });
      return {};
    },
    async DeleteBucketPolicy(_context: Context, input: Input<Client, "DeleteBucketPolicy">) {
      const { name } = existingBucket(store, input);
      await changeBucket(store, name, (bucket) => without(bucket, "policy"));
      return {};
    },
  };
}

function tagging(store: S3Store) {
  return {
    GetBucketTagging(_context: Context, input: Input<Client, "GetBucketTagging">): Output<Client, "GetBucketTagging"> {
      const { name, value } = existingBucket(store, input);
      if (value.tags === undefined) throw notFound("NoSuchTagSet", "The TagSet does not exist", name);
      return { TagSet: [...value.tags] };
    },
    async PutBucketTagging(_context: Context, input: Input<Client, "PutBucketTagging">) {
      const { name } = existingBucket(store, input);
      const tags = checkedTags(input.Tagging?.TagSet, BUCKET_TAGS_MAX);
      await changeBucket(store, name, (bucket) => ({ ...bucket, tags }));
      return {};
    },
    async DeleteBucketTagging(_context: Context, input: Input<Client, "DeleteBucketTagging">) {
      const { name } = existingBucket(store, input);
      await changeBucket(store, name, (bucket) => without(bucket, "tags"));
      return {};
    },
  };
}

function publicAccessBlock(store: S3Store) {
  return {
    GetPublicAccessBlock(_context: Context, input: Input<Client, "GetPublicAccessBlock">): Output<Client, "GetPublicAccessBlock"> {
      const { name, value } = existingBucket(store, input);
      if (value.publicAccess === undefined)
        throw notFound("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", name);
      return { PublicAccessBlockConfiguration: { ...value.publicAccess } };
    },
    async PutPublicAccessBlock(_context: Context, input: Input<Client, "PutPublicAccessBlock">) {
      const { name } = existingBucket(store, input);
      const given = input.PublicAccessBlockConfiguration;
      if (given === undefined) throw malformedXml();
      const publicAccess = {
        BlockPublicAcls: given.BlockPublicAcls ?? false,
        IgnorePublicAcls: given.IgnorePublicAcls ?? false,
        BlockPublicPolicy: given.BlockPublicPolicy ?? false,
        RestrictPublicBuckets: given.RestrictPublicBuckets ?? false,
      };
      await changeBucket(store, name, (bucket) => ({ ...bucket, publicAccess }));
      return {};
    },
    async DeletePublicAccessBlock(_context: Context, input: Input<Client, "DeletePublicAccessBlock">) {
      const { name } = existingBucket(store, input);
      await changeBucket(store, name, (bucket) => without(bucket, "publicAccess"));
      return {};
    },
  };
}

function ownership(store: S3Store) {
  const acl = (input: Named) => {
    const owner = ownerOf(existingBucket(store, input).value.account);
    return { Owner: owner, Grants: [{ Grantee: { ...owner, Type: "CanonicalUser" as const }, Permission: "FULL_CONTROL" as const }] };
  };
  return {
    GetBucketOwnershipControls(
      _context: Context,
      input: Input<Client, "GetBucketOwnershipControls">,
    ): Output<Client, "GetBucketOwnershipControls"> {
      const { name, value } = existingBucket(store, input);
      if (value.ownership === undefined)
        throw notFound("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", name);
      return { OwnershipControls: { Rules: [{ ObjectOwnership: value.ownership }] } };
    },
    async PutBucketOwnershipControls(_context: Context, input: Input<Client, "PutBucketOwnershipControls">) {
      const { name } = existingBucket(store, input);
      const [rule, ...others] = input.OwnershipControls?.Rules ?? [];
      if (rule === undefined || others.length > 0) throw malformedXml();
      // The other two would need ACLs that grant.
      if (rule.ObjectOwnership !== "BucketOwnerEnforced")
        throw new CommonFault("NotImplemented", "Access control lists are not implemented; use BucketOwnerEnforced and policies.", 501);
      await changeBucket(store, name, (bucket) => ({ ...bucket, ownership: "BucketOwnerEnforced" }));
      return {};
    },
    async DeleteBucketOwnershipControls(_context: Context, input: Input<Client, "DeleteBucketOwnershipControls">) {
      const { name } = existingBucket(store, input);
      await changeBucket(store, name, (bucket) => without(bucket, "ownership"));
      return {};
    },
    GetBucketAcl: (_context: Context, input: Input<Client, "GetBucketAcl">): Output<Client, "GetBucketAcl"> => acl(input),
    PutBucketAcl(_context: Context, input: Input<Client, "PutBucketAcl">) {
      existingBucket(store, input);
      if (input.AccessControlPolicy !== undefined) throw aclsNotSupported();
      return {};
    },
  };
}

/** What infrastructure tools read of every bucket, and no bucket here has. */
function absent(store: S3Store) {
  const missing = (code: string, message: string) => (_context: Context, input: Named) => {
    throw notFound(code, message, existingBucket(store, input).name);
  };
  const empty = (_context: Context, input: Named) => {
    existingBucket(store, input);
    return {};
  };
  return {
    GetBucketAccelerateConfiguration: empty,
    GetBucketCors: missing("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    GetBucketLifecycleConfiguration: missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    GetBucketLogging: empty,
    GetBucketReplication: missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    GetBucketRequestPayment(_context: Context, input: Input<Client, "GetBucketRequestPayment">): Output<Client, "GetBucketRequestPayment"> {
      existingBucket(store, input);
      return { Payer: "BucketOwner" };
    },
    GetBucketWebsite: missing("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
    GetObjectLockConfiguration: missing("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"),
  };
}

export const bucketSettings = (store: S3Store) => ({
  ...versioning(store),
  ...policy(store),
  ...tagging(store),
  ...publicAccessBlock(store),
  ...ownership(store),
  ...bucketEncryption(store),
  ...absent(store),
});
