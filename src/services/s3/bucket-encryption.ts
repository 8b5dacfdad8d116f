// The default encryption of buckets: AES256 for every one, as AWS has it since 2023, and nothing else can be set, because there are no keys.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html
import type * as client from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { malformedXml } from "./faults.ts";
import type { S3Store } from "./model.ts";

type Client = typeof client;

const RULE = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" }, BucketKeyEnabled: false } as const;

const notImplemented = (what: string) =>
  new CommonFault("NotImplemented", `${what} is not implemented: buckets have AES256, and the disk of this server encrypts or not.`, 501);

export function bucketEncryption(store: S3Store) {
  return {
    GetBucketEncryption(_context: Context, input: Input<Client, "GetBucketEncryption">): Output<Client, "GetBucketEncryption"> {
      existingBucket(store, input);
      return { ServerSideEncryptionConfiguration: { Rules: [RULE] } };
    },
    /** Takes what every bucket has anyway. */
    PutBucketEncryption(_context: Context, input: Input<Client, "PutBucketEncryption">) {
      existingBucket(store, input);
      checkRules(input.ServerSideEncryptionConfiguration?.Rules ?? []);
      return {};
    },
    DeleteBucketEncryption(_context: Context, input: Input<Client, "DeleteBucketEncryption">) {
      existingBucket(store, input);
      return {};
    },
  };
}

function checkRules([rule, ...others]: readonly client.ServerSideEncryptionRule[]): void {
  const { SSEAlgorithm, KMSMasterKeyID } = rule?.ApplyServerSideEncryptionByDefault ?? {};
  if (rule === undefined || others.length > 0 || SSEAlgorithm === undefined) throw malformedXml();
  if (SSEAlgorithm !== "AES256" || KMSMasterKeyID !== undefined) throw notImplemented("Encryption with keys of KMS");
  if (rule.BucketKeyEnabled === true) throw notImplemented("A bucket key");
  if (rule.BlockedEncryptionTypes !== undefined) throw notImplemented("A choice of encryptions that are blocked");
}
