// Objects: put, get, head, delete, and their attributes.
import type * as client from "@aws-sdk/client-s3";
import { byteRange } from "../../aws/byte-range.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Operation, Output } from "../../aws/operations.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { checksumMembers, contentMd5, expectedChecksum, type Checksum } from "./checksum.ts";
import { checkRead, checkWrite, isConditional } from "./conditions.ts";
import { partsOf, piecesOf, readContent, storeContent } from "./content.ts";
import { checkKey, describe, descriptionOf, pageSize } from "./description.ts";
import { accessDenied, invalidRequest, malformedXml, methodNotAllowed, noSuchKey, noSuchVersion } from "./faults.ts";
import { isDeleteMarker, objectKey, partNumberOf, type ObjectRecord, type S3Store } from "./model.ts";
import { changeKey, checkVersionId, find, put, remove, removeVersion, type KeyState } from "./versions.ts";

type Client = typeof client;

const DELETE_MAX = 1000;
/** Of one DeleteObjects at a time: enough to share a commit of the store, few enough for others to get their turn. */
const DELETES_AT_ONCE = 50;

export const quoted = (etag: string): string => `"${etag}"`;

/** The version id for an answer: buckets that never had versions have none. */
export function versionMember(store: S3Store, bucket: string, versionId: string): { VersionId?: string } {
  const hasVersions = store.buckets.get("", "", bucket)?.value.versioning !== undefined;
  return hasVersions ? { VersionId: versionId } : {};
}

/** Throws NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker. */
export async function findObject(
  store: S3Store,
  where: { readonly Bucket: string; readonly Key: string; readonly VersionId?: string | undefined },
  context: Context,
  method: "GET" | "HEAD",
): Promise<ObjectRecord> {
  const { Bucket, Key, VersionId } = where;
  const found = await find(store, Bucket, Key, VersionId);
  if ("hiddenBy" in found) {
    if (found.hiddenBy === "delete-marker") context.responseHeaders?.set("x-amz-delete-marker", "true");
    throw VersionId === undefined ? noSuchKey(Key) : noSuchVersion(Key, VersionId);
  }
  const { value } = found.entry;
  if (!isDeleteMarker(value)) return value;
  context.responseHeaders?.set("x-amz-delete-marker", "true");
  throw methodNotAllowed(method, "DeleteMarker");
}

/** Bytes of an object that a request asks for; `isPart` makes the answer a 206. `end` is exclusive. */
interface Selection {
  readonly start: number;
  readonly end: number;
  readonly isPart: boolean;
  readonly partsCount?: number;
  readonly checksum?: Checksum | undefined;
}

function rangeSelection(range: string, bytes: number): { start: number; end: number } | undefined {
  const found = byteRange(range, bytes);
  if (found === "unsatisfiable")
    throw new CommonFault("InvalidRange", "The requested range is not satisfiable", 416, {
      RangeRequested: range,
      ActualObjectSize: bytes,
    });
  return found;
}

async function partSelection(store: S3Store, object: ObjectRecord, partNumber: number): Promise<Selection> {
  const { content } = object;
  const count = "uploadId" in content ? content.parts : 1;
  if (partNumber < 1 || partNumber > count)
    throw new CommonFault("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, {
      PartNumberRequested: partNumber,
      ActualPartCount: count,
    });
  if (!("uploadId" in content)) return { start: 0, end: object.bytes, isPart: true, checksum: object.checksum };
  // Parts are counted from 1 here, whatever numbers they were uploaded under.
  let start = 0;
  let index = 0;
  for await (const { value } of partsOf(store, content.uploadId)) {
    index += 1;
    if (index === partNumber) return { start, end: start + value.bytes, isPart: true, partsCount: count, checksum: value.checksum };
    start += value.bytes;
  }
  throw new Error(`part ${partNumber} of an object is missing`);
}

async function select(store: S3Store, object: ObjectRecord, input: { Range?: string | undefined; PartNumber?: number | undefined }) {
  const whole: Selection = { start: 0, end: object.bytes, isPart: false, checksum: object.checksum };
  const { Range, PartNumber } = input;
  if (Range !== undefined && PartNumber !== undefined)
    throw invalidRequest("Cannot specify both Range header and partNumber query parameter");
  if (PartNumber !== undefined) return await partSelection(store, object, PartNumber);
  const range = Range === undefined ? undefined : rangeSelection(Range, object.bytes);
  return range === undefined ? whole : { ...range, isPart: true };
}

/** What GetObject and HeadObject say alike. */
function headOf(store: S3Store, input: Input<Client, "HeadObject">, object: ObjectRecord, selection: Selection) {
  const { start, end, isPart, partsCount, checksum } = selection;
  const isChecked = input.ChecksumMode === "ENABLED" && checksum !== undefined;
  return {
    ...describe(object),
    ...(input.ResponseCacheControl === undefined ? {} : { CacheControl: input.ResponseCacheControl }),
    ...(input.ResponseContentDisposition === undefined ? {} : { ContentDisposition: input.ResponseContentDisposition }),
    ...(input.ResponseContentEncoding === undefined ? {} : { ContentEncoding: input.ResponseContentEncoding }),
    ...(input.ResponseContentLanguage === undefined ? {} : { ContentLanguage: input.ResponseContentLanguage }),
    ...(input.ResponseContentType === undefined ? {} : { ContentType: input.ResponseContentType }),
    ...(input.ResponseExpires === undefined ? {} : { Expires: input.ResponseExpires }),
    AcceptRanges: "bytes",
    LastModified: new Date(object.modifiedAtMs),
    ContentLength: end - start,
    ETag: quoted(object.etag),
    ...(isPart && object.bytes > 0 ? { ContentRange: `bytes ${start}-${end - 1}/${object.bytes}` } : {}),
    ...(partsCount === undefined ? {} : { PartsCount: partsCount }),
    ...(isChecked ? { ...checksumMembers(checksum), ChecksumType: checksum.type } : {}),
    ...versionMember(store, input.Bucket ?? "", object.versionId),
  };
}

const conditionsOf = (input: Input<Client, "HeadObject">) => ({
  ifMatch: input.IfMatch,
  ifNoneMatch: input.IfNoneMatch,
  ifModifiedSince: input.IfModifiedSince,
  ifUnmodifiedSince: input.IfUnmodifiedSince,
});

function checkOverrides(context: Context, input: Input<Client, "HeadObject">): void {
  const hasOverride = Object.entries(input).some(([name, value]) => name.startsWith("Response") && value !== undefined);
  if (hasOverride && context.caller.kind === "anonymous")
    throw invalidRequest("Request specific response headers cannot be used for anonymous GET requests.");
}

async function examine(store: S3Store, context: Context, input: Input<Client, "HeadObject">, method: "GET" | "HEAD") {
  const { name } = existingBucket(store, input);
  checkOverrides(context, input);
  const object = await findObject(store, { Bucket: name, Key: input.Key ?? "", VersionId: input.VersionId }, context, method);
  try {
    checkRead(conditionsOf(input), object);
  } catch (cause) {
    // What a cache needs to know of what it has.
    context.responseHeaders?.set("ETag", quoted(object.etag)).set("Last-Modified", new Date(object.modifiedAtMs).toUTCString());
    throw cause;
  }
  const selection = await select(store, object, input);
  return { object, selection, head: headOf(store, input, object, selection) };
}

async function putObject(store: S3Store, context: Context, input: Input<Client, "PutObject">): Promise<Output<Client, "PutObject">> {
  const { name } = existingBucket(store, input);
  const Key = input.Key ?? "";
  const description = descriptionOf(input);
  const options = { bytes: input.ContentLength, md5: contentMd5(input.ContentMD5), checksum: expectedChecksum(input) };
  if (isConditional(input)) {
    // Told before the content is sent; what counts is the check below, when the object takes its place.
    const [live] = await store.meta.get<ObjectRecord>([objectKey(name, Key)]);
    checkWrite(input, Key, live?.value);
  }
  const { sha256, bytes, md5, checksum } = await storeContent(store, input.Body, options);
  const object = { ...description, etag: md5, bytes, content: { sha256 }, ...(checksum === undefined ? {} : { checksum }) };
  const record = await changeKey(store, context, name, Key, (state) => {
    checkWrite(input, Key, state.live?.value);
    return put(store, state, object, "ObjectCreated:Put");
  });
  return {
    ETag: quoted(record.etag),
    ...checksumMembers(checksum),
    ...(checksum === undefined ? {} : { ChecksumType: checksum.type }),
    ...versionMember(store, name, record.versionId),
  };
}

interface Deletion {
  readonly Key: string;
  readonly VersionId?: string | undefined;
  readonly IfMatch?: string | undefined;
}

async function deleteOne(store: S3Store, context: Context, bucket: string, { Key, VersionId, IfMatch }: Deletion) {
  checkVersionId(VersionId);
  return await changeKey(store, context, bucket, Key, (state: KeyState) => {
    if (IfMatch !== undefined && VersionId === undefined) checkWrite({ IfMatch }, Key, state.live?.value);
    return VersionId === undefined ? remove(store, state) : removeVersion(store, state, VersionId);
  });
}

async function deleteObject(
  store: S3Store,
  context: Context,
  input: Input<Client, "DeleteObject">,
): Promise<Output<Client, "DeleteObject">> {
  const { name } = existingBucket(store, input);
  const deleted = await deleteOne(store, context, name, { Key: input.Key ?? "", VersionId: input.VersionId, IfMatch: input.IfMatch });
  return {
    ...(deleted.isDeleteMarker ? { DeleteMarker: true } : {}),
    ...(deleted.versionId === undefined ? {} : { VersionId: deleted.versionId }),
  };
}

type DeletedEntry = { Deleted: client.DeletedObject } | { Errors: client._Error };

/** `denied`: IAM's sentence, where it has one. */
async function deleteEntry(
  store: S3Store,
  context: Context,
  bucket: string,
  { Key = "", VersionId, ETag }: Partial<client.ObjectIdentifier>,
  denied: string | undefined,
): Promise<DeletedEntry> {
  const named = { Key, ...(VersionId === undefined ? {} : { VersionId }) };
  try {
    if (denied !== undefined) throw accessDenied(denied);
    checkKey(Key);
    const { isDeleteMarker: isMarker, versionId } = await deleteOne(store, context, bucket, { Key, VersionId, IfMatch: ETag });
    if (!isMarker || versionId === undefined) return { Deleted: named };
    return { Deleted: { ...named, DeleteMarker: true, DeleteMarkerVersionId: versionId } };
  } catch (cause) {
    if (!(cause instanceof CommonFault)) throw cause;
    return { Errors: { ...named, Code: cause.code, Message: cause.message } };
  }
}

async function deleteObjects(
  store: S3Store,
  context: Context,
  input: Input<Client, "DeleteObjects">,
): Promise<Output<Client, "DeleteObjects">> {
  const { name } = existingBucket(store, input);
  const objects = input.Delete?.Objects ?? [];
  if (objects.length === 0 || objects.length > DELETE_MAX || objects.some(({ Key }) => Key === undefined || Key === ""))
    throw malformedXml();
  if (objects.some(({ LastModifiedTime, Size }) => LastModifiedTime !== undefined || Size !== undefined))
    throw new CommonFault("NotImplemented", "Conditions on size and time are for directory buckets alone.", 501);
  const entries: DeletedEntry[] = [];
  for (let at = 0; at < objects.length; at += DELETES_AT_ONCE) {
    const some = objects.slice(at, at + DELETES_AT_ONCE);
    entries.push(
      ...(await Promise.all(some.map((one, index) => deleteEntry(store, context, name, one, context.denied?.get(String(at + index)))))),
    );
  }
  return {
    Deleted: input.Delete?.Quiet === true ? [] : entries.flatMap((entry) => ("Deleted" in entry ? [entry.Deleted] : [])),
    Errors: entries.flatMap((entry) => ("Errors" in entry ? [entry.Errors] : [])),
  };
}

async function objectParts(store: S3Store, object: ObjectRecord, input: Input<Client, "GetObjectAttributes">) {
  const { content, checksum } = object;
  if (!("uploadId" in content)) return undefined;
  const TotalPartsCount = content.parts;
  // S3 lists the parts only of objects that have checksums of them.
  if (checksum === undefined) return { TotalPartsCount };
  const MaxParts = pageSize(input.MaxParts, "max-parts");
  const marker = input.PartNumberMarker ?? "0";
  const Parts: client.ObjectPart[] = [];
  let IsTruncated = false;
  for await (const { key, value } of partsOf(store, content.uploadId, Number(marker))) {
    IsTruncated = Parts.length === MaxParts;
    if (IsTruncated) break;
    Parts.push({ PartNumber: partNumberOf(key), Size: value.bytes, ...checksumMembers(value.checksum) });
  }
  const NextPartNumberMarker = String(Parts.at(-1)?.PartNumber ?? 0);
  return { TotalPartsCount, PartNumberMarker: marker, NextPartNumberMarker, MaxParts, IsTruncated, Parts };
}

async function attributes(
  store: S3Store,
  context: Context,
  input: Input<Client, "GetObjectAttributes">,
): Promise<Output<Client, "GetObjectAttributes">> {
  const { name } = existingBucket(store, input);
  const object = await findObject(store, { Bucket: name, Key: input.Key ?? "", VersionId: input.VersionId }, context, "GET");
  const { checksum } = object;
  const asked = new Set<string>(input.ObjectAttributes ?? []);
  const ObjectParts = asked.has("ObjectParts") ? await objectParts(store, object, input) : undefined;
  return {
    LastModified: new Date(object.modifiedAtMs),
    ...versionMember(store, name, object.versionId),
    ...(asked.has("ETag") ? { ETag: object.etag } : {}),
    ...(asked.has("ObjectSize") ? { ObjectSize: object.bytes } : {}),
    ...(asked.has("StorageClass") ? { StorageClass: object.storageClass } : {}),
    ...(asked.has("Checksum") && checksum !== undefined ? { Checksum: { ...checksumMembers(checksum), ChecksumType: checksum.type } } : {}),
    ...(ObjectParts === undefined ? {} : { ObjectParts }),
  };
}

export function objectOperations(store: S3Store) {
  const getObject: Operation<Client, "GetObject"> = async (context, input) => {
    const { object, selection, head } = await examine(store, context, input, "GET");
    return { ...head, Body: readContent(store, await piecesOf(store, object), selection.start, selection.end) };
  };
  const headObject: Operation<Client, "HeadObject"> = async (context, input) => (await examine(store, context, input, "HEAD")).head;
  return {
    PutObject: (context: Context, input: Input<Client, "PutObject">) => putObject(store, context, input),
    GetObject: getObject,
    HeadObject: headObject,
    DeleteObject: (context: Context, input: Input<Client, "DeleteObject">) => deleteObject(store, context, input),
    DeleteObjects: (context: Context, input: Input<Client, "DeleteObjects">) => deleteObjects(store, context, input),
    GetObjectAttributes: (context: Context, input: Input<Client, "GetObjectAttributes">) => attributes(store, context, input),
  };
}
