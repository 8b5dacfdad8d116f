// Signature Version 4: who signed a request, and what the signature says about its body. One function for every service.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { timingSafeEqual } from "node:crypto";
import {
  basicFormat,
  canonicalHeaders,
  canonicalPath,
  canonicalQuery,
  derivedKey,
  queryPairs,
  signatureOf,
  type Pair,
} from "./canonical-request.ts";
import { CommonFault } from "./fault.ts";
import type { Caller, CredentialLookup, Credential, Identities } from "./identity.ts";
import { signatureClaim, type SignatureClaim } from "./signature-claim.ts";
import type { SigningKey } from "./signing-key.ts";

export interface SignedRequest {
  readonly method: string;
  /** As the client sent it, still percent-encoded. */
  readonly rawPath: string;
  /** Without the question mark. */
  readonly rawQuery: string;
  /** Names in lower case; repeated headers are joined with a comma and nothing else, as they are signed. */
  readonly headers: ReadonlyMap<string, string>;
  /** Hex digest of the whole body; absent for a streamed one. */
  readonly bodySha256?: (() => string) | undefined;
}

/** What the chunks of a signed stream are signed with. */
interface ChunkSeed {
  readonly signingKey: SigningKey;
  /** Hex signature of the request, or of the chunk before. */
  readonly signature: string;
  readonly date: string;
  readonly scope: string;
}

export type SignedPayload =
  | { readonly kind: "signed"; readonly sha256: string }
  | { readonly kind: "unsigned" }
  | { readonly kind: "streaming"; readonly signed: boolean; readonly trailer: boolean; readonly seed: ChunkSeed };

export interface VerifiedSignature {
  readonly caller: Caller;
  readonly region: string;
  readonly service: string;
  readonly presigned: boolean;
  readonly payload: SignedPayload;
}

const SKEW_MINUTES = 5;
const SKEW_S3_MINUTES = 15;
const SIGNING_KEYS_MAX = 1_000;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const invalid = (message: string) => new CommonFault("InvalidSignatureException", message, 403);
const isoTime = (timeMs: number) => new Date(timeMs).toISOString().replace(/\.\d{3}/, "");

function checkS3Time({ signedMs, expiresSeconds }: SignatureClaim, nowMs: number): void {
  const skewMs = SKEW_S3_MINUTES * 60_000;
  if (expiresSeconds === undefined) {
    if (Math.abs(nowMs - signedMs) <= skewMs) return;
    // SDKs know this code, and set their clock by it.
    throw new CommonFault("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", 403, {
      RequestTime: basicFormat(signedMs),
      ServerTime: isoTime(nowMs),
      MaxAllowedSkewMilliseconds: String(skewMs),
    });
  }
  if (signedMs > nowMs + skewMs) throw new CommonFault("AccessDenied", "Request is not yet valid", 403);
  const endMs = signedMs + expiresSeconds * 1000;
  if (nowMs >= endMs)
    throw new CommonFault("AccessDenied", "Request has expired", 403, {
      "X-Amz-Expires": String(expiresSeconds),
      Expires: isoTime(endMs),
      ServerTime: isoTime(nowMs),
    });
}

/** A presigned URL lives as long as it says, from the time that it was signed; the skew is for the future only. */
function checkTime(claim: SignatureClaim, nowMs: number): void {
  if (claim.service === "s3") return checkS3Time(claim, nowMs);
  const { date, signedMs, expiresSeconds } = claim;
  const skewMs = SKEW_MINUTES * 60_000;
  const now = () => basicFormat(nowMs);
  if (signedMs > nowMs + skewMs)
    throw invalid(
      `Signature not yet current: ${date} is still later than ${basicFormat(nowMs + skewMs)} (${now()} + ${SKEW_MINUTES} min.)`,
    );
  if (expiresSeconds !== undefined) {
    if (nowMs >= signedMs + expiresSeconds * 1000)
      throw invalid(`Signature expired: ${basicFormat(signedMs + expiresSeconds * 1000)} is now earlier than ${now()}`);
  } else if (nowMs > signedMs + skewMs)
    throw invalid(`Signature expired: ${date} is now earlier than ${basicFormat(nowMs - skewMs)} (${now()} - ${SKEW_MINUTES} min.)`);
}

/** A header that AWS reads but that nobody signed could have been added on the way. */
function checkSignedHeaders(headers: ReadonlyMap<string, string>, claim: SignatureClaim): void {
  const signed = claim.signedHeaders;
  if (!signed.includes("host")) throw invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  const unsigned: string[] = [];
  for (const name of headers.keys()) if (name.startsWith("x-amz-") && !signed.includes(name)) unsigned.push(name);
  if (unsigned.length === 0) return;
  if (claim.service === "s3")
    throw new CommonFault("AccessDenied", "There were headers present in the request which were not signed", 403, {
      HeadersNotSigned: unsigned.join(", "),
    });
  throw invalid(`'${unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.`);
}

/** What the client says that the body's digest is: the header, or what follows from the kind of request. */
function statedHash(request: SignedRequest, claim: SignatureClaim, pairs: readonly Pair[]): string {
  // Elsewhere the digest of the real body is what counts, whatever the header says.
  if (claim.service !== "s3") return request.bodySha256?.() ?? EMPTY_SHA256;
  const stated = request.headers.get("x-amz-content-sha256");
  if (stated !== undefined) return stated;
  if (claim.expiresSeconds === undefined)
    throw new CommonFault("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400);
  return pairs.find(([name]) => name.toLowerCase() === "x-amz-content-sha256")?.[1] ?? "UNSIGNED-PAYLOAD";
}

function payloadOf(stated: string, claim: SignatureClaim, signingKey: SigningKey, request: SignedRequest): SignedPayload {
  if (claim.service !== "s3") return { kind: "signed", sha256: stated };
  if (stated === "UNSIGNED-PAYLOAD") return { kind: "unsigned" };
  if (/^[0-9a-f]{64}$/.test(stated)) {
    if (request.bodySha256 === undefined || request.bodySha256() === stated) return { kind: "signed", sha256: stated };
    throw new CommonFault("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", 400);
  }
  const match = /^STREAMING-(?:(AWS4-HMAC-SHA256-PAYLOAD)|UNSIGNED-PAYLOAD)(-TRAILER)?$/.exec(stated);
  if (match === null || (match[1] === undefined && match[2] === undefined))
    throw new CommonFault(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
      400,
      { ArgumentName: "x-amz-content-sha256", ArgumentValue: stated.slice(0, 256) },
    );
  const seed = { signingKey, signature: claim.signature, date: claim.date, scope: claim.scope };
  return { kind: "streaming", signed: match[1] !== undefined, trailer: match[2] !== undefined, seed };
}

/** Derived keys are worth keeping, by credential: they are the same for a day, and cost four HMACs. */
const signingKeys = new Map<string, { readonly secret: string; readonly key: SigningKey }>();

/** Keeps the key only if `isRight` finds that the caller has it: others must not push out what is there. */
function withSigningKey(secret: string, claim: SignatureClaim, isRight: (key: SigningKey) => boolean): SigningKey | undefined {
  const known = signingKeys.get(claim.credential);
  if (known?.secret === secret) return isRight(known.key) ? known.key : undefined;
  const key = derivedKey(secret, claim);
  if (!isRight(key)) return undefined;
  if (signingKeys.size >= SIGNING_KEYS_MAX) signingKeys.clear();
  signingKeys.set(claim.credential, { secret, key });
  return key;
}

const DIGEST_BYTES = 32;
const expectedBytes = Buffer.alloc(DIGEST_BYTES);
const givenBytes = Buffer.alloc(DIGEST_BYTES);

/** Of two digests in hex, in time that does not depend on where they differ. */
function isEqual(expected: string, given: string): boolean {
  if (given.length !== 2 * DIGEST_BYTES || givenBytes.write(given, "hex") !== DIGEST_BYTES) return false;
  expectedBytes.write(expected, "hex");
  return timingSafeEqual(expectedBytes, givenBytes);
}

function isSignedWith(key: SigningKey, claim: SignatureClaim, canonical: string): boolean {
  if (isEqual(signatureOf(key, claim.date, claim.scope, canonical), claim.signature)) return true;
  // Header bytes reach us as Latin-1. Some clients sign the bytes that they send, others the text that those bytes stand for.
  return (
    /[\u0080-\u00ff]/.test(canonical) &&
    isEqual(signatureOf(key, claim.date, claim.scope, Buffer.from(canonical, "latin1")), claim.signature)
  );
}

function knownCredential(found: CredentialLookup, service: string): Credential {
  if (found === "token-invalid" && service === "s3")
    throw new CommonFault("InvalidToken", "The provided token is malformed or otherwise invalid.", 400);
  if (typeof found === "string")
    throw new CommonFault("UnrecognizedClientException", "The security token included in the request is invalid.", 403);
  return found;
}

/** Throws CommonFault with AWS's code, status and text. */
export function verifySignature(request: SignedRequest, identities: Identities, nowMs: number): VerifiedSignature {
  const pairs = queryPairs(request.rawQuery);
  const claim = signatureClaim(request.headers, pairs);
  const { region, service, signedHeaders } = claim;
  checkSignedHeaders(request.headers, claim);
  checkTime(claim, nowMs);
  const { secretAccessKey, caller, expiresMs } = knownCredential(identities.credential(claim.accessKeyId, claim.sessionToken), service);
  const stated = statedHash(request, claim, pairs);
  const canonical = `${request.method}\n${canonicalPath(request.rawPath, service)}\n${canonicalQuery(pairs)}\n${canonicalHeaders(request.headers, signedHeaders)}\n${signedHeaders.join(";")}\n${stated}`;
  const key = withSigningKey(secretAccessKey, claim, (one) => isSignedWith(one, claim, canonical));
  if (key === undefined)
    throw invalid(
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
    );
  // Only told to who has proven to know the secret.
  if (expiresMs !== undefined && nowMs >= expiresMs)
    throw new CommonFault("ExpiredTokenException", "The security token included in the request is expired", 403);
  return { caller, region, service, presigned: claim.expiresSeconds !== undefined, payload: payloadOf(stated, claim, key, request) };
}
