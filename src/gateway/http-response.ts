// A function's result as an HTTP response, by the rules of function URLs.
import { validateHeaderName, validateHeaderValue } from "node:http";
import type { WireResponse } from "../aws/request.ts";

type Fields = Readonly<Record<string, unknown>>;

const JSON_TYPE = { "content-type": "application/json" };
/** Those of the connection are not the function's to set. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "te",
]);

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** What went wrong in the function, or with what it returned. */
export const badGateway = (): WireResponse => ({ status: 502, headers: { ...JSON_TYPE }, body: "Internal Server Error" });

/** `payload` is JSON. A result without a status is the body itself; one that is no response becomes 502. */
export function httpResponse(payload: Uint8Array): WireResponse {
  let result: unknown;
  try {
    result = JSON.parse(Buffer.from(payload).toString());
  } catch {
    return badGateway();
  }
  if (isObject(result) && result["statusCode"] !== undefined) return described(result) ?? badGateway();
  return { status: 200, headers: { ...JSON_TYPE }, body: typeof result === "string" ? result : payload };
}

/** Status, headers and cookies that stand before a streamed body; undefined when that is not what it is. */
export function preludeOf(bytes: Uint8Array): WireResponse | undefined {
  let prelude: unknown;
  try {
    prelude = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
  return isObject(prelude) ? described({ statusCode: 200, ...prelude, body: undefined }) : undefined;
}

function described({ statusCode, headers, cookies, body, isBase64Encoded }: Fields): WireResponse | undefined {
  const status = Number(statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599 || typeof statusCode === "boolean") return undefined;
  const sent = headersOf(headers);
  const set = cookiesOf(cookies);
  if (sent === undefined || set === undefined) return undefined;
  const bytes = bodyOf(body, isBase64Encoded === true);
  return {
    status,
    headers: "content-type" in sent ? sent : { ...JSON_TYPE, ...sent },
    ...(set.length === 0 ? {} : { cookies: set }),
    ...(bytes === undefined || status === 204 || status === 304 ? {} : { body: bytes }),
  };
}

function bodyOf(body: unknown, isBase64: boolean): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body !== "string") return JSON.stringify(body);
  return isBase64 ? Buffer.from(body, "base64") : body;
}

/** By lower-case name; undefined when one of them can't be sent. */
function headersOf(given: unknown): Record<string, string> | undefined {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) return undefined;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
    if (!canBeSent(name, String(value))) return undefined;
    if (!OF_THE_CONNECTION.has(name.toLowerCase())) headers[name.toLowerCase()] = String(value);
  }
  return headers;
}

function cookiesOf(given: unknown): readonly string[] | undefined {
  if (given === undefined || given === null) return [];
  const areSent = Array.isArray(given) && given.every((one: unknown) => typeof one === "string" && canBeSent("set-cookie", one));
  return areSent ? (given as readonly string[]) : undefined;
}

function canBeSent(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}
