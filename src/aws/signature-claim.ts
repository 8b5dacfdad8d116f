// What a request says about its own signature, in the Authorization header or in the query: parsed strictly, believed by nobody yet.
import { lastResult } from "../base/last-result.ts";
import { ALGORITHM, queryPairs, type Pair, type Scope } from "./canonical-request.ts";
import { CommonFault } from "./fault.ts";

export interface SignatureClaim extends Scope {
  readonly accessKeyId: string;
  /** The access key id and the scope, as they were sent. */
  readonly credential: string;
  /** `20260131/eu-west-1/lambda/aws4_request` */
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `20260131T235959Z` */
  readonly date: string;
  readonly signedMs: number;
  readonly sessionToken: string | undefined;
  /** Present when the signature stands in the query. */
  readonly expiresSeconds: number | undefined;
}

type Headers = ReadonlyMap<string, string>;

const EXPIRES_SECONDS_MAX = 604_800;

const incomplete = (message: string) => new CommonFault("IncompleteSignatureException", message, 400);
/** S3 has names of its own for what is wrong with a presigned URL. */
const badQuery = (service: string | undefined, message: string) =>
  service === "s3" ? new CommonFault("AuthorizationQueryParametersError", message, 400) : incomplete(message);
const FIELDS: ReadonlySet<string> = new Set(["Credential", "SignedHeaders", "Signature"]);

/** Region and service become parts of ARNs and of keys, so they are what AWS's names look like or nothing. */
const CREDENTIAL = /^([^/]+)\/((\d{8})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/aws4_request)$/;

const CREDENTIAL_FIELD = /Credential=([^,\s]+)/;

type Credential = Pick<SignatureClaim, "credential" | "accessKeyId" | "scope" | keyof Scope>;

const credentialOf = lastResult((text): Credential | undefined => {
  const match = CREDENTIAL.exec(text);
  if (match === null) return undefined;
  const [credential, accessKeyId = "", scope = "", day = "", region = "", service = ""] = match;
  return { credential, accessKeyId, scope, day, region, service };
});

const namesOf = lastResult((text): readonly string[] => text.split(";"));

const BAD_CREDENTIAL = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term";

/**
 * The fields behind the algorithm; a reason when they are not exactly AWS's three. A repeated Authorization header reaches us joined by a
 * comma: then a field stands there twice, or one that nobody knows.
 */
function fieldsOf(authorization: string): ReadonlyMap<string, string> | string {
  const fields = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length).split(",")) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0)).trim();
    if (!FIELDS.has(name)) return `'${part.trim()}' not a valid key=value pair (missing equal-sign) in Authorization header.`;
    if (fields.has(name)) return `Authorization header has '${name}' more than once.`;
    fields.set(name, part.slice(at + 1).trim());
  }
  return fields;
}

const parseTime = lastResult((date): number | undefined => {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  // `Date.parse` refuses what is no date, where `Date.UTC` would count on: 20260231 is not 20260303.
  const timeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(timeMs) || new Date(timeMs).getUTCDate() !== Number(day) ? undefined : timeMs;
});

function timeOf(date: string, day: string): number {
  const timeMs = parseTime(date);
  if (timeMs === undefined) throw incomplete("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601");
  if (!date.startsWith(day))
    throw incomplete(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${day}' != '${date.slice(0, 8)}', from '${date}'.`,
    );
  return timeMs;
}

function headerClaim(headers: Headers, authorization: string): SignatureClaim {
  if (!authorization.startsWith(`${ALGORITHM} `)) throw incomplete(`Authorization header must begin with '${ALGORITHM}'.`);
  const fields = fieldsOf(authorization);
  if (typeof fields === "string") throw incomplete(fields);
  const field = (name: string) => {
    const value = fields.get(name);
    if (value === undefined || value === "") throw incomplete(`Authorization header requires '${name}' parameter.`);
    return value;
  };
  const scope = credentialOf(field("Credential"));
  if (scope === undefined) throw incomplete(BAD_CREDENTIAL);
  const date = headers.get("x-amz-date");
  if (date === undefined) throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  return {
    ...scope,
    signedHeaders: namesOf(field("SignedHeaders")),
    signature: field("Signature"),
    date,
    signedMs: timeOf(date, scope.day),
    sessionToken: headers.get("x-amz-security-token"),
    expiresSeconds: undefined,
  };
}

function presignedClaim(pairs: readonly Pair[]): SignatureClaim {
  const service = credentialOf(pairs.find(([name]) => name === "X-Amz-Credential")?.[1] ?? "")?.service;
  const value = (name: string) => {
    const found = pairs.filter(([one]) => one === name);
    if (found.length > 1) throw badQuery(service, `${name} is given more than once.`);
    return found[0]?.[1];
  };
  const required = (name: string) => {
    const found = value(name);
    if (found === undefined || found === "") throw badQuery(service, `AWS query-string parameters must include '${name}'.`);
    return found;
  };
  if (required("X-Amz-Algorithm") !== ALGORITHM) throw badQuery(service, `X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const scope = credentialOf(required("X-Amz-Credential"));
  if (scope === undefined) throw badQuery(service, BAD_CREDENTIAL);
  const expires = required("X-Amz-Expires");
  if (!/^-?\d{1,16}$/.test(expires)) throw badQuery(service, "X-Amz-Expires should be a number");
  if (Number(expires) < 1) throw badQuery(service, "X-Amz-Expires must be non-negative");
  if (Number(expires) > EXPIRES_SECONDS_MAX)
    throw badQuery(
      service,
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${EXPIRES_SECONDS_MAX} seconds`,
    );
  const date = required("X-Amz-Date");
  return {
    ...scope,
    signedHeaders: namesOf(required("X-Amz-SignedHeaders")),
    signature: required("X-Amz-Signature"),
    date,
    signedMs: timeOf(date, scope.day),
    sessionToken: value("X-Amz-Security-Token"),
    expiresSeconds: Number(expires),
  };
}

const isSignature = ([name]: Pair) => /^x-amz-(?:signature|credential|algorithm)$/i.test(name);

/** Throws CommonFault, also when there is no signature at all. */
export function signatureClaim(headers: Headers, pairs: readonly Pair[]): SignatureClaim {
  const authorization = headers.get("authorization");
  const isPresigned = pairs.some(isSignature);
  if (authorization !== undefined && isPresigned)
    throw new CommonFault(
      "InvalidArgument",
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
      400,
    );
  if (isPresigned) return presignedClaim(pairs);
  if (authorization === undefined) throw new CommonFault("MissingAuthenticationTokenException", "Missing Authentication Token", 403);
  return headerClaim(headers, authorization);
}

/** For choosing the service that shall answer, right or wrong: not verified, never throws; `undefined` where none can be read. */
export function credentialScope(request: {
  readonly headers: Headers;
  readonly rawQuery: string;
}): { readonly service: string; readonly region: string; readonly accessKeyId: string } | undefined {
  const authorization = request.headers.get("authorization");
  if (authorization !== undefined) return credentialOf(CREDENTIAL_FIELD.exec(authorization)?.[1] ?? "");
  const start = request.rawQuery.search(/(?:^|&)X-Amz-Credential=/);
  if (start === -1) return undefined;
  const end = request.rawQuery.indexOf("&", start + 1);
  try {
    const [pair] = queryPairs(request.rawQuery.slice(start, end === -1 ? undefined : end));
    return credentialOf(pair?.[1] ?? "");
  } catch {
    return undefined; // not UTF-8: whoever verifies the request says so
  }
}
