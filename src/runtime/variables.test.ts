import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";
import { functionVariables } from "./variables.ts";

const settings: FunctionSettings = {
  account: "000000000000",
  region: "eu-central-1",
  functionName: "f",
  version: "7",
  functionArn: "arn:aws:lambda:eu-central-1:000000000000:function:f",
  runtime: "nodejs24.x",
  architecture: "x86_64",
  handler: "index.handler",
  codeDirectory: "/code",
  memoryMiB: 256,
  timeoutMs: 3000,
  ephemeralStorageMiB: 512,
  variables: {},
  roleArn: "arn:aws:iam::000000000000:role/r",
  logging: { format: "Text", group: "/aws/lambda/f" },
};
const layout: RuntimeLayout = { argv: ["/x"], mounts: [], env: { NODE_PATH: "/opt/nodejs" }, protocol: "framed", version: "24.21.0" };

function variables(changes: Partial<FunctionSettings> = {}, env = layout.env): Readonly<Record<string, string>> {
  return functionVariables({
    settings: { ...settings, ...changes },
    layout: { ...layout, env },
    credentials: { accessKeyId: "ASIA1", secretAccessKey: "secret", sessionToken: "token", expiresMs: 0 },
    logStream: "2026/01/01/[7]abc",
    initializationType: "on-demand",
    runtimeApi: "169.254.100.1:9001",
    metadataToken: "metadata",
    endpointUrl: "http://127.0.0.1:4566",
  });
}

test("a function sees what it sees on AWS, and where this service is", () => {
  assert.deepEqual(
    { ...variables() },
    {
      _AWS_XRAY_DAEMON_ADDRESS: "169.254.100.1",
      _AWS_XRAY_DAEMON_PORT: "2000",
      _HANDLER: "index.handler",
      AWS_ACCESS_KEY_ID: "ASIA1",
      AWS_DEFAULT_REGION: "eu-central-1",
      AWS_ENDPOINT_URL: "http://127.0.0.1:4566",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_LAMBDA_FUNCTION_NAME: "f",
      AWS_LAMBDA_FUNCTION_VERSION: "7",
      AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
      AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/f",
      AWS_LAMBDA_LOG_STREAM_NAME: "2026/01/01/[7]abc",
      AWS_LAMBDA_METADATA_API: "169.254.100.1:9001",
      AWS_LAMBDA_METADATA_TOKEN: "metadata",
      AWS_LAMBDA_RUNTIME_API: "169.254.100.1:9001",
      AWS_REGION: "eu-central-1",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_SESSION_TOKEN: "token",
      AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
      AWS_XRAY_DAEMON_ADDRESS: "169.254.100.1:2000",
      LAMBDA_RUNTIME_DIR: "/var/runtime",
      LAMBDA_TASK_ROOT: "/var/task",
      LANG: "en_US.UTF-8",
      LD_LIBRARY_PATH: "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
      NODE_PATH: "/opt/nodejs",
      PATH: "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
      PWD: "/var/task",
      SHLVL: "0",
      TZ: ":UTC",
    },
  );
});

test("a custom runtime is told less", () => {
  const own = variables({ runtime: "provided.al2023" });
  for (const name of ["AWS_EXECUTION_ENV", "SHLVL", "PWD"]) assert.equal(own[name], undefined, name);
});

test("users set what they like, but not what AWS reserves", () => {
  const hostile = {
    PATH: "/mine",
    TZ: "Europe/Berlin",
    AWS_ENDPOINT_URL: "http://elsewhere",
    AWS_REGION: "mars-1",
    AWS_ACCESS_KEY_ID: "AKIA",
    _HANDLER: "other",
    AWS_LAMBDA_RUNTIME_API: "evil:1",
    ["__proto__"]: "plain",
  };
  const seen = variables({ variables: hostile });
  assert.equal(seen["PATH"], "/mine");
  assert.equal(seen["TZ"], "Europe/Berlin");
  assert.equal(seen["AWS_ENDPOINT_URL"], "http://elsewhere");
  assert.equal(seen["AWS_REGION"], "eu-central-1");
  assert.equal(seen["AWS_ACCESS_KEY_ID"], "ASIA1");
  assert.equal(seen["_HANDLER"], "index.handler");
  assert.equal(seen["AWS_LAMBDA_RUNTIME_API"], "169.254.100.1:9001");
  assert.equal(Object.getPrototypeOf(seen), null);
});

test("a runtime's own variables stand above the defaults", () => assert.equal(variables({}, { LANG: "C" })["LANG"], "C"));

test("log settings are told when the log is JSON", () => {
  assert.equal(variables()["AWS_LAMBDA_LOG_FORMAT"], undefined);
  const json = variables({ logging: { format: "JSON", group: "g", applicationLevel: "WARN" } });
  assert.deepEqual([json["AWS_LAMBDA_LOG_FORMAT"], json["AWS_LAMBDA_LOG_LEVEL"]], ["JSON", "WARN"]);
});
