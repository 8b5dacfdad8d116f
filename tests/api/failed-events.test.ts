// Events that ended without success and deliveries that never arrived: listed, shown, sent again; by who may.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AttachUserPolicyCommand, CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import {
  DeleteFunctionConcurrencyCommand,
  DeleteFunctionCommand,
  InvokeCommand,
  PutFunctionConcurrencyCommand,
  PutFunctionEventInvokeConfigCommand,
} from "@aws-sdk/client-lambda";
import { CreateTopicCommand, PublishCommand, SubscribeCommand } from "@aws-sdk/client-sns";
import { CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { signedHeaders } from "../../src/aws/sign.ts";
import type { Flags } from "../../src/config.ts";
import { startApi, type Credentials } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";

interface Listed {
  readonly Id: string;
  readonly Kind: string;
  readonly Source: string;
  readonly Target?: string;
  readonly RequestId: string;
  readonly Reason: string;
  readonly Error: string;
  readonly Attempts: number;
  readonly Payload?: string;
}

async function start(t: TestContext, flags: Flags = {}) {
  const state = { isBroken: true, runs: 0, seen: [] as { event: unknown; requestId: string }[] };
  const script =
    () =>
    (event: unknown, { requestId }: { requestId: string }) => {
      state.runs++;
      if (state.isBroken) throw new Error("not today");
      state.seen.push({ event, requestId });
      return event;
    };
  const api = await startApi(t, script, flags);
  const clients = api.clients();
  await makeFunction(clients.lambda, { name: "f", role: await makeRole(clients.iam, "r", ["AmazonSQSFullAccess"]), code: "" });
  await clients.lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", MaximumRetryAttempts: 0 }));
  const send = async (method: "GET" | "POST", path: string, body = "", credentials: Credentials = api.server.keys) => {
    const url = new URL(`/_lambent/${path}`, api.server.endpoint);
    const headers = signedHeaders({ method, url, body, credentials, region: "us-east-1", service: "lambent", nowMs: Date.now() });
    const answer = await fetch(url, { method, headers, ...(method === "POST" ? { body } : {}) });
    const text = await answer.text();
    return { status: answer.status, text, document: JSON.parse(text.startsWith("{") ? text : "{}") as Record<string, unknown> };
  };
  const list = async (query = "") => (await send("GET", `events/failed${query}`)).document["Events"] as Listed[];
  const invoke = async (payload: unknown, FunctionName = "f") =>
    (await clients.lambda.send(new InvokeCommand({ FunctionName, InvocationType: "Event", Payload: JSON.stringify(payload) }))).$metadata
      .requestId;
  const failed = async (count: number) =>
    await eventually(`${count} failed`, async () => (await list()).length === count && (await list()));
  return { ...api, ...clients, state, send, list, invoke, failed };
}

test("a failed event is listed, shown, sent again under the same request id, and leaves the list", async (t) => {
  const { state, send, list, invoke, failed } = await start(t);
  const requestId = await invoke({ order: 1 });
  const [one] = await failed(1);
  assert.ok(one);
  const { Id, ...rest } = one;
  assert.deepEqual(
    { ...rest, AcceptedAt: 0, FailedAt: 0, Bytes: 0 },
    {
      Kind: "invocation",
      Source: "arn:aws:lambda:us-east-1:000000000000:function:f",
      RequestId: requestId,
      Reason: "RetriesExhausted",
      Error: "not today",
      Attempts: 1,
      AcceptedAt: 0,
      FailedAt: 0,
      Bytes: 0,
    },
  );
  assert.equal((await send("GET", `events/failed/${Id}`)).document["Payload"], '{"order":1}');
  state.isBroken = false;
  assert.deepEqual((await send("POST", `events/failed/${Id}/redrive`)).document, { Redriven: 1 });
  assert.deepEqual(await list(), []);
  await eventually("it runs", () => state.seen.length === 1);
  assert.deepEqual(state.seen, [{ event: { order: 1 }, requestId }]);
  assert.equal((await send("POST", `events/failed/${Id}/redrive`)).status, 404);
  assert.equal((await send("GET", `events/failed/${Id}`)).status, 404);
});

test("all of a function are sent again; what fails once more is back; a switched-off function says so", async (t) => {
  const { state, lambda, iam, send, list, invoke, failed } = await start(t);
  await makeFunction(lambda, { name: "g", role: await makeRole(iam, "g"), code: "" });
  await lambda.send(new PutFunctionConcurrencyCommand({ FunctionName: "g", ReservedConcurrentExecutions: 0 }));
  await invoke(1);
  await invoke(2);
  await failed(2);
  await invoke(3, "g");
  await failed(3);
  assert.deepEqual(
    (await list("?FunctionName=g")).map(({ Reason, Attempts }) => [Reason, Attempts]),
    [["ZeroReservedConcurrency", 0]],
  );
  assert.deepEqual((await send("POST", "events/redrive", '{"FunctionName":"f"}')).document, { Redriven: 2 });
  await failed(3);
  state.isBroken = false;
  await lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName: "g" }));
  assert.deepEqual((await send("POST", "events/redrive")).document, { Redriven: 3 });
  await eventually("all run", () => state.seen.length === 3);
  assert.deepEqual(new Set(state.seen.map(({ event }) => event)), new Set([1, 2, 3]));
  assert.deepEqual(await list(), []);
});

test("a delivery that was refused is kept with its target, and arrives when it is sent again", async (t) => {
  const { state, lambda, sqs, send, invoke, failed, list } = await start(t);
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "q" }));
  const Destination = "arn:aws:sqs:us-east-1:000000000000:q";
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig: { OnSuccess: { Destination } } }));
  await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  state.isBroken = false;
  await invoke("x");
  const [one] = await failed(1);
  assert.deepEqual(
    [one?.Kind, one?.Target, one?.Source],
    ["delivery", Destination, "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"],
  );
  assert.equal((await list("?FunctionName=f")).length, 1);
  const payload = (await send("GET", `events/failed/${one?.Id}`)).document["Payload"];
  assert.match(String(payload), /"condition":"Success"/);
  const counted = /^lambent_lambda_destination_delivery_failures_total\{.*function_name="f",resource="f:\$LATEST"\} 1$/m;
  assert.match((await send("GET", "metrics")).text, counted);
  const made = await sqs.send(new CreateQueueCommand({ QueueName: "q" }));
  await send("POST", `events/failed/${one?.Id}/redrive`);
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: made.QueueUrl, WaitTimeSeconds: 10 }));
  assert.equal(Messages[0]?.Body, payload);
  assert.deepEqual(await list(), []);
});

test("what a FIFO topic could not deliver is kept, too, and comes into the same group when it is sent again", async (t) => {
  const { sns, sqs, send, failed, list } = await start(t);
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: "t.fifo", Attributes: { FifoTopic: "true" } }));
  const Endpoint = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: "sqs", Endpoint, Attributes: { RawMessageDelivery: "true" } }));
  await sns.send(new PublishCommand({ TopicArn, Message: "first", MessageGroupId: "g", MessageDeduplicationId: "1" }));
  const [one] = await failed(1);
  assert.deepEqual([one?.Kind, one?.Target, one?.Source, one?.Attempts], ["delivery", Endpoint, TopicArn, 1]);
  const Statement = { Effect: "Allow", Principal: { Service: "sns.amazonaws.com" }, Action: "sqs:SendMessage", Resource: Endpoint };
  const Attributes = { FifoQueue: "true", Policy: JSON.stringify({ Version: "2012-10-17", Statement }) };
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "q.fifo", Attributes }));
  await send("POST", `events/failed/${one?.Id}/redrive`);
  const MessageSystemAttributeNames = ["MessageGroupId" as const];
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10, MessageSystemAttributeNames }));
  assert.deepEqual([Messages[0]?.Body, Messages[0]?.Attributes], ["first", { MessageGroupId: "g" }]);
  assert.deepEqual(await list(), []);
});

test("the list has pages, and outlives its function", async (t) => {
  const { lambda, send, invoke, list } = await start(t);
  await Promise.all(Array.from({ length: 103 }, (_, index) => invoke(index)));
  const page = async (query = "") => (await send("GET", `events/failed${query}`)).document as { Events: Listed[]; After?: string };
  const after = await eventually("more than a page", async () => (await page()).After);
  await eventually("the rest", async () => (await list(`?After=${after}`)).length === 3);
  assert.equal((await page()).Events.length, 100);
  await lambda.send(new DeleteFunctionCommand({ FunctionName: "f" }));
  assert.equal((await list()).length, 100);
});

test("who may not is refused, and what is no request as well", async (t) => {
  const { server, iam, invoke, failed, send } = await start(t);
  await invoke(1);
  const [one] = await failed(1);
  await iam.send(new CreateUserCommand({ UserName: "u" }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "u" }));
  const user = { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
  const paths = [
    ["GET", "events/failed"],
    ["GET", `events/failed/${one?.Id}`],
    ["POST", `events/failed/${one?.Id}/redrive`],
    ["POST", "events/redrive"],
    ["GET", "metrics"],
  ] as const;
  for (const [method, path] of paths) {
    assert.equal((await fetch(`${server.endpoint}/_lambent/${path}`, { method })).status, 403, path);
    const denied = await send(method, path, "", user);
    assert.deepEqual([denied.status, denied.document["__type"]], [403, "AccessDeniedException"], path);
    assert.equal((await send(method, path, "", { ...user, secretAccessKey: "wrong" })).status, 403, path);
  }
  const Statement = [
    { Effect: "Allow", Action: "lambent:*", Resource: "arn:aws:lambda:us-east-1:000000000000:function:f" },
    { Effect: "Allow", Action: "lambent:GetMetrics", Resource: "*" },
  ];
  await iam.send(
    new PutUserPolicyCommand({ UserName: "u", PolicyName: "p", PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }) }),
  );
  assert.equal((await send("GET", "events/failed?FunctionName=f", "", user)).status, 200);
  assert.equal((await send("GET", `events/failed/${one?.Id}`, "", user)).status, 200);
  assert.equal((await send("GET", "events/failed", "", user)).status, 403);
  for (const [path, body] of [
    ["events/redrive", "[1"],
    ["events/redrive", '{"FunctionName":1}'],
    ["events/redrive", '{"FunctionName":"a:b"}'],
  ] as const)
    assert.equal((await send("POST", path, body)).status, 400, body);
  assert.equal((await send("GET", "events/failed?FunctionName=../x")).status, 400);
  assert.equal((await send("GET", "nothing")).status, 404);
  assert.equal((await send("POST", "events/redrive", "x".repeat(70_000))).status, 413);
  assert.equal((await failed(1)).length, 1);
});

test("Prometheus scrapes with an access key as name and password, from this machine", async (t) => {
  const { server, iam, invoke, failed, send } = await start(t);
  await invoke(1);
  await failed(1);
  const scrape = (name: string, password: string, path = "metrics") =>
    fetch(`${server.endpoint}/_lambent/${path}`, {
      headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` },
    });
  const { accessKeyId, secretAccessKey } = server.keys;
  const answer = await scrape(accessKeyId, secretAccessKey);
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "text/plain; version=0.0.4; charset=utf-8"]);
  const text = await answer.text();
  assert.equal((await send("GET", "metrics")).status, 200);
  assert.match(text, /^# TYPE lambent_lambda_invocations_total counter$/m);
  assert.match(text, /^lambent_lambda_invocations_total\{account="000000000000",region="us-east-1",function_name="f",resource="f"\} 1$/m);
  assert.match(text, /^lambent_lambda_errors_total\{.*\} 1$/m);
  assert.match(text, /^lambent_lambda_async_events_dropped_total\{.*\} 1$/m);
  assert.match(text, /^# TYPE lambent_lambda_duration_seconds summary$/m);
  assert.match(text, /^lambent_lambda_duration_seconds_count\{.*\} 1$/m);
  assert.match(text, /^lambent_environments 1$/m);
  assert.match(text, /^# TYPE lambent_sandboxes_evicted_total counter\nlambent_sandboxes_evicted_total \d+$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  for (const line of text.trimEnd().split("\n"))
    assert.match(line, /^(?:# TYPE \w+ (?:counter|gauge|summary)|\w+(?:\{(?:\w+="[^"]*",?)+\})? \S+)$/);
  assert.equal((await scrape(accessKeyId, "wrong")).status, 403);
  assert.equal((await scrape("AKIANOBODY", secretAccessKey)).status, 403);
  assert.equal((await scrape(accessKeyId, secretAccessKey, "events/failed")).status, 403);
  await iam.send(new CreateUserCommand({ UserName: "prometheus" }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "prometheus" }));
  assert.equal((await scrape(AccessKey?.AccessKeyId ?? "", AccessKey?.SecretAccessKey ?? "")).status, 403);
  await iam.send(new AttachUserPolicyCommand({ UserName: "prometheus", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" }));
  assert.equal((await scrape(AccessKey?.AccessKeyId ?? "", AccessKey?.SecretAccessKey ?? "")).status, 200);
});

test("functions that are each other's destination for failures are stopped, and what tells of that is no new loop", async (t) => {
  const { storage, lambda, iam, list, invoke } = await start(t);
  const role = await makeRole(iam, "g", ["AWSLambda_FullAccess"]);
  for (const name of ["a", "b"]) await makeFunction(lambda, { name, role, code: "" });
  for (const [FunctionName, other] of [
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    const OnFailure = { Destination: `arn:aws:lambda:us-east-1:000000000000:function:${other}` };
    const settings = { FunctionName, MaximumRetryAttempts: 0, DestinationConfig: { OnFailure } };
    await lambda.send(new PutFunctionEventInvokeConfigCommand(settings));
  }
  await invoke(1, "a");
  // 16 runs of each; the first stop of each is told to the other, the second of the first is the end.
  const all = await eventually("the last stop", async () => {
    const now = await list();
    return now.length >= 35 && now;
  });
  assert.deepEqual(all.map(({ Error: text }) => text).filter((text) => text.startsWith("Recursive")).length, 3);
  const queues = ["a", "b"].map((name) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`);
  const depths = () =>
    Promise.all(queues.flatMap((arn) => [`lambda.async/${arn}`, `delivery/${arn}`]).map((name) => storage.queue.depth(name)));
  await eventually("nothing is on its way", async () => (await depths()).every(({ visible, claimed }) => visible + claimed === 0));
  assert.equal((await list()).length, 35);
});

test("events that wait for a function that is gone are kept, and run on the one that is made anew", async (t) => {
  const { state, lambda, iam, send, list, invoke, failed } = await start(t, { timeScale: "200" });
  const g = { name: "g", role: await makeRole(iam, "g"), code: "" };
  await makeFunction(lambda, g);
  const requestId = await invoke({ order: 1 }, "g");
  await eventually("it is run", () => state.runs > 0);
  await lambda.send(new DeleteFunctionCommand({ FunctionName: "g" }));
  const [one] = await failed(1);
  const { Source, Reason, Error: text } = one ?? {};
  const arn = "arn:aws:lambda:us-east-1:000000000000:function:g";
  assert.deepEqual([Source, Reason, text], [arn, "FunctionNotFound", `Function not found: ${arn}`]);
  // Still gone: it is not lost.
  assert.deepEqual((await send("POST", "events/redrive")).document, { Redriven: 1 });
  await eventually("it is back", async () => (await list())[0]?.Id !== one?.Id && (await list()).length === 1);
  state.isBroken = false;
  await makeFunction(lambda, g);
  assert.deepEqual((await send("POST", "events/redrive", '{"FunctionName":"g"}')).document, { Redriven: 1 });
  await eventually("it runs", () => state.seen.length === 1);
  assert.deepEqual(state.seen, [{ event: { order: 1 }, requestId }]);
});
