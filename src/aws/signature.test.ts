import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { HttpRequest } from "@smithy/core/protocols";
import { Hash } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";
import { basicFormat } from "./canonical-request.ts";
import { CommonFault } from "./fault.ts";
import type { Caller } from "./identity.ts";
import { memoryIdentities } from "./memory-identities.ts";
import { presignedGet } from "./presigned-url.ts";
import { credentialScope } from "./signature-claim.ts";
import { verifySignature, type SignedRequest, type VerifiedSignature } from "./signature.ts";

const NOW = Date.UTC(2026, 0, 31, 12, 0, 0);
const HOST = "localhost:4566";
const caller = (accessKeyId: string): Caller => ({ kind: "root", account: "000000000000", arn: "arn", userId: "u", accessKeyId });
const KEY = { accessKeyId: "AKIAKEY", secretAccessKey: "secret/of+key" };
const SESSION = { accessKeyId: "ASIASESSION", secretAccessKey: "secret-of-session", sessionToken: "token/with+signs==" };
const identities = memoryIdentities([
  { secretAccessKey: KEY.secretAccessKey, caller: caller(KEY.accessKeyId) },
  { ...SESSION, caller: caller(SESSION.accessKeyId), expiresMs: NOW + 60_000 },
]);

interface Sent {
  readonly service?: string;
  readonly region?: string;
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string | string[]>;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  readonly atMs?: number;
}

const signerOf = ({ service = "lambda", region = "eu-west-1", credentials = KEY }: Sent) =>
  new SignatureV4({
    service,
    region,
    credentials,
    sha256: Hash.bind(null, "sha256"),
    uriEscapePath: service !== "s3",
    applyChecksum: service === "s3",
  });

const requestOf = ({ method = "GET", path = "/", query = {}, headers = {}, body }: Sent) =>
  new HttpRequest({ method, protocol: "http:", hostname: HOST, path, query, headers: { host: HOST, ...headers }, body });

const percent = (text: string) => encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);

/** As it arrives: the query as text, in the order in which the client has it. */
function arrived(request: { method: string; path: string; query?: object; headers: Record<string, string> }, body = ""): SignedRequest {
  const rawQuery = Object.entries((request.query ?? {}) as Record<string, string | string[]>)
    .flatMap(([name, values]) => [values].flat().map((value) => `${percent(name)}=${percent(value)}`))
    .join("&");
  const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method: request.method,
    rawPath: request.path,
    rawQuery,
    headers,
    bodySha256: () => createHash("sha256").update(body).digest("hex"),
  };
}

async function signed(sent: Sent): Promise<SignedRequest> {
  return arrived(await signerOf(sent).sign(requestOf(sent), { signingDate: new Date(sent.atMs ?? NOW) }), sent.body);
}

async function presigned(sent: Sent, expiresIn = 900, options: object = {}): Promise<SignedRequest> {
  const { headers, ...request } = requestOf(sent);
  // An S3 client states that it does not sign the body.
  const stated = sent.service === "s3" ? { ...headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } : headers;
  const signing = { signingDate: new Date(sent.atMs ?? NOW), expiresIn, ...options };
  return arrived(await signerOf(sent).presign(new HttpRequest({ ...request, headers: stated }), signing), sent.body);
}

const verify = (request: SignedRequest, nowMs = NOW): VerifiedSignature => verifySignature(request, identities, nowMs);
const withHeaders = (request: SignedRequest, edit: (headers: Map<string, string>) => void): SignedRequest => {
  const headers = new Map(request.headers);
  edit(headers);
  return { ...request, headers };
};

function refused(request: SignedRequest, code: string, status: number, message: RegExp = /(?:)/, nowMs = NOW): void {
  assert.throws(
    () => verify(request, nowMs),
    (error) => {
      assert.ok(error instanceof CommonFault, String(error));
      assert.deepEqual([error.code, error.status], [code, status], error.message);
      assert.match(error.message, message);
      return true;
    },
  );
}

const accepted: readonly [name: string, sent: Sent][] = [
  ["a plain request", {}],
  ["a body", { method: "POST", body: '{"a":"ü"}', headers: { "content-type": "application/json" } }],
  ["an ARN in the path", { path: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A000000000000%3Afunction%3Af/invocations" }],
  ["spaces, UTF-8 and reserved signs in the path", { path: "/a%20b/%C3%A9/%21%27%28%29%2A~_-." }],
  ["doubled slashes", { path: "/a//b/" }],
  ["a key of S3 with doubled slashes and dots", { service: "s3", path: "/bucket//a/../b//" }],
  ["a query that needs sorting", { query: { b: "2", a: "1", "a-b": "3", A: "4", "%": "5", ü: "6" } }],
  ["a name twice", { query: { TagKeys: ["b", "a", "a b"], a: ["", "x=y&z"] } }],
  ["spaces in headers", { headers: { "x-amz-meta": "  a   b\t c  ", "my-header": "a,  b" } }],
  ["a session token", { credentials: SESSION }],
  ["a clock that is four minutes slow", { atMs: NOW - 4 * 60_000 }],
  ["a clock that is four minutes fast", { atMs: NOW + 4 * 60_000 }],
  ["S3 with a clock that is fourteen minutes slow", { service: "s3", atMs: NOW - 14 * 60_000 }],
];

for (const [name, sent] of accepted)
  test(`what the SDK signs is accepted: ${name}`, async () => {
    const verified = verify(await signed(sent));
    assert.equal(verified.caller.accessKeyId, (sent.credentials ?? KEY).accessKeyId);
    assert.deepEqual([verified.service, verified.region, verified.presigned], [sent.service ?? "lambda", "eu-west-1", false]);
    assert.equal(verified.payload.kind, "signed");
  });

// The published vectors: https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-test-suite.html
const VECTOR_TIME = Date.UTC(2015, 7, 30, 12, 36, 0);
const VECTOR_TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
const UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
interface Vector {
  readonly target: string;
  readonly signature: string;
  readonly headers?: Record<string, string>;
  readonly method?: string;
}
const VECTORS: readonly Vector[] = [
  { target: "/", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
  { target: "/example1/example2/../..", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
  { target: "//example//", signature: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84" },
  { target: "/./example", signature: "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5" },
  { target: "/example space/", signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
  { target: "/\u1234", signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
  { target: `/${UNRESERVED}`, signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
  { target: `/?${UNRESERVED}=${UNRESERVED}`, signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197" },
  { target: "/?Param1=value1", signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
  { target: "/?Param2=value2&Param1=value1", signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
  {
    target: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
    signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
  },
  {
    target: "/",
    headers: { "my-header1": " value1", "my-header2": ' "a   b   c"' },
    signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  },
  {
    target: "/",
    headers: { "my-header1": "value2,value2,value1" },
    signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
  },
  {
    target: "/",
    headers: { "my-header1": "value4,value1,value3,value2" },
    signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
  },
  {
    target: "/",
    headers: { "x-amz-security-token": VECTOR_TOKEN },
    signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
  },
  { target: "/", method: "POST", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
];

for (const [index, { target, signature, headers = {}, method = "GET" }] of VECTORS.entries())
  test(`AWS's own vector ${index + 1} is accepted: ${method} ${target.slice(0, 40)}`, () => {
    const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const sessionToken = headers["x-amz-security-token"];
    const example = { secretAccessKey, caller: caller("AKIDEXAMPLE"), ...(sessionToken === undefined ? {} : { sessionToken }) };
    const all = new Map(Object.entries({ host: "example.amazonaws.com", "x-amz-date": "20150830T123600Z", ...headers }));
    const names = [...all.keys()].toSorted().join(";");
    all.set(
      "authorization",
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    );
    const [rawPath = "", rawQuery = ""] = target.split("?");
    const request = { method, rawPath, rawQuery, headers: all };
    assert.equal(verifySignature(request, memoryIdentities([example]), VECTOR_TIME).service, "service");
    assert.throws(() => verifySignature({ ...request, method: "PUT" }, memoryIdentities([example]), VECTOR_TIME), /does not match/);
  });

test("a presigned URL of the SDK is accepted for as long as it says, and not a moment longer", async () => {
  const week = await presigned({ service: "s3", path: "/bucket/key" }, 604_800);
  const verified = verify(week, NOW + 16 * 60_000);
  assert.deepEqual([verified.presigned, verified.payload], [true, { kind: "unsigned" }]);
  assert.ok(verify(week, NOW + 604_800_000 - 1).presigned);
  refused(week, "AccessDenied", 403, /^Request has expired$/, NOW + 604_800_000);
  const second = await presigned({ service: "s3", path: "/bucket/key" }, 1);
  assert.ok(verify(second, NOW + 999).presigned);
  refused(second, "AccessDenied", 403, /expired/, NOW + 1000);
  const ofSts = await presigned({ service: "sts", query: { Action: "GetCallerIdentity", Version: "2011-06-15" } }, 60);
  assert.ok(verify(ofSts, NOW + 59_000).presigned);
  refused(ofSts, "InvalidSignatureException", 403, /^Signature expired: /, NOW + 60_000);
  assert.ok(verify(await presigned({ service: "s3", credentials: SESSION, path: "/b/k" })).presigned);
});

test("a presigned URL of Lambent's own is accepted", () => {
  const options = { endpoint: `http://${HOST}`, path: "/b/k%20y", region: "us-east-1", service: "s3", nowMs: NOW, expiresSeconds: 10 };
  for (const credential of [KEY, SESSION]) {
    const url = new URL(presignedGet({ ...options, credential }));
    const request = { method: "GET", rawPath: url.pathname, rawQuery: url.search.slice(1), headers: new Map([["host", HOST]]) };
    assert.equal(verify(request).caller.accessKeyId, credential.accessKeyId);
    refused({ ...request, method: "PUT" }, "InvalidSignatureException", 403, /does not match/);
  }
});

test("a plus in a query is a space, in its signature as in its meaning", async () => {
  const request = await signed({ query: { name: "a b", other: "c+d" } });
  assert.ok(verify({ ...request, rawQuery: "name=a+b&other=c%2Bd" }));
  refused({ ...request, rawQuery: "name=a+b&other=c+d" }, "InvalidSignatureException", 403);
});

test("header bytes beyond ASCII may be signed as text or as bytes", async () => {
  const asText = await signed({ headers: { "x-amz-meta-name": "é" } });
  assert.ok(verify(asText));
  // A client that sends and signs UTF-8: the two bytes reach us as two letters.
  const asBytes = withHeaders(asText, (headers) => headers.set("x-amz-meta-name", Buffer.from("é").toString("latin1")));
  assert.ok(verify(asBytes));
});

const attacks: readonly [name: string, sent: Sent, edit: (request: SignedRequest) => SignedRequest, code: string, status: number][] = [
  ["no signature", {}, (one) => withHeaders(one, (all) => all.delete("authorization")), "MissingAuthenticationTokenException", 403],
  ["an unknown key", { credentials: { ...KEY, accessKeyId: "AKIAOTHER" } }, (one) => one, "UnrecognizedClientException", 403],
  ["a wrong secret", { credentials: { ...KEY, secretAccessKey: "wrong" } }, (one) => one, "InvalidSignatureException", 403],
  ["another body", {}, (one) => ({ ...one, bodySha256: () => "0".repeat(64) }), "InvalidSignatureException", 403],
  ["another method", {}, (one) => ({ ...one, method: "DELETE" }), "InvalidSignatureException", 403],
  ["another path", {}, (one) => ({ ...one, rawPath: "/other" }), "InvalidSignatureException", 403],
  [
    "a path whose dots S3 does not resolve",
    { service: "s3", path: "/b/k" },
    (one) => ({ ...one, rawPath: "/b/x/../k" }),
    "InvalidSignatureException",
    403,
  ],
  ["another query", {}, (one) => ({ ...one, rawQuery: "a=b" }), "InvalidSignatureException", 403],
  ["another host", {}, (one) => withHeaders(one, (all) => all.set("host", "evil.example")), "InvalidSignatureException", 403],
  [
    "an x-amz header that nobody signed",
    {},
    (one) => withHeaders(one, (all) => all.set("x-amz-target", "t")),
    "InvalidSignatureException",
    403,
  ],
  ["the same for S3", { service: "s3" }, (one) => withHeaders(one, (all) => all.set("x-amz-acl", "public-read")), "AccessDenied", 403],
  ["expired", { atMs: NOW - 5 * 60_000 - 1000 }, (one) => one, "InvalidSignatureException", 403],
  ["from the future", { atMs: NOW + 16 * 60_000 }, (one) => one, "InvalidSignatureException", 403],
  ["expired, for S3", { service: "s3", atMs: NOW - 16 * 60_000 }, (one) => one, "RequestTimeTooSkewed", 403],
  ["from the future, for S3", { service: "s3", atMs: NOW + 16 * 60_000 }, (one) => one, "RequestTimeTooSkewed", 403],
  ["no date", {}, (one) => withHeaders(one, (all) => all.delete("x-amz-date")), "IncompleteSignatureException", 400],
  [
    "a date of another day",
    {},
    (one) => withHeaders(one, (all) => all.set("x-amz-date", "20260130T120000Z")),
    "IncompleteSignatureException",
    400,
  ],
  [
    "a day that does not exist",
    {},
    (one) => withHeaders(one, (all) => all.set("x-amz-date", "20260231T120000Z")),
    "IncompleteSignatureException",
    400,
  ],
  [
    "no session token",
    { credentials: SESSION },
    (one) => withHeaders(one, (all) => all.delete("x-amz-security-token")),
    "UnrecognizedClientException",
    403,
  ],
  ["a foreign session token", { credentials: { ...SESSION, sessionToken: "other" } }, (one) => one, "UnrecognizedClientException", 403],
  ["a token for a key that has none", { credentials: { ...KEY, sessionToken: "other" } }, (one) => one, "UnrecognizedClientException", 403],
  ["a foreign token for S3", { service: "s3", credentials: { ...SESSION, sessionToken: "other" } }, (one) => one, "InvalidToken", 400],
  ["signature in header and query", {}, (one) => ({ ...one, rawQuery: "X-Amz-Credential=x" }), "InvalidArgument", 400],
  ["a signature in the query in small letters", {}, (one) => ({ ...one, rawQuery: "x-amz-signature=x" }), "InvalidArgument", 400],
  ["a query that is no UTF-8", {}, (one) => ({ ...one, rawQuery: "a=%ff" }), "SerializationException", 400],
];

for (const [name, sent, edit, code, status] of attacks)
  test(`refused: ${name}`, async () => refused(edit(await signed(sent)), code, status));

test("refused: every bit of a signature counts, and nothing around it", async () => {
  const request = await signed({});
  const authorization = request.headers.get("authorization") ?? "";
  const start = authorization.indexOf("Signature=") + "Signature=".length;
  for (let at = start; at < authorization.length; at++) {
    const flipped = authorization[at] === "0" ? "1" : "0";
    const text = authorization.slice(0, at) + flipped + authorization.slice(at + 1);
    refused(
      withHeaders(request, (all) => all.set("authorization", text)),
      "InvalidSignatureException",
      403,
      /does not match/,
    );
  }
  for (const text of [authorization.slice(0, -1), `${authorization}00`, `${authorization.slice(0, -2)}zz`, authorization.toUpperCase()])
    assert.throws(() => verify(withHeaders(request, (all) => all.set("authorization", text))), CommonFault);
});

test("refused: an Authorization header that can be read in two ways", async () => {
  const request = await signed({ service: "s3" });
  const right = request.headers.get("authorization") ?? "";
  const fields = right.slice("AWS4-HMAC-SHA256 ".length);
  const [credential = "", signedHeaders = "", signature = ""] = fields.split(", ");
  for (const text of [
    `${right}, ${right}`,
    `${right}, Basic dXNlcjpwYXNz`,
    `${right}, ${credential.replace("/s3/", "/lambda/")}`,
    `AWS4-HMAC-SHA256 Other=a/20260131/eu-west-1/lambda/aws4_request, ${fields}`,
    `AWS4-HMAC-SHA256 ${credential}, ${signature}`,
    `AWS4-HMAC-SHA256 ${signedHeaders}, ${signature}`,
    `AWS4-HMAC-SHA256 ${credential}, ${signedHeaders}`,
    `AWS4-HMAC-SHA256 ${credential}, ${signedHeaders}, Signature=`,
    `AWS4-HMAC-SHA256 ${credential.replace("/aws4_request", "")}, ${signedHeaders}, ${signature}`,
    `AWS4-HMAC-SHA256 ${credential.replace("eu-west-1", "")}, ${signedHeaders}, ${signature}`,
    `AWS4-HMAC-SHA256 ${credential.replace("eu-west-1", "eu-west-1:111111111111")}, ${signedHeaders}, ${signature}`,
    `AWS4-HMAC-SHA256 ${credential}/more, ${signedHeaders}, ${signature}`,
    `AWS4-ECDSA-P256-SHA256 ${fields}`,
    "AWS AKIAKEY:c2lnbmF0dXJl",
    "",
  ])
    refused(
      withHeaders(request, (all) => all.set("authorization", text)),
      "IncompleteSignatureException",
      400,
    );
});

test("refused: the host is not signed", async () => {
  const request = await signed({});
  const text = (request.headers.get("authorization") ?? "").replace("SignedHeaders=host;", "SignedHeaders=");
  refused(
    withHeaders(request, (all) => all.set("authorization", text)),
    "InvalidSignatureException",
    403,
    /'Host'/,
  );
});

test("refused: a region or service other than the one that was signed", async () => {
  const request = await signed({});
  for (const scope of ["us-east-1/lambda", "eu-west-1/iam", "eu-west-1/s3"]) {
    const text = (request.headers.get("authorization") ?? "").replace("eu-west-1/lambda", scope);
    const stated = withHeaders(request, (all) => all.set("authorization", text));
    assert.throws(() => verify(stated), CommonFault);
  }
});

test("refused: a presigned query that lacks a part, has it twice, or asks for too much", async () => {
  const request = await presigned({ service: "s3", path: "/b/k" });
  const parts = request.rawQuery.split("&");
  for (const name of ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]) {
    const part = parts.find((one) => one.startsWith(`X-Amz-${name}=`)) ?? "";
    const without = parts.filter((one) => one !== part);
    assert.throws(() => verify({ ...request, rawQuery: without.join("&") }), CommonFault, `without ${name}`);
    refused({ ...request, rawQuery: [...parts, part].join("&") }, "AuthorizationQueryParametersError", 400, /more than once/);
  }
  for (const expires of ["0", "-1", "604801", "1e3", "", "x", "99999999999999999999"]) {
    const rawQuery = request.rawQuery.replace(/X-Amz-Expires=\d+/, `X-Amz-Expires=${expires}`);
    refused({ ...request, rawQuery }, "AuthorizationQueryParametersError", 400);
  }
  refused({ ...request, rawQuery: request.rawQuery.replace("X-Amz-Expires=900", "X-Amz-Expires=901") }, "InvalidSignatureException", 403);
  refused({ ...request, rawQuery: `${request.rawQuery}&versionId=x` }, "InvalidSignatureException", 403);
  refused(await presigned({ service: "s3", atMs: NOW + 16 * 60_000 }), "AccessDenied", 403, /not yet valid/);
  const withHeader = withHeaders(request, (all) => all.set("x-amz-meta-a", "b"));
  refused(withHeader, "AccessDenied", 403, /not signed/);
  const ofLambda = await presigned({ path: "/functions" });
  refused({ ...ofLambda, rawQuery: ofLambda.rawQuery.replace("X-Amz-Expires=900", "") }, "IncompleteSignatureException", 400);
});

test("a session's token expires, which only its owner is told", async () => {
  const request = await signed({ credentials: SESSION, atMs: NOW + 60_000 });
  refused(request, "ExpiredTokenException", 403, /expired/, NOW + 60_000);
  const forged = await signed({ credentials: { ...SESSION, secretAccessKey: "wrong" }, atMs: NOW + 60_000 });
  refused(forged, "InvalidSignatureException", 403, /does not match/, NOW + 60_000);
});

const stating = (value: string, service = "s3") => signed({ service, method: "PUT", headers: { "x-amz-content-sha256": value } });

test("what S3's clients state about the body", async () => {
  const { payload: unsigned } = verify(await stating("UNSIGNED-PAYLOAD"));
  assert.deepEqual(unsigned, { kind: "unsigned" });
  for (const [value, isSigned, hasTrailer] of [
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true, false],
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true, true],
    ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", false, true],
  ] as const) {
    const { payload } = verify(await stating(value));
    assert.ok(payload.kind === "streaming");
    assert.deepEqual([payload.signed, payload.trailer, payload.seed.date], [isSigned, hasTrailer, basicFormat(NOW)]);
    const forged = withHeaders(await stating(value), (all) =>
      all.set("authorization", (all.get("authorization") ?? "").replace(/.{64}$/, "0".repeat(64))),
    );
    refused(forged, "InvalidSignatureException", 403);
  }
  for (const value of ["STREAMING-UNSIGNED-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "", "ABC", "__proto__"])
    refused(await stating(value), "InvalidArgument", 400, /x-amz-content-sha256/);
  refused({ ...(await stating("0".repeat(64))) }, "XAmzContentSHA256Mismatch", 400);
  const streamed = { ...(await stating("0".repeat(64))), bodySha256: undefined };
  assert.deepEqual(verify(streamed).payload, { kind: "signed", sha256: "0".repeat(64) });
});

test("S3 wants to be told what is signed", async () => {
  const signer = new SignatureV4({
    service: "s3",
    region: "eu-west-1",
    credentials: KEY,
    sha256: Hash.bind(null, "sha256"),
    uriEscapePath: false,
    applyChecksum: false,
  });
  const request = arrived(await signer.sign(requestOf({}), { signingDate: new Date(NOW) }));
  refused(request, "InvalidRequest", 400, /Missing required header for this request: x-amz-content-sha256/);
});

test("outside of S3 the digest of the real body counts, whatever the client states", async () => {
  for (const value of ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0".repeat(64)])
    refused(await stating(value, "lambda"), "InvalidSignatureException", 403, /does not match/);
});

test("the scope is found without verifying, or not at all", async () => {
  const request = await signed({ service: "iam", region: "us-east-1" });
  const scope = credentialScope(request);
  assert.deepEqual([scope?.accessKeyId, scope?.service, scope?.region], [KEY.accessKeyId, "iam", "us-east-1"]);
  assert.equal(credentialScope(await presigned({ service: "s3" }))?.service, "s3");
  const headers = new Map<string, string>();
  for (const rawQuery of ["", "X-Amz-Credential=", "X-Amz-Credential=%ff", "a=b&X-Amz-Credential=a%2Fb%2Fc%2Fd"])
    assert.equal(credentialScope({ headers, rawQuery }), undefined);
  for (const text of ["", "AWS4-HMAC-SHA256", "Basic x", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x"])
    assert.equal(credentialScope({ headers: new Map([["authorization", text]]), rawQuery: "" }), undefined);
});
