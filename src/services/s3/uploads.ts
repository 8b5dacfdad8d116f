// Multipart uploads: create, complete, abort, list.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
import type * as client from "@aws-sdk/client-s3";
import { createHash } from "node:crypto";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { timeOrderedId } from "../../base/id.ts";
import { StorageError, type Entry, type Write } from "../../store/storage.ts";
import { existingBucket } from "./bucket-lookup.ts";
import {
  algorithmOf,
  checkEqual,
  checksumMembers,
  givenChecksum,
  isCrc,
  wholeChecksum,
  type Checksum,
  type ChecksumMembers,
} from "./checksum.ts";
import { checkWrite } from "./conditions.ts";
import { partsOf } from "./content.ts";
import { Cursor, behind } from "./cursor.ts";
import { descriptionOf, pageSize } from "./description.ts";
import { invalidRequest, malformedXml, noSuchUpload } from "./faults.ts";
import { commonPrefix, encoderOf, pageOf, type Walk } from "./listing.ts";
import {
  bucketKey,
  objectKey,
  ownerOf,
  partNumberOf,
  rangeOf,
  UPLOAD,
  uploadKey,
  type BucketRecord,
  type ObjectRecord,
  type PartRecord,
  type S3Store,
  type UploadRecord,
} from "./model.ts";
import { quoted, versionMember } from "./objects.ts";
import { changeKey, put, type KeyState } from "./versions.ts";

type Client = typeof client;

export const PARTS_MAX = 10_000;
const PART_BYTES_MIN = 5 * 2 ** 20;
const OBJECT_BYTES_MAX = 50 * 2 ** 40;
const TRIES_MAX = 20;

type Named = {
  readonly Bucket?: string | undefined;
  readonly Key?: string | undefined;
  readonly UploadId?: string | undefined;
  readonly ExpectedBucketOwner?: string | undefined;
};

/** Throws NoSuchUpload. */
export async function existingUpload(store: S3Store, input: Named): Promise<Entry<UploadRecord>> {
  const { name } = existingBucket(store, input);
  const uploadId = input.UploadId ?? "";
  // Nothing that has a NUL was made here, and one would reach into other ids.
  if (uploadId.includes("\0")) throw noSuchUpload(uploadId);
  const [entry] = await store.meta.get<UploadRecord>([uploadKey(name, input.Key ?? "", uploadId)]);
  if (entry === undefined) throw noSuchUpload(uploadId);
  return entry;
}

function checksumKind(input: Input<Client, "CreateMultipartUpload">): UploadRecord["checksum"] {
  const algorithm = algorithmOf(input.ChecksumAlgorithm);
  const { ChecksumType } = input;
  if (algorithm === undefined) {
    if (ChecksumType !== undefined)
      throw invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
    return undefined;
  }
  const type = ChecksumType ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
  if ((type === "FULL_OBJECT" && !isCrc(algorithm)) || (type === "COMPOSITE" && algorithm === "CRC64NVME"))
    throw invalidRequest(`The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`);
  return { algorithm, type };
}

async function create(
  store: S3Store,
  context: Context,
  input: Input<Client, "CreateMultipartUpload">,
): Promise<Output<Client, "CreateMultipartUpload">> {
  const { name } = existingBucket(store, input);
  const key = input.Key ?? "";
  const kind = checksumKind(input);
  const nowMs = store.clock.now();
  const upload: UploadRecord = {
    ...descriptionOf(input),
    uploadId: timeOrderedId(nowMs),
    initiatedAtMs: nowMs,
    initiator: { id: context.caller.arn, name: context.caller.userId },
    ...(kind === undefined ? {} : { checksum: kind }),
  };
  const record = { key: uploadKey(name, key, upload.uploadId), value: upload, expect: "absent" as const };
  await inBucket(store, name, record);
  return {
    Bucket: name,
    Key: key,
    UploadId: upload.uploadId,
    ...(kind === undefined ? {} : { ChecksumAlgorithm: kind.algorithm as client.ChecksumAlgorithm, ChecksumType: kind.type }),
  };
}

/** Writes the record while the bucket exists. */
async function inBucket(store: S3Store, name: string, record: Write): Promise<void> {
  for (let tries = 1; ; tries++) {
    existingBucket(store, { Bucket: name });
    const [bucket] = await store.meta.get<BucketRecord>([bucketKey(name)]);
    const expect = bucket?.value.isBeingDeleted === true ? undefined : bucket?.revision;
    try {
      await store.records.write([{ key: bucketKey(name), expect: expect ?? -1, keep: true }, record]);
      return;
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict") || tries === TRIES_MAX) throw cause;
    }
  }
}

const invalidPart = (uploadId: string, part: client.CompletedPart) =>
  new CommonFault(
    "InvalidPart",
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    400,
    { UploadId: uploadId, PartNumber: part.PartNumber, ETag: part.ETag?.replaceAll('"', "") },
  );

type Parts = readonly Entry<PartRecord>[];

/** What the client asks for, in the order of the numbers. Throws CommonFault. */
function requestedParts(input: Input<Client, "CompleteMultipartUpload">): readonly client.CompletedPart[] {
  const parts = input.MultipartUpload?.Parts ?? [];
  if (parts.length === 0 || parts.length > PARTS_MAX) throw malformedXml();
  for (const [index, { PartNumber }] of parts.entries()) {
    if (PartNumber === undefined || !Number.isInteger(PartNumber)) throw malformedXml();
    if (PartNumber <= (parts[index - 1]?.PartNumber ?? 0))
      throw new CommonFault(
        "InvalidPartOrder",
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
        400,
        {
          UploadId: input.UploadId,
        },
      );
  }
  return parts;
}

const checksumIn = (members: ChecksumMembers, { algorithm }: Pick<Checksum, "algorithm">) => members[`Checksum${algorithm}`];

function checkPart(upload: UploadRecord, asked: client.CompletedPart, found: Entry<PartRecord> | undefined, isLast: boolean): void {
  const etag = asked.ETag?.trim().replaceAll('"', "");
  if (found === undefined || etag !== found.value.etag) throw invalidPart(upload.uploadId, asked);
  const given = givenChecksum(asked);
  const { checksum } = found.value;
  if (given?.value !== undefined && checksum?.algorithm === given.algorithm && checksum.value !== given.value)
    throw invalidPart(upload.uploadId, asked);
  const kind = upload.checksum;
  if (kind?.type === "COMPOSITE" && checksumIn(asked, kind) === undefined)
    throw invalidRequest(
      `The upload was created using a ${kind.algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${asked.PartNumber} in the request.`,
    );
  if (!isLast && found.value.bytes < PART_BYTES_MIN)
    throw new CommonFault("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400, {
      ProposedSize: found.value.bytes,
      MinSizeAllowed: PART_BYTES_MIN,
      PartNumber: asked.PartNumber,
      ETag: found.value.etag,
    });
}

async function chosenParts(store: S3Store, upload: UploadRecord, asked: readonly client.CompletedPart[]): Promise<Parts> {
  const present = new Map<number, Entry<PartRecord>>();
  for await (const part of partsOf(store, upload.uploadId)) present.set(partNumberOf(part.key), part);
  return asked.map((one, index) => {
    const found = present.get(one.PartNumber ?? 0);
    checkPart(upload, one, found, index === asked.length - 1);
    if (found === undefined) throw invalidPart(upload.uploadId, one);
    return found;
  });
}

/** MD5 of the MD5s, and how many there were. */
function etagOf(etags: readonly string[]): string {
  const digest = createHash("md5");
  for (const etag of etags) digest.update(Buffer.from(etag, "hex"));
  return `${digest.digest("hex")}-${etags.length}`;
}

function checksumOf(input: Input<Client, "CompleteMultipartUpload">, upload: UploadRecord, parts: Parts): Checksum | undefined {
  const kind = upload.checksum;
  if (input.ChecksumType !== undefined && kind !== undefined && input.ChecksumType !== kind.type)
    throw invalidRequest(
      `The upload was created using the ${kind.type} checksum mode. The complete request must use the same checksum mode.`,
    );
  if (kind === undefined) return undefined;
  const checksum = wholeChecksum(
    kind,
    parts.map(({ value }) => ({ checksum: value.checksum?.value ?? "", bytes: value.bytes })),
  );
  const given = givenChecksum(input);
  // A composite checksum may come with or without its count.
  if (given?.value !== undefined && given.algorithm === kind.algorithm)
    checkEqual(kind.algorithm, given.value.replace(/-\d+$/, ""), checksum.value.replace(/-\d+$/, ""));
  return checksum;
}

type Completed = Output<Client, "CompleteMultipartUpload">;

function completion(store: S3Store, context: Context, name: string, key: string, object: ObjectRecord): Completed {
  const path = key.split("/").map(encodeURIComponent).join("/");
  return {
    Bucket: name,
    Key: key,
    Location: `${context.endpoint}/${name}/${path}`,
    ETag: quoted(object.etag),
    ...checksumMembers(object.checksum),
    ...(object.checksum === undefined ? {} : { ChecksumType: object.checksum.type }),
    ...versionMember(store, name, object.versionId),
  };
}

/** The object that this upload has become already, for a client that never got the answer. */
async function completedBefore(
  store: S3Store,
  name: string,
  key: string,
  uploadId: string,
  etag: string,
): Promise<ObjectRecord | undefined> {
  const [live] = await store.meta.get<ObjectRecord>([objectKey(name, key)]);
  const content = live?.value.content;
  const isSame = content !== undefined && "uploadId" in content && content.uploadId === uploadId && live?.value.etag === etag;
  return isSame ? live?.value : undefined;
}

function assemble(input: Input<Client, "CompleteMultipartUpload">, upload: UploadRecord, parts: Parts) {
  const bytes = parts.reduce((sum, { value }) => sum + value.bytes, 0);
  if (input.MpuObjectSize !== undefined && input.MpuObjectSize !== bytes)
    throw invalidRequest(
      `The provided 'x-amz-mp-object-size' header value ${input.MpuObjectSize} does not match what was computed: ${bytes}`,
    );
  if (bytes > OBJECT_BYTES_MAX)
    throw new CommonFault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, {
      MaxSizeAllowed: OBJECT_BYTES_MAX,
    });
  const checksum = checksumOf(input, upload, parts);
  const { headers, metadata, tags, storageClass, uploadId } = upload;
  return {
    headers,
    metadata,
    tags,
    storageClass,
    etag: etagOf(parts.map(({ value }) => value.etag)),
    bytes,
    content: { uploadId, parts: parts.length },
    ...(checksum === undefined ? {} : { checksum }),
  };
}

/** The object appears, the upload ends and its parts stay as they were checked: in one transaction. */
async function completed(
  store: S3Store,
  input: Input<Client, "CompleteMultipartUpload">,
  state: KeyState,
  asked: readonly client.CompletedPart[],
) {
  const upload = await existingUpload(store, input);
  const parts = await chosenParts(store, upload.value, asked);
  checkWrite(input, state.key, state.live?.value);
  const change = await put(store, state, assemble(input, upload.value, parts), "ObjectCreated:CompleteMultipartUpload");
  const kept = parts.map(({ key, revision }): Write => ({ key, expect: revision, keep: true }));
  const writes: Write[] = [...change.writes, { key: upload.key, expect: upload.revision }, ...kept];
  return { ...change, writes, result: { object: change.result, parts } };
}

async function complete(store: S3Store, context: Context, input: Input<Client, "CompleteMultipartUpload">): Promise<Completed> {
  const { name } = existingBucket(store, input);
  const key = input.Key ?? "";
  const uploadId = input.UploadId ?? "";
  const asked = requestedParts(input);
  try {
    const { object, parts } = await changeKey(store, context, name, key, (state) => completed(store, input, state, asked));
    await store.records.removeParts(uploadId, new Set(parts.map((part) => part.key.id)));
    return completion(store, context, name, key, object);
  } catch (cause) {
    if (!(cause instanceof CommonFault) || cause.code !== "NoSuchUpload") throw cause;
    const etag = etagOf(asked.map(({ ETag }) => ETag?.trim().replaceAll('"', "") ?? ""));
    const object = await completedBefore(store, name, key, uploadId, etag);
    if (object === undefined) throw cause;
    return completion(store, context, name, key, object);
  }
}

async function abort(store: S3Store, input: Input<Client, "AbortMultipartUpload">): Promise<Output<Client, "AbortMultipartUpload">> {
  const upload = await existingUpload(store, input);
  try {
    await store.records.write([{ key: upload.key, expect: upload.revision }]);
  } catch (cause) {
    // It was completed or aborted meanwhile.
    if (cause instanceof StorageError && cause.failure === "Conflict") throw noSuchUpload(upload.value.uploadId);
    throw cause;
  }
  await store.records.removeParts(upload.value.uploadId);
  return {};
}

interface ListedUpload {
  readonly key: string;
  readonly upload: UploadRecord;
}

function uploadWalk(store: S3Store, bucket: string, prefix: string, after: string): Walk<ListedUpload> {
  const start = `${bucket}\0`;
  const cursor = new Cursor<UploadRecord>(store.meta, { ...rangeOf(UPLOAD), prefix: start + prefix }, start + after);
  return {
    async peek() {
      const entry = await cursor.peek();
      const key = entry?.key.id.split("\0")[1];
      return entry === undefined || key === undefined ? undefined : { key, item: { key, upload: entry.value } };
    },
    advance: () => cursor.advance(),
    skip: (rolled) => cursor.skip(start + rolled),
  };
}

async function list(store: S3Store, input: Input<Client, "ListMultipartUploads">): Promise<Output<Client, "ListMultipartUploads">> {
  const { name, value } = existingBucket(store, input);
  const { Prefix: prefix = "", Delimiter: delimiter = "", KeyMarker: keyMarker = "", UploadIdMarker: idMarker = "" } = input;
  const limit = pageSize(input.MaxUploads, "max-uploads");
  const encode = encoderOf(input.EncodingType);
  const isRolled = commonPrefix({ prefix, delimiter }, keyMarker) === keyMarker;
  // Without an upload id the marker stands behind all uploads of its key; without a key the id means nothing.
  const afterKey =
    isRolled || keyMarker === "" ? behind(keyMarker, isRolled) : `${keyMarker}\0${idMarker === "" ? "\u{10FFFF}" : idMarker}`;
  const page = await pageOf(uploadWalk(store, name, prefix, afterKey), { prefix, delimiter }, limit);
  const last = page.items.at(-1);
  return {
    Bucket: name,
    KeyMarker: encode(keyMarker),
    UploadIdMarker: idMarker,
    ...(input.Prefix === undefined ? {} : { Prefix: encode(prefix) }),
    ...(delimiter === "" ? {} : { Delimiter: encode(delimiter) }),
    ...(input.EncodingType === undefined ? {} : { EncodingType: input.EncodingType }),
    MaxUploads: limit,
    IsTruncated: page.isTruncated,
    Uploads: page.items.map(({ key, upload }) => ({
      UploadId: upload.uploadId,
      Key: encode(key),
      Initiated: new Date(upload.initiatedAtMs),
      StorageClass: upload.storageClass,
      Owner: ownerOf(value.account),
      Initiator: { ID: upload.initiator.id, DisplayName: upload.initiator.name },
      ...(upload.checksum === undefined ? {} : { ChecksumAlgorithm: upload.checksum.algorithm, ChecksumType: upload.checksum.type }),
    })),
    CommonPrefixes: page.prefixes.map((one) => ({ Prefix: encode(one) })),
    ...(page.isTruncated && page.last !== undefined
      ? { NextKeyMarker: encode(page.last.text), NextUploadIdMarker: page.last.isPrefix ? "" : (last?.upload.uploadId ?? "") }
      : {}),
  };
}

export const uploadOperations = (store: S3Store) => ({
  CreateMultipartUpload: (context: Context, input: Input<Client, "CreateMultipartUpload">) => create(store, context, input),
  CompleteMultipartUpload: (context: Context, input: Input<Client, "CompleteMultipartUpload">) => complete(store, context, input),
  AbortMultipartUpload: (_context: Context, input: Input<Client, "AbortMultipartUpload">) => abort(store, input),
  ListMultipartUploads: (_context: Context, input: Input<Client, "ListMultipartUploads">) => list(store, input),
});
