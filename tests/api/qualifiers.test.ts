// A name and a parameter that disagree about the qualifier: every operation that takes both.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { serviceModel } from "../../src/aws/model.ts";
import { makeFunction, send, startLambda } from "./lambda.fixture.ts";

type Operation = Parameters<typeof send>[1];

/** What the operations require beside them. */
const INPUT = {
  StatementId: "s",
  Action: "lambda:*",
  Principal: "*",
  AuthType: "NONE",
  MaximumRetryAttempts: 1,
  ProvisionedConcurrentExecutions: 1,
  UpdateRuntimeOn: "Auto",
};

test("what the name says and what the parameter says must be the same", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  const operations = [...serviceModel("lambda", lambda, "LambdaClient").operations.values()].filter(({ name, input }) => {
    const members = new Set(input?.members.map((member) => member.name));
    const isBuilt = typeof one.service.operations[name as keyof typeof one.service.operations] === "function";
    return isBuilt && members.has("FunctionName") && members.has("Qualifier");
  });
  assert.ok(operations.length > 20, String(operations.length));
  for (const { name } of operations)
    await assert.rejects(
      // Names of functions on capacity providers have no qualifier.
      send(one.client, name as Operation, { ...INPUT, FunctionName: "f:live", Qualifier: "other" }),
      name.endsWith("FunctionScalingConfig")
        ? { name: "ValidationException", message: /at 'functionName' failed/ }
        : {
            name: "InvalidParameterValueException",
            message: "The derived qualifier from the function name does not match the specified qualifier.",
          },
      name,
    );
});
