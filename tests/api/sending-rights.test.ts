// Destinations and dead-letter targets that the function's role may not send to are refused when they are configured, in AWS's words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateEventBusCommand, EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { PutRolePolicyCommand } from "@aws-sdk/client-iam";
import {
  GetFunctionConfigurationCommand,
  GetFunctionEventInvokeConfigCommand,
  PutFunctionEventInvokeConfigCommand,
  UpdateFunctionConfigurationCommand,
  UpdateFunctionEventInvokeConfigCommand,
} from "@aws-sdk/client-lambda";
import { startApi } from "../support/api.ts";
import { makeFunction, makeRole } from "../support/functions.ts";

const arnOf = (service: string, resource: string) => `arn:aws:${service}:us-east-1:000000000000:${resource}`;
const refused = (message: string) => ({ name: "InvalidParameterValueException", message });

test("a destination that the role may not send to is refused, and taken once it may", async (t) => {
  const { clients, server } = await startApi(t);
  const { lambda, iam } = clients();
  const role = await makeRole(iam, "weak");
  for (const name of ["f", "g"]) await makeFunction(lambda, { name, role, code: "" });
  const events = new EventBridgeClient({ endpoint: server.endpoint, region: "us-east-1", credentials: server.keys });
  t.after(() => events.destroy());
  await events.send(new CreateEventBusCommand({ Name: "b" }));
  const put = (Destination: string) =>
    lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig: { OnFailure: { Destination } } }));
  const targets = [
    ["InvokeFunction", arnOf("lambda", "function:g"), "lambda:InvokeFunction"],
    ["SendMessage", arnOf("sqs", "q"), "sqs:SendMessage"],
    ["Publish", arnOf("sns", "t"), "sns:Publish"],
    ["PutEvents", arnOf("events", "event-bus/b"), "events:PutEvents"],
    ["PutObject", "arn:aws:s3:::bucket", "s3:PutObject"],
  ] as const;
  for (const [call, arn] of targets)
    await assert.rejects(put(arn), refused(`The function's execution role does not have permissions to call ${call} on ${arn}`));
  await assert.rejects(lambda.send(new GetFunctionEventInvokeConfigCommand({ FunctionName: "f" })), { name: "ResourceNotFoundException" });
  for (const [, arn, Action] of targets) {
    const Statement = { Effect: "Allow", Action, Resource: Action === "s3:PutObject" ? `${arn}/aws/lambda/async/*` : arn };
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
    await iam.send(new PutRolePolicyCommand({ RoleName: "weak", PolicyName: "send", PolicyDocument }));
    assert.equal((await put(arn)).DestinationConfig?.OnFailure?.Destination, arn);
  }
  // One that stands there already is not asked for again.
  const update = new UpdateFunctionEventInvokeConfigCommand({ FunctionName: "f", MaximumRetryAttempts: 1 });
  assert.equal((await lambda.send(update)).DestinationConfig?.OnFailure?.Destination, "arn:aws:s3:::bucket");
});

test("so is a dead-letter target, and the function stays as it is", async (t) => {
  const { clients } = await startApi(t);
  const { lambda, iam } = clients();
  await makeFunction(lambda, { name: "f", role: await makeRole(iam, "weak"), code: "" });
  const set = (TargetArn: string) =>
    lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "f", DeadLetterConfig: { TargetArn } }));
  const sentence = "The provided execution role does not have permissions to call";
  await assert.rejects(set(arnOf("sqs", "q")), refused(`${sentence} SendMessage on SQS`));
  await assert.rejects(set(arnOf("sns", "t")), refused(`${sentence} Publish on SNS`));
  const { DeadLetterConfig } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName: "f" }));
  assert.equal(DeadLetterConfig, undefined);
});
