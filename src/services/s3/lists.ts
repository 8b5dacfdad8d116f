// ListObjects, ListObjectsV2 and ListObjectVersions.
import type * as client from "@aws-sdk/client-s3";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { existingBucket, type NamedBucket } from "./bucket-lookup.ts";
import { behind, Cursor } from "./cursor.ts";
import { pageSize } from "./description.ts";
import { invalidArgument } from "./faults.ts";
import { commonPrefix, encoderOf, pageOf, type Page, type Walk } from "./listing.ts";
import {
  isDeleteMarker,
  OBJECT,
  ownerOf,
  rangeOf,
  sequenceOf,
  VERSION,
  versionKey,
  type ObjectRecord,
  type S3Store,
  type VersionRecord,
} from "./model.ts";
import { quoted } from "./objects.ts";
import { find } from "./versions.ts";

type Client = typeof client;

interface Listed {
  readonly key: string;
  readonly object: ObjectRecord;
}

interface Where {
  readonly bucket: NamedBucket;
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
}

const keyIn = (id: string) => id.slice(id.indexOf("\0") + 1);

function whereOf(
  store: S3Store,
  input: Input<Client, "ListObjects"> | Input<Client, "ListObjectsV2"> | Input<Client, "ListObjectVersions">,
): Where {
  const { Prefix: prefix = "", Delimiter: delimiter = "" } = input;
  return { bucket: existingBucket(store, input), prefix, delimiter, limit: pageSize(input.MaxKeys, "max-keys") };
}

/** A marker that is itself a common prefix stands for everything under it. */
const isRolledUp = (where: Where, marker: string) => commonPrefix(where, marker) === marker;

function objectWalk(store: S3Store, { bucket, prefix, delimiter, limit }: Where, after: string): Walk<Listed> {
  const start = `${bucket.name}\0`;
  const expected = delimiter === "" ? limit + 1 : 0;
  const cursor = new Cursor<ObjectRecord>(store.meta, { ...rangeOf(OBJECT), prefix: start + prefix }, start + after, expected);
  return {
    async peek() {
      const entry = await cursor.peek();
      if (entry === undefined) return undefined;
      const key = keyIn(entry.key.id);
      return { key, item: { key, object: entry.value } };
    },
    advance: () => cursor.advance(),
    skip: (rolled) => cursor.skip(start + rolled),
  };
}

function contentsOf({ key, object }: Listed, encode: (text: string) => string): client._Object {
  return {
    Key: encode(key),
    LastModified: new Date(object.modifiedAtMs),
    ETag: quoted(object.etag),
    Size: object.bytes,
    StorageClass: object.storageClass,
    ...(object.checksum === undefined ? {} : { ChecksumAlgorithm: [object.checksum.algorithm], ChecksumType: object.checksum.type }),
  };
}

const prefixesOf = (page: Page<unknown>, encode: (text: string) => string) => page.prefixes.map((one) => ({ Prefix: encode(one) }));

async function listObjects(store: S3Store, input: Input<Client, "ListObjects">): Promise<Output<Client, "ListObjects">> {
  const where = whereOf(store, input);
  const encode = encoderOf(input.EncodingType);
  const marker = input.Marker ?? "";
  const page = await pageOf(objectWalk(store, where, behind(marker, isRolledUp(where, marker))), where, where.limit);
  const owner = ownerOf(where.bucket.value.account);
  return {
    Name: where.bucket.name,
    Prefix: encode(where.prefix),
    Marker: encode(marker),
    MaxKeys: where.limit,
    IsTruncated: page.isTruncated,
    ...(where.delimiter === "" ? {} : { Delimiter: encode(where.delimiter) }),
    ...(input.EncodingType === undefined ? {} : { EncodingType: input.EncodingType }),
    Contents: page.items.map((one) => ({ ...contentsOf(one, encode), Owner: owner })),
    CommonPrefixes: prefixesOf(page, encode),
    // Without a delimiter the last key is the next marker, and S3 does not repeat it.
    ...(page.isTruncated && where.delimiter !== "" && page.last !== undefined ? { NextMarker: encode(page.last.text) } : {}),
  };
}

const tokenOf = ({ text, isPrefix }: NonNullable<Page<unknown>["last"]>) =>
  Buffer.from(`${isPrefix ? "p" : "k"}${text}`).toString("base64url");

function afterToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (!/^[kp]/.test(text)) throw invalidArgument("The continuation token provided is incorrect", "continuation-token", token);
  return behind(text.slice(1), text.startsWith("p"));
}

async function listObjectsV2(store: S3Store, input: Input<Client, "ListObjectsV2">): Promise<Output<Client, "ListObjectsV2">> {
  const where = whereOf(store, input);
  const encode = encoderOf(input.EncodingType);
  const { ContinuationToken: token, StartAfter: startAfter = "" } = input;
  const after = token === undefined ? behind(startAfter, isRolledUp(where, startAfter)) : afterToken(token);
  const page = await pageOf(objectWalk(store, where, after), where, where.limit);
  const owner = input.FetchOwner === true ? { Owner: ownerOf(where.bucket.value.account) } : {};
  return {
    Name: where.bucket.name,
    Prefix: encode(where.prefix),
    MaxKeys: where.limit,
    KeyCount: page.items.length + page.prefixes.length,
    IsTruncated: page.isTruncated,
    ...(where.delimiter === "" ? {} : { Delimiter: encode(where.delimiter) }),
    ...(input.EncodingType === undefined ? {} : { EncodingType: input.EncodingType }),
    ...(token === undefined ? {} : { ContinuationToken: token }),
    ...(input.StartAfter === undefined ? {} : { StartAfter: encode(startAfter) }),
    Contents: page.items.map((one) => ({ ...contentsOf(one, encode), ...owner })),
    CommonPrefixes: prefixesOf(page, encode),
    ...(page.isTruncated && page.last !== undefined ? { NextContinuationToken: tokenOf(page.last) } : {}),
  };
}

interface ListedVersion {
  readonly key: string;
  readonly version: VersionRecord;
  readonly isLatest: boolean;
}

interface VersionStart {
  readonly afterObject: string;
  readonly afterVersion: string;
  /** The key whose newest versions an earlier page has shown. */
  readonly begun: string | undefined;
}

/** The live object of each key, then its other versions, newest first: two walks merged by key. */
function versionWalk(store: S3Store, { bucket, prefix, limit, delimiter }: Where, from: VersionStart): Walk<ListedVersion> {
  const start = `${bucket.name}\0`;
  const expected = delimiter === "" ? limit + 1 : 0;
  const objects = new Cursor<ObjectRecord>(store.meta, { ...rangeOf(OBJECT), prefix: start + prefix }, from.afterObject, expected);
  const versions = new Cursor<VersionRecord>(store.meta, { ...rangeOf(VERSION), prefix: start + prefix }, from.afterVersion, expected);
  let current: Cursor<ObjectRecord> | Cursor<VersionRecord> = objects;
  let { begun } = from;
  let seen = begun;
  return {
    async peek() {
      const [object, version] = [await objects.peek(), await versions.peek()];
      const objectKey = object === undefined ? undefined : keyIn(object.key.id);
      const versionOf = version === undefined ? undefined : keyIn(version.key.id).split("\0", 1)[0];
      const isObjectFirst =
        objectKey !== undefined && (versionOf === undefined || Buffer.compare(Buffer.from(objectKey), Buffer.from(versionOf)) <= 0);
      current = isObjectFirst ? objects : versions;
      const key = isObjectFirst ? objectKey : versionOf;
      const record = isObjectFirst ? object?.value : version?.value;
      if (key === undefined || record === undefined) return undefined;
      seen = key;
      return { key, item: { key, version: record, isLatest: isObjectFirst || begun !== key } };
    },
    advance() {
      begun = seen;
      current.advance();
    },
    skip(rolled) {
      objects.skip(start + rolled);
      versions.skip(start + rolled);
    },
  };
}

async function versionStart(store: S3Store, where: Where, keyMarker: string, versionMarker: string | undefined): Promise<VersionStart> {
  const start = `${where.bucket.name}\0`;
  if (versionMarker === undefined) {
    const isPrefix = isRolledUp(where, keyMarker);
    const after = behind(start + keyMarker, isPrefix);
    // Behind the key is behind all of its versions.
    return { afterObject: after, afterVersion: isPrefix || keyMarker === "" ? after : `${after}\0\u{10FFFF}`, begun: undefined };
  }
  const sequence = await sequenceAt(store, where, keyMarker, versionMarker);
  return { afterObject: start + keyMarker, afterVersion: versionKey(where.bucket.name, keyMarker, sequence).id, begun: keyMarker };
}

/** Version ids begin with their place among the versions; `null` has none, so our own markers add it. */
async function sequenceAt(store: S3Store, { bucket }: Where, key: string, marker: string): Promise<number> {
  const added = /^null\.(\d{1,16})$/.exec(marker)?.[1];
  if (added !== undefined) return Number(added);
  if (marker !== "null") {
    const sequence = sequenceOf(marker);
    if (sequence !== undefined) return sequence;
    throw invalidArgument("Invalid version id specified", "version-id-marker", marker);
  }
  const found = await find(store, bucket.name, key, marker);
  // Of a key without such a version nothing is left to list.
  return "entry" in found ? found.entry.value.sequence : 0;
}

const markerOf = ({ versionId, sequence }: VersionRecord) => (versionId === "null" ? `null.${sequence}` : versionId);

async function listVersions(store: S3Store, input: Input<Client, "ListObjectVersions">): Promise<Output<Client, "ListObjectVersions">> {
  const where = whereOf(store, input);
  const encode = encoderOf(input.EncodingType);
  const { KeyMarker: keyMarker = "", VersionIdMarker: versionMarker } = input;
  const hasVersionMarker = versionMarker !== undefined && versionMarker !== "";
  if (hasVersionMarker && keyMarker === "")
    throw invalidArgument("A version-id marker cannot be specified without a key marker.", "version-id-marker", versionMarker);
  const start = await versionStart(store, where, keyMarker, hasVersionMarker ? versionMarker : undefined);
  const page = await pageOf(versionWalk(store, where, start), where, where.limit);
  const Owner = ownerOf(where.bucket.value.account);
  const common = ({ key, version, isLatest }: ListedVersion) => ({
    Key: encode(key),
    VersionId: version.versionId,
    IsLatest: isLatest,
    LastModified: new Date(version.modifiedAtMs),
    Owner,
  });
  const last = page.items.at(-1);
  const isLastVersion = page.last?.isPrefix === false && last !== undefined;
  return {
    Name: where.bucket.name,
    Prefix: encode(where.prefix),
    KeyMarker: encode(keyMarker),
    VersionIdMarker: versionMarker ?? "",
    MaxKeys: where.limit,
    IsTruncated: page.isTruncated,
    ...(where.delimiter === "" ? {} : { Delimiter: encode(where.delimiter) }),
    ...(input.EncodingType === undefined ? {} : { EncodingType: input.EncodingType }),
    Versions: page.items.flatMap((one) => {
      const { key, version } = one;
      if (isDeleteMarker(version)) return [];
      const { StorageClass: _class, ...contents } = contentsOf({ key, object: version }, encode);
      return [{ ...contents, StorageClass: version.storageClass as client.ObjectVersionStorageClass, ...common(one) }];
    }),
    DeleteMarkers: page.items.filter(({ version }) => isDeleteMarker(version)).map(common),
    CommonPrefixes: prefixesOf(page, encode),
    ...(page.isTruncated && page.last !== undefined
      ? { NextKeyMarker: encode(page.last.text), ...(isLastVersion ? { NextVersionIdMarker: markerOf(last.version) } : {}) }
      : {}),
  };
}

export const listOperations = (store: S3Store) => ({
  ListObjects: (_context: Context, input: Input<Client, "ListObjects">) => listObjects(store, input),
  ListObjectsV2: (_context: Context, input: Input<Client, "ListObjectsV2">) => listObjectsV2(store, input),
  ListObjectVersions: (_context: Context, input: Input<Client, "ListObjectVersions">) => listVersions(store, input),
});
