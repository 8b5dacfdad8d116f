// CopyObject, and the source that it shares with UploadPartCopy.
import type * as client from "@aws-sdk/client-s3";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { algorithmOf, checksumMembers, type Checksum } from "./checksum.ts";
import { checkCopySource, checkWrite, isConditional } from "./conditions.ts";
import { piecesOf, PUT_BYTES_MAX, readContent, storeContent } from "./content.ts";
import { descriptionOf, storageClassOf } from "./description.ts";
import { invalidArgument, invalidRequest, noSuchKey, noSuchVersion } from "./faults.ts";
import { isDeleteMarker, type Description, type ObjectRecord, type S3Store } from "./model.ts";
import { quoted, versionMember } from "./objects.ts";
import { tagsFromHeader } from "./tags.ts";
import { changeKey, find, put, type NewObject } from "./versions.ts";

type Client = typeof client;

interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
}

/** `bucket/key?versionId=…`, percent-encoded, with or without a slash in front. Throws InvalidArgument. */
export function parseCopySource(text: string | undefined): CopySource {
  const wrong = () =>
    invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source", text ?? "");
  const [path = "", ...others] = (text ?? "").split("?versionId=");
  if (others.length > 1) throw wrong();
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw wrong();
  }
  const [, bucket = "", key = ""] = /^\/?([^/]+)\/(.+)$/s.exec(decoded) ?? [];
  if (bucket === "" || bucket.startsWith("arn:")) throw wrong();
  const [versionId] = others;
  return versionId === undefined ? { bucket, key } : { bucket, key, versionId };
}

type SourceInput = Input<Client, "CopyObject"> | Input<Client, "UploadPartCopy">;

interface FoundSource extends CopySource {
  readonly object: ObjectRecord;
  /** `CopySourceVersionId`, where the source's bucket has versions. */
  readonly version: { readonly CopySourceVersionId?: string };
}

/** Throws CommonFault: the source is missing, a delete marker, or not as its conditions want it. */
export async function findSource(store: S3Store, input: SourceInput): Promise<FoundSource> {
  const source = parseCopySource(input.CopySource);
  const { bucket, key, versionId } = source;
  existingBucket(store, { Bucket: bucket, ExpectedBucketOwner: input.ExpectedSourceBucketOwner });
  const found = await find(store, bucket, key, versionId);
  if ("hiddenBy" in found) throw versionId === undefined ? noSuchKey(key) : noSuchVersion(key, versionId);
  const object = found.entry.value;
  if (isDeleteMarker(object))
    throw invalidRequest("The source of a copy request may not specifically refer to a delete marker by version id.");
  checkCopySource(
    {
      ifMatch: input.CopySourceIfMatch,
      ifNoneMatch: input.CopySourceIfNoneMatch,
      ifModifiedSince: input.CopySourceIfModifiedSince,
      ifUnmodifiedSince: input.CopySourceIfUnmodifiedSince,
    },
    object,
  );
  const { VersionId } = versionMember(store, bucket, object.versionId);
  return { ...source, object, version: VersionId === undefined ? {} : { CopySourceVersionId: VersionId } };
}

function describeCopy(input: Input<Client, "CopyObject">, source: ObjectRecord): Description {
  const given = input.MetadataDirective === "REPLACE" ? descriptionOf(input) : undefined;
  const { WebsiteRedirectLocation: _redirect, ...headers } = source.headers;
  return {
    headers: given?.headers ?? headers,
    metadata: given?.metadata ?? source.metadata,
    tags: input.TaggingDirective === "REPLACE" ? tagsFromHeader(input.Tagging) : source.tags,
    // Neither directive covers it: a copy that does not say otherwise is STANDARD.
    storageClass: storageClassOf(input.StorageClass),
  };
}

type CopiedContent = Pick<NewObject, "content" | "etag" | "bytes" | "checksum">;

/** Shares the source's blob where that gives the same answer as reading it again; the content of many parts becomes one. */
async function copyContent(store: S3Store, source: ObjectRecord, asked: Checksum["algorithm"] | undefined): Promise<CopiedContent> {
  const { content, etag, bytes, checksum } = source;
  const isWhole = checksum === undefined || checksum.type === "FULL_OBJECT";
  if ("sha256" in content && isWhole && (asked === undefined || asked === checksum?.algorithm))
    return { content, etag, bytes, ...(checksum === undefined ? {} : { checksum }) };
  const algorithm = asked ?? checksum?.algorithm;
  const body = readContent(store, await piecesOf(store, source), 0, bytes);
  const stored = await storeContent(store, body, { bytes, checksum: algorithm === undefined ? undefined : { algorithm } });
  return {
    content: { sha256: stored.sha256 },
    etag: stored.md5,
    bytes,
    ...(stored.checksum === undefined ? {} : { checksum: stored.checksum }),
  };
}

function checkChanges(input: Input<Client, "CopyObject">, source: FoundSource): void {
  const isItself = source.bucket === input.Bucket && source.key === input.Key && source.versionId === undefined;
  const changes =
    input.MetadataDirective === "REPLACE" ||
    input.StorageClass !== undefined ||
    input.WebsiteRedirectLocation !== undefined ||
    input.ServerSideEncryption !== undefined ||
    input.ChecksumAlgorithm !== undefined ||
    input.TaggingDirective === "REPLACE";
  if (isItself && !changes)
    throw invalidRequest(
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
}

async function copyObject(store: S3Store, context: Context, input: Input<Client, "CopyObject">): Promise<Output<Client, "CopyObject">> {
  const { name } = existingBucket(store, input);
  const key = input.Key ?? "";
  const source = await findSource(store, input);
  checkChanges(input, source);
  if (source.object.bytes > PUT_BYTES_MAX)
    throw invalidRequest(`The specified copy source is larger than the maximum allowable size for a copy source: ${PUT_BYTES_MAX}`);
  const description = describeCopy(input, source.object);
  // Held until the new record refers to it, whatever becomes of the source meanwhile.
  const letGo = store.records.hold("sha256" in source.object.content ? [source.object.content.sha256] : []);
  try {
    const content = await copyContent(store, source.object, algorithmOf(input.ChecksumAlgorithm));
    const record = await changeKey(store, context, name, key, (state) => {
      if (isConditional(input)) checkWrite(input, key, state.live?.value);
      return put(store, state, { ...description, ...content }, "ObjectCreated:Copy");
    });
    return {
      CopyObjectResult: {
        ETag: quoted(record.etag),
        LastModified: new Date(record.modifiedAtMs),
        ...checksumMembers(record.checksum),
        ...(record.checksum === undefined ? {} : { ChecksumType: record.checksum.type }),
      },
      ...source.version,
      ...versionMember(store, name, record.versionId),
    };
  } finally {
    letGo();
  }
}

export const copyOperations = (store: S3Store) => ({
  CopyObject: (context: Context, input: Input<Client, "CopyObject">) => copyObject(store, context, input),
});
