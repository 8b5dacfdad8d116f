// Which numbers an invocation adds to, and under which dimensions.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, Outcome } from "../pool/invocation.ts";
import { LambdaMetrics } from "./invocation-metrics.ts";

const F = "arn:aws:lambda:us-east-1:000000000000:function:f";
const deployment = (version: string) =>
  ({ account: "000000000000", region: "us-east-1", functionName: "f", functionArn: F, version }) as Deployment;
const report = { durationMs: 12, latencyMs: 12, billedMs: 12, memoryPeakMiB: 1 };
const returned: Outcome = { kind: "returned", payload: new Uint8Array(), report };
const failed: Outcome = { kind: "failed", cause: "error", errorType: "Error", payload: new Uint8Array(), report };

function start() {
  const seen: [name: string, value: number, dimensions: string[]][] = [];
  const metrics = new LambdaMetrics({
    record: ({ name, dimensions }, value) => seen.push([name, value, dimensions.map((one) => Object.values(one).join(" "))]),
  });
  return { metrics, seen };
}

const OF_FUNCTION = ["", "f", "f f"];

test("an answer and an error are invocations, a throttle is not, what was not run counts for nothing", () => {
  const { metrics, seen } = start();
  metrics.ended(deployment("$LATEST"), F, returned);
  metrics.ended(deployment("$LATEST"), F, failed);
  metrics.ended(deployment("$LATEST"), F, { kind: "throttled", reason: "ConcurrentInvocationLimitExceeded", retryAfterSeconds: 1 });
  metrics.ended(deployment("$LATEST"), F, { kind: "unavailable", code: "sandbox-failed", message: "" });
  assert.deepEqual(seen, [
    ["Throttles", 0, OF_FUNCTION],
    ["Invocations", 1, OF_FUNCTION],
    ["Errors", 0, OF_FUNCTION],
    ["Duration", 12, OF_FUNCTION],
    ["Throttles", 0, OF_FUNCTION],
    ["Invocations", 1, OF_FUNCTION],
    ["Errors", 1, OF_FUNCTION],
    ["Duration", 12, OF_FUNCTION],
    ["Throttles", 1, OF_FUNCTION],
  ]);
});

test("what runs on provisioned concurrency, and what it was too small for", () => {
  const { metrics, seen } = start();
  metrics.ended(deployment("1"), `${F}:live`, { ...returned, provisioned: { isSpillover: false, busy: 1, count: 4 } });
  metrics.ended(deployment("1"), `${F}:live`, { ...failed, provisioned: { isSpillover: true, busy: 4, count: 4 } });
  const provisioned = seen.filter(([name]) => name.startsWith("Provisioned"));
  assert.deepEqual(
    provisioned.map(([name, value]) => [name, value]),
    [
      ["ProvisionedConcurrencyInvocations", 1],
      ["ProvisionedConcurrentExecutions", 1],
      ["ProvisionedConcurrencyUtilization", 0.25],
      ["ProvisionedConcurrencySpilloverInvocations", 1],
      ["ProvisionedConcurrentExecutions", 4],
      ["ProvisionedConcurrencyUtilization", 1],
    ],
  );
  assert.deepEqual(provisioned[0]?.[2], ["", "f", "f f:live", "f f:live 1"]);
});

test("versions and aliases are resources; of an alias the executed version is told", () => {
  const { metrics, seen } = start();
  metrics.ended(deployment("3"), `${F}:3`, returned);
  metrics.ended(deployment("3"), `${F}:live`, returned);
  const invocations = seen.filter(([name]) => name === "Invocations").map(([, , dimensions]) => dimensions);
  assert.deepEqual(invocations, [
    ["", "f", "f f:3"],
    ["", "f", "f f:live", "f f:live 3"],
  ]);
});

test("concurrency is told of the account and of the function; events without a version", () => {
  const { metrics, seen } = start();
  metrics.began(deployment("1"), { function: 2, account: 5, unreserved: 3 });
  metrics.event("AsyncEventAge", `${F}:live`, 7);
  assert.deepEqual(seen, [
    ["ConcurrentExecutions", 5, [""]],
    ["UnreservedConcurrentExecutions", 3, [""]],
    ["ConcurrentExecutions", 2, ["f"]],
    ["AsyncEventAge", 7, ["", "f", "f f:live"]],
  ]);
});
