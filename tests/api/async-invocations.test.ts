// Asynchronous invocations as clients see them: 202, what the function gets, where results go, what is refused.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { DetachRolePolicyCommand } from "@aws-sdk/client-iam";
import { InvokeAsyncCommand, InvokeCommand } from "@aws-sdk/client-lambda";
import { CreateQueueCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { DeliveryContext } from "../../src/aws/deliver.ts";
import type { ClientError } from "../../src/aws/fake-service.ts";
import { manualClock } from "../../src/base/manual-clock.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { StorageError } from "../../src/store/storage.ts";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction as makeRealFunction, makeRole } from "../support/functions.ts";
import { arnOf, makeFunction, send, startLambda, UUID, type Started } from "./lambda.fixture.ts";

const REPORT = { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 };
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const invokeEvent = (started: Pick<Started, "client">, Payload?: string | Uint8Array, FunctionName = "f") =>
  started.client.send(new InvokeCommand({ FunctionName, InvocationType: "Event", ...(Payload === undefined ? {} : { Payload }) }));

test("202 with an empty body, and the function runs under the request id of the answer, with the event byte for byte", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const answer = await invokeEvent(started, '{ "b":2, "a" : 1 }');
  assert.deepEqual(
    [answer.StatusCode, answer.ExecutedVersion, answer.Payload?.length ?? 0, answer.FunctionError],
    [202, undefined, 0, undefined],
  );
  const one = await eventually("the function runs", () => started.invoker.invocations[0]);
  assert.match(one.request.requestId, UUID);
  assert.equal(one.request.requestId, answer.$metadata.requestId);
  assert.deepEqual([text(one.request.payload), one.request.invokedArn], ['{ "b":2, "a" : 1 }', arnOf("f")]);
  assert.match(one.request.traceHeader ?? "", /^Root=1-/);
  await invokeEvent(started, undefined, `${arnOf("f")}:$LATEST`);
  const two = await eventually("the second runs", () => started.invoker.invocations[1]);
  assert.deepEqual([text(two.request.payload), two.request.invokedArn], ["{}", `${arnOf("f")}:$LATEST`]);
});

test("InvokeAsync does the same", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const answer = await started.client.send(new InvokeAsyncCommand({ FunctionName: "f", InvokeArgs: Buffer.from("[1]") }));
  assert.deepEqual([answer.Status, answer.$metadata.httpStatusCode], [202, 202]);
  const one = await eventually("the function runs", () => started.invoker.invocations[0]);
  assert.equal(text(one.request.payload), "[1]");
  const tooLarge = started.client.send(new InvokeAsyncCommand({ FunctionName: "f", InvokeArgs: new Uint8Array(262_145).fill(0x20) }));
  await assert.rejects(tooLarge, { name: "RequestEntityTooLargeException" });
  const noJson = started.client.send(new InvokeAsyncCommand({ FunctionName: "f", InvokeArgs: Buffer.from("{") }));
  await assert.rejects(noJson, { name: "InvalidRequestContentException" });
});

test("1 MiB is taken, a byte more is not; nor what is no JSON, or for nobody; and nothing of it runs", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const refusals: [name: string, status: number, call: () => Promise<unknown>][] = [
    ["RequestEntityTooLargeException", 413, () => invokeEvent(started, `"${"x".repeat(1_048_575)}"`)],
    ["InvalidRequestContentException", 400, () => invokeEvent(started, "hello")],
    ["ResourceNotFoundException", 404, () => invokeEvent(started, "{}", "none")],
    ["ResourceNotFoundException", 404, () => invokeEvent(started, "{}", "f:live")],
    ["AccessDeniedException", 403, () => invokeEvent({ client: started.stranger })],
  ];
  for (const [name, status, call] of refusals)
    await assert.rejects(call(), (error: ClientError) => error.name === name && error.$metadata.httpStatusCode === status, name);
  assert.deepEqual(started.invoker.invocations, []);
  await invokeEvent(started, `"${"x".repeat(1_048_574)}"`);
  const one = await eventually("the large one runs", () => started.invoker.invocations[0]);
  assert.equal(one.request.payload.length, 1_048_576);
});

test("an event that the store does not take is not accepted", async (t) => {
  const storage = memoryStorage({ clock: manualClock() });
  const enqueueClaimed = () => Promise.reject(new StorageError("Unavailable", "the disk is full"));
  const started = await startLambda(t, { queue: { ...storage.queue, enqueueClaimed } });
  await makeFunction(started, "f");
  await assert.rejects(
    invokeEvent(started),
    (error: ClientError & { Type?: string }) =>
      error.name === "ServiceException" && error.$metadata.httpStatusCode === 500 && error.Type === "Service",
  );
  assert.deepEqual(started.invoker.invocations, []);
  await storage.close();
});

test("a restarted server goes on with what was accepted", async (t) => {
  const started = await startLambda(t, { asyncConcurrency: 1 });
  await makeFunction(started, "f");
  // The one that runs ends as the server stops: it was not run to its end.
  const stopping = Promise.withResolvers<void>();
  started.invoker.answer = async () => {
    await stopping.promise;
    return { kind: "unavailable", code: "stopping", message: "the server stops" };
  };
  const ids = new Set<string | undefined>();
  for (let n = 0; n < 20; n++) ids.add((await invokeEvent(started)).$metadata.requestId);
  await eventually("one is running", () => started.invoker.invocations.length === 1);
  const restarted = started.restart();
  stopping.resolve();
  const again = await restarted;
  await eventually("all have run", () => again.invoker.invocations.length === 20);
  assert.deepEqual(new Set(again.invoker.invocations.map(({ request }) => request.requestId)), ids);
});

test("a function that is called in a loop is stopped at its 17th pass", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const id = createHash("sha256").update(arnOf("f")).digest("hex").slice(0, 8);
  let passes = 15;
  started.client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers["x-amzn-trace-id"] = `Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:3|${id}:${passes - 1}`;
      return next(args);
    },
    { step: "build" },
  );
  const invoke = () => started.client.send(new InvokeCommand({ FunctionName: "f" }));
  await invoke();
  passes = 16;
  await assert.rejects(
    invoke(),
    (error: ClientError & { Type?: string }) =>
      error.name === "RecursiveInvocationException" && error.$metadata.httpStatusCode === 400 && error.Type === "User",
  );
  await assert.rejects(send(started.client, "InvokeWithResponseStream", { FunctionName: "f" }), { name: "RecursiveInvocationException" });
  assert.equal(started.invoker.invocations.length, 1);
  assert.deepEqual(await send(started.client, "GetFunctionRecursionConfig", { FunctionName: "f" }), { RecursiveLoop: "Terminate" });
  await send(started.client, "PutFunctionRecursionConfig", { FunctionName: "f", RecursiveLoop: "Allow" });
  assert.deepEqual(await send(started.client, "GetFunctionRecursionConfig", { FunctionName: "f" }), { RecursiveLoop: "Allow" });
  await invoke();
  await send(started.client, "PutFunctionRecursionConfig", { FunctionName: "f", RecursiveLoop: "Terminate" });
  await assert.rejects(invoke(), { name: "RecursiveInvocationException" });
  const wrong = send(started.client, "PutFunctionRecursionConfig", { FunctionName: "f", RecursiveLoop: "Maybe" });
  await assert.rejects(wrong, { name: "ValidationException" });
  const nobody = send(started.client, "PutFunctionRecursionConfig", { FunctionName: "none", RecursiveLoop: "Allow" });
  await assert.rejects(nobody, { name: "ResourceNotFoundException", message: `Function not found: ${arnOf("none")}` });
});

interface Delivered {
  readonly target: string;
  readonly event: string;
  readonly context: DeliveryContext;
}

const QUEUE = "arn:aws:sqs:eu-west-1:000000000000:dead";

/** Destinations of every kind that AWS has, of which the deliveries are kept; `f` has dead letters. */
async function withDestinations(t: Parameters<typeof startLambda>[0], config: Record<string, unknown>) {
  const delivered: Delivered[] = [];
  const started = await startLambda(t, {
    deliverer: {
      supports: () => true,
      deliver(target, event, context) {
        delivered.push({ target, event: text(event), context });
        return Promise.resolve({ kind: "delivered" });
      },
    },
  });
  await makeFunction(started, "f", { DeadLetterConfig: { TargetArn: QUEUE } });
  const { DeadLetterConfig } = await send(started.client, "GetFunctionConfiguration", { FunctionName: "f" });
  assert.deepEqual(DeadLetterConfig, { TargetArn: QUEUE });
  await send(started.client, "PutFunctionEventInvokeConfig", { FunctionName: "f", MaximumRetryAttempts: 0, ...config });
  return { started, delivered };
}

test("the record of a success, word for word, on an event bus", async (t) => {
  const bus = "arn:aws:events:eu-west-1:000000000000:event-bus/default";
  const { started, delivered } = await withDestinations(t, { DestinationConfig: { OnSuccess: { Destination: bus } } });
  const { requestId } = (await invokeEvent(started, '{ "n": 1.0 }')).$metadata;
  const { target, event, context } = await eventually("the record is delivered", () => delivered[0]);
  const { timestamp } = JSON.parse(event) as { timestamp: string };
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(
    event,
    `{"version":"1.0","timestamp":"${timestamp}","requestContext":{"requestId":"${requestId}","functionArn":"${arnOf("f")}:$LATEST",` +
      `"condition":"Success","approximateInvokeCount":1},"requestPayload":{ "n": 1.0 },` +
      `"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":{ "n": 1.0 }}`,
  );
  assert.deepEqual(
    [target, context.busEntry, context.sourceArn, context.sender.role?.arn, context.attributes],
    [
      bus,
      { source: "lambda", detailType: "Lambda Function Invocation Result - Success", resources: [bus, `${arnOf("f")}:$LATEST`] },
      `${arnOf("f")}:$LATEST`,
      "arn:aws:iam::000000000000:role/service/test",
      undefined,
    ],
  );
  assert.match(context.traceHeader ?? "", /Lineage=[0-9a-f]{8}:0$/);
  await turn();
  assert.equal(delivered.length, 1, "no dead letter for a success");
});

test("a failure goes to the destination and to the dead letters, with AWS's attributes", async (t) => {
  const bucket = "arn:aws:s3:::failures";
  const { started, delivered } = await withDestinations(t, { DestinationConfig: { OnFailure: { Destination: bucket } } });
  const errorMessage = `${"é".repeat(511)}xé and more`;
  started.invoker.answer = () => ({
    kind: "failed",
    cause: "error",
    errorType: "Error",
    payload: Buffer.from(JSON.stringify({ errorType: "Error", errorMessage })),
    report: REPORT,
  });
  const { requestId } = (await invokeEvent(started, '["event"]')).$metadata;
  await eventually("both are delivered", () => delivered.length === 2);
  const record = delivered.find(({ target }) => target === bucket);
  const letter = delivered.find(({ target }) => target === QUEUE);
  const { timestamp, ...rest } = JSON.parse(record?.event ?? "") as Record<string, unknown>;
  assert.deepEqual(rest, {
    version: "1.0",
    requestContext: { requestId, functionArn: `${arnOf("f")}:$LATEST`, condition: "RetriesExhausted", approximateInvokeCount: 1 },
    requestPayload: ["event"],
    responseContext: { statusCode: 200, executedVersion: "$LATEST", functionError: "Unhandled" },
    responsePayload: { errorType: "Error", errorMessage },
  });
  const [day, time] = String(timestamp).slice(0, 19).split("T");
  const key = `aws/lambda/async/f/${day?.replaceAll("-", "/")}/${day}T${time?.replaceAll(":", ".")}-${record?.context.id}`;
  assert.equal(record?.context.objectKey, key);
  assert.equal(letter?.event, '["event"]');
  assert.deepEqual(letter.context.attributes, {
    RequestID: { DataType: "String", StringValue: requestId },
    ErrorCode: { DataType: "Number", StringValue: "200" },
    // 1,024 bytes would end in the middle of the last letter.
    ErrorMessage: { DataType: "String", StringValue: `${"é".repeat(511)}x` },
  });
});

test("an answer that is no JSON stands in the record as text", async (t) => {
  const { started, delivered } = await withDestinations(t, { DestinationConfig: { OnSuccess: { Destination: QUEUE } } });
  started.invoker.answer = () => ({ kind: "returned", payload: Buffer.from("<ok/>"), report: REPORT });
  await invokeEvent(started);
  const { event } = await eventually("the record is delivered", () => delivered[0]);
  assert.equal((JSON.parse(event) as { responsePayload: unknown }).responsePayload, "<ok/>");
});

test("a delivery that fails is tried again, over a restart, and is the same one; what is refused is not", async (t) => {
  const tries: string[] = [];
  let outcome: "unavailable" | "refused" | "delivered" = "unavailable";
  const started = await startLambda(t, {
    deliverer: {
      supports: () => true,
      deliver(_target, _event, { id }) {
        tries.push(id);
        return Promise.resolve(outcome === "delivered" ? { kind: outcome } : { kind: outcome, code: "Busy", message: "not now" });
      },
    },
  });
  await makeFunction(started, "f");
  await send(started.client, "PutFunctionEventInvokeConfig", {
    FunctionName: "f",
    DestinationConfig: { OnSuccess: { Destination: QUEUE } },
  });
  await invokeEvent(started);
  await eventually("it was tried", () => tries.length === 1);
  const again = await started.restart();
  outcome = "delivered";
  await eventually("it was tried again", () => tries.length === 2);
  assert.equal(new Set(tries).size, 1);
  outcome = "refused";
  await invokeEvent(again);
  await eventually("the other was tried", () => tries.length === 3);
  await eventually("nothing is left", async () => {
    const { visible, claimed, delayed } = await again.storage.queue.depth(`delivery/${QUEUE}`);
    return visible + claimed + delayed === 0;
  });
});

test("the whole server: results go to another function and to a bucket, with the rights of the role and no others", async (t) => {
  const seen: Record<string, unknown>[] = [];
  const { clients, storage } = await startApi(t, ({ env }) => (event) => {
    const name = env["AWS_LAMBDA_FUNCTION_NAME"];
    if (name === "second") return void seen.push(event as Record<string, unknown>);
    if ((event as { fails?: boolean }).fails === true) throw new Error("as asked");
    return { from: name };
  });
  const { lambda, iam, s3 } = clients();
  await s3.send(new CreateBucketCommand({ Bucket: "failures" }));
  const policies = ["AWSLambda_FullAccess", "AmazonS3FullAccess"];
  const mighty = await makeRole(iam, "mighty", policies);
  const weak = await makeRole(iam, "weak", policies);
  for (const [name, role] of [
    ["first", mighty],
    ["powerless", weak],
    ["second", weak],
  ] as const)
    await makeRealFunction(lambda, { name, role, code: "", runtime: "nodejs24.x" });
  const arn = "arn:aws:lambda:us-east-1:000000000000:function:second";
  const DestinationConfig = { OnSuccess: { Destination: arn }, OnFailure: { Destination: "arn:aws:s3:::failures" } };
  for (const FunctionName of ["first", "powerless"])
    await send(lambda, "PutFunctionEventInvokeConfig", { FunctionName, MaximumRetryAttempts: 0, DestinationConfig });
  for (const name of policies)
    await iam.send(new DetachRolePolicyCommand({ RoleName: "weak", PolicyArn: `arn:aws:iam::aws:policy/${name}` }));
  const event = async (FunctionName: string, fails: boolean) =>
    (await lambda.send(new InvokeCommand({ FunctionName, InvocationType: "Event", Payload: JSON.stringify({ fails }) }))).$metadata
      .requestId;
  await event("powerless", false);
  await event("powerless", true);
  const succeeded = await event("first", false);
  const failed = await event("first", true);
  await eventually("the second function has the record", () => seen.length > 0);
  const [{ requestContext, responsePayload } = {}] = seen;
  assert.equal((requestContext as { requestId: string }).requestId, succeeded);
  assert.deepEqual(responsePayload, { from: "first" });
  const [object] = await eventually("the bucket has the record", async () => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: "failures" }));
    return Contents.length > 0 && Contents;
  });
  const { Body, ContentType } = await s3.send(new GetObjectCommand({ Bucket: "failures", Key: object?.Key ?? "" }));
  const kept = JSON.parse((await Body?.transformToString()) ?? "") as { requestContext: { requestId: string; condition: string } };
  assert.deepEqual(
    [kept.requestContext.requestId, kept.requestContext.condition, ContentType],
    [failed, "RetriesExhausted", "application/json"],
  );
  assert.match(object?.Key ?? "", /^aws\/lambda\/async\/first\//);
  await eventually("nothing is left", async () => {
    const queues = ["async/arn:aws:lambda:us-east-1:000000000000:function:powerless", `delivery/${arn}`, "delivery/arn:aws:s3:::failures"];
    const depths = await Promise.all(queues.map((queue) => storage.queue.depth(`lambda.${queue}`)));
    return depths.every(({ visible, claimed, delayed }) => visible + claimed + delayed === 0);
  });
  assert.equal(seen.length, 1);
});

test("the whole server: dead letters and results reach queues, with AWS's attributes", async (t) => {
  const { clients } = await startApi(t, () => () => {
    throw new Error("as \u001b[1malways\u001b[0m");
  });
  const { lambda, iam, sqs } = clients();
  const [dead, results] = await Promise.all(
    ["dead", "results"].map(async (QueueName) => (await sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl ?? ""),
  );
  const role = await makeRole(iam, "sender", ["AmazonSQSFullAccess"]);
  const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
  const settings = { DeadLetterConfig: { TargetArn: arn("dead") } };
  await makeRealFunction(lambda, { name: "f", role, code: "", runtime: "nodejs24.x", settings });
  const DestinationConfig = { OnFailure: { Destination: arn("results") } };
  await send(lambda, "PutFunctionEventInvokeConfig", { FunctionName: "f", MaximumRetryAttempts: 0, DestinationConfig });
  const { $metadata } = await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: "[1]" }));
  const received = async (QueueUrl: string | undefined) => {
    const command = new ReceiveMessageCommand({ QueueUrl, MessageAttributeNames: ["All"], WaitTimeSeconds: 10 });
    const [message] = (await sqs.send(command)).Messages ?? [];
    assert.ok(message);
    return message;
  };
  const { Body, MessageAttributes = {} } = await received(dead);
  assert.equal(Body, "[1]");
  const attributes = Object.entries(MessageAttributes).map(([name, { DataType, StringValue }]) => [name, DataType, StringValue]);
  assert.deepEqual(
    attributes.toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
    [
      ["ErrorCode", "Number", "200"],
      // A queue holds no control characters.
      ["ErrorMessage", "String", "as \ufffd[1malways\ufffd[0m"],
      ["RequestID", "String", $metadata.requestId],
    ],
  );
  const record = JSON.parse((await received(results)).Body ?? "") as { requestContext: { requestId: string; condition: string } };
  assert.deepEqual([record.requestContext.requestId, record.requestContext.condition], [$metadata.requestId, "RetriesExhausted"]);
});

test("with faster time three attempts take a second and not three minutes; the function's own time stays real", async (t) => {
  const attempts: { atMs: number; remainingMs: number }[] = [];
  const { clients } = await startApi(
    t,
    () =>
      (_event, { deadlineMs }) => {
        attempts.push({ atMs: performance.now(), remainingMs: deadlineMs - Date.now() });
        throw new Error("always");
      },
    { timeScale: "200" },
  );
  const { lambda, iam } = clients();
  await makeRealFunction(lambda, { name: "f", role: await makeRole(iam), code: "", settings: { Timeout: 900 } });
  await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event" }));
  await eventually("three attempts", () => attempts.length === 3);
  const [first, second, third] = attempts;
  assert.ok(first && second && third);
  // Not sooner than a two-hundredth of one and two minutes.
  assert.ok(second.atMs - first.atMs >= 300 && third.atMs - second.atMs >= 600);
  for (const { remainingMs } of attempts) assert.ok(remainingMs > 800_000 && remainingMs <= 900_000, `${remainingMs} ms left of 900 s`);
});
