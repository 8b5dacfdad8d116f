// Reserved concurrency through the API: set, shown, told to the data plane, bounded, taken away.
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as lambda from "@aws-sdk/client-lambda";
import { arnOf, check, covered, makeFunction, send, startLambda, type Row } from "./lambda.fixture.ts";

test("what is reserved is shown, told to the data plane, and less for all others", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  assert.deepEqual(await send(one.client, "GetFunctionConcurrency", { FunctionName: "f" }), {});
  const put = await send(one.client, "PutFunctionConcurrency", { FunctionName: "f", ReservedConcurrentExecutions: 5 });
  assert.deepEqual(put, { ReservedConcurrentExecutions: 5 });
  assert.deepEqual(await send(one.client, "GetFunctionConcurrency", { FunctionName: arnOf("f") }), put);
  assert.equal(one.invoker.reserved.get(arnOf("f")), 5);
  const { Concurrency } = await send(one.client, "GetFunction", { FunctionName: "f" });
  assert.deepEqual(Concurrency, put);
  assert.equal((await send(one.client, "GetFunction", { FunctionName: "f:$LATEST" }))["Concurrency"], undefined);
  const unreserved = async () =>
    ((await send(one.client, "GetAccountSettings", {}))["AccountLimit"] as lambda.AccountLimit).UnreservedConcurrentExecutions;
  assert.equal(await unreserved(), 995);
  await send(one.client, "PutFunctionConcurrency", { FunctionName: "f", ReservedConcurrentExecutions: 0 });
  assert.equal(one.invoker.reserved.get(arnOf("f")), 0);
  await send(one.client, "DeleteFunctionConcurrency", { FunctionName: "f" });
  await send(one.client, "DeleteFunctionConcurrency", { FunctionName: "f" });
  assert.deepEqual([one.invoker.reserved.has(arnOf("f")), await unreserved()], [false, 1000]);
});

test("a reservation is there after a restart, and goes with its function", async (t) => {
  const first = await startLambda(t);
  await makeFunction(first, "f");
  await send(first.client, "PutFunctionConcurrency", { FunctionName: "f", ReservedConcurrentExecutions: 7 });
  const second = await first.restart();
  assert.equal(second.invoker.reserved.get(arnOf("f")), 7);
  await send(second.client, "DeleteFunction", { FunctionName: "f" });
  assert.equal(second.invoker.reserved.has(arnOf("f")), false);
  await makeFunction(second, "f");
  assert.deepEqual(await send(second.client, "GetFunctionConcurrency", { FunctionName: "f" }), {});
});

test("what is refused, in AWS's words", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  await makeFunction(one, "g");
  const invalid = "InvalidParameterValueException";
  const tooMany =
    "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].";
  const onlyFunctions =
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.";
  const put = (FunctionName: string, ReservedConcurrentExecutions: unknown, more: Partial<Row> = {}): Row => ({
    name: `${FunctionName} ${String(ReservedConcurrentExecutions)}`,
    call: ["PutFunctionConcurrency", { FunctionName, ReservedConcurrentExecutions }],
    ...more,
  });
  const rows: readonly Row[] = [
    put("f", 901, { fault: [400, invalid, tooMany], hasType: false }),
    put("f", 900),
    put("g", 1, { fault: [400, invalid, tooMany], hasType: false }),
    put("f", 899),
    put("g", 1),
    put("f", -1, { fault: [400, "ValidationException", /'reservedConcurrentExecutions' failed to satisfy constraint/] }),
    put("none", 1, { fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("none")}:$LATEST`] }),
    put("f:1", 1, { fault: [400, invalid, onlyFunctions] }),
    { name: "shown", call: ["GetFunctionConcurrency", { FunctionName: "g" }], expect: { ReservedConcurrentExecutions: 1 } },
    {
      name: "of none",
      call: ["GetFunctionConcurrency", { FunctionName: "none" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("none")}:$LATEST`],
    },
    { name: "of a version", call: ["GetFunctionConcurrency", { FunctionName: "f:1" }], fault: [400, invalid, onlyFunctions] },
    { name: "taken from a version", call: ["DeleteFunctionConcurrency", { FunctionName: "f:1" }], fault: [400, invalid, onlyFunctions] },
    { name: "taken away", call: ["DeleteFunctionConcurrency", { FunctionName: "g" }] },
    {
      name: "taken from none",
      call: ["DeleteFunctionConcurrency", { FunctionName: "none" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("none")}:$LATEST`],
    },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency"])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
