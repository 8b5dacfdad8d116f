import assert from "node:assert/strict";
import { test } from "node:test";
import { platformLine, platformText, type PlatformEvent } from "./report.ts";
import type { SystemLevel } from "./settings.ts";

const report = {
  kind: "report",
  requestId: "r1",
  durationMs: 1.2,
  billedMs: 2,
  memoryMiB: 128,
  memoryPeakMiB: 35,
} as const;

const ROWS: readonly { name: string; event: PlatformEvent; text: string | undefined; json: string; level: SystemLevel }[] = [
  {
    name: "the start of an environment",
    event: {
      kind: "initStart",
      phase: "init",
      initializationType: "on-demand",
      functionName: "f",
      functionVersion: "1",
      runtimeVersion: "python:3.11.2",
      runtimeVersionArn: "arn:x",
      instanceId: "i",
      memoryMiB: 128,
    },
    text: "INIT_START Runtime Version: python:3.11.2\tRuntime Version ARN: arn:x",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"python:3.11.2","runtimeVersionArn":"arn:x","functionName":"f","functionVersion":"1","instanceId":"i","instanceMaxMemory":134217728}}',
    level: "INFO",
  },
  {
    name: "an init that went well",
    event: { kind: "initReport", initializationType: "on-demand", phase: "init", durationMs: 89.012_345, status: "success" },
    text: undefined,
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":89.012}}}',
    level: "DEBUG",
  },
  {
    name: "an init of an environment that is kept ready",
    event: { kind: "initReport", initializationType: "provisioned-concurrency", phase: "init", durationMs: 89.012_345, status: "success" },
    text: undefined,
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initReport","record":{"initializationType":"provisioned-concurrency","phase":"init","status":"success","metrics":{"durationMs":89.012}}}',
    level: "INFO",
  },
  {
    name: "an init that took too long",
    event: { kind: "initReport", initializationType: "on-demand", phase: "init", durationMs: 10_000, status: "timeout" },
    text: "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"timeout","metrics":{"durationMs":10000}}}',
    level: "WARN",
  },
  {
    name: "an init that failed within an invocation",
    event: {
      kind: "initReport",
      initializationType: "on-demand",
      phase: "invoke",
      durationMs: 10.3,
      status: "error",
      errorType: "Runtime.ExitError",
    },
    text: "INIT_REPORT Init Duration: 10.30 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"invoke","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":10.3}}}',
    level: "WARN",
  },
  {
    name: "the start of an invocation",
    event: { kind: "start", requestId: "r1", version: "$LATEST" },
    text: "START RequestId: r1 Version: $LATEST",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.start","record":{"requestId":"r1","version":"$LATEST"}}',
    level: "INFO",
  },
  {
    name: "the end of the runtime's part in an invocation",
    event: { kind: "runtimeDone", requestId: "r1", status: "success", durationMs: 1.2, latencyMs: 1.2, overheadMs: 0, producedBytes: 4 },
    text: undefined,
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.runtimeDone","record":{"requestId":"r1","status":"success","metrics":{"durationMs":1.2,"producedBytes":4}}}',
    level: "DEBUG",
  },
  {
    name: "the end of the runtime's initialisation",
    event: { kind: "initRuntimeDone", initializationType: "on-demand", phase: "init", status: "success" },
    text: undefined,
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}}',
    level: "DEBUG",
  },
  {
    name: "an initialisation that fails within an invocation",
    event: { kind: "initRuntimeDone", initializationType: "on-demand", phase: "invoke", status: "error", errorType: "Runtime.ExitError" },
    text: undefined,
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"invoke","status":"error","errorType":"Runtime.ExitError"}}',
    level: "WARN",
  },
  {
    name: "a report",
    event: { ...report, status: "success" },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35},"status":"success"}}',
    level: "INFO",
  },
  {
    name: "a report of an invocation whose trace is recorded",
    event: { ...report, status: "success", traceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1" },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t\nXRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 53995c3f42cd8ad8\tSampled: true",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35},"status":"success","tracing":{"spanId":"53995c3f42cd8ad8","type":"X-Amzn-Trace-Id","value":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}}}',
    level: "INFO",
  },
  {
    name: "a report of a cold start",
    event: { ...report, status: "success", initMs: 89.014 },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\tInit Duration: 89.01 ms\t",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35,"initDurationMs":89.014},"status":"success"}}',
    level: "INFO",
  },
  {
    name: "a report of a handler's error",
    event: { ...report, status: "error", errorType: "TypeError" },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35},"status":"error","errorType":"TypeError"}}',
    level: "WARN",
  },
  {
    name: "a report of a timeout",
    event: { ...report, status: "timeout", errorType: "Sandbox.Timedout" },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\tStatus: timeout",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35},"status":"timeout","errorType":"Sandbox.Timedout"}}',
    level: "WARN",
  },
  {
    name: "a report of a lack of memory",
    event: { ...report, status: "failure", errorType: "Runtime.OutOfMemory" },
    text: "REPORT RequestId: r1\tDuration: 1.20 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\tStatus: error\tError Type: Runtime.OutOfMemory",
    json: '{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,"maxMemoryUsedMB":35},"status":"failure","errorType":"Runtime.OutOfMemory"}}',
    level: "WARN",
  },
];

const RANK: readonly SystemLevel[] = ["DEBUG", "INFO", "WARN"];

for (const { name, event, text, json, level } of ROWS)
  test(`${name}, as text, as JSON, and at each level`, () => {
    assert.equal(platformText(event), text);
    for (const systemLevel of RANK) {
      const line = platformLine(event, { format: "JSON", group: "g", systemLevel }, Date.UTC(2026, 0, 1));
      assert.equal(line, RANK.indexOf(level) >= RANK.indexOf(systemLevel) ? json : undefined, systemLevel);
      assert.equal(platformLine(event, { format: "Text", group: "g" }, 0), text, "levels are for JSON only");
    }
  });

test("events of an invocation name its tenant, in JSON only", () => {
  const start: PlatformEvent = { kind: "start", requestId: "r1", version: "1" };
  const json = platformLine(start, { format: "JSON", group: "g" }, 0, "blue") ?? "";
  assert.deepEqual((JSON.parse(json) as { record: unknown }).record, { requestId: "r1", version: "1", tenantId: "blue" });
  assert.equal(platformLine(start, { format: "Text", group: "g" }, 0, "blue"), "START RequestId: r1 Version: 1");
});

test("the figures are those that power tuning tools look for", () => {
  const line = platformText({ ...report, status: "success", durationMs: 2, initMs: 3 }) ?? "";
  for (const pattern of [/\tDuration: (\d+\.\d+) ms/, /\tInit Duration: (\d+\.\d+) ms/, /\tBilled Duration: (\d+) ms/])
    assert.match(line, pattern);
});
