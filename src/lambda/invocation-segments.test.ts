// What X-Ray learns of an invocation, by how it ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { parseTrace } from "../base/trace-header.ts";
import type { Deployment, InvocationRequest, Invoker, Outcome } from "../pool/invocation.ts";
import { tracingInvoker } from "./invocation-segments.ts";

const ROOT = "1-5759e988-bd862e3fe1be46a994272793";
const PARENT = "53995c3f42cd8ad8";
const ARN = "arn:aws:lambda:us-east-1:000000000000:function:f";
const deployment = { account: "000000000000", region: "us-east-1", functionName: "f", functionArn: ARN, roleArn: "r" } as Deployment;
const report = { durationMs: 50, latencyMs: 20, billedMs: 50, memoryPeakMiB: 1 };
const START_MS = Date.UTC(2026, 0, 1);
const seconds = (ms: number) => (START_MS + ms) / 1000;

interface Seen {
  readonly headers: (string | undefined)[];
  readonly segments: Record<string, unknown>[];
}

/** An invocation that takes 100 ms. */
async function invoke(outcome: Outcome, traceHeader?: string): Promise<Seen> {
  const seen: Seen = { headers: [], segments: [] };
  const clock = manualClock(START_MS);
  const invoker = {
    invoke(_deployment: Deployment, request: InvocationRequest) {
      seen.headers.push(request.traceHeader);
      clock.advance(100);
      return Promise.resolve(outcome);
    },
  } as unknown as Invoker;
  const traced = tracingInvoker(invoker, clock, (owner, documents) => {
    assert.equal(owner, deployment);
    seen.segments.push(...documents.map((document) => JSON.parse(document) as Record<string, unknown>));
  });
  const header = traceHeader === undefined ? {} : { traceHeader };
  const request = { requestId: "r1", payload: new Uint8Array(), invokedArn: `${ARN}:live`, wantsLogTail: false, ...header };
  assert.equal(await traced.invoke(deployment, request), outcome);
  return seen;
}

const returned: Outcome = { kind: "returned", payload: new Uint8Array(), report };
const failed = (document: string): Outcome => ({
  kind: "failed",
  cause: "error",
  errorType: "TypeError",
  payload: Buffer.from(document),
  report: { ...report, initMs: 30 },
});

test("of an invocation that is not sampled nothing is recorded, and it goes on as it came", async () => {
  for (const header of [undefined, `Root=${ROOT};Parent=${PARENT};Sampled=0`, `Root=${ROOT}`])
    assert.deepEqual(await invoke(returned, header), { headers: [header], segments: [] });
});

test("a segment of the service below the caller's, one of the function below that, which is the parent of what the function does", async () => {
  const { headers, segments } = await invoke(returned, `Root=${ROOT};Parent=${PARENT};Sampled=1;Lineage=a87bd80c:1`);
  const [service = {}, own = {}] = segments;
  const given = parseTrace(headers[0]);
  assert.deepEqual(given, { root: ROOT, parent: own["id"], isSampled: true, lineage: "a87bd80c:1" });
  assert.deepEqual(service, {
    id: service["id"],
    name: "f",
    trace_id: ROOT,
    parent_id: PARENT,
    start_time: seconds(0),
    end_time: seconds(100),
    origin: "AWS::Lambda",
    resource_arn: `${ARN}:live`,
    aws: { request_id: "r1" },
    http: { response: { status: 200 } },
  });
  assert.deepEqual(own, {
    id: own["id"],
    name: "f",
    trace_id: ROOT,
    parent_id: service["id"],
    start_time: seconds(50),
    end_time: seconds(100),
    origin: "AWS::Lambda::Function",
    resource_arn: `${ARN}:live`,
    aws: { account_id: "000000000000", function_arn: ARN, resource_names: ["f"] },
    annotations: { "aws.responseLatency": 20, "aws.responseDuration": 30 },
  });
  for (const { id } of segments) assert.match(String(id), /^[0-9a-f]{16}$/);
});

test("a cold start stands in front of it, and an error is the function's fault with its cause", async () => {
  const { segments } = await invoke(failed('{"errorType":"TypeError","errorMessage":"no"}'), `Root=${ROOT};Sampled=1`);
  const [service = {}, own = {}] = segments;
  assert.equal("parent_id" in service, false);
  assert.deepEqual([service["fault"], service["http"]], [true, { response: { status: 200 } }]);
  assert.deepEqual([own["fault"], own["start_time"]], [true, seconds(20)]);
  const [init] = own["subsegments"] as { name: string; start_time: number; end_time: number }[];
  assert.deepEqual([init?.name, init?.start_time, init?.end_time], ["Init", seconds(20), seconds(50)]);
  const { exceptions } = own["cause"] as { exceptions: { type: string; message: string }[] };
  assert.deepEqual(
    exceptions.map(({ type, message }) => [type, message]),
    [["TypeError", "no"]],
  );
});

test("an error document may be anything, and may be long", async () => {
  for (const document of ["", "null", "{}", "[", '{"errorMessage":1}', JSON.stringify({ errorMessage: "x".repeat(100_000) })]) {
    const { segments } = await invoke(failed(document), `Root=${ROOT};Sampled=1`);
    const { exceptions } = (segments[1] as { cause: { exceptions: { message: string }[] } }).cause;
    assert.equal(exceptions[0]?.message, "", document.slice(0, 20));
  }
  const { segments } = await invoke(failed(JSON.stringify({ errorMessage: "x".repeat(50_000) })), `Root=${ROOT};Sampled=1`);
  assert.ok(JSON.stringify(segments[1]).length < 10_000);
});

test("what was not run has a segment of the service alone", async () => {
  const throttled: Outcome = { kind: "throttled", reason: "ConcurrentInvocationLimitExceeded", retryAfterSeconds: 1 };
  const unavailable: Outcome = { kind: "unavailable", code: "sandbox-failed", message: "" };
  const flagsOf = async (outcome: Outcome) => {
    const { segments } = await invoke(outcome, `Root=${ROOT};Sampled=1`);
    return segments.map(({ origin, http, error, throttle, fault }) => ({ origin, http, error, throttle, fault }));
  };
  const [error, throttle, fault, origin] = [true, true, true, "AWS::Lambda"];
  assert.deepEqual(await flagsOf(throttled), [{ origin, http: { response: { status: 429 } }, error, throttle, fault: undefined }]);
  assert.deepEqual(await flagsOf(unavailable), [
    { origin, http: { response: { status: 500 } }, fault, error: undefined, throttle: undefined },
  ]);
});
