// The server's own log: its lines, and when they are written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { logLines } from "./log-lines.ts";
import { jsonLog, textLog, type LogOptions } from "./log.ts";
import { manualClock } from "./manual-clock.ts";

function written(make: (options: LogOptions) => ReturnType<typeof jsonLog>, level: LogOptions["level"] = "info") {
  const lines: string[] = [];
  const urgent: boolean[] = [];
  const clock = manualClock();
  const write = (line: string, isUrgent: boolean) => {
    lines.push(line);
    urgent.push(isUrgent);
  };
  return { log: make({ clock, level, write }), lines, urgent, clock };
}

test("one JSON object a line, with the common fields; lower levels are left out", () => {
  const { log, lines, urgent } = written(jsonLog);
  log.debug("not this");
  log.with({ node: 1 }).info("hello\n", { requestId: "r", text: '"\u0000' });
  log.error("failed", { cause: new Error("why", { cause: new TypeError("deeper") }) });
  const [hello, failed] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual({ ...hello, time: "" }, { time: "", level: "info", message: "hello\n", node: 1, requestId: "r", text: '"\u0000' });
  const cause = failed?.["cause"] as { message: string; stack: string; cause: { name: string } };
  assert.deepEqual([cause.message, cause.cause.name], ["why", "TypeError"]);
  assert.match(cause.stack, /log\.test/);
  assert.ok(lines.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1));
  assert.deepEqual(urgent, [false, true]);
});

test("each line has its own time", () => {
  const { log, lines, clock } = written(jsonLog);
  for (const ms of [0, 1, 59, 940, 0, 1, 61_000, 999, 86_400_000]) {
    clock.advance(ms);
    log.info("now");
    assert.equal((JSON.parse(lines.pop() ?? "") as { time: string }).time, new Date(clock.now()).toISOString());
  }
});

test("for a terminal: one line to read, and nothing in it that a terminal would obey", () => {
  const { log, lines } = written(textLog);
  log.info("request", { service: "lambda", status: 200, agent: "a b", odd: "\u001b[31m\nred" });
  assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d\.\d{3} info {2}request service=lambda status=200 agent="a b" odd="\\u001b\[31m\\nred"\n$/);
  log.info("request", { reason: "\u009b2J \u007f" });
  assert.match(lines.pop() ?? "", /reason="\?2J \?"\n$/);
  log.warn("failed", { cause: new Error("why") });
  assert.match(lines[1] ?? "", / warn {2}failed cause=Error: why\n {4}at /);
});

test("lines are gathered for a moment; an urgent one takes the others along", () => {
  const clock = manualClock();
  const writes: string[] = [];
  const lines = logLines(clock, (text) => writes.push(text));
  lines.write("a\n", false);
  lines.write("b\n", false);
  assert.deepEqual(writes, []);
  clock.advance(100);
  assert.deepEqual(writes, ["a\nb\n"]);
  lines.write("c\n", false);
  lines.write("d\n", true);
  assert.deepEqual(writes.slice(1), ["c\nd\n"]);
  lines.write("x".repeat(70_000), false);
  assert.equal(writes.length, 3);
  lines.write("e\n", false);
  lines.flush();
  clock.advance(1000);
  assert.deepEqual(writes.slice(3), ["e\n"]);
});
