// What comes with content: headers, user metadata, tags, storage class; and the requests that ask for what is not there.
import type { ObjectStorageClass } from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import { aclsNotSupported, invalidArgument, notImplementedHeader } from "./faults.ts";
import type { Description, StoredHeaders } from "./model.ts";
import { tagsFromHeader } from "./tags.ts";

const KEY_BYTES_MAX = 1024;
const METADATA_BYTES_MAX = 2048;

/** Archives (GLACIER, DEEP_ARCHIVE) would have to refuse reads until they are restored, so they are not among them. */
const STORAGE_CLASSES: readonly ObjectStorageClass[] = [
  "STANDARD",
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER_IR",
];

// Members that would change what S3 does, with the header that carries them; accepting them would promise what is not kept.
const NOT_BUILT: Readonly<Record<string, string>> = {
  AnnotationDirective: "x-amz-annotation-directive",
  CopySourceSSECustomerAlgorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
  CopySourceSSECustomerKey: "x-amz-copy-source-server-side-encryption-customer-key",
  IfMatchLastModifiedTime: "x-amz-if-match-last-modified-time",
  IfMatchSize: "x-amz-if-match-size",
  MFA: "x-amz-mfa",
  ObjectLockEventHold: "x-amz-object-lock-event-hold",
  ObjectLockEventHoldDurationDays: "x-amz-object-lock-event-hold-duration-days",
  ObjectLockEventHoldDurationYears: "x-amz-object-lock-event-hold-duration-years",
  ObjectLockLegalHoldStatus: "x-amz-object-lock-legal-hold",
  ObjectLockMode: "x-amz-object-lock-mode",
  ObjectLockRetainUntilDate: "x-amz-object-lock-retain-until-date",
  SSECustomerAlgorithm: "x-amz-server-side-encryption-customer-algorithm",
  SSECustomerKey: "x-amz-server-side-encryption-customer-key",
  SSEKMSEncryptionContext: "x-amz-server-side-encryption-context",
  SSEKMSKeyId: "x-amz-server-side-encryption-aws-kms-key-id",
  WriteOffsetBytes: "x-amz-write-offset-bytes",
};
const GRANTS = ["GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"];

type Members = Readonly<Record<string, unknown>>;

/** Throws CommonFault for keys that S3 does not take. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX)
    throw new CommonFault("KeyTooLongError", "Your key is too long", 400, { Size: bytes, MaxSizeAllowed: KEY_BYTES_MAX });
  if (key === "" || key.includes("\0") || !key.isWellFormed())
    throw new CommonFault("InvalidURI", "Couldn't parse the specified URI.", 400, { URI: key.replaceAll("\0", "%00").toWellFormed() });
}

/** For every operation: its key is one, and it asks for nothing that is not built. Throws CommonFault. */
export function checkRequest(input: object): void {
  const members = input as Members;
  if (typeof members["Key"] === "string") checkKey(members["Key"]);
  for (const [member, header] of Object.entries(NOT_BUILT)) if (members[member] !== undefined) throw notImplementedHeader(header);
  // Content is stored as the disk of the installation stores it; AES256 asks for no more than that, and no answer claims it.
  const encryption = members["ServerSideEncryption"];
  if (encryption !== undefined && encryption !== "AES256") throw notImplementedHeader("x-amz-server-side-encryption");
  if (members["BucketKeyEnabled"] === true) throw notImplementedHeader("x-amz-server-side-encryption-bucket-key-enabled");
  // Buckets enforce their owner's ownership: these two canned ACLs say what is so anyway.
  const acl = members["ACL"];
  if (acl !== undefined && acl !== "private" && acl !== "bucket-owner-full-control") throw aclsNotSupported();
  for (const grant of GRANTS) if (members[grant] !== undefined) throw aclsNotSupported();
}

function metadataOf(metadata: Readonly<Record<string, string>> | undefined): Description["metadata"] {
  const entries = Object.entries(metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  const bytes = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (bytes > METADATA_BYTES_MAX)
    throw new CommonFault("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", 400, {
      Size: bytes,
      MaxSizeAllowed: METADATA_BYTES_MAX,
    });
  return entries;
}

export function storageClassOf(name: string | undefined): ObjectStorageClass {
  const found = STORAGE_CLASSES.find((one) => one === (name ?? "STANDARD"));
  if (found === undefined)
    throw new CommonFault("InvalidStorageClass", "The storage class you specified is not valid", 400, { StorageClassRequested: name });
  return found;
}

interface Described extends Omit<StoredHeaders, "expiresMs"> {
  readonly Expires?: Date | undefined;
  readonly Metadata?: Readonly<Record<string, string>> | undefined;
  readonly StorageClass?: string | undefined;
  readonly Tagging?: string | undefined;
}

type Loose<T> = { readonly [K in keyof T]?: T[K] | undefined };

const HEADERS = [
  "ContentEncoding",
  "ContentDisposition",
  "ContentLanguage",
  "CacheControl",
  "WebsiteRedirectLocation",
] as const satisfies readonly (keyof StoredHeaders)[];

function headersOf(input: Loose<Described>): StoredHeaders {
  const redirect = input.WebsiteRedirectLocation;
  if (redirect !== undefined && !/^(?:\/|https?:\/\/)/.test(redirect))
    throw new CommonFault(
      "InvalidRedirectLocation",
      "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
      400,
    );
  const headers: Record<string, string | number> = { ContentType: input.ContentType ?? "binary/octet-stream" };
  for (const name of HEADERS) if (input[name] !== undefined) headers[name] = input[name];
  if (input.Expires !== undefined) headers["expiresMs"] = input.Expires.getTime();
  return headers;
}

/** Throws CommonFault. */
export function descriptionOf(input: Loose<Described>): Description {
  return {
    headers: headersOf(input),
    metadata: metadataOf(input.Metadata),
    tags: tagsFromHeader(input.Tagging),
    storageClass: storageClassOf(input.StorageClass),
  };
}

/** The headers and metadata of an object, for GetObject and HeadObject. */
export function describe({ headers, metadata, storageClass, tags }: Description) {
  const { expiresMs, ...texts } = headers;
  return {
    ...texts,
    ...(expiresMs === undefined ? {} : { Expires: new Date(expiresMs) }),
    ...(storageClass === "STANDARD" ? {} : { StorageClass: storageClass }),
    ...(tags.length === 0 ? {} : { TagCount: tags.length }),
    Metadata: Object.fromEntries(metadata),
  };
}

/** 1 to `countMax`; S3 answers larger pages with its own maximum. Throws InvalidArgument. */
export function pageSize(value: number | undefined, name: string, countMax = 1000): number {
  if (value === undefined) return countMax;
  if (!Number.isInteger(value) || value < 0 || value > 2 ** 31 - 1)
    throw invalidArgument(`Argument ${name} must be an integer between 0 and 2147483647`, name, value);
  return Math.min(value, countMax);
}
