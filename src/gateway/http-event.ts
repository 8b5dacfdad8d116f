// An HTTP request as the event that a function sees: API Gateway's payload format 2.0, which function URLs have too.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
import type { Caller } from "../aws/identity.ts";
import { parseQuery, type WireRequest } from "../aws/request.ts";

interface Received {
  readonly request: WireRequest;
  readonly body: Buffer;
  /** Of the function URL. */
  readonly urlId: string;
  /** Anonymous: nobody had to sign. */
  readonly caller: Caller;
  readonly nowMs: number;
}

const TEXT = /^(?:text\/|application\/(?:json|javascript|xml)(?:;|$)|[^;]+\+(?:json|xml)(?:;|$))/i;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text stays text; everything else, and what is no text though it says so, is base64. */
function bodyOf(body: Buffer, contentType: string): { readonly body?: string; readonly isBase64Encoded: boolean } {
  if (body.length === 0) return { isBase64Encoded: false };
  if (contentType === "" || TEXT.test(contentType))
    try {
      return { body: utf8.decode(body), isBase64Encoded: false };
    } catch {
      // It goes on as bytes.
    }
  return { body: body.toString("base64"), isBase64Encoded: true };
}

function headersOf({ request }: Received): Record<string, string> {
  const url = new URL(request.endpoint);
  const headers = Object.fromEntries([...request.headers].filter(([name]) => name !== "cookie" && !name.startsWith(":")));
  return {
    ...headers,
    "x-forwarded-for": request.sourceIp ?? "",
    "x-forwarded-port": url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port,
    "x-forwarded-proto": url.protocol.slice(0, -1),
  };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `12/Mar/2020:19:03:58 +0000` */
function commonLogTime(timeMs: number): string {
  const [date = "", time = ""] = new Date(timeMs).toISOString().split("T");
  const [year, month, day] = date.split("-");
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}

function authorizerOf(caller: Caller): object {
  if (caller.kind === "anonymous") return {};
  const { accessKeyId: accessKey, account: accountId, userId, arn: userArn } = caller;
  const iam = { accessKey, accountId, callerId: userId, cognitoIdentity: null, principalOrgId: null, userArn, userId };
  return { authorizer: { iam } };
}

/** Throws Malformed for a query that can't be decoded. */
export function httpEvent(received: Received): object {
  const { request, body, urlId, caller, nowMs } = received;
  const headers = headersOf(received);
  const query = [...parseQuery(request.rawQuery)].map(([name, values]) => [name, values.join(",")] as const);
  const cookies = request.headers
    .get("cookie")
    ?.split(/;\s*/)
    .filter((cookie) => cookie !== "");
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: request.rawPath,
    rawQueryString: request.rawQuery,
    ...(cookies === undefined ? {} : { cookies }),
    headers,
    ...(query.length === 0 ? {} : { queryStringParameters: Object.fromEntries(query) }),
    requestContext: {
      accountId: caller.kind === "anonymous" ? "anonymous" : caller.account,
      apiId: urlId,
      ...authorizerOf(caller),
      domainName: (headers["host"] ?? "").replace(/:\d+$/, ""),
      domainPrefix: urlId,
      http: {
        method: request.method,
        path: request.rawPath,
        protocol: "HTTP/1.1",
        sourceIp: request.sourceIp ?? "",
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: request.id,
      routeKey: "$default",
      stage: "$default",
      time: commonLogTime(nowMs),
      timeEpoch: nowMs,
    },
    ...bodyOf(body, request.headers.get("content-type") ?? ""),
  };
}
