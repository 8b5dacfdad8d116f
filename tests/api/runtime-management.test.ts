// When a function's runtime is updated, and the scaling of functions on capacity providers, which are not there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arnOf, check, covered, makeFunction, send, startLambda, type Row } from "./lambda.fixture.ts";

const f = { FunctionName: "f" } as const;

test("the mode is kept for $LATEST and each version, over a restart, and goes with them", async (t) => {
  const first = await startLambda(t);
  await makeFunction(first, "f", { Publish: true });
  const { client } = first;
  const latest = { UpdateRuntimeOn: "Auto", FunctionArn: `${arnOf("f")}:$LATEST` };
  assert.deepEqual(await send(client, "GetRuntimeManagementConfig", f), latest);
  const { RuntimeVersionConfig } = await send(client, "GetFunctionConfiguration", f);
  const { RuntimeVersionArn } = RuntimeVersionConfig as { RuntimeVersionArn: string };
  const manual = { UpdateRuntimeOn: "Manual", RuntimeVersionArn, FunctionArn: `${arnOf("f")}:1` };
  const put = await send(client, "PutRuntimeManagementConfig", { ...f, Qualifier: "1", UpdateRuntimeOn: "Manual", RuntimeVersionArn });
  assert.deepEqual(put, manual);
  assert.deepEqual(await send(client, "GetRuntimeManagementConfig", f), latest, "of another version nothing changes");
  const second = await first.restart();
  assert.deepEqual(await send(second.client, "GetRuntimeManagementConfig", { FunctionName: `${arnOf("f")}:1` }), manual);
  await send(second.client, "DeleteFunction", f);
  await makeFunction(second, "f");
  assert.deepEqual(await send(second.client, "GetRuntimeManagementConfig", f), latest);
});

test("what is refused", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", { Publish: true });
  await send(one.client, "CreateAlias", { ...f, Name: "live", FunctionVersion: "1" });
  const other = "arn:aws:lambda:eu-west-1::runtime:0000";
  const invalid = "InvalidParameterValueException";
  const missing = (name: string): NonNullable<Row["fault"]> => [404, "ResourceNotFoundException", `Function not found: ${arnOf(name)}`];
  const GET = "GetRuntimeManagementConfig";
  const PUT = "PutRuntimeManagementConfig";
  const rows: readonly Row[] = [
    { name: "on update", call: [PUT, { ...f, UpdateRuntimeOn: "FunctionUpdate" }], expect: { UpdateRuntimeOn: "FunctionUpdate" } },
    {
      name: "shown",
      call: [GET, { ...f, Qualifier: "$LATEST" }],
      expect: { UpdateRuntimeOn: "FunctionUpdate", RuntimeVersionArn: undefined },
    },
    {
      name: "no such mode",
      call: [PUT, { ...f, UpdateRuntimeOn: "Never" }],
      fault: [400, "ValidationException", /Member must satisfy enum value set: \[Auto, Manual, FunctionUpdate\]/],
    },
    {
      name: "no ARN",
      call: [PUT, { ...f, UpdateRuntimeOn: "Manual" }],
      fault: [400, invalid, "RuntimeVersionArn is required when UpdateRuntimeOn is Manual."],
    },
    {
      name: "an ARN too many",
      call: [PUT, { ...f, UpdateRuntimeOn: "Auto", RuntimeVersionArn: other }],
      fault: [400, invalid, /only be specified/],
    },
    {
      name: "another ARN",
      call: [PUT, { ...f, UpdateRuntimeOn: "Manual", RuntimeVersionArn: other }],
      fault: [400, invalid, /does not exist/],
    },
    {
      name: "no ARN at all",
      call: [PUT, { ...f, UpdateRuntimeOn: "Manual", RuntimeVersionArn: "arn:aws:s3:::abcdefghijklmnop" }],
      fault: [400, "ValidationException", /'runtimeVersionArn' failed to satisfy constraint/],
    },
    { name: "no such function", call: [GET, { FunctionName: "none" }], fault: missing("none") },
    { name: "no such version", call: [GET, { ...f, Qualifier: "7" }], fault: missing("f:7") },
    { name: "an alias", call: [PUT, { ...f, Qualifier: "live", UpdateRuntimeOn: "Auto" }], fault: missing("f:live") },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of [GET, PUT]) assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});

test("functions that are on no capacity provider have no scaling configuration", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", { Publish: true });
  const FunctionScalingConfig = { MinExecutionEnvironments: 1, MaxExecutionEnvironments: 2 };
  const fault = [400, "InvalidParameterValueException", "FunctionScalingConfig isn't supported for Lambda Default functions."] as const;
  const rows: readonly Row[] = [
    { name: "put", call: ["PutFunctionScalingConfig", { ...f, Qualifier: "1", FunctionScalingConfig }], fault },
    { name: "get", call: ["GetFunctionScalingConfig", { ...f, Qualifier: "1" }], fault },
    {
      name: "no such version",
      call: ["GetFunctionScalingConfig", { ...f, Qualifier: "2" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:2`],
    },
  ];
  for (const row of rows) await check(one, row);
});
