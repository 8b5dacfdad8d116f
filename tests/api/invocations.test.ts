// Invoke: what reaches the data plane, what comes back, and every way in which it can be refused.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { SignatureV4 } from "@smithy/signature-v4";
import { createHash, createHmac } from "node:crypto";
import { FAKE_ROOT, type ClientError } from "../../src/aws/fake-service.ts";
import type { Outcome } from "../../src/pool/invocation.ts";
import { arnOf, check, covered, makeFunction, REGION, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";

const REPORT = { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 };
const invoke = (started: Started, more: Partial<lambda.InvokeCommandInput> = {}) =>
  started.client.send(new lambda.InvokeCommand({ FunctionName: "f", ...more }));
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

test("what the data plane gets is what the function and the caller said", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f", {
    Timeout: 7,
    MemorySize: 256,
    Environment: { Variables: { A1: "b" } },
    EphemeralStorage: { Size: 1024 },
    LoggingConfig: { LogFormat: "JSON", SystemLogLevel: "WARN", LogGroup: "/custom" },
  });
  const context = Buffer.from('{"custom":{"a":1}}').toString("base64");
  const answer = await invoke(started, { Payload: '{ "b":2, "a" : 1 }', LogType: "Tail", ClientContext: context });
  const [one] = started.invoker.invocations;
  assert.ok(one);
  const { key, codeDirectory, ...deployment } = one.deployment;
  assert.deepEqual(deployment, {
    account: "000000000000",
    region: REGION,
    functionName: "f",
    version: "$LATEST",
    functionArn: arnOf("f"),
    runtime: "nodejs24.x",
    handler: "index.handler",
    memoryMiB: 256,
    timeoutMs: 7000,
    ephemeralStorageMiB: 1024,
    architecture: "x86_64",
    variables: { A1: "b" },
    roleArn: "arn:aws:iam::000000000000:role/service/test",
    logging: { format: "JSON", group: "/custom", applicationLevel: "INFO", systemLevel: "WARN" },
  });
  assert.ok(key.includes("/f/$LATEST/") && codeDirectory.startsWith(started.directory));
  const { payload, signal, traceHeader, ...request } = one.request;
  assert.equal(text(payload), '{ "b":2, "a" : 1 }', "byte for byte");
  assert.match(String(traceHeader), /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/);
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(request, {
    requestId: answer.$metadata.requestId,
    invokedArn: arnOf("f"),
    wantsLogTail: true,
    clientContext: '{"custom":{"a":1}}',
  });
  assert.match(request.requestId, UUID);
});

test("the answer: payload, executed version, log tail, function error", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const plain = await invoke(started, { Payload: "[1]" });
  assert.deepEqual(
    [plain.StatusCode, plain.ExecutedVersion, text(plain.Payload), plain.FunctionError, plain.LogResult],
    [200, "$LATEST", "[1]", undefined, undefined],
  );
  const logTail = Buffer.from("START\nEND\n");
  started.invoker.answer = () => ({
    kind: "failed",
    cause: "timeout",
    errorType: "Sandbox.Timedout",
    payload: Buffer.from('{"errorType":"Sandbox.Timedout"}'),
    report: { ...REPORT, logTail },
  });
  const failed = await invoke(started, { LogType: "Tail" });
  assert.deepEqual(
    [failed.StatusCode, failed.FunctionError, text(failed.Payload), Buffer.from(failed.LogResult ?? "", "base64")],
    [200, "Unhandled", '{"errorType":"Sandbox.Timedout"}', logTail],
  );
});

test("an empty body is an empty object for the function", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  await invoke(started);
  await invoke(started, { Payload: new Uint8Array(0) });
  assert.deepEqual(
    started.invoker.invocations.map(({ request }) => text(request.payload)),
    ["{}", "{}"],
  );
});

test("the function learns under which name it was called", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  await invoke(started);
  await invoke(started, { FunctionName: `${arnOf("f")}:$LATEST` });
  await invoke(started, { FunctionName: "000000000000:function:f", Qualifier: "$LATEST" });
  assert.deepEqual(
    started.invoker.invocations.map(({ request }) => request.invokedArn),
    [arnOf("f"), `${arnOf("f")}:$LATEST`, `${arnOf("f")}:$LATEST`],
  );
  assert.equal(new Set(started.invoker.invocations.map(({ deployment }) => deployment)).size, 1, "one deployment, made once");
});

test("DryRun runs nothing, and is refused like the real thing", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const answer = await invoke(started, { InvocationType: "DryRun" });
  assert.deepEqual([answer.StatusCode, answer.ExecutedVersion, answer.Payload?.length ?? 0], [204, undefined, 0]);
  assert.deepEqual(started.invoker.invocations, []);
  await assert.rejects(invoke(started, { InvocationType: "DryRun", FunctionName: "none" }), { name: "ResourceNotFoundException" });
});

const JSON_START = "Could not parse request body into json: Could not parse payload into json: ";
const at = (column: number) =>
  `\n at [Source: REDACTED (\`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION\` disabled); line: 1, column: ${column}]`;

test("Invoke: what is refused never reaches the data plane", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const row = (name: string, input: Record<string, unknown>, ...fault: NonNullable<Row["fault"]>): Row => ({
    name,
    call: ["Invoke", { FunctionName: "f", ...input }],
    fault,
  });
  const notFound = (name: string, input: Record<string, unknown>, arn: string) =>
    row(name, input, 404, "ResourceNotFoundException", `Function not found: ${arn}`);
  const base64 = (json: string) => Buffer.from(json).toString("base64");
  const rows: readonly Row[] = [
    notFound("no such function", { FunctionName: "none" }, `${arnOf("none")}:$LATEST`),
    notFound("no such version", { Qualifier: "42" }, `${arnOf("f")}:42`),
    notFound("no such alias", { FunctionName: "f:live" }, `${arnOf("f")}:live`),
    notFound("65 letters", { FunctionName: "x".repeat(65) }, `${arnOf("x".repeat(65))}:$LATEST`),
    notFound("latest in small letters", { Qualifier: "$latest" }, `${arnOf("f")}:$latest`),
    row(
      "another region",
      { FunctionName: "arn:aws:lambda:us-west-2:000000000000:function:f" },
      404,
      "ResourceNotFoundException",
      `Functions from 'us-west-2' are not reachable in this region ('${REGION}')`,
    ),
    row(
      "another account",
      { FunctionName: "111111111111:function:f" },
      403,
      "AccessDeniedException",
      /not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-west-1:111111111111:function:f/,
    ),
    row(
      "two qualifiers",
      { FunctionName: "f:1", Qualifier: "2" },
      400,
      "InvalidParameterValueException",
      "The derived qualifier from the function name does not match the specified qualifier.",
    ),
    row("a name that is none", { FunctionName: "a/b" }, 400, "ValidationException", /at 'functionName'/),
    row(
      "a type that is none",
      { InvocationType: "Later" },
      400,
      "ValidationException",
      /at 'invocationType' .*\[Event, RequestResponse, DryRun\]/,
    ),
    row("tenant", { TenantId: "t" }, 400, "InvalidParameterValueException", /tenancy/),
    row("durable", { DurableExecutionName: "d" }, 400, "InvalidParameterValueException", /durable/),
    row(
      "no JSON",
      { Payload: Buffer.from([153]) },
      400,
      "InvalidRequestContentException",
      `${JSON_START}Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')${at(1)}`,
    ),
    row(
      "no UTF-8",
      { Payload: Buffer.from([0x22, 0x87]) },
      400,
      "InvalidRequestContentException",
      `${JSON_START}Invalid UTF-8 start byte 0x87${at(3)}`,
    ),
    row(
      "a word",
      { Payload: "hello" },
      400,
      "InvalidRequestContentException",
      `${JSON_START}Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')${at(6)}`,
    ),
    row(
      "context that is no object",
      { ClientContext: base64("[1]") },
      400,
      "InvalidRequestContentException",
      "Client context must be a valid Base64-encoded JSON object.",
    ),
    row(
      "context that is no JSON",
      { ClientContext: "%%%" },
      400,
      "InvalidRequestContentException",
      "Client context must be a valid Base64-encoded JSON object.",
    ),
    row(
      "context that is too long",
      { ClientContext: base64(`{"a":"${"x".repeat(2700)}"}`) },
      400,
      "InvalidParameterValueException",
      "Client context must be no more than 3583 bytes when base64-encoded.",
    ),
    row(
      "6 MiB and a byte",
      { Payload: new Uint8Array(6_291_457).fill(0x20) },
      413,
      "RequestEntityTooLargeException",
      "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
    ),
  ];
  for (const one of rows) await check(started, one);
  assert.deepEqual(started.invoker.invocations, []);
  await check(started, { name: "6 MiB", call: ["Invoke", { FunctionName: "f", Payload: Buffer.from(`"${"x".repeat(6_291_454)}"`) }] });
});

async function failure(started: Started, outcome: Outcome): Promise<ClientError & Record<string, unknown>> {
  started.invoker.answer = () => outcome;
  return await invoke(started).then(
    () => assert.fail("expected a failure"),
    (error: ClientError & Record<string, unknown>) => error,
  );
}

test("what is not the function's fault is told from what is", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const throttled = await failure(started, {
    kind: "throttled",
    reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
    retryAfterSeconds: 2,
  });
  assert.deepEqual(
    [
      throttled.name,
      throttled.$metadata.httpStatusCode,
      throttled.message,
      throttled["Reason"],
      throttled["Type"],
      throttled["retryAfterSeconds"],
    ],
    ["TooManyRequestsException", 429, "Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded", "User", "2"],
  );
  const codes = [
    ["runtime-not-installed", "InvalidRuntimeException", 502],
    ["sandbox-failed", "ServiceException", 500],
    ["stopping", "ServiceUnavailableException", 503],
    ["overloaded", "ServiceUnavailableException", 503],
  ] as const;
  for (const [code, name, status] of codes) {
    const error = await failure(started, { kind: "unavailable", code, message: `because of ${code}` });
    assert.deepEqual([error.name, error.$metadata.httpStatusCode, error.message], [name, status, `because of ${code}`]);
  }
});

test("a package whose directory is gone is unpacked again", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  await invoke(started);
  const directory = started.invoker.invocations[0]?.deployment.codeDirectory ?? "";
  await rm(directory, { recursive: true });
  await failure(started, { kind: "unavailable", code: "sandbox-failed", message: "no such directory" });
  const { readFile } = await import("node:fs/promises");
  let seen = "";
  started.invoker.answer = async ({ codeDirectory }, { payload }) => {
    seen = await readFile(`${codeDirectory}/index.mjs`, "utf8");
    return { kind: "returned", payload, report: REPORT };
  };
  await invoke(started);
  assert.match(seen, /handler/);
});

class Sha256 {
  readonly #hash;
  constructor(secret?: string | Uint8Array) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
}

test("the headers of the answer", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const root = "1-5759e988-bd862e3fe1be46a994272793";
  const signer = new SignatureV4({
    service: "lambda",
    region: REGION,
    credentials: { accessKeyId: FAKE_ROOT.caller.accessKeyId, secretAccessKey: FAKE_ROOT.secretAccessKey },
    sha256: Sha256 as never,
  });
  const path = "/2015-03-31/functions/f/invocations";
  const request = {
    method: "POST",
    protocol: "http:",
    hostname: "127.0.0.1",
    path,
    headers: { host: `127.0.0.1:${started.door.port}`, "x-amzn-trace-id": `Root=${root};Parent=53995c3f42cd8ad8;Sampled=1` },
    body: "{}",
  };
  const signed = await signer.sign(request);
  const answer = await fetch(`${started.door.endpoint}${path}`, { method: "POST", headers: signed.headers, body: "{}" });
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), "{}");
  const headers = ["content-type", "x-amz-executed-version", "x-amzn-remapped-content-length", "x-amzn-trace-id", "x-amz-function-error"];
  assert.deepEqual(
    headers.map((name) => answer.headers.get(name)),
    ["application/json", "$LATEST", "0", `Root=${root}`, null],
  );
  assert.match(answer.headers.get("x-amzn-requestid") ?? "", UUID);
  // The function's own segment is the parent of what it does.
  assert.match(String(started.invoker.invocations[0]?.request.traceHeader), new RegExp(`^Root=${root};Parent=[0-9a-f]{16};Sampled=1$`));
});

test("Invoke has been seen to succeed and to fail", () => {
  assert.ok(covered.success.has("Invoke") && covered.fault.has("Invoke"));
});
