// Tracing: who decides that a request is recorded, and what its function and its caller learn of that.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { systemClock } from "../../src/base/clock.ts";
import { check, contextOf, makeFunction, ROLE, startLambda, type Started } from "./lambda.fixture.ts";

const ROOT = "1-5759e988-bd862e3fe1be46a994272793";
const ACTIVE = { TracingConfig: { Mode: "Active" } } as const;

/** A server whose chances are never good, and for which it is always the same second; what it has recorded. */
async function start(t: TestContext, mayTrace = true): Promise<Started & { readonly origins: string[] }> {
  const origins: string[] = [];
  const started = await startLambda(t, {
    clock: { ...systemClock, monotonic: () => 0 },
    chance: () => 0.99,
    mayTrace: () => mayTrace,
    segments: (_owner, documents) => void origins.push(...documents.map((document) => (JSON.parse(document) as { origin: string }).origin)),
  });
  return { ...started, origins };
}

/** What the function was given and what the caller is told. */
async function invoke({ service, invoker }: Started, name: string, traceHeader?: string) {
  const responseHeaders = new Map<string, string>();
  const header = traceHeader === undefined ? {} : { traceHeader };
  await service.operations.Invoke({ ...contextOf(), responseHeaders, ...header }, { FunctionName: name });
  return { given: invoker.invocations.at(-1)?.request.traceHeader ?? "", told: responseHeaders.get("x-amzn-trace-id") ?? "" };
}

test("with active tracing the first request in a second is recorded, and then one in twenty", async (t) => {
  const started = await start(t);
  await makeFunction(started, "f", ACTIVE);
  const first = await invoke(started, "f");
  assert.match(first.given, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$/);
  assert.match(first.told, /;Sampled=1$/);
  assert.deepEqual(started.origins, ["AWS::Lambda", "AWS::Lambda::Function"]);
  assert.match((await invoke(started, "f")).given, /;Sampled=0$/);
  assert.equal(started.origins.length, 2);
});

test("a decision that was made before stands; without one the function decides, and a passive one does not", async (t) => {
  const started = await start(t);
  await makeFunction(started, "active", ACTIVE);
  await makeFunction(started, "passive");
  assert.equal((await invoke(started, "active", `Root=${ROOT};Sampled=0`)).given, `Root=${ROOT};Sampled=0`);
  assert.deepEqual(started.origins, []);
  const open = await invoke(started, "active", `Root=${ROOT};Parent=53995c3f42cd8ad8;Sampled=?`);
  assert.match(open.given, new RegExp(`^Root=${ROOT};Parent=[0-9a-f]{16};Sampled=1$`));
  assert.equal(open.told, `Root=${ROOT};Sampled=1`);
  assert.match((await invoke(started, "passive")).given, /;Sampled=0$/);
  assert.equal((await invoke(started, "passive", `Root=${ROOT}`)).given, `Root=${ROOT}`);
  assert.equal(started.origins.length, 2);
  await invoke(started, "passive", `Root=${ROOT};Sampled=1`);
  assert.equal(started.origins.length, 4, "who was sampled before is recorded by whoever takes part");
});

test("an event keeps the decision that was made when it was accepted", async (t) => {
  const started = await start(t);
  await makeFunction(started, "f", ACTIVE);
  const ended = Promise.withResolvers<string>();
  started.invoker.answer = (_deployment, { payload, traceHeader = "" }) => {
    ended.resolve(traceHeader);
    return { kind: "returned", payload, report: { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 } };
  };
  await started.client.send(new lambda.InvokeCommand({ FunctionName: "f", InvocationType: "Event" }));
  assert.match(await ended.promise, /;Sampled=1/);
});

const NOT_ALLOWED = [
  400,
  "InvalidParameterValueException",
  "The provided execution role does not have permissions to call PutTraceSegments on XRAY",
] as const;

test("active tracing needs a role that may send segments", async (t) => {
  const started = await start(t, false);
  await makeFunction(started, "f");
  const Code = { ZipFile: started.zip };
  const made = { FunctionName: "g", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code };
  await check(started, { name: "create", call: ["CreateFunction", { ...made, ...ACTIVE }], fault: NOT_ALLOWED });
  await check(started, { name: "update", call: ["UpdateFunctionConfiguration", { FunctionName: "f", ...ACTIVE }], fault: NOT_ALLOWED });
  const passive = { TracingConfig: { Mode: "PassThrough" } };
  await check(started, { name: "passive", call: ["UpdateFunctionConfiguration", { FunctionName: "f", ...passive }], expect: passive });
});
