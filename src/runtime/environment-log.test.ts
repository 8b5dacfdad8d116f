import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { EnvironmentLog, LogTail, type LogRecord } from "./environment-log.ts";
import type { LogSettings } from "./settings.ts";

function log(logging: LogSettings) {
  const messages: string[] = [];
  const append = (records: readonly { message: string }[]) => void messages.push(...records.map(({ message }) => message));
  return { messages, log: new EnvironmentLog({ logging, clock: manualClock(), append }) };
}

const text: LogSettings = { format: "Text", group: "g" };

test("a tail keeps the last 4 KiB, whole lines or not", () => {
  const tail = new LogTail();
  assert.equal(tail.bytes().length, 0);
  for (let at = 0; at < 2000; at++) tail.add(`line ${at}\n`);
  assert.equal(tail.bytes().length, 4096);
  assert.ok(tail.bytes().toString().endsWith("line 1998\nline 1999\n"));
  tail.add("x".repeat(10_000));
  assert.equal(tail.bytes().toString(), "x".repeat(4096));
});

test("a tail has what was logged from its start to its report", () => {
  const { log: one, messages } = log(text);
  one.lines(["before"]);
  const tail = new LogTail();
  one.begin("r1", tail);
  one.platform({ kind: "start", requestId: "r1", version: "1" });
  one.event(0, "two\nlines\n");
  one.lines(["raw"]);
  const write = one.reserve();
  one.lines(["in the background"]);
  one.begin("r2", undefined);
  one.platform({ kind: "start", requestId: "r2", version: "1" });
  write({ kind: "end", requestId: "r1" });
  one.lines(["later"]);
  assert.equal(tail.bytes().toString(), "START RequestId: r1 Version: 1\ntwo\nlines\nraw\nEND RequestId: r1\n");
  assert.deepEqual(messages, [
    "before\n",
    "START RequestId: r1 Version: 1\n",
    "two\nlines\n",
    "raw\n",
    "END RequestId: r1\n",
    "in the background\n",
    "START RequestId: r2 Version: 1\n",
    "later\n",
  ]);
});

test("who reads by time finds a line that was announced before what came meanwhile", () => {
  const clock = manualClock();
  const records: LogRecord[] = [];
  const one = new EnvironmentLog({ logging: text, clock, append: (some) => void records.push(...some) });
  const write = one.reserve();
  one.platform({ kind: "start", requestId: "r2", version: "1" });
  clock.advance(5);
  write({ kind: "end", requestId: "r1" });
  assert.deepEqual(
    records.toSorted((a, b) => a.timestampMs - b.timestampMs).map(({ message }) => message.split(" ")[0]),
    ["END", "START"],
  );
});

const WRAPPED = (message: string) =>
  `{"timestamp":"2026-01-01T00:00:00.000Z","level":"INFO","message":${JSON.stringify(message)},"requestId":"r1"}\n`;
const leveled = (level: string) => `{"timestamp":"2026-01-01T00:00:00Z","level":"${level}","message":"x"}`;

const JSON_ROWS = [
  { name: "plain text becomes a message of level INFO", line: "hello", level: "INFO", out: WRAPPED("hello") },
  { name: "a brace alone makes no JSON", line: "{oops", level: "INFO", out: WRAPPED("{oops") },
  { name: "an array is a message", line: "[1]", level: "INFO", out: WRAPPED("[1]") },
  { name: "an object stays as it is", line: '{"a":1}', level: "FATAL", out: '{"a":1}\n' },
  { name: "plain text counts as INFO", line: "hello", level: "WARN", out: undefined },
  { name: "a level below is left out", line: leveled("debug"), level: "INFO", out: undefined },
  { name: "a level at the threshold is kept", line: leveled("ERROR"), level: "ERROR", out: `${leveled("ERROR")}\n` },
  { name: "an unknown level is kept", line: leveled("constructor"), level: "FATAL", out: `${leveled("constructor")}\n` },
  {
    name: "a level without a time stamp filters nothing",
    line: '{"level":"DEBUG","timestamp":"yesterday"}',
    level: "ERROR",
    out: '{"level":"DEBUG","timestamp":"yesterday"}\n',
  },
] as const;
for (const { name, line, level, out } of JSON_ROWS)
  test(`in a JSON log ${name}`, () => {
    const { log: one, messages } = log({ format: "JSON", group: "g", applicationLevel: level });
    one.begin("r1", undefined);
    one.lines([line]);
    assert.deepEqual(messages, out === undefined ? [] : [out]);
  });

test("telemetry has text with its newline, however it came, and JSON as it is", () => {
  for (const [logging, expected] of [
    [text, ["one\n", "two\n", "raw\n"]],
    [{ format: "JSON", group: "g" } as const, ["one", "two", "raw\n"]],
  ] as const) {
    const { log: one } = log(logging);
    const heard: string[] = [];
    one.observer = { platform: () => assert.fail("nothing of the platform's"), text: (_source, _ms, said) => void heard.push(said) };
    one.event(0, "one");
    one.event(0, "two\n");
    one.lines(["raw"]);
    assert.deepEqual(heard, expected);
  }
});
