import assert from "node:assert/strict";
import { test } from "node:test";
import { reportedType, verdictOf, type Ending } from "./failures.ts";

const document = (text: string) => Buffer.from(text);
const killed = (exit: { code?: number; signal?: string; outOfMemory?: boolean }): Ending => ({
  kind: "exited",
  exit: { outOfMemory: false, ...exit },
});
const exitError = (text: string) => `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r1 Error: ${text}"}`;

const ROWS: readonly {
  name: string;
  ending: Ending;
  verdict: readonly [cause: unknown, type: unknown, status: string, survives: boolean];
  payload: string;
}[] = [
  {
    name: "a result",
    ending: { kind: "succeeded", payload: document('{"a":1}') },
    verdict: [undefined, undefined, "success", true],
    payload: '{"a":1}',
  },
  {
    name: "a handler's error",
    ending: { kind: "errored", errorType: "TypeError", payload: document("{}"), exits: false },
    verdict: ["error", "TypeError", "error", true],
    payload: "{}",
  },
  {
    name: "an error after which the runtime ends",
    ending: { kind: "errored", errorType: "Runtime.UnhandledPromiseRejection", payload: document("{}"), exits: true },
    verdict: ["error", "Runtime.UnhandledPromiseRejection", "error", false],
    payload: "{}",
  },
  {
    name: "a response that is too large",
    ending: { kind: "too-large" },
    verdict: ["response-too-large", "Function.ResponseSizeTooLarge", "failure", true],
    payload:
      '{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}',
  },
  {
    name: "a response that broke off",
    ending: { kind: "truncated" },
    verdict: ["exit", "Runtime.TruncatedResponse", "failure", false],
    payload: '{"errorType":"Runtime.TruncatedResponse","errorMessage":"RequestId: r1 Error: Runtime response was truncated"}',
  },
  {
    name: "an init error",
    ending: { kind: "init-failed", errorType: "Runtime.ImportModuleError", payload: document('{"errorMessage":"x"}') },
    verdict: ["init", "Runtime.ImportModuleError", "failure", false],
    payload: '{"errorMessage":"x"}',
  },
  {
    name: "a timeout",
    ending: { kind: "timed-out" },
    verdict: ["timeout", "Sandbox.Timedout", "timeout", false],
    payload: '{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r1 Error: Task timed out after 3.00 seconds"}',
  },
  {
    name: "a package without a bootstrap",
    ending: { kind: "no-entrypoint", problem: "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]" },
    verdict: ["init", "Runtime.InvalidEntrypoint", "failure", false],
    payload:
      '{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: r1 Error: Couldn\'t find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}',
  },
  {
    name: "an exit with status 0",
    ending: killed({ code: 0 }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited without providing a reason"),
  },
  {
    name: "an exit with status 127",
    ending: killed({ code: 127 }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited with error: exit status 127"),
  },
  {
    name: "a segmentation fault",
    ending: killed({ signal: "SIGSEGV" }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited with error: signal: segmentation fault (core dumped)"),
  },
  {
    name: "an abort",
    ending: killed({ signal: "SIGABRT" }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited with error: signal: aborted (core dumped)"),
  },
  {
    name: "a kill",
    ending: killed({ signal: "SIGKILL" }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited with error: signal: killed"),
  },
  {
    name: "a signal that has no words",
    ending: killed({ signal: "SIG47" }),
    verdict: ["exit", "Runtime.ExitError", "failure", false],
    payload: exitError("Runtime exited with error: signal: SIG47"),
  },
  {
    name: "a lack of memory",
    ending: killed({ signal: "SIGKILL", outOfMemory: true }),
    verdict: ["out-of-memory", "Runtime.OutOfMemory", "failure", false],
    payload: '{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: r1 Error: Runtime exited with error: signal: killed"}',
  },
];

for (const { name, ending, verdict: expected, payload } of ROWS)
  test(`${name} is answered as AWS does`, () => {
    const verdict = verdictOf(ending, "r1", 3000);
    assert.deepEqual([verdict.cause, verdict.errorType, verdict.status, verdict.survives], expected);
    assert.equal(Buffer.from(verdict.payload).toString(), payload);
  });

// The values are those of RAPID's own test.
test("reports know the types of runtime and function, and no others", () => {
  const seen = [
    "Runtime.MyCustomErrorTypeHere",
    "Function.MyCustomErrorTypeHere",
    "MyCustomError.Error",
    "",
    "Function.a",
    "Sandbox.Failure",
  ];
  assert.deepEqual(
    [...seen.map((type) => reportedType(type)), reportedType(undefined)],
    [...seen.slice(0, 2), "Runtime.Unknown", "Runtime.Unknown", "Function.Unknown", "Runtime.Unknown", "Runtime.Unknown"],
  );
  const { errorType, reportedType: reported } = verdictOf(
    { kind: "errored", errorType: "TypeError", payload: document("{}"), exits: false },
    "r1",
    3000,
  );
  assert.deepEqual([errorType, reported], ["TypeError", "Runtime.Unknown"]);
});
