import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeContext } from "../sandbox/fake.ts";
import { COLD, END, environment, eventually, invocation, outcomeOf, passing, plain, START } from "./environment.fixture.ts";
import { RESPONSE_BYTES_MAX } from "./link.ts";

const exitError = (text: string) => `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r1 Error: ${text}"}`;

interface FailureRow {
  readonly name: string;
  readonly handler: (context: FakeContext) => unknown;
  readonly result: readonly [cause: string, errorType: string, text: string | RegExp];
  readonly report: string;
  /** Its runtime goes on; else it is made anew. */
  readonly survives: boolean;
  /** Even the sandbox could not be kept. */
  readonly isGone?: true;
}

const FAILURES: readonly FailureRow[] = [
  {
    name: "throws",
    handler: () => {
      throw new TypeError("no");
    },
    result: ["error", "TypeError", '{"errorType":"TypeError","errorMessage":"no","trace":[]}'],
    report: COLD,
    survives: true,
  },
  {
    name: "fails for good",
    handler: ({ send, requestId, exit }) => (send("E", { requestId, errorType: "Error", exits: true }, Buffer.from("{}")), exit(129)),
    result: ["error", "Error", "{}"],
    report: COLD,
    survives: false,
  },
  {
    name: "measures its response itself",
    handler: ({ send, requestId }) => send("E", { requestId, errorType: "Function.ResponseSizeTooLarge" }, Buffer.from("{}")),
    result: [
      "response-too-large",
      "Function.ResponseSizeTooLarge",
      '{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}',
    ],
    report: `${COLD}\tStatus: error\tError Type: Function.ResponseSizeTooLarge`,
    survives: true,
  },
  {
    name: "never answers",
    handler: ({ hang }) => hang(),
    result: [
      "timeout",
      "Sandbox.Timedout",
      '{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r1 Error: Task timed out after 3.00 seconds"}',
    ],
    report: `${COLD.replace("Billed Duration: 1 ms", "Billed Duration: 3000 ms")}\tStatus: timeout`,
    survives: false,
  },
  {
    name: "exits with 0",
    handler: ({ exit }) => exit(0),
    result: ["exit", "Runtime.ExitError", exitError("Runtime exited without providing a reason")],
    report: `${COLD}\tStatus: error\tError Type: Runtime.ExitError`,
    survives: false,
  },
  {
    name: "exits with 127",
    handler: ({ exit }) => exit(127),
    result: ["exit", "Runtime.ExitError", exitError("Runtime exited with error: exit status 127")],
    report: `${COLD}\tStatus: error\tError Type: Runtime.ExitError`,
    survives: false,
  },
  {
    name: "crashes",
    handler: ({ crash }) => crash("SIGSEGV"),
    result: ["exit", "Runtime.ExitError", exitError("Runtime exited with error: signal: segmentation fault (core dumped)")],
    report: `${COLD}\tStatus: error\tError Type: Runtime.ExitError`,
    survives: false,
  },
  {
    name: "takes too much memory",
    handler: ({ outOfMemory }) => outOfMemory(),
    result: [
      "out-of-memory",
      "Runtime.OutOfMemory",
      exitError("Runtime exited with error: signal: killed").replace("ExitError", "OutOfMemory"),
    ],
    report: `${COLD.replace("Used: 30 MB", "Used: 128 MB")}\tStatus: error\tError Type: Runtime.OutOfMemory`,
    survives: false,
  },
  {
    name: "answers with 6 MiB and more",
    handler: () => "x".repeat(RESPONSE_BYTES_MAX),
    result: [
      "response-too-large",
      "Function.ResponseSizeTooLarge",
      /^\{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size \(6291556 bytes\)\."\}$/,
    ],
    report: `${COLD}\tStatus: error\tError Type: Function.ResponseSizeTooLarge`,
    survives: true,
  },
  {
    name: "closes the control socket and stays",
    handler: ({ sandbox, hang }) => (sandbox.control.destroy(), hang()),
    result: ["exit", "Runtime.ExitError", exitError("Runtime exited with error: signal: killed")],
    report: `${COLD.replace("Billed Duration: 1 ms", "Billed Duration: 1000 ms")}\tStatus: error\tError Type: Runtime.ExitError`,
    survives: false,
    isGone: true,
  },
  {
    name: "sends what is no frame",
    handler: ({ send, hang }) => (send("S", { padding: "x".repeat(70_000) }), hang()),
    result: ["exit", "Runtime.ExitError", exitError("Runtime exited with error: signal: killed")],
    report: `${COLD}\tStatus: error\tError Type: Runtime.ExitError`,
    survives: false,
    isGone: true,
  },
];

for (const { name, handler, result, report, survives, isGone } of FAILURES)
  test(`a function that ${name}: answer, log, and what becomes of its environment`, async () => {
    const running = environment({ script: (_event, context) => handler(context) });
    const { environment: one, seen, host } = running;
    await one.start();
    const { kind, cause, errorType, text } = await outcomeOf(running);
    assert.deepEqual([kind, cause, errorType], ["failed", result[0], result[1]]);
    if (typeof result[2] === "string") assert.equal(text, result[2]);
    else assert.match(text, result[2]);
    assert.deepEqual(plain(seen.messages).slice(-2), [END, report]);
    if (survives) assert.equal(one.state, "idle");
    else await eventually(() => one.state === "reset" || one.state === "dead");
    assert.equal(one.state === "dead", isGone === true);
    await one.stop();
    assert.deepEqual(host.ledger().runningNow, 0);
    assert.equal(host.ledger().killed, 1);
  });

test("output before a timeout or a crash is in the log, and in its tail", async () => {
  const running = environment({ script: (_event, { print, log, hang }) => (print("half a line"), log("logged\n"), hang()) });
  await running.environment.start();
  const result = await passing(running, running.environment.invoke(invocation("r1", {}, true)), 1000);
  assert.ok(result.kind === "failed" && result.report.logTail !== undefined);
  const tail = Buffer.from(result.report.logTail).toString();
  assert.deepEqual(plain(tail.trimEnd().split("\n")).slice(0, 4).toSorted(), [END, START, "half a line", "logged"].toSorted());
  assert.equal(result.report.durationMs, 3000);
  assert.equal(result.report.billedMs, 3000);
});
