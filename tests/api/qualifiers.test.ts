// A name and a parameter that disagree about the qualifier: every operation that takes both.
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunction, send, startLambda } from "./lambda.fixture.ts";

const OPERATIONS = [
  "GetFunction",
  "GetFunctionConfiguration",
  "Invoke",
  "InvokeWithResponseStream",
  "GetFunctionEventInvokeConfig",
  "DeleteFunctionEventInvokeConfig",
  "UpdateFunctionEventInvokeConfig",
  "AddPermission",
  "RemovePermission",
  "GetPolicy",
  "CreateFunctionUrlConfig",
  "GetFunctionUrlConfig",
  "UpdateFunctionUrlConfig",
  "DeleteFunctionUrlConfig",
] as const;

test("what the name says and what the parameter says must be the same", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  const input = { StatementId: "s", Action: "lambda:*", Principal: "*", AuthType: "NONE", MaximumRetryAttempts: 1 };
  for (const operation of OPERATIONS)
    await assert.rejects(
      send(one.client, operation, { ...input, FunctionName: "f:live", Qualifier: "other" }),
      {
        name: "InvalidParameterValueException",
        message: "The derived qualifier from the function name does not match the specified qualifier.",
      },
      operation,
    );
});
