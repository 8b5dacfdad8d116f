// InvokeWithResponseStream through the SDK: events while the function runs, its end, and every way in which it does not begin.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import type { InvocationRequest, Outcome } from "../../src/pool/invocation.ts";
import { eventually } from "../support/eventually.ts";
import { check, makeFunction, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const REPORT = { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 };
const NOTHING = new Uint8Array();
const returned = (payload: Uint8Array = NOTHING): Outcome => ({ kind: "returned", payload, report: REPORT });

async function open(started: Started, more: Partial<lambda.InvokeWithResponseStreamCommandInput> = {}, abortSignal?: AbortSignal) {
  const command = new lambda.InvokeWithResponseStreamCommand({ FunctionName: "f", ...more });
  const answer = await started.client.send(command, abortSignal === undefined ? {} : { abortSignal });
  assert.ok(answer.EventStream);
  return { answer, events: answer.EventStream[Symbol.asyncIterator]() };
}

async function rest(events: AsyncIterator<lambda.InvokeWithResponseStreamResponseEvent>) {
  const seen = [];
  for (let one = await events.next(); one.done !== true; one = await events.next())
    seen.push(one.value.InvokeComplete ?? Buffer.from(one.value.PayloadChunk?.Payload ?? []).toString());
  return seen;
}

async function begun(t: Parameters<typeof startLambda>[0], answer: (request: InvocationRequest) => Outcome | Promise<Outcome>) {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  started.invoker.answer = (_deployment, request) => answer(request);
  return started;
}

test("the first byte arrives before the last is produced", async (t) => {
  const gate = Promise.withResolvers<void>();
  const started = await begun(t, async ({ response }) => {
    response?.begin("text/html");
    void response?.write(Buffer.from("first"));
    await gate.promise;
    void response?.write(Buffer.from("last"));
    return returned();
  });
  const { answer, events } = await open(started, { Payload: "[1]" });
  assert.deepEqual([answer.StatusCode, answer.ExecutedVersion], [200, "$LATEST"]);
  const first = await events.next();
  assert.equal(Buffer.from(first.value?.PayloadChunk?.Payload ?? []).toString(), "first");
  gate.resolve();
  assert.deepEqual(await rest(events), ["last", {}]);
  assert.equal(Buffer.from(started.invoker.invocations[0]?.request.payload ?? []).toString(), "[1]");
});

test("a buffered function comes as one chunk, with the log's tail at its end", async (t) => {
  const logTail = Buffer.from("START\nEND\n");
  const started = await begun(t, () => ({ ...returned(Buffer.from("{}")), report: { ...REPORT, logTail } }) as Outcome);
  const { events } = await open(started, { LogType: "Tail" });
  assert.deepEqual(await rest(events), ["{}", { LogResult: logTail.toString("base64") }]);
});

test("an error before or after the first chunk stands in the end", async (t) => {
  const failed: Outcome = {
    kind: "failed",
    cause: "timeout",
    errorType: "Sandbox.Timedout",
    payload: Buffer.from('{"errorType":"Sandbox.Timedout"}'),
    report: REPORT,
  };
  const started = await begun(t, ({ response, payload }) => {
    if (payload[0] === 0x31) void response?.write(Buffer.from("part"));
    return failed;
  });
  const end = { ErrorCode: "Unhandled", ErrorDetails: '{"errorType":"Sandbox.Timedout"}' };
  assert.deepEqual(await rest((await open(started, { Payload: "0" })).events), [end]);
  assert.deepEqual(await rest((await open(started, { Payload: "1" })).events), ["part", end]);
});

test("what fails for the server's reasons after the first chunk ends the stream with an error", async (t) => {
  const started = await begun(t, ({ response }) => {
    response?.begin(undefined);
    void response?.write(Buffer.from("part"));
    return { kind: "unavailable", code: "stopping", message: "The server is stopping." };
  });
  const { events } = await open(started);
  await assert.rejects(rest(events));
});

test("the function is held up while the client does not read, and let go when it has gone", async (t) => {
  const state = { written: 0, waits: 0, isDone: false };
  const started = await begun(t, async ({ response }) => {
    response?.begin(undefined);
    for (let count = 0; count < 1000; count++) {
      const room = response?.write(Buffer.alloc(64 * 1024));
      state.written++;
      if (room === undefined) continue;
      state.waits++;
      await room;
    }
    state.isDone = true;
    return returned();
  });
  const gone = new AbortController();
  const { events } = await open(started, {}, gone.signal);
  await events.next();
  await eventually("the function waits", () => state.waits > 0);
  const before = { ...state };
  assert.ok(before.written < 1000 && !before.isDone, "64 MiB are not held in memory");
  await events.return?.();
  gone.abort();
  started.client.destroy();
  await eventually("the function has gone on", () => state.isDone);
});

const ROWS: readonly Row[] = [
  { name: "a dry run", call: ["InvokeWithResponseStream", { FunctionName: "f", InvocationType: "DryRun" }], expect: { StatusCode: 204 } },
  {
    name: "no such function",
    call: ["InvokeWithResponseStream", { FunctionName: "g" }],
    fault: [404, "ResourceNotFoundException", /^Function not found: .*:function:g/],
  },
  {
    name: "an event that is no JSON",
    call: ["InvokeWithResponseStream", { FunctionName: "f", Payload: "{" }],
    fault: [400, "InvalidRequestContentException", /^Could not parse request body into json/],
  },
  {
    name: "a type that streams do not have",
    call: ["InvokeWithResponseStream", { FunctionName: "f", InvocationType: "Event" }],
    fault: [400, "ValidationException", /invocationType/],
  },
];

test("refusals come before the stream, in the shape of every other operation", async (t) => {
  const started = await begun(t, () => ({ kind: "throttled", reason: "ConcurrentInvocationLimitExceeded", retryAfterSeconds: 1 }));
  for (const row of ROWS) await check(started, row);
  const fault = [429, "TooManyRequestsException", "Rate Exceeded."] as const;
  const call = ["InvokeWithResponseStream", { FunctionName: "f" }] as const;
  await check(started, { name: "throttled", call, fault });
  const unavailable = [
    ["runtime-not-installed", 502, "InvalidRuntimeException"],
    ["sandbox-failed", 500, "ServiceException"],
  ] as const;
  for (const [code, status, name] of unavailable) {
    started.invoker.answer = () => ({ kind: "unavailable", code, message: `because of ${code}` });
    await check(started, { name: code, call, fault: [status, name, `because of ${code}`] });
  }
});
