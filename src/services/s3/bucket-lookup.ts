// Finds the bucket that a request names.
import { CommonFault } from "../../aws/fault.ts";
import type { Entry } from "../../store/storage.ts";
import { accessDenied, noSuchBucket } from "./faults.ts";
import type { BucketRecord, S3Store } from "./model.ts";

export interface NamedBucket extends Entry<BucketRecord> {
  readonly name: string;
}

/** Throws NoSuchBucket, or AccessDenied when it is not the expected owner's. */
export function existingBucket(
  store: Pick<S3Store, "buckets">,
  input: { readonly Bucket?: string | undefined; readonly ExpectedBucketOwner?: string | undefined },
): NamedBucket {
  const name = input.Bucket ?? "";
  const entry = store.buckets.get("", "", name);
  if (entry === undefined) throw isBucketName(name) ? noSuchBucket(name) : invalidBucketName(name);
  if (input.ExpectedBucketOwner !== undefined && input.ExpectedBucketOwner !== entry.value.account) throw accessDenied();
  return { ...entry, name };
}

export const invalidBucketName = (name: string) =>
  new CommonFault("InvalidBucketName", "The specified bucket is not valid.", 400, { BucketName: name });

const RESERVED_STARTS = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !name.includes("..") &&
    !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name) &&
    !RESERVED_STARTS.some((start) => name.startsWith(start)) &&
    !RESERVED_ENDS.some((end) => name.endsWith(end))
  );
}
