// Signature Version 4: verifies the Authorization header or the presigned query of a request. One function for every service.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHmac, createSecretKey, hash as digest, timingSafeEqual, type KeyObject } from "node:crypto";
import { CommonFault } from "./fault.ts";
import type { Caller, Identities } from "./identity.ts";

export interface SignedRequest {
  readonly method: string;
  /** As the client sent it, still percent-encoded. */
  readonly rawPath: string;
  /** Without the question mark. */
  readonly rawQuery: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Hex digest of the whole body; absent for a streamed one. */
  readonly bodySha256?: (() => string) | undefined;
}

/** What the chunks of a signed stream are signed with. */
export interface ChunkSeed {
  readonly signingKey: KeyObject;
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

/** Parts of a signature, wherever they stood in the request. */
interface Claim {
  readonly accessKeyId: string;
  readonly day: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly date: string;
  readonly sessionToken: string | undefined;
  readonly presigned: boolean;
  readonly expiresSeconds: number;
}

type Pair = readonly [name: string, value: string];

const ALGORITHM = "AWS4-HMAC-SHA256";
const SKEW_MS = 5 * 60_000;
const SKEW_S3_MS = 15 * 60_000;
const EXPIRES_SECONDS_MAX = 604_800;
const SIGNING_KEYS_MAX = 1_000;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const incomplete = (message: string) => new CommonFault("IncompleteSignatureException", message, 400);
const invalid = (message: string) => new CommonFault("InvalidSignatureException", message, 403);
const mismatch = () =>
  invalid(
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
  );

const sha256 = (text: string) => digest("sha256", text);
const hmac = (key: string | Buffer | KeyObject, text: string) => createHmac("sha256", key).update(text).digest();

/** RFC 3986: everything but letters, digits and `-_.~`. */
const encode = (text: string) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new CommonFault("SerializationException", "The query string is not valid UTF-8.", 400, {}, { cause });
  }
}

function queryPairs(rawQuery: string): Pair[] {
  if (rawQuery === "") return [];
  return rawQuery
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

const derivedKey = (secret: string, { day, region, service }: Pick<Claim, "day" | "region" | "service">) =>
  hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), "aws4_request");

/** Derived keys are worth keeping: they are the same for a day, and cost four HMACs. */
const signingKeys = new Map<string, KeyObject>();

function signingKey(secret: string, claim: Claim): KeyObject {
  const name = `${claim.accessKeyId}/${claim.day}/${claim.region}/${claim.service}/${secret}`;
  let key = signingKeys.get(name);
  if (key === undefined) {
    if (signingKeys.size >= SIGNING_KEYS_MAX) signingKeys.clear();
    // As a KeyObject: an HMAC over a Buffer prepares its key anew each time, which costs more than the rest of a verification.
    key = createSecretKey(derivedKey(secret, claim));
    signingKeys.set(name, key);
  }
  return key;
}

function scopeOf(credential: string): Pick<Claim, "accessKeyId" | "day" | "region" | "service"> {
  const [accessKeyId = "", day = "", region = "", service = "", end, ...rest] = credential.split("/");
  if (end !== "aws4_request" || rest.length > 0 || accessKeyId === "" || service === "")
    throw incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term");
  if (!/^\d{8}$/.test(day)) throw incomplete("Date in Credential scope does not match YYYYMMDD");
  return { accessKeyId, day, region, service };
}

function headerClaim(request: SignedRequest, authorization: string): Claim {
  const fields = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length).split(",")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at).trim();
    // A repeated Authorization header reaches us joined by a comma: then a field stands there twice.
    if (fields.has(name)) throw incomplete(`Authorization header has '${name}' more than once`);
    fields.set(name, part.slice(at + 1).trim());
  }
  const field = (name: string) => {
    const value = fields.get(name);
    if (value === undefined || value === "") throw incomplete(`Authorization header requires '${name}' parameter.`);
    return value;
  };
  const date = request.headers.get("x-amz-date");
  if (date === undefined) throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  return {
    ...scopeOf(field("Credential")),
    signedHeaders: field("SignedHeaders").split(";"),
    signature: field("Signature"),
    date,
    sessionToken: request.headers.get("x-amz-security-token"),
    presigned: false,
    expiresSeconds: 0,
  };
}

function presignedClaim(pairs: readonly Pair[]): Claim {
  const value = (name: string) => {
    const found = pairs.filter(([one]) => one === name);
    if (found.length > 1) throw incomplete(`${name} is given more than once`);
    return found[0]?.[1];
  };
  const required = (name: string) => {
    const found = value(name);
    if (found === undefined || found === "") throw incomplete(`AWS query-string parameters must include '${name}'.`);
    return found;
  };
  if (required("X-Amz-Algorithm") !== ALGORITHM) throw incomplete(`Unsupported AWS 'algorithm'; only ${ALGORITHM} is supported.`);
  const expires = required("X-Amz-Expires");
  if (!/^\d{1,7}$/.test(expires) || Number(expires) < 1 || Number(expires) > EXPIRES_SECONDS_MAX)
    throw incomplete(`X-Amz-Expires must be between 1 and ${EXPIRES_SECONDS_MAX} seconds`);
  return {
    ...scopeOf(required("X-Amz-Credential")),
    signedHeaders: required("X-Amz-SignedHeaders").split(";"),
    signature: required("X-Amz-Signature"),
    date: required("X-Amz-Date"),
    sessionToken: value("X-Amz-Security-Token"),
    presigned: true,
    expiresSeconds: Number(expires),
  };
}

function claimOf(request: SignedRequest, pairs: readonly Pair[]): Claim {
  const authorization = request.headers.get("authorization");
  const hasQuery = pairs.some(([name]) => /^x-amz-(?:signature|credential|algorithm)$/i.test(name));
  if (authorization !== undefined && hasQuery)
    throw new CommonFault(
      "InvalidArgument",
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
      400,
    );
  if (hasQuery) return presignedClaim(pairs);
  if (authorization === undefined) throw new CommonFault("MissingAuthenticationTokenException", "Missing Authentication Token", 403);
  if (!authorization.startsWith(`${ALGORITHM} `)) throw incomplete(`Authorization header must begin with '${ALGORITHM}'`);
  return headerClaim(request, authorization);
}

function timeOf(date: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (match === null) throw incomplete("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601");
  const [, year, month, day, hour, minute, second] = match.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
}

const basicFormat = (timeMs: number) => new Date(timeMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");

function checkTime(claim: Claim, nowMs: number): void {
  const signedMs = timeOf(claim.date);
  if (!claim.date.startsWith(claim.day))
    throw incomplete(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${claim.day}' != '${claim.date.slice(0, 8)}'`,
    );
  const skewMs = claim.service === "s3" ? SKEW_S3_MS : SKEW_MS;
  if (signedMs > nowMs + skewMs)
    throw invalid(`Signature not yet current: ${claim.date} is still later than ${basicFormat(nowMs + skewMs)}`);
  const endMs = claim.presigned ? signedMs + claim.expiresSeconds * 1000 : signedMs + skewMs;
  if (nowMs <= endMs) return;
  if (claim.service === "s3") throw new CommonFault("AccessDenied", "Request has expired", 403);
  throw invalid(`Signature expired: ${claim.date} is now earlier than ${basicFormat(nowMs - skewMs)}`);
}

/** A header that AWS reads but that nobody signed could have been added on the way. */
function checkSignedHeaders(request: SignedRequest, claim: Claim): void {
  const signed = new Set(claim.signedHeaders);
  if (!signed.has("host")) throw invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  for (const name of request.headers.keys())
    if (name.startsWith("x-amz-") && !signed.has(name)) throw invalid(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
}

/** S3 signs the path as it is; all others normalise it and encode it once more. */
function canonicalPath(request: SignedRequest, service: string): string {
  if (service === "s3") return request.rawPath;
  const segments: string[] = [];
  for (const segment of request.rawPath.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(encode(segment));
  }
  const path = `/${segments.join("/")}`;
  return segments.length > 0 && request.rawPath.endsWith("/") ? `${path}/` : path;
}

function canonicalQuery(pairs: readonly Pair[]): string {
  const encoded = pairs.filter(([name]) => name !== "X-Amz-Signature").map(([name, value]) => [encode(name), encode(value)] as const);
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return encoded
    .toSorted((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function canonicalHeaders(request: SignedRequest, names: readonly string[]): string {
  let lines = "";
  for (const name of names) lines += `${name}:${(request.headers.get(name) ?? "").trim().replaceAll(/ +/g, " ")}\n`;
  return lines;
}

/** What the client says that the body's digest is: the header, or what follows from the kind of request. */
function payloadHash(request: SignedRequest, claim: Claim): string {
  const stated = request.headers.get("x-amz-content-sha256");
  if (claim.service === "s3") return stated ?? (claim.presigned ? "UNSIGNED-PAYLOAD" : (request.bodySha256?.() ?? EMPTY_SHA256));
  // Elsewhere the digest of the real body is what counts, whatever the header says.
  return request.bodySha256?.() ?? EMPTY_SHA256;
}

function payloadOf(hash: string, claim: Claim, key: KeyObject, request: SignedRequest): SignedPayload {
  if (hash === "UNSIGNED-PAYLOAD") return { kind: "unsigned" };
  if (/^[0-9a-f]{64}$/.test(hash)) {
    if (request.bodySha256 !== undefined && request.bodySha256() !== hash)
      throw new CommonFault(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        400,
      );
    return { kind: "signed", sha256: hash };
  }
  const match = /^STREAMING-(?:(AWS4-HMAC-SHA256-PAYLOAD)|UNSIGNED-PAYLOAD)(-TRAILER)?$/.exec(hash);
  if (match === null || (match[1] === undefined && match[2] === undefined))
    throw new CommonFault(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.",
      400,
    );
  const scope = `${claim.day}/${claim.region}/${claim.service}/aws4_request`;
  return {
    kind: "streaming",
    signed: match[1] !== undefined,
    trailer: match[2] !== undefined,
    seed: { signingKey: key, signature: claim.signature, date: claim.date, scope },
  };
}

function isEqual(expected: Buffer, given: string): boolean {
  const bytes = Buffer.from(given, "hex");
  return given.length === 64 && bytes.length === expected.length && timingSafeEqual(bytes, expected);
}

/** Throws CommonFault with AWS's code, status and text. */
export function verifySignature(request: SignedRequest, identities: Identities, nowMs: number): VerifiedSignature {
  const pairs = queryPairs(request.rawQuery);
  const claim = claimOf(request, pairs);
  checkSignedHeaders(request, claim);
  checkTime(claim, nowMs);
  const found = identities.credential(claim.accessKeyId, claim.sessionToken);
  if (found === "unknown-key" || found === "token-missing" || found === "token-invalid")
    throw new CommonFault("UnrecognizedClientException", "The security token included in the request is invalid.", 403);
  const hash = payloadHash(request, claim);
  const key = signingKey(found.secretAccessKey, claim);
  const names = claim.signedHeaders;
  const canonical = `${request.method}\n${canonicalPath(request, claim.service)}\n${canonicalQuery(pairs)}\n${canonicalHeaders(request, names)}\n${names.join(";")}\n${hash}`;
  const scope = `${claim.day}/${claim.region}/${claim.service}/aws4_request`;
  if (!isEqual(hmac(key, `${ALGORITHM}\n${claim.date}\n${scope}\n${sha256(canonical)}`), claim.signature)) throw mismatch();
  // Only told to who has proven to know the secret.
  if (found.expiresMs !== undefined && nowMs > found.expiresMs)
    throw new CommonFault("ExpiredTokenException", "The security token included in the request is expired", 403);
  const { region, service, presigned } = claim;
  return { caller: found.caller, region, service, presigned, payload: payloadOf(hash, claim, key, request) };
}

/** A presigned GET of a path that is already percent-encoded, valid for `expiresSeconds`. */
export function presignedGet(options: {
  readonly endpoint: string;
  readonly path: string;
  readonly region: string;
  readonly service: string;
  readonly credential: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  readonly nowMs: number;
  readonly expiresSeconds: number;
}): string {
  const { endpoint, path, region, service, credential, nowMs, expiresSeconds } = options;
  const date = basicFormat(nowMs);
  const day = date.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const pairs: Pair[] = [
    ["X-Amz-Algorithm", ALGORITHM],
    ["X-Amz-Credential", `${credential.accessKeyId}/${scope}`],
    ["X-Amz-Date", date],
    ["X-Amz-Expires", String(expiresSeconds)],
    ["X-Amz-SignedHeaders", "host"],
    ...(credential.sessionToken === undefined ? [] : [["X-Amz-Security-Token", credential.sessionToken] as const]),
  ];
  const query = canonicalQuery(pairs);
  const canonical = `GET\n${path}\n${query}\nhost:${new URL(endpoint).host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const key = derivedKey(credential.secretAccessKey, { day, region, service });
  const signature = hmac(key, `${ALGORITHM}\n${date}\n${scope}\n${sha256(canonical)}`).toString("hex");
  return `${endpoint}${path}?${query}&X-Amz-Signature=${signature}`;
}
