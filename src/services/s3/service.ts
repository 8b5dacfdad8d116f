// S3: its operations, what IAM checks for each, and which blobs its records refer to.
import * as client from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import type { ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import type { BlobReferences } from "../../store/blob-collection.ts";
import { View } from "../../store/view.ts";
import { accessOf } from "./access.ts";
import { bucketSettings } from "./bucket-settings.ts";
import { bucketOperations, unmarkBuckets } from "./buckets.ts";
import { checkBody } from "./checksum.ts";

import { copyOperations } from "./copy.ts";
import { checkRequest } from "./description.ts";
import { listOperations } from "./lists.ts";
import { BUCKET, type BucketRecord, type S3Deps, type S3Store } from "./model.ts";
import { notifications } from "./notifications.ts";
import { objectTags } from "./object-tags.ts";
import { objectOperations } from "./objects.ts";
import { Records } from "./records.ts";
import { partOperations } from "./upload-parts.ts";
import { uploadOperations } from "./uploads.ts";

/** CompleteMultipartUpload names 10,000 parts with their checksums, DeleteObjects 1,000 keys of 1,024 bytes. */
const BODY_BYTES_MAX = 8 * 2 ** 20;

const NOT_BUILT = {
  CreateBucketMetadataConfiguration: notBuilt,
  CreateBucketMetadataTableConfiguration: notBuilt,
  CreateSession: notBuilt,
  DeleteBucketAnalyticsConfiguration: notBuilt,
  DeleteBucketCors: notBuilt,
  DeleteBucketIntelligentTieringConfiguration: notBuilt,
  DeleteBucketInventoryConfiguration: notBuilt,
  DeleteBucketLifecycle: notBuilt,
  DeleteBucketMetadataConfiguration: notBuilt,
  DeleteBucketMetadataTableConfiguration: notBuilt,
  DeleteBucketMetricsConfiguration: notBuilt,
  DeleteBucketReplication: notBuilt,
  DeleteBucketWebsite: notBuilt,
  DeleteObjectAnnotation: notBuilt,
  GetBucketAbac: notBuilt,
  GetBucketAnalyticsConfiguration: notBuilt,
  GetBucketIntelligentTieringConfiguration: notBuilt,
  GetBucketInventoryConfiguration: notBuilt,
  GetBucketMetadataConfiguration: notBuilt,
  GetBucketMetadataTableConfiguration: notBuilt,
  GetBucketMetricsConfiguration: notBuilt,
  GetObjectAnnotation: notBuilt,
  GetObjectLegalHold: notBuilt,
  GetObjectRetention: notBuilt,
  GetObjectTorrent: notBuilt,
  ListBucketAnalyticsConfigurations: notBuilt,
  ListBucketIntelligentTieringConfigurations: notBuilt,
  ListBucketInventoryConfigurations: notBuilt,
  ListBucketMetricsConfigurations: notBuilt,
  ListDirectoryBuckets: notBuilt,
  ListObjectAnnotations: notBuilt,
  PutBucketAbac: notBuilt,
  PutBucketAccelerateConfiguration: notBuilt,
  PutBucketAnalyticsConfiguration: notBuilt,
  PutBucketCors: notBuilt,
  PutBucketIntelligentTieringConfiguration: notBuilt,
  PutBucketInventoryConfiguration: notBuilt,
  PutBucketLifecycleConfiguration: notBuilt,
  PutBucketLogging: notBuilt,
  PutBucketMetricsConfiguration: notBuilt,
  PutBucketReplication: notBuilt,
  PutBucketRequestPayment: notBuilt,
  PutBucketWebsite: notBuilt,
  PutObjectAnnotation: notBuilt,
  PutObjectLegalHold: notBuilt,
  PutObjectLockConfiguration: notBuilt,
  PutObjectRetention: notBuilt,
  RenameObject: notBuilt,
  RestoreObject: notBuilt,
  SelectObjectContent: notBuilt,
  UpdateBucketMetadataAnnotationTableConfiguration: notBuilt,
  UpdateBucketMetadataInventoryTableConfiguration: notBuilt,
  UpdateBucketMetadataJournalTableConfiguration: notBuilt,
  UpdateObjectEncryption: notBuilt,
  WriteGetObjectResponse: notBuilt,
} as const;

function operationsOf(store: S3Store) {
  return {
    ...bucketOperations(store),
    ...bucketSettings(store),
    ...notifications(store),
    ...objectOperations(store),
    ...copyOperations(store),
    ...listOperations(store),
    ...objectTags(store),
    ...uploadOperations(store),
    ...partOperations(store),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

type Unchecked = ReturnType<typeof operationsOf>;
type S3Operations = {
  [N in keyof Unchecked]: Unchecked[N] extends (context: Context, input: infer I) => infer O
    ? (context: Context, input: I) => Promise<Awaited<O>>
    : Unchecked[N];
};

/** Each operation behind the checks that all of them share. */
function checked(operations: Unchecked): S3Operations {
  const entries = Object.entries(operations).map(([name, operation]) => {
    if (typeof operation === "symbol") return [name, operation] as const;
    const run = operation as (context: Context, input: object) => unknown;
    const behindChecks = async (context: Context, input: object) => {
      checkRequest(input);
      return await run(context, input);
    };
    return [name, behindChecks] as const;
  });
  return Object.fromEntries(entries) as S3Operations;
}

export interface S3Service {
  readonly definition: ServiceDefinition;
  readonly operations: S3Operations;
  /** For other services. Checks no rights: `definition.access("GetObject", …)` says which are needed. Throws S3's faults. */
  getObject(
    context: Context,
    bucket: string,
    key: string,
    versionId?: string,
  ): Promise<{ readonly body: Readable; readonly bytes: number }>;
  /** Which blobs S3 needs, for a collector: one at a time, and `release` when it is done. */
  referencedBlobs(): Promise<BlobReferences>;
  stop(): Promise<void>;
}

export async function s3Service(deps: S3Deps): Promise<S3Service> {
  const buckets = await View.open<BucketRecord>(deps.meta, BUCKET);
  const store: S3Store = { ...deps, buckets, records: new Records(deps.meta) };
  await unmarkBuckets(store);
  const operations = checked(operationsOf(store));
  const definition: ServiceDefinition = {
    name: "s3",
    client,
    clientClass: "S3Client",
    operations,
    constraints: "s3",
    access: accessOf(store),
    anonymous: new Set(["GetObject", "HeadObject"]),
    bodyBytesMax: () => BODY_BYTES_MAX,
    checkBody,
  };
  return {
    definition,
    operations,
    async getObject(context, Bucket, Key, VersionId) {
      const { Body, ContentLength: bytes = 0 } = await operations.GetObject(context, { Bucket, Key, VersionId });
      return { body: Body as Readable, bytes };
    },
    referencedBlobs: () => store.records.references(),
    stop() {
      buckets.close();
      return Promise.resolve();
    },
  };
}
