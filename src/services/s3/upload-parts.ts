// The parts of a multipart upload: upload, copy, list.
import type * as client from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { StorageError, type Entry } from "../../store/storage.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { checksumMembers, contentMd5, expectedChecksum, type ExpectedChecksum } from "./checksum.ts";
import { partsOf, piecesOf, PUT_BYTES_MAX, readContent, storeContent, type StoredContent } from "./content.ts";
import { findSource } from "./copy.ts";
import { pageSize } from "./description.ts";
import { invalidArgument, invalidRequest, noSuchUpload } from "./faults.ts";
import { ownerOf, partKey, partNumberOf, wholeSeconds, type PartRecord, type S3Store, type UploadRecord } from "./model.ts";
import { quoted } from "./objects.ts";
import { existingUpload, PARTS_MAX } from "./uploads.ts";

type Client = typeof client;

function checkNumber(partNumber: number | undefined): number {
  if (partNumber === undefined || !Number.isInteger(partNumber) || partNumber < 1 || partNumber > PARTS_MAX)
    throw invalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", partNumber);
  return partNumber;
}

/** The upload's own algorithm, whether or not the part comes with a checksum. Throws when it comes with another one. */
function checksumFor({ checksum }: UploadRecord, given: ExpectedChecksum | undefined): ExpectedChecksum | undefined {
  if (checksum === undefined) return given;
  if (given !== undefined && given.algorithm !== checksum.algorithm)
    throw invalidRequest(
      `Checksum Type mismatch occurred, expected checksum Type: ${checksum.algorithm.toLowerCase()}, actual checksum Type: ${given.algorithm.toLowerCase()}`,
    );
  return given ?? { algorithm: checksum.algorithm };
}

/** The part counts while its upload goes on; the same number again replaces it. */
async function addPart(store: S3Store, upload: Entry<UploadRecord>, partNumber: number, stored: StoredContent): Promise<PartRecord> {
  const { sha256, bytes, md5, checksum } = stored;
  const isKept = checksum !== undefined && checksum.algorithm === upload.value.checksum?.algorithm;
  const part: PartRecord = {
    sha256,
    bytes,
    etag: md5,
    modifiedAtMs: wholeSeconds(store.clock.now()),
    ...(isKept ? { checksum } : {}),
  };
  try {
    await store.records.write([
      { key: upload.key, expect: upload.revision, keep: true },
      { key: partKey(upload.value.uploadId, partNumber), value: part },
    ]);
  } catch (cause) {
    if (cause instanceof StorageError && cause.failure === "Conflict") throw noSuchUpload(upload.value.uploadId);
    throw cause;
  }
  return part;
}

async function uploadPart(store: S3Store, input: Input<Client, "UploadPart">): Promise<Output<Client, "UploadPart">> {
  const partNumber = checkNumber(input.PartNumber);
  const upload = await existingUpload(store, input);
  const checksum = checksumFor(upload.value, expectedChecksum(input));
  const stored = await storeContent(store, input.Body, { bytes: input.ContentLength, md5: contentMd5(input.ContentMD5), checksum });
  const part = await addPart(store, upload, partNumber, stored);
  return { ETag: quoted(part.etag), ...checksumMembers(stored.checksum) };
}

/** Throws CommonFault: here a range must be whole and within the source. */
function copyRange(range: string | undefined, bytes: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: bytes };
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(range);
  const [start, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || start > last)
    throw invalidArgument(
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
      "x-amz-copy-source-range",
      range,
    );
  if (last >= bytes)
    throw invalidArgument(`Range specified is not valid for source object of size: ${bytes}`, "x-amz-copy-source-range", range);
  return { start, end: last + 1 };
}

async function uploadPartCopy(store: S3Store, input: Input<Client, "UploadPartCopy">): Promise<Output<Client, "UploadPartCopy">> {
  const partNumber = checkNumber(input.PartNumber);
  const upload = await existingUpload(store, input);
  const { object, version } = await findSource(store, input);
  const { start, end } = copyRange(input.CopySourceRange, object.bytes);
  if (end - start > PUT_BYTES_MAX)
    throw new CommonFault(
      "InvalidRequest",
      `The specified copy source is larger than the maximum allowable size for a copy source: ${PUT_BYTES_MAX}`,
      400,
    );
  const body = readContent(store, await piecesOf(store, object), start, end);
  const stored = await storeContent(store, body, { bytes: end - start, checksum: checksumFor(upload.value, undefined) });
  const part = await addPart(store, upload, partNumber, stored);
  return {
    CopyPartResult: { ETag: quoted(part.etag), LastModified: new Date(part.modifiedAtMs), ...checksumMembers(part.checksum) },
    ...version,
  };
}

async function listParts(store: S3Store, input: Input<Client, "ListParts">): Promise<Output<Client, "ListParts">> {
  const upload = (await existingUpload(store, input)).value;
  const { name, value } = existingBucket(store, input);
  const limit = pageSize(input.MaxParts, "max-parts");
  const marker = Number(input.PartNumberMarker ?? "0");
  if (!Number.isInteger(marker) || marker < 0 || marker > 2 ** 31 - 1)
    throw invalidArgument(
      "Argument part-number-marker must be an integer between 0 and 2147483647",
      "part-number-marker",
      input.PartNumberMarker,
    );
  const Parts: client.Part[] = [];
  let IsTruncated = false;
  for await (const part of partsOf(store, upload.uploadId, Math.min(marker, PARTS_MAX))) {
    IsTruncated = limit > 0 && Parts.length === limit;
    if (Parts.length === limit) break;
    Parts.push({
      PartNumber: partNumberOf(part.key),
      ETag: quoted(part.value.etag),
      Size: part.value.bytes,
      LastModified: new Date(part.value.modifiedAtMs),
      ...checksumMembers(part.value.checksum),
    });
  }
  return {
    Bucket: name,
    Key: input.Key,
    UploadId: upload.uploadId,
    PartNumberMarker: String(marker),
    NextPartNumberMarker: String(Parts.at(-1)?.PartNumber ?? 0),
    MaxParts: limit,
    IsTruncated,
    Parts,
    Owner: ownerOf(value.account),
    Initiator: { ID: upload.initiator.id, DisplayName: upload.initiator.name },
    StorageClass: upload.storageClass,
    ...(upload.checksum === undefined ? {} : { ChecksumAlgorithm: upload.checksum.algorithm, ChecksumType: upload.checksum.type }),
  };
}

export const partOperations = (store: S3Store) => ({
  UploadPart: (_context: Context, input: Input<Client, "UploadPart">) => uploadPart(store, input),
  UploadPartCopy: (_context: Context, input: Input<Client, "UploadPartCopy">) => uploadPartCopy(store, input),
  ListParts: (_context: Context, input: Input<Client, "ListParts">) => listParts(store, input),
});
