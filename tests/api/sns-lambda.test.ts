// Results of asynchronous invocations reach topics: as destination and as dead-letter target; loops through topics come to an end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AddPermissionCommand, InvokeCommand, PutFunctionEventInvokeConfigCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { startApi } from "../support/api.ts";
import { makeFunction, makeRole } from "../support/functions.ts";
import { makeQueue, makeTopic, queueArn, receive, subscribe, topicArn } from "./sns.fixture.ts";

interface Envelope {
  readonly Message: string;
  readonly MessageAttributes?: Readonly<Record<string, { readonly Type: string; readonly Value: string }>>;
}

const invoke = (lambda: LambdaClient, event: unknown) =>
  lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: JSON.stringify(event) }));

const throwing = () => () => {
  throw new Error("always");
};

test("a topic is told what a function has returned, without the payloads where they are too large", async (t) => {
  const { lambda, iam, sns, sqs } = (await startApi(t)).clients();
  const queue = await makeQueue(sqs, "q");
  const topic = await makeTopic(sns, "t");
  await subscribe(sns, topic, "sqs", queueArn("q"));
  await makeFunction(lambda, { name: "f", role: await makeRole(iam, "r", ["AmazonSNSFullAccess"]), code: "" });
  const DestinationConfig = { OnSuccess: { Destination: topic } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig }));
  const told = async () =>
    JSON.parse((JSON.parse((await receive(sqs, queue))[0]?.Body ?? "") as Envelope).Message) as Record<string, unknown>;
  await invoke(lambda, { n: 1 });
  const record = await told();
  assert.deepEqual([record["requestPayload"], record["responsePayload"]], [{ n: 1 }, { n: 1 }]);
  await invoke(lambda, { large: "x".repeat(200_000) });
  const small = await told();
  assert.deepEqual([small["requestPayload"], small["responsePayload"]], [null, null]);
  assert.equal((small["requestContext"] as { condition: string }).condition, "Success");
});

test("a failed event goes to the topic of the dead letters, with AWS's attributes", async (t) => {
  const { lambda, iam, sns, sqs } = (await startApi(t, throwing)).clients();
  const queue = await makeQueue(sqs, "q");
  const topic = await makeTopic(sns, "t");
  await subscribe(sns, topic, "sqs", queueArn("q"));
  const role = await makeRole(iam, "r", ["AmazonSNSFullAccess"]);
  await makeFunction(lambda, { name: "f", role, code: "", settings: { DeadLetterConfig: { TargetArn: topic } } });
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", MaximumRetryAttempts: 0 }));
  const { $metadata } = await invoke(lambda, { n: 1 });
  const [message] = await receive(sqs, queue);
  const { Message, MessageAttributes = {} } = JSON.parse(message?.Body ?? "") as Envelope;
  assert.equal(Message, '{"n":1}');
  assert.deepEqual(Object.keys(MessageAttributes).toSorted(), ["ErrorCode", "ErrorMessage", "RequestID"]);
  assert.deepEqual(MessageAttributes["RequestID"], { Type: "String", Value: $metadata.requestId });
});

test("a function that a topic calls again and again is stopped after sixteen passes", async (t) => {
  let runs = 0;
  const { lambda, iam, sns, sqs } = (
    await startApi(t, () => () => {
      runs++;
      return null;
    })
  ).clients();
  const queue = await makeQueue(sqs, "stopped");
  const topic = await makeTopic(sns, "t");
  const role = await makeRole(iam, "r", ["AmazonSNSFullAccess", "AmazonSQSFullAccess"]);
  await makeFunction(lambda, { name: "f", role, code: "", settings: { DeadLetterConfig: { TargetArn: queueArn("stopped") } } });
  await lambda.send(
    new AddPermissionCommand({
      FunctionName: "f",
      StatementId: "s",
      Action: "lambda:InvokeFunction",
      Principal: "sns.amazonaws.com",
      SourceArn: topicArn("t"),
    }),
  );
  await subscribe(sns, topic, "lambda", "arn:aws:lambda:us-east-1:000000000000:function:f");
  const DestinationConfig = { OnSuccess: { Destination: topic } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig }));
  await invoke(lambda, {});
  assert.equal((await receive(sqs, queue, 1)).length, 1);
  assert.equal(runs, 16);
});
