// Functions that isolate their tenants, through the API: every invocation names its tenant, and only then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { check, makeFunction, send, settled, startLambda, type Row } from "./lambda.fixture.ts";

const f = { FunctionName: "f" } as const;
const TenancyConfig = { TenantIsolationMode: "PER_TENANT" } as const;

test("the mode is shown, stays when the function changes, and is every version's", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", { TenancyConfig, Publish: true });
  await makeFunction(one, "plain");
  const shown = async (FunctionName: string) => (await send(one.client, "GetFunctionConfiguration", { FunctionName }))["TenancyConfig"];
  await send(one.client, "UpdateFunctionConfiguration", { ...f, Description: "changed" });
  await settled(one, "f");
  assert.deepEqual([await shown("f"), await shown("f:1"), await shown("plain")], [TenancyConfig, TenancyConfig, undefined]);
});

test("the data plane is told the tenant: at once, streamed, and from the queue", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", { TenancyConfig });
  await send(one.client, "Invoke", { ...f, TenantId: "blue" });
  await send(one.client, "InvokeWithResponseStream", { ...f, TenantId: "green sea" });
  await send(one.client, "Invoke", { ...f, TenantId: "red", InvocationType: "Event" });
  await eventually("the event is run", () => one.invoker.invocations.length === 3);
  const seen = one.invoker.invocations.map(({ deployment, request }) => [deployment.tenantId, request.isEvent === true]);
  assert.deepEqual(seen, [
    ["blue", false],
    ["green sea", false],
    ["red", true],
  ]);
  assert.equal(new Set(one.invoker.invocations.map(({ deployment }) => deployment.key)).size, 1);
});

test("what is refused, in AWS's words", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", { TenancyConfig, Publish: true });
  await makeFunction(one, "plain");
  const invalid = "InvalidParameterValueException";
  const missing = "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.";
  const unexpected =
    "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again.";
  const rows: readonly Row[] = [
    { name: "no tenant", call: ["Invoke", f], fault: [400, invalid, missing] },
    { name: "no tenant, a dry run", call: ["Invoke", { ...f, InvocationType: "DryRun" }], fault: [400, invalid, missing] },
    { name: "no tenant, an event", call: ["Invoke", { ...f, InvocationType: "Event" }], fault: [400, invalid, missing] },
    { name: "no tenant, a stream", call: ["InvokeWithResponseStream", f], fault: [400, invalid, missing] },
    { name: "no way to name one", call: ["InvokeAsync", { ...f, InvokeArgs: "{}" }], fault: [400, invalid, missing] },
    { name: "a tenant too many", call: ["Invoke", { FunctionName: "plain", TenantId: "blue" }], fault: [400, invalid, unexpected] },
    {
      name: "no name of a tenant",
      call: ["Invoke", { ...f, TenantId: "a,b" }],
      fault: [400, "ValidationException", /'tenantId' failed to satisfy constraint/],
    },
    {
      name: "no such mode",
      call: [
        "CreateFunction",
        {
          FunctionName: "g",
          Runtime: "nodejs24.x",
          Handler: "a.b",
          Role: "arn:aws:iam::000000000000:role/r",
          Code: { ZipFile: one.zip },
          TenancyConfig: { TenantIsolationMode: "NONE" },
        },
      ],
      fault: [400, "ValidationException", /'tenancyConfig.tenantIsolationMode' failed to satisfy constraint/],
    },
    {
      name: "function URLs",
      call: ["CreateFunctionUrlConfig", { ...f, AuthType: "NONE" }],
      fault: [400, invalid, "Function URL is not supported for functions with tenant isolation mode enabled."],
    },
    {
      name: "event source mappings",
      call: ["CreateEventSourceMapping", { ...f, EventSourceArn: "arn:aws:sqs:us-east-1:000000000000:q" }],
      fault: [400, invalid, "Event source mapping is not supported for functions with tenant isolation mode enabled."],
    },
    {
      name: "provisioned concurrency",
      call: ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "1", ProvisionedConcurrentExecutions: 1 }],
      fault: [400, invalid, "Provisioned concurrency is not supported for functions with tenant isolation mode enabled."],
    },
  ];
  for (const row of rows) await check(one, row);
  assert.equal(one.invoker.invocations.length, 0);
});
