// The checksums that clients may send with content: which one, what it must be, and what is kept of it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
import type { ChecksumType } from "@aws-sdk/client-s3";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { CommonFault } from "../../aws/fault.ts";
import { combinedCrc, crc32c, Crc64Nvme, type CrcName } from "./crc.ts";
import { badDigest, invalidRequest, notImplementedHeader } from "./faults.ts";

export type Algorithm = "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1" | "SHA256" | "SHA512" | "MD5";

export interface Checksum {
  readonly algorithm: Algorithm;
  /** Base64; `-N` behind it for a checksum of N checksums. */
  readonly value: string;
  readonly type: ChecksumType;
}

/** The members that carry checksums in every shape of S3 that has them. */
export type ChecksumMembers = { readonly [A in Algorithm as `Checksum${A}`]?: string | undefined };

interface Digest {
  update(chunk: Uint8Array): unknown;
  digest(): Buffer;
}

const fourBytes = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

function crc32Digest(next: (chunk: Uint8Array, previous: number) => number): Digest {
  let value = 0;
  return { update: (chunk) => (value = next(chunk, value)), digest: () => fourBytes(value) };
}

const ALGORITHMS: Readonly<Record<Algorithm, { readonly bytes: number; readonly create: () => Digest }>> = {
  CRC32: { bytes: 4, create: () => crc32Digest(crc32) },
  CRC32C: { bytes: 4, create: () => crc32Digest(crc32c) },
  CRC64NVME: { bytes: 8, create: () => new Crc64Nvme() },
  SHA1: { bytes: 20, create: () => createHash("sha1") },
  SHA256: { bytes: 32, create: () => createHash("sha256") },
  SHA512: { bytes: 64, create: () => createHash("sha512") },
  MD5: { bytes: 16, create: () => createHash("md5") },
};

const NAMES = Object.keys(ALGORITHMS) as Algorithm[];

export const newDigest = (algorithm: Algorithm): Digest => ALGORITHMS[algorithm].create();

export const isCrc = (algorithm: Algorithm): algorithm is CrcName => algorithm.startsWith("CRC");

const headerOf = (algorithm: string) => `x-amz-checksum-${algorithm.toLowerCase()}`;

/** Throws CommonFault for what the API has and Lambent does not. */
export function algorithmOf(name: string | undefined): Algorithm | undefined {
  if (name === undefined) return undefined;
  const found = NAMES.find((one) => one === name.toUpperCase());
  if (found === undefined) throw notImplementedHeader("x-amz-checksum-algorithm");
  return found;
}

function checkForm(algorithm: Algorithm, value: string): string {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(value);
  if (!isBase64 || Buffer.from(value, "base64").length !== ALGORITHMS[algorithm].bytes)
    throw invalidRequest(`Value for ${headerOf(algorithm)} header is invalid.`);
  return value;
}

/** What must hold for content that is about to be read; `value` is absent while it may still come in a trailer. */
export interface ExpectedChecksum {
  readonly algorithm: Algorithm;
  readonly value?: string;
}

function given(members: ChecksumMembers): ExpectedChecksum | undefined {
  for (const name of ["ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128"])
    if ((members as Readonly<Record<string, unknown>>)[name] !== undefined) throw notImplementedHeader(headerOf(name.slice(8)));
  const present = NAMES.filter((name) => members[`Checksum${name}`] !== undefined);
  if (present.length > 1) throw invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  const [algorithm] = present;
  const value = algorithm === undefined ? undefined : members[`Checksum${algorithm}`];
  return algorithm === undefined || value === undefined ? undefined : { algorithm, value };
}

/** Throws CommonFault. */
export function expectedChecksum(
  input: ChecksumMembers & { readonly ChecksumAlgorithm?: string | undefined },
): ExpectedChecksum | undefined {
  const found = given(input);
  if (found?.value !== undefined) {
    checkForm(found.algorithm, found.value);
    return found;
  }
  const algorithm = algorithmOf(input.ChecksumAlgorithm);
  return algorithm === undefined ? undefined : { algorithm };
}

/** The checksum of the whole that CompleteMultipartUpload may carry; composite ones have `-N` behind them. */
export const givenChecksum = (members: ChecksumMembers): ExpectedChecksum | undefined => given(members);

/** The checksum that came behind aws-chunked content. */
export function trailingChecksum(trailers: ReadonlyMap<string, string> | undefined): Required<ExpectedChecksum> | undefined {
  for (const algorithm of NAMES) {
    const value = trailers?.get(headerOf(algorithm));
    if (value !== undefined) return { algorithm, value: checkForm(algorithm, value) };
  }
  for (const name of trailers?.keys() ?? []) if (name.startsWith("x-amz-checksum-")) throw notImplementedHeader(name);
  return undefined;
}

export function checkEqual(algorithm: Algorithm, expected: string, calculated: string): void {
  if (expected !== calculated) throw badDigest(`The ${algorithm} you specified did not match the calculated checksum.`);
}

export function checkMd5(expected: Buffer, calculated: Buffer): void {
  if (!expected.equals(calculated))
    throw badDigest("The Content-MD5 you specified did not match what we received.", {
      ExpectedDigest: expected.toString("base64"),
      CalculatedDigest: calculated.toString("base64"),
    });
}

/** Content-MD5 as bytes; throws CommonFault when it is none. */
export function contentMd5(value: string | undefined): Buffer | undefined {
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, "base64");
  if (bytes.length !== 16 || bytes.toString("base64") !== value)
    throw new CommonFault("InvalidDigest", "The Content-MD5 you specified was invalid.", 400, { "Content-MD5": value });
  return bytes;
}

/** Without a digest AWS takes neither of them; other operations only check the one that they are given. */
const WANTS_DIGEST: ReadonlySet<string> = new Set(["DeleteObjects", "PutBucketTagging"]);

/**
 * Whether a body that is no object's content (the XML of DeleteObjects, of a policy) is what its client has digested; `headers` by lower-case
 * name. Throws CommonFault: BadDigest, InvalidDigest, InvalidRequest.
 */
export function checkBody(operation: string, headers: ReadonlyMap<string, string>, bytes: Uint8Array): void {
  const md5 = contentMd5(headers.get("content-md5"));
  if (md5 !== undefined) checkMd5(md5, createHash("md5").update(bytes).digest());
  // There these headers are about the object that its parts become.
  if (operation === "CompleteMultipartUpload") return;
  const members = NAMES.map((name) => [`Checksum${name}`, headers.get(headerOf(name))] as const);
  const expected = expectedChecksum(Object.fromEntries(members));
  if (md5 === undefined && expected?.value === undefined && WANTS_DIGEST.has(operation))
    throw invalidRequest("Missing required header for this request: Content-MD5");
  if (expected?.value === undefined) return;
  const digest = newDigest(expected.algorithm);
  digest.update(bytes);
  checkEqual(expected.algorithm, expected.value, digest.digest().toString("base64"));
}

/** The checksum of a whole upload from those of its parts. */
export function wholeChecksum(
  kind: Pick<Checksum, "algorithm" | "type">,
  parts: readonly { readonly checksum: string; readonly bytes: number }[],
): Checksum {
  const { algorithm, type } = kind;
  if (type === "FULL_OBJECT" && isCrc(algorithm)) {
    const crcs = parts.map(({ checksum, bytes }) => ({ crc: Buffer.from(checksum, "base64"), bytes }));
    return { algorithm, type, value: combinedCrc(algorithm, crcs).toString("base64") };
  }
  const digest = newDigest(algorithm);
  for (const { checksum } of parts) digest.update(Buffer.from(checksum, "base64"));
  return { algorithm, type, value: `${digest.digest().toString("base64")}-${parts.length}` };
}

/** `{ ChecksumCRC32: "…" }` for the outputs that have these members. */
export const checksumMembers = (checksum: Checksum | undefined): ChecksumMembers =>
  checksum === undefined ? {} : { [`Checksum${checksum.algorithm}`]: checksum.value };
