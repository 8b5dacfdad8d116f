// Function URLs as browsers and programs call them: the event, the response, who may, and other origins.
import assert from "node:assert/strict";
import { request, type IncomingHttpHeaders } from "node:http";
import { test, type TestContext } from "node:test";
import { CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand } from "@aws-sdk/client-iam";
import {
  AddPermissionCommand,
  CreateAliasCommand,
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  DeleteAliasCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  UpdateFunctionUrlConfigCommand,
  waitUntilFunctionActiveV2,
  type FunctionUrlAuthType,
} from "@aws-sdk/client-lambda";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import { startApi, type Credentials } from "../support/api.ts";
import { zipOf } from "../support/zip.ts";

const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

interface Asked {
  readonly method?: string;
  /** With its query. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}
interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** To the host of the URL, by the address of the server: names below localhost are not known everywhere. */
function ask(url: string, { method = "GET", path = "/", headers = {}, body = "" }: Asked = {}): Promise<Answer> {
  const { port, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const length = body.length === 0 ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sending = request({ host: "127.0.0.1", port, method, path, headers: { host, ...length, ...headers } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sending.on("error", reject);
    sending.end(body);
  });
}

/** A function that answers what `respond` makes of its event. */
async function started(t: TestContext, respond: (event: Record<string, unknown>) => unknown) {
  const api = await startApi(t, () => (event: unknown) => respond(event as Record<string, unknown>));
  const clients = api.clients();
  const { iam, lambda } = clients;
  await iam.send(new CreateRoleCommand({ RoleName: "basic", AssumeRolePolicyDocument: TRUST }));
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: "f",
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: "arn:aws:iam::000000000000:role/basic",
      Code: { ZipFile: await zipOf({ "index.mjs": "" }) },
    }),
  );
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 10, minDelay: 1 }, { FunctionName: "f" });
  const allow = async (Action: string, AuthType: FunctionUrlAuthType, Principal = "*", Qualifier?: string) =>
    lambda.send(
      new AddPermissionCommand({
        FunctionName: "f",
        StatementId: Action.slice(7),
        Action,
        Principal,
        Qualifier,
        ...(Action === "lambda:InvokeFunction" ? { InvokedViaFunctionUrl: true } : { FunctionUrlAuthType: AuthType }),
      }),
    );
  const make = async (AuthType: FunctionUrlAuthType, more: object = {}) => {
    const { FunctionUrl = "" } = await lambda.send(new CreateFunctionUrlConfigCommand({ FunctionName: "f", AuthType, ...more }));
    return FunctionUrl;
  };
  const open = async (more: object = {}) => {
    await allow("lambda:InvokeFunctionUrl", "NONE");
    await allow("lambda:InvokeFunction", "NONE");
    return await make("NONE", more);
  };
  return { ...api, ...clients, allow, make, open };
}

test("a request becomes an event of format 2.0", async (t) => {
  const { open } = await started(t, (event) => ({ statusCode: 200, body: event }));
  const url = await open();
  const headers = { cookie: "a=1; b=2", "content-type": "text/plain", "user-agent": "tester", "X-Twice": "one" };
  const answer = await ask(url, { method: "POST", path: "/pa2%Fth/1?q=1&q=2&%C3%A9=x%20y", headers, body: "hé" });
  const event = JSON.parse(answer.text) as Record<string, unknown> & {
    headers: Record<string, string>;
    requestContext: Record<string, unknown> & { http: unknown; time: string; timeEpoch: number };
  };
  const { requestContext, headers: seen, ...rest } = event;
  assert.deepEqual(rest, {
    version: "2.0",
    routeKey: "$default",
    rawPath: "/pa2%Fth/1",
    rawQueryString: "q=1&q=2&%C3%A9=x%20y",
    cookies: ["a=1", "b=2"],
    queryStringParameters: { q: "1,2", é: "x y" },
    body: "hé",
    isBase64Encoded: false,
  });
  const { hostname, host, port } = new URL(url);
  assert.deepEqual([seen["host"], seen["x-twice"], seen["cookie"], seen["x-forwarded-port"]], [host, "one", undefined, port]);
  const { time, timeEpoch, requestId, ...context } = requestContext;
  assert.match(time, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
  assert.equal(typeof timeEpoch, "number");
  assert.equal(requestId, answer.headers["x-amzn-requestid"]);
  const urlId = hostname.split(".")[0];
  assert.deepEqual(context, {
    accountId: "anonymous",
    apiId: urlId,
    domainName: hostname,
    domainPrefix: urlId,
    http: { method: "POST", path: "/pa2%Fth/1", protocol: "HTTP/1.1", sourceIp: "127.0.0.1", userAgent: "tester" },
    routeKey: "$default",
    stage: "$default",
  });
  const bytes = Buffer.from([0xff, 0]);
  const packed = JSON.parse(
    (await ask(url, { method: "PUT", headers: { "content-type": "image/png" }, body: bytes })).text,
  ) as typeof event;
  assert.deepEqual([packed["body"], packed["isBase64Encoded"]], [bytes.toString("base64"), true]);
  const plain = JSON.parse((await ask(url, { path: "/health" })).text) as typeof event;
  assert.deepEqual(
    [plain["rawPath"], "body" in plain, "cookies" in plain, "queryStringParameters" in plain],
    ["/health", false, false, false],
  );
});

test("a result becomes a response", async (t) => {
  const { open } = await started(t, (event) => JSON.parse(String(event["body"])) as unknown);
  const url = await open();
  const of = (result: unknown) =>
    ask(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(result) });
  const seen = async (result: unknown) => {
    const { status, headers, text } = await of(result);
    return [status, headers["content-type"], text];
  };
  const json = "application/json";
  const bad = [502, json, "Internal Server Error"];
  assert.deepEqual(await seen("hello"), [200, json, "hello"]);
  assert.deepEqual(await seen({ a: [1] }), [200, json, '{"a":[1]}']);
  assert.deepEqual(await seen(3), [200, json, "3"]);
  assert.deepEqual(await seen({ statusCode: "201", body: "x", more: 1 }), [201, json, "x"]);
  assert.deepEqual(await seen({ statusCode: 200, headers: null, body: { a: 1 } }), [200, json, '{"a":1}']);
  assert.deepEqual(await seen({ statusCode: 200, headers: { "Content-Type": "text/html" }, body: "PGI+", isBase64Encoded: true }), [
    200,
    "text/html",
    "<b>",
  ]);
  for (const statusCode of ["test", 99, 600, true]) assert.deepEqual(await seen({ statusCode }), bad, String(statusCode));
  assert.deepEqual(await seen({ statusCode: 200, headers: { "a b": "c" } }), bad);
  assert.deepEqual(await seen({ statusCode: 200, headers: { a: "c\r\nd: e" } }), bad);
  const cookies = await of({
    statusCode: 200,
    cookies: ["a=1", "b=2"],
    headers: { "x-a": true, connection: "close", "content-length": 99 },
  });
  assert.deepEqual([cookies.headers["set-cookie"], cookies.headers["x-a"], cookies.text], [["a=1", "b=2"], "true", ""]);
  assert.equal((await ask(url, { method: "HEAD" })).status, 502);
});

test("a function that fails, or has no room, says no more than that", async (t) => {
  const { open, lambda } = await started(t, () => {
    throw new Error("secret");
  });
  const url = await open();
  const { status, text } = await ask(url);
  assert.deepEqual([status, text], [502, "Internal Server Error"]);
  await lambda.send(new PutFunctionConcurrencyCommand({ FunctionName: "f", ReservedConcurrentExecutions: 0 }));
  assert.equal((await ask(url)).status, 429);
  const large = await ask(url, { method: "POST", body: Buffer.alloc(6_291_457) });
  assert.equal(large.status, 413);
});

const FORBIDDEN = /^\{"Message":"Forbidden\. For troubleshooting/;

test("without authorisation a URL still needs both permissions of its policy", async (t) => {
  const { allow, make } = await started(t, () => "in");
  const url = await make("NONE");
  const refused = await ask(url);
  assert.deepEqual([refused.status, refused.headers["x-amzn-errortype"]], [403, "AccessDeniedException"]);
  assert.match(refused.text, FORBIDDEN);
  await allow("lambda:InvokeFunctionUrl", "NONE");
  assert.equal((await ask(url)).status, 403);
  await allow("lambda:InvokeFunction", "NONE");
  assert.deepEqual(await ask(url).then(({ status, text }) => [status, text]), [200, "in"]);
  const unknown = await ask(url.replace(/\/\/[a-z0-9]{32}/, `//${"a".repeat(32)}`));
  assert.deepEqual([unknown.status, unknown.text], [403, '{"Message":null}']);
  assert.equal((await ask(url.replace("us-east-1", "eu-west-1"))).status, 403);
});

async function signed(url: string, credentials: Credentials, service = "lambda", region = "us-east-1"): Promise<Asked> {
  const { host } = new URL(url);
  const signer = new SignatureV4({ credentials, service, region, sha256: Sha256, applyChecksum: true });
  const message = { method: "GET", protocol: "http:", hostname: "127.0.0.1", path: "/", query: {}, headers: { host } };
  return { headers: (await signer.sign(message)).headers };
}

test("with AWS_IAM it wants a right signature of somebody who may", async (t) => {
  const { make, allow, server, iam } = await started(t, (event) => (event["requestContext"] as { authorizer?: unknown }).authorizer);
  const url = await make("AWS_IAM");
  await iam.send(new CreateUserCommand({ UserName: "x" }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "x" }));
  const user = { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
  const status = async (asked: Asked) => (await ask(url, asked)).status;
  const wrong = { ...server.keys, secretAccessKey: "x" };
  assert.deepEqual(
    [
      await status({}),
      await status(await signed(url, user)),
      await status(await signed(url, wrong)),
      await status(await signed(url, server.keys, "s3")),
      await status(await signed(url, server.keys, "lambda", "eu-west-1")),
      await status({ ...(await signed(url, server.keys)), path: "/?a=1" }),
    ],
    [403, 403, 403, 403, 403, 403],
  );
  const answer = await ask(url, await signed(url, server.keys));
  assert.equal(answer.status, 200);
  const { iam: caller } = JSON.parse(answer.text) as { iam: Record<string, unknown> };
  assert.deepEqual([caller["accountId"], caller["userArn"]], ["000000000000", "arn:aws:iam::000000000000:root"]);
  await allow("lambda:InvokeFunctionUrl", "AWS_IAM", "arn:aws:iam::000000000000:user/x");
  await allow("lambda:InvokeFunction", "AWS_IAM", "arn:aws:iam::000000000000:user/x");
  assert.equal(await status(await signed(url, user)), 200);
});

test("an alias has a URL, which is closed when the alias is gone; a streamed URL sends what the function writes", async (t) => {
  const { lambda, allow, make, open } = await started(t, () => "in");
  await lambda.send(new PublishVersionCommand({ FunctionName: "f" }));
  await lambda.send(new CreateAliasCommand({ FunctionName: "f", Name: "live", FunctionVersion: "1" }));
  await allow("lambda:InvokeFunctionUrl", "NONE", "*", "live");
  await allow("lambda:InvokeFunction", "NONE", "*", "live");
  const url = await make("NONE", { Qualifier: "live" });
  assert.equal((await ask(url)).status, 200);
  await lambda.send(new DeleteAliasCommand({ FunctionName: "f", Name: "live" }));
  assert.match((await ask(url)).text, FORBIDDEN);
  const streamed = await open();
  await lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: "f", InvokeMode: "RESPONSE_STREAM" }));
  const { status, headers, text } = await ask(streamed);
  // This function does not stream: its result is the body, whatever it looks like.
  assert.deepEqual([status, headers["content-type"], text], [200, "application/octet-stream", '"in"']);
});

test("other origins are answered by the URL's rules, and reach nothing else", async (t) => {
  const { open, lambda, server } = await started(t, (event) => (event["requestContext"] as { http: { method: string } }).http.method);
  const url = await open();
  const origin = "https://app.example.com";
  const asking = { origin, "access-control-request-method": "PUT", "access-control-request-headers": "x-a, content-type" };
  const without = await ask(url, { method: "OPTIONS", headers: asking });
  assert.deepEqual([without.text, without.headers["access-control-allow-origin"]], ["OPTIONS", undefined]);
  const Cors = {
    AllowOrigins: [origin],
    AllowMethods: ["PUT"],
    AllowHeaders: ["X-A", "Content-Type"],
    ExposeHeaders: ["x-b"],
    MaxAge: 60,
    AllowCredentials: true,
  };
  await lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: "f", Cors }));
  const { headers, text } = await ask(url, { method: "OPTIONS", headers: asking });
  const shown = ["allow-origin", "allow-methods", "allow-headers", "max-age", "allow-credentials"].map(
    (name) => headers[`access-control-${name}`],
  );
  assert.deepEqual([text, ...shown], ["", origin, "PUT", "X-A,Content-Type", "60", "true"]);
  for (const more of [
    { origin: "https://evil.example.com" },
    { "access-control-request-method": "GET" },
    { "access-control-request-headers": "x-z" },
  ])
    assert.equal(
      (await ask(url, { method: "OPTIONS", headers: { ...asking, ...more } })).headers["access-control-allow-origin"],
      undefined,
    );
  const put = await ask(url, { method: "PUT", headers: { origin } });
  assert.deepEqual(
    [put.text, put.headers["access-control-allow-origin"], put.headers["access-control-expose-headers"]],
    ["PUT", origin, "x-b"],
  );
  // A page of the function's is a foreign page to the API.
  const api = await ask(server.endpoint, { headers: { origin: url.slice(0, -1) }, path: "/2015-03-31/functions" });
  assert.equal(api.status, 403);
});
