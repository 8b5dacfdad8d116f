// The canonical form of a request, which Signature Version 4 signs, and the keys that it is signed with.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHmac, hash } from "node:crypto";
import { CommonFault } from "./fault.ts";
import { SigningKey } from "./signing-key.ts";

export const ALGORITHM = "AWS4-HMAC-SHA256";

/** A query parameter, decoded. */
export type Pair = readonly [name: string, value: string];

/** What a signature is good for: the middle of its credential. */
export interface Scope {
  /** `20260131` */
  readonly day: string;
  readonly region: string;
  readonly service: string;
}

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();

/** Most names and paths are what they become; to see that costs less than to make it. */
const PLAIN = /^[A-Za-z0-9_~-]*$/;
const PLAIN_PATH = /^(?:\/[A-Za-z0-9_~-]+)+\/?$/;

/** RFC 3986: everything but letters, digits and `-_.~`. */
const encode = (text: string) =>
  PLAIN.test(text) ? text : encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

// A plus is a space, as in the reading of the same query for its parameters: one text must not have two meanings.
function decode(text: string): string {
  try {
    return decodeURIComponent(text.includes("+") ? text.replaceAll("+", " ") : text);
  } catch (cause) {
    throw new CommonFault("SerializationException", "The query string is not valid UTF-8.", 400, {}, { cause });
  }
}

/** Throws CommonFault for text that is not percent-encoded UTF-8. */
export function queryPairs(rawQuery: string): Pair[] {
  if (rawQuery === "") return [];
  return rawQuery
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

/** S3 signs the path as it is, because `//` and `..` are parts of keys; all others normalise it and encode it once more. */
export function canonicalPath(rawPath: string, service: string): string {
  if (service === "s3" || PLAIN_PATH.test(rawPath)) return rawPath;
  const segments: string[] = [];
  for (const segment of rawPath.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(encode(segment));
  }
  const path = `/${segments.join("/")}`;
  return segments.length > 0 && rawPath.endsWith("/") ? `${path}/` : path;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Sorted by encoded name, then by encoded value; without the signature itself. */
export function canonicalQuery(pairs: readonly Pair[]): string {
  if (pairs.length === 0) return "";
  return pairs
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

const oneSpaced = (value: string) => (/[ \t]{2}|\t/.test(value) ? value.replaceAll(/[ \t]+/g, " ") : value);

export function canonicalHeaders(headers: ReadonlyMap<string, string>, names: readonly string[]): string {
  let lines = "";
  for (const name of names) lines += `${name}:${oneSpaced((headers.get(name) ?? "").trim())}\n`;
  return lines;
}

export const derivedKey = (secret: string, { day, region, service }: Scope): SigningKey =>
  new SigningKey(hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), "aws4_request"));

export const scopeText = ({ day, region, service }: Scope): string => `${day}/${region}/${service}/aws4_request`;

/** In hex. `date` is `20260131T235959Z`, `scope` is what `scopeText` makes. */
export function signatureOf(key: SigningKey, date: string, scope: string, canonicalRequest: string | Buffer): string {
  return key.sign(`${ALGORITHM}\n${date}\n${scope}\n${hash("sha256", canonicalRequest)}`);
}

/** ISO 8601's basic format: `20260131T235959Z`. */
export const basicFormat = (timeMs: number): string => new Date(timeMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
