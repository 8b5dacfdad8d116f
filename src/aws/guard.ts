// What the front door refuses before it reads a body: ambiguous HTTP, foreign hosts, and pages of other origins.
import { lastResult } from "../base/last-result.ts";
import { CommonFault } from "./fault.ts";
import type { FunctionUrlHost } from "./request.ts";

/** The head of a request as the transport read it. */
interface Head {
  readonly method: string;
  /** As it stood in the request line. */
  readonly target: string;
  /** What the request line says, which is not what the parser took it for. */
  readonly httpVersion: string;
  readonly isHttp2: boolean;
  /** Names and values in turn, duplicates included. */
  readonly rawHeaders: readonly string[];
}

/** What a Host header stands for. */
interface NamedHost {
  /** With the port, without a bucket: `localhost:4566`. */
  readonly host: string;
  readonly bucket: string | undefined;
  readonly functionUrl: FunctionUrlHost | undefined;
}

interface HostRules {
  /** Of a host in lower case; throws CommonFault for one that is none, or not ours. */
  readonly named: (host: string) => NamedHost;
}

export interface Admitted {
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: ReadonlyMap<string, string>;
  /** `http://localhost:4566` */
  readonly endpoint: string;
  readonly hostBucket: string | undefined;
  /** Present: the request is for a function, and not for a service. */
  readonly functionUrl: FunctionUrlHost | undefined;
}

const LOCAL_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]", "*.localhost"];
/** What SDKs put before the host for some operations (StartLiveTail, SyncExecution), where a name server knows the result. */
const HOST_PREFIXES: readonly string[] = ["stream-", "sync-"];
/** Under which a sandbox reaches the server: nothing else leads there, so no browser can be lured. */
const SANDBOX_NAMES: readonly string[] = ["localhost", "127.0.0.1", "169.254.100.1"];

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]);
const HEADERS_MAX = 100;
// Two of one of these would let two readers of the same request see two different requests.
const SINGLE: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "content-encoding",
  "content-type",
  "authorization",
  "x-amz-date",
  "x-amz-target",
  "x-amz-content-sha256",
  "x-amz-security-token",
  "x-amz-decoded-content-length",
  "origin",
  "expect",
  "smithy-protocol",
]);
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
const HOST = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?)(?::(\d{1,5}))?$/;
const FUNCTION_URL_HOST = /^([a-z0-9]{32})\.lambda-url\.([a-z0-9-]{1,40})\.(.+)$/;
const S3_HOST = /^(?:(.+)\.)?s3(?:[.-][a-z0-9-]+)?$/;

/** Without a port; `*.example.com` stands for every name below it. */
type Names = readonly string[];

const networkNames = (configured: readonly string[]): Names => [
  ...LOCAL_NAMES,
  ...configured.flatMap((name) => [name.toLowerCase(), `*.s3.${name.toLowerCase()}`, `s3.${name.toLowerCase()}`]),
  ...[...configured, "localhost"].flatMap((name) => HOST_PREFIXES.map((prefix) => prefix + name.toLowerCase())),
];

export function hostRules(configured: readonly string[], origin: "network" | "sandbox"): HostRules {
  const names = origin === "sandbox" ? SANDBOX_NAMES : networkNames(configured);
  return { named: lastResult((host) => namedHost(host, names)) };
}

const bad = (message: string) => new CommonFault("BadRequest", message, 400);

/** Throws CommonFault. Values of repeated headers are joined with a comma and no space, which is how Signature Version 4 signs them. */
function readHeaders(rawHeaders: readonly string[]): Map<string, string> {
  if (rawHeaders.length > HEADERS_MAX * 2) throw new CommonFault("RequestHeaderSectionTooLarge", "There are too many headers.", 431);
  const headers = new Map<string, string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase();
    const value = rawHeaders[index + 1] ?? "";
    const present = headers.get(name);
    if (present === undefined) headers.set(name, value);
    else if (SINGLE.has(name) || name.startsWith(":")) throw bad(`There is more than one ${name} header.`);
    else headers.set(name, `${present},${value}`);
  }
  return headers;
}

function checkFraming(head: Head, headers: ReadonlyMap<string, string>): void {
  // Node's parser takes a request line without a version for HTTP/0.9, headers and body included.
  if (!head.isHttp2 && head.httpVersion !== "1.1" && head.httpVersion !== "1.0")
    throw new CommonFault("HTTPVersionNotSupported", "The HTTP version of the request is not supported.", 505);
  const isPreflight = head.method === "OPTIONS" && FUNCTION_URL_HOST.test(headers.get("host") ?? headers.get(":authority") ?? "");
  if (!METHODS.has(head.method) && !isPreflight) throw new CommonFault("MethodNotAllowed", "The HTTP method is not allowed.", 405);
  if (!TARGET.test(head.target)) throw bad("The request target must be a path.");
  const coding = headers.get("transfer-encoding");
  if (coding === undefined) return;
  if (headers.has("content-length")) throw bad("A request has either a Content-Length or a Transfer-Encoding.");
  if (coding.toLowerCase() !== "chunked" || head.httpVersion !== "1.1") throw bad("The Transfer-Encoding is not supported.");
}

/** HTTP/2 has it in a pseudo-header. */
function hostOf(headers: ReadonlyMap<string, string>): string {
  const host = headers.get("host");
  const authority = headers.get(":authority");
  if (host !== undefined && authority !== undefined && host !== authority) throw bad("The host of the request is ambiguous.");
  const name = host ?? authority;
  if (name === undefined) throw bad("The Host header is missing.");
  return name.toLowerCase();
}

/** The rule that allows the name: the name itself, or the part after the star. */
function allowedBy(name: string, rules: Names): string | undefined {
  for (const rule of rules) {
    if (rule === name) return name;
    if (rule.startsWith("*.") && name.endsWith(rule.slice(1)) && name.length > rule.length - 1) return rule.slice(2);
  }
  return undefined;
}

/** Below a name by which clients reach the server. */
function functionUrlOf(name: string, rules: Names): FunctionUrlHost | undefined {
  const [, urlId, region, host] = FUNCTION_URL_HOST.exec(name) ?? [];
  return urlId === undefined || region === undefined || !rules.includes(host ?? "") ? undefined : { urlId, region };
}

/** The bucket in `photos.s3.localhost` or `photos.localhost`, and the host without it. */
function splitBucket(name: string, suffix: string): { bucket?: string; host: string } {
  if (name === suffix) return { host: name };
  const prefix = name.slice(0, -suffix.length - 1);
  // Under `*.s3.example.com` all of the prefix is the bucket.
  const match = suffix.startsWith("s3.") ? undefined : S3_HOST.exec(prefix);
  if (match === null || match === undefined) return { bucket: prefix, host: suffix };
  const bucket = match[1];
  return bucket === undefined ? { host: name } : { bucket, host: name.slice(bucket.length + 1) };
}

function namedHost(text: string, rules: Names): NamedHost {
  const [, name, port] = HOST.exec(text) ?? [];
  if (name === undefined || Number(port ?? 0) > 65_535) throw bad("The Host header is not valid.");
  const functionUrl = functionUrlOf(name, rules);
  const suffix = functionUrl === undefined ? allowedBy(name, rules) : name;
  if (suffix === undefined)
    throw new CommonFault("AccessDeniedException", `The host name "${name}" is not one that this server answers to.`, 403);
  const { bucket, host } = splitBucket(name, suffix);
  return { host: port === undefined ? host : `${host}:${port}`, bucket, functionUrl };
}

// A page in the user's browser can send requests here; it can't leave these headers out.
function checkOrigin(headers: ReadonlyMap<string, string>, host: string): void {
  const origin = headers.get("origin")?.toLowerCase();
  const site = headers.get("sec-fetch-site");
  const isForeign = origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`;
  if (isForeign || (site !== undefined && site !== "same-origin" && site !== "none"))
    throw new CommonFault("AccessDeniedException", "Requests from pages of other origins are not allowed.", 403);
}

/** Throws CommonFault for what must not come in. `scheme` is that of the listener. */
export function admit(head: Head, rules: HostRules, scheme: "http" | "https"): Admitted {
  const headers = readHeaders(head.rawHeaders);
  checkFraming(head, headers);
  const name = hostOf(headers);
  const { host, bucket, functionUrl } = rules.named(name);
  // Who may call a function from where, its policy and its cross-origin rules say.
  if (functionUrl === undefined) checkOrigin(headers, name);
  if (!headers.has("host")) headers.set("host", headers.get(":authority") ?? "");
  const question = head.target.indexOf("?");
  return {
    rawPath: question === -1 ? head.target : head.target.slice(0, question),
    rawQuery: question === -1 ? "" : head.target.slice(question + 1),
    headers,
    endpoint: `${scheme}://${host}`,
    hostBucket: bucket,
    functionUrl,
  };
}
