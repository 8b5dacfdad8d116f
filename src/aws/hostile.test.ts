// Input that is meant to hurt, signed by someone who may send it: always a 4xx in the protocol's shape, at once, and nothing polluted.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import { HttpRequest } from "@smithy/core/protocols";
import { Hash } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";
import { FAKE_ROOT, fakeDoor, fakeService } from "./fake-service.ts";
import { threadCpuMs } from "../../tests/support/cpu-time.ts";

interface Sent {
  readonly service: string;
  readonly method?: string;
  readonly path: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

async function start(t: TestContext) {
  const seen: unknown[] = [];
  // What is answered does not matter here: inputs that get this far are counted.
  const record = (_context: unknown, input: unknown) => {
    seen.push(input);
    return {} as never;
  };
  const fake = await fakeDoor([
    fakeService("lambda", lambda, "LambdaClient", {
      CreateFunction: record,
      TagResource: record,
      ListFunctions: record,
      GetFunction: record,
    }),
    fakeService("logs", logs, "CloudWatchLogsClient", { PutLogEvents: record, TagLogGroup: record }),
    fakeService("iam", iam, "IAMClient", { CreateRole: record }),
    fakeService("s3", s3, "S3Client", { DeleteObjects: record, PutObject: record, ListObjectsV2: record }),
  ]);
  t.after(() => fake.door.close());
  const send = async ({ service, method = "POST", path, query = {}, headers = {}, body }: Sent) => {
    const { accessKeyId } = FAKE_ROOT.caller;
    const signer = new SignatureV4({
      service,
      region: "us-east-1",
      credentials: { accessKeyId, secretAccessKey: FAKE_ROOT.secretAccessKey },
      sha256: Hash.bind(null, "sha256"),
      uriEscapePath: service !== "s3",
    });
    const host = `127.0.0.1:${fake.port}`;
    const request = new HttpRequest({ method, protocol: "http:", hostname: host, path, query, headers: { host, ...headers }, body });
    const signed = await signer.sign(request);
    const search = new URLSearchParams(query).toString().replaceAll("+", "%20");
    const beganMs = threadCpuMs();
    const response = await fetch(`http://${host}${path}${search === "" ? "" : `?${search}`}`, {
      method,
      headers: signed.headers,
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
    const text = await response.text();
    assert.ok(threadCpuMs() - beganMs < 2000, "took more than two seconds of CPU time");
    assert.doesNotMatch(text, /node:|\/src\/|at \w+ \(/);
    assert.match(response.headers.get("x-amzn-requestid") ?? "", /^[0-9a-f-]{36}$/);
    return { status: response.status, code: codeOf(response, text), text };
  };
  return { seen, send };
}

function codeOf(response: Response, text: string): string | undefined {
  const header = response.headers.get("x-amzn-errortype");
  return header ?? /"__type":"([^"]+)"/.exec(text)?.[1] ?? /<Code>([^<]+)<\/Code>/.exec(text)?.[1];
}

const role = "arn:aws:iam::000000000000:role/x";
const create = (body: string | Uint8Array, headers?: Record<string, string>): Sent => ({
  service: "lambda",
  path: "/2015-03-31/functions",
  body,
  ...(headers === undefined ? {} : { headers }),
});
const valid = (more: string) => `{"FunctionName":"f","Role":"${role}","Code":{}${more}}`;

const badJson: readonly (readonly [name: string, body: string | Uint8Array])[] = [
  ["no JSON", "{not json"],
  ["nothing but null", "null"],
  ["an array for the input", "[]"],
  ["a string for the input", '"x"'],
  ["text after the document", `${valid("")}x`],
  ["an array for a string", '{"FunctionName":["f"]}'],
  ["a number for a string", '{"FunctionName":5}'],
  ["a string for a number", valid(',"Timeout":"5"')],
  ["a fraction for an integer", valid(',"Timeout":5.5')],
  ["2^53+1", valid(',"Timeout":9007199254740993')],
  ["1e400", valid(',"Timeout":1e400')],
  ["a string for a boolean", valid(',"Publish":"true"')],
  ["an array for a structure", valid(',"VpcConfig":[]')],
  ["a structure for a list", valid(',"Layers":{}')],
  ["an array for a map", valid(',"Tags":[]')],
  ["bad base64", valid(',"Code":{"ZipFile":"***"}')],
  ["cut base64", valid(',"Code":{"ZipFile":"QQ="}')],
  ["a number for a blob", valid(',"Code":{"ZipFile":5}')],
  ["a byte order mark", Buffer.from(`\ufeff${valid("")}`)],
  ["UTF-16", Buffer.from(valid(""), "utf16le")],
  ["bad UTF-8", Buffer.concat([Buffer.from('{"FunctionName":"'), Buffer.from([0x87]), Buffer.from('"}')])],
  ["depth of 1,001 in a member that nobody reads", valid(`,"x":${"[".repeat(1000)}${"]".repeat(1000)}`)],
  ["depth of 100,000", "[".repeat(100_000)],
  ["depth of 100,000 hidden behind escaped quotes", `{"a":"\\\\\\"","b":${'{"x":'.repeat(100_000)}`],
];

test("JSON that is not the input's is refused as SerializationException", async (t) => {
  const { seen, send } = await start(t);
  for (const [name, body] of badJson) {
    const { status, code } = await send(create(body));
    assert.deepEqual([status, code], [400, "SerializationException"], name);
    const rpc = await send({ service: "logs", path: "/", headers: { "x-amz-target": "Logs_20140328.TagLogGroup" }, body });
    assert.equal(rpc.status, 400, name);
  }
  assert.deepEqual(seen, []);
});

test("names of Object's own members are names like any other", async (t) => {
  const { seen, send } = await start(t);
  const tags = '{"__proto__":"a","constructor":"b","toString":"c"}';
  const path = `/2017-03-31/tags/${encodeURIComponent("arn:aws:lambda:us-east-1:000000000000:function:f")}`;
  const tag = async (more: string) => (await send({ service: "lambda", path, body: `{${more}"Tags":${tags}}` })).status;
  // No member has this name, and Lambda refuses members that it does not know.
  assert.equal(await tag('"__proto__":{"polluted":1},'), 400);
  assert.equal(await tag(""), 204);
  const [input] = seen as { Tags: Record<string, string> }[];
  assert.deepEqual(Object.entries(input?.Tags ?? {}), [
    ["__proto__", "a"],
    ["constructor", "b"],
    ["toString", "c"],
  ]);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  const twice = await send(create(valid(',"Timeout":1,"Timeout":2')));
  assert.equal(twice.status, 201);
  assert.equal((seen as unknown as { Timeout: number }[])[1]?.Timeout, 2);
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    assert.equal(
      (await send({ service: "logs", path: "/", headers: { "x-amz-target": `Logs_20140328.${name}` }, body: "{}" })).status,
      400,
    );
    const form = await send({
      service: "iam",
      path: "/",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: `Action=${name}`,
    });
    assert.deepEqual([form.status, form.code], [400, "InvalidAction"]);
  }
});

test("large and packed bodies have a bound", async (t) => {
  const { seen, send } = await start(t);
  const large = await send(create(valid(`,"Description":"${"x".repeat(2 ** 20)}"`)));
  assert.deepEqual([large.status, large.code], [413, "RequestEntityTooLargeException"]);
  assert.match(large.text, /Request must be smaller than 1048576 bytes for the CreateFunction operation/);
  const bomb = await send(create(gzipSync(Buffer.alloc(2 ** 26, 0x20)), { "content-encoding": "gzip" }));
  assert.deepEqual([bomb.status, bomb.code], [413, "RequestEntityTooLargeException"]);
  const broken = await send(create("not gzip", { "content-encoding": "gzip" }));
  assert.deepEqual([broken.status, broken.code], [400, "SerializationException"]);
  for (const coding of ["br", "gzip, gzip", "deflate"]) {
    const { status } = await send(create(valid(""), { "content-encoding": coding }));
    assert.equal(status, 415, coding);
  }
  assert.deepEqual(seen, []);
  assert.equal((await send(create(gzipSync(valid("")), { "content-encoding": "gzip" }))).status, 201);
});

test("bad percent-encoding in path or query is refused, and raw paths are routed before they are decoded", async (t) => {
  const { seen, send } = await start(t);
  for (const path of ["/2015-03-31/functions/%zz", "/2015-03-31/functions/%c0%af", "/2015-03-31/functions/%"]) {
    const { status, code } = await send({ service: "lambda", method: "GET", path }).catch(() => ({
      status: 400,
      code: "SerializationException",
    }));
    assert.deepEqual([status, code], [400, "SerializationException"], path);
  }
  assert.equal((await send({ service: "lambda", method: "GET", path: "/2015-03-31/functions/" })).status, 200);
  assert.equal((await send({ service: "lambda", method: "GET", path: "/2015-03-31/functions/f/nothing" })).status, 404);
  assert.equal((await send({ service: "lambda", method: "GET", path: "/2015-03-31/nothing" })).code, "UnknownOperationException");
  const nested = await send({ service: "lambda", method: "GET", path: "/2015-03-31/functions/a%2Fb" });
  assert.match(nested.text, /Value 'a\/b' at 'functionName'/);
  assert.equal(seen.length, 1);
});

const badXml: readonly (readonly [name: string, body: string | Uint8Array])[] = [
  ["a document type", '<!DOCTYPE a [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>'],
  ["an external entity", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><Delete/>'],
  ["an entity that is not defined", "<Delete><Object><Key>&x;</Key></Object></Delete>"],
  ["a bare ampersand", "<Delete><Object><Key>a & b</Key></Object></Delete>"],
  ["depth of 100,000", `${"<a>".repeat(100_000)}${"</a>".repeat(100_000)}`],
  ["50,000 attributes", `<Delete ${Array.from({ length: 50_000 }, (_, index) => `a${index}="x"`).join(" ")}/>`],
  ["crossed tags", "<Delete><Object></Delete></Object>"],
  ["two roots", "<Delete/><Delete/>"],
  ["an open tag", "<Delete><Object>"],
  ["a tag that does not end", "<Delete"],
  ["an open comment", "<Delete><!-- </Delete>"],
  ["an open CDATA section", "<Delete><![CDATA[ </Delete>"],
  ["text around", "x<Delete/>"],
  ["a NUL as a reference", "<Delete><Object><Key>&#0;</Key></Object></Delete>"],
  ["a lone surrogate as a reference", "<Delete><Object><Key>&#xd800;</Key></Object></Delete>"],
  ["bad UTF-8", Buffer.concat([Buffer.from("<Delete>"), Buffer.from([0xff]), Buffer.from("</Delete>")])],
  ["an element for text", "<Delete><Quiet><a/></Quiet></Delete>"],
  ["a word for a boolean", "<Delete><Quiet>maybe</Quiet></Delete>"],
];

test("XML that is not the input's is refused as MalformedXML", async (t) => {
  const { seen, send } = await start(t);
  const send1 = (body: string | Uint8Array) => send({ service: "s3", path: "/b", query: { delete: "" }, body });
  for (const [name, body] of badXml) {
    const { status, code } = await send1(body);
    assert.deepEqual([status, code], [400, "MalformedXML"], name);
  }
  assert.deepEqual(seen, []);
  const body = `<?xml version="1.0"?><!-- x --><s:Delete xmlns:s="x"><Object><Key>&lt;&#x1F600;&#10;<![CDATA[<&>]]></Key></Object></s:Delete>`;
  assert.equal((await send1(body)).status, 200);
  assert.deepEqual(seen, [{ Bucket: "b", Delete: { Objects: [{ Key: "<\u{1F600}\n<&>" }] } }]);
  const list = await send({ service: "s3", method: "GET", path: "/b", query: { "list-type": "2", "max-keys": "many" } });
  assert.deepEqual([list.status, list.code], [400, "InvalidArgument"]);
});

test("forms have bounds and types too", async (t) => {
  const { seen, send } = await start(t);
  const post = (body: string) =>
    send({ service: "iam", path: "/", headers: { "content-type": "application/x-www-form-urlencoded" }, body });
  const role1 = "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%7D";
  for (const [name, more] of [
    ["a word for a number", "&MaxSessionDuration=long"],
    ["a structure for a number", "&MaxSessionDuration.x=1"],
    ["deep names", `&${"a.".repeat(40)}b=1`],
  ] as const)
    assert.deepEqual([(await post(role1 + more)).status, name], [400, name]);
  assert.equal((await post(`${role1}&a=%zz`)).status, 400);
  assert.equal((await post(`${role1}${"&a=b".repeat(10_001)}`)).status, 400);
  assert.equal((await post("Action=")).code, "InvalidAction");
  assert.deepEqual(seen, []);
  assert.equal(
    (await post(`${role1}&Tags.member.10.Key=b&Tags.member.10.Value=2&Tags.member.2.Key=a&Tags.member.2.Value=1&__proto__.x=1`)).status,
    200,
  );
  assert.deepEqual((seen as { Tags: unknown }[])[0]?.Tags, [
    { Key: "a", Value: "1" },
    { Key: "b", Value: "2" },
  ]);
});
