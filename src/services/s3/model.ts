// Stored records of S3: buckets, objects, versions, uploads and parts, and the ids by which they sort.
import type { ObjectStorageClass, PublicAccessBlockConfiguration, Tag } from "@aws-sdk/client-s3";
import { createHash, randomBytes } from "node:crypto";
import type { Deliverer } from "../../aws/deliver.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Deliveries } from "../../deliveries.ts";
import type { BlobStore } from "../../store/blob-store.ts";
import type { Key, MetaStore, NewMessage, Write } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import type { Checksum } from "./checksum.ts";
import type { Records } from "./records.ts";

export interface S3Deps {
  /** Where notifications go. */
  readonly targets: Deliverer;
  readonly deliveries: Deliveries;
  /** What makes an event one of the account's default event bus, in the transaction of the change that it tells of. */
  readonly onDefaultBus: (event: OwnEvent) => Effects;
  readonly meta: MetaStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of S3, for event buses. */
export interface OwnEvent {
  readonly account: string;
  readonly region: string;
  /** `aws.s3` */
  readonly source: string;
  readonly detailType: string;
  readonly resources: readonly string[];
  /** JSON. */
  readonly detail: string;
}

/** What a transaction must do; then `deliveries` are woken with the messages. */
export interface Effects {
  readonly messages: readonly NewMessage[];
  readonly writes: readonly Write[];
}

/** What the operations share: buckets are few and in memory, objects are many and on disk. */
export interface S3Store extends S3Deps {
  readonly buckets: View<BucketRecord>;
  readonly records: Records;
}

export interface BucketRecord {
  readonly account: string;
  readonly region: string;
  readonly createdAtMs: number;
  /** Absent until versioning has been set for the first time. */
  readonly versioning?: "Enabled" | "Suspended";
  /** JSON as it was given: GetBucketPolicy returns the same text. */
  readonly policy?: string;
  readonly tags?: readonly Tag[];
  readonly publicAccess?: Required<{ [K in keyof PublicAccessBlockConfiguration]: boolean }>;
  readonly ownership?: "BucketOwnerEnforced";
  /** Absent: none. */
  readonly notifications?: readonly Notification[];
  /** The default event bus is told of every change. */
  readonly tellsEventBus?: true;
  /** Only while DeleteBucket looks whether it is empty: nothing may be added meanwhile. */
  readonly isBeingDeleted?: true;
}

/** Which events go where. */
export interface Notification {
  readonly id: string;
  /** ARN of a function, a queue or a topic. */
  readonly target: string;
  /** `s3:ObjectCreated:Put`, `s3:ObjectRemoved:*` */
  readonly events: readonly string[];
  /** Of the keys that it is for; an empty one is shown, and means nothing. */
  readonly prefix?: string;
  readonly suffix?: string;
}

/** One blob, or the parts of a finished upload in the order of their numbers. */
export type Content = { readonly sha256: string } | { readonly uploadId: string; readonly parts: number };

/** The headers that S3 keeps with an object and sends back. */
export interface StoredHeaders {
  readonly ContentType?: string;
  readonly ContentEncoding?: string;
  readonly ContentDisposition?: string;
  readonly ContentLanguage?: string;
  readonly CacheControl?: string;
  readonly WebsiteRedirectLocation?: string;
  readonly expiresMs?: number;
}

/** What the client says about an object besides its content. */
export interface Description {
  readonly headers: StoredHeaders;
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly tags: readonly Tag[];
  readonly storageClass: ObjectStorageClass;
}

interface VersionCommon {
  /** `null` for what was written while versioning was off or suspended. */
  readonly versionId: string;
  /** Strictly rises with each version of a key. */
  readonly sequence: number;
  /** Whole seconds, as S3 has it. */
  readonly modifiedAtMs: number;
}

export interface ObjectRecord extends VersionCommon, Description {
  /** Hex without quotes; `-N` behind it for N parts. */
  readonly etag: string;
  readonly bytes: number;
  readonly content: Content;
  readonly checksum?: Checksum;
}

export interface DeleteMarkerRecord extends VersionCommon {
  readonly isDeleteMarker: true;
}

/** A version that is not the live object: an older one, or a delete marker. */
export type VersionRecord = ObjectRecord | DeleteMarkerRecord;

/** Of each key that has ever changed under versioning: every change rewrites it, so two changes of a key never interleave. */
export interface HeadRecord {
  /** The highest sequence that was given out. */
  readonly sequence: number;
  /** Sequence of the `null` version when that is not the live object. */
  readonly nullSequence?: number;
}

export interface UploadRecord extends Description {
  readonly uploadId: string;
  readonly initiatedAtMs: number;
  readonly checksum?: Pick<Checksum, "algorithm" | "type">;
  readonly initiator: { readonly id: string; readonly name: string };
}

export interface PartRecord {
  readonly sha256: string;
  readonly bytes: number;
  /** MD5 in hex. */
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly checksum?: Checksum;
}

export const BUCKET = "s3.bucket";
export const OBJECT = "s3.object";
export const VERSION = "s3.version";
const HEAD = "s3.head";
export const UPLOAD = "s3.upload";
export const PART = "s3.part";

// Bucket names are unique in the whole installation, as they are in the whole of AWS; so account and region are not in the address.
const at = (kind: string, id: string): Key => ({ account: "", region: "", kind, id });

/** Sorts newest first. */
const orderOf = (sequence: number) => String(Number.MAX_SAFE_INTEGER - sequence).padStart(16, "0");

// NUL is in no bucket name and in no key, and sorts before everything: ids sort by bucket, then by key in UTF-8 byte order.
export const bucketKey = (bucket: string): Key => at(BUCKET, bucket);
export const objectKey = (bucket: string, key: string): Key => at(OBJECT, `${bucket}\0${key}`);
export const headKey = (bucket: string, key: string): Key => at(HEAD, `${bucket}\0${key}`);
export const versionKey = (bucket: string, key: string, sequence: number): Key => at(VERSION, `${bucket}\0${key}\0${orderOf(sequence)}`);
export const uploadKey = (bucket: string, key: string, uploadId: string): Key => at(UPLOAD, `${bucket}\0${key}\0${uploadId}`);
export const partKey = (uploadId: string, partNumber: number): Key => at(PART, `${uploadId}\0${String(partNumber).padStart(5, "0")}`);
export const rangeOf = (kind: string) => ({ account: "", region: "", kind });

export const partNumberOf = (key: Key): number => Number(key.id.slice(key.id.indexOf("\0") + 1));

export const isDeleteMarker = (record: VersionRecord): record is DeleteMarkerRecord => "isDeleteMarker" in record;

/** Opaque to clients; begins with the sequence, so that a version is found without an index. */
export function newVersionId(sequence: number): string {
  const bytes = randomBytes(24);
  bytes.writeBigUInt64BE(BigInt(sequence));
  return bytes.toString("base64url");
}

/** `undefined` for what no version id looks like. */
export function sequenceOf(versionId: string): number | undefined {
  if (!/^[\w.-]{32}$/.test(versionId)) return undefined;
  const sequence = Buffer.from(versionId, "base64url").readBigUInt64BE();
  return Number(sequence & BigInt(Number.MAX_SAFE_INTEGER));
}

/** Above every sequence before it, also when the clock was set back. */
export const nextSequence = (nowMs: number, last: number): number => Math.max(nowMs * 1000, last + 1);

export const wholeSeconds = (timeMs: number): number => Math.floor(timeMs / 1000) * 1000;

/** The canonical user id of an account: 64 hex digits. */
export const ownerOf = (account: string) => ({ ID: createHash("sha256").update(`s3 owner ${account}`).digest("hex") });

export const bucketArn = (bucket: string): string => `arn:aws:s3:::${bucket}`;
