// Results of asynchronous invocations reach queues: as destination and as dead-letter queue, with the rights of the function's role.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvokeCommand, PutFunctionEventInvokeConfigCommand } from "@aws-sdk/client-lambda";
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { startApi } from "../support/api.ts";
import { makeFunction, makeRole } from "../support/functions.ts";

const arnOf = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;

async function received(sqs: SQSClient, QueueUrl: string | undefined) {
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: ["All"] }));
  assert.equal(Messages.length, 1);
  return Messages[0] ?? {};
}

test("what a function returns goes to the queue that is its destination", async (t) => {
  const { clients } = await startApi(t);
  const { lambda, iam, sqs } = clients();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "results" }));
  const role = await makeRole(iam, "sender", ["AmazonSQSFullAccess"]);
  await makeFunction(lambda, { name: "f", role, code: "" });
  const DestinationConfig = { OnSuccess: { Destination: arnOf("results") } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig }));
  await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: '{"n":1}' }));
  const { Body = "" } = await received(sqs, QueueUrl);
  const record = JSON.parse(Body) as { requestContext: { condition: string }; requestPayload: unknown; responsePayload: unknown };
  assert.deepEqual([record.requestContext.condition, record.requestPayload, record.responsePayload], ["Success", { n: 1 }, { n: 1 }]);
});

test("a failed event goes to the dead-letter queue, with AWS's attributes", async (t) => {
  const { clients } = await startApi(t, () => () => {
    throw new Error("always");
  });
  const { lambda, iam, sqs } = clients();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "dead" }));
  const role = await makeRole(iam, "sender", ["AmazonSQSFullAccess"]);
  await makeFunction(lambda, { name: "f", role, code: "", settings: { DeadLetterConfig: { TargetArn: arnOf("dead") } } });
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", MaximumRetryAttempts: 0 }));
  const { $metadata } = await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: '{"n":1}' }));
  const { Body, MessageAttributes = {} } = await received(sqs, QueueUrl);
  assert.equal(Body, '{"n":1}');
  assert.equal(MessageAttributes["RequestID"]?.StringValue, $metadata.requestId);
  assert.deepEqual(Object.keys(MessageAttributes).toSorted(), ["ErrorCode", "ErrorMessage", "RequestID"]);
});

test("a message carries the chain of who sent it: a function that is called for each of its own messages is stopped after 16 passes", async (t) => {
  let passes = 0;
  let send: (trace: string | undefined) => Promise<unknown> = () => Promise.resolve();
  const { clients } = await startApi(t, () => async (_event, { traceHeader }) => {
    passes++;
    await send(traceHeader);
    return {};
  });
  const { lambda, iam, sqs } = clients();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "loop" }));
  await makeFunction(lambda, { name: "f", role: await makeRole(iam), code: "" });
  send = async (trace) => await sqs.send(traced(new SendMessageCommand({ QueueUrl, MessageBody: "{}" }), trace));
  await send(undefined);
  // What an event source mapping does: each message is an invocation, with the message's trace.
  const next = async () => {
    const MessageSystemAttributeNames = ["AWSTraceHeader" as const];
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MessageSystemAttributeNames }));
    return Messages[0];
  };
  let stopped: unknown;
  for (let calls = 0; calls < 100; calls++) {
    const message = await next();
    if (message === undefined) break;
    stopped = await lambda
      .send(traced(new InvokeCommand({ FunctionName: "f", Payload: "{}" }), message.Attributes?.AWSTraceHeader))
      .catch((cause: unknown) => cause);
  }
  assert.equal((stopped as Error).name, "RecursiveInvocationException");
  assert.equal(passes, 16);
});

/** As an SDK sends it from inside of a function. */
function traced<C extends InvokeCommand | SendMessageCommand>(command: C, trace: string | undefined): C {
  (command as InvokeCommand).middlewareStack.add(
    (proceed) => (words) => {
      if (trace !== undefined) (words.request as { headers: Record<string, string> }).headers["x-amzn-trace-id"] = trace;
      return proceed(words);
    },
    { step: "build" },
  );
  return command;
}
