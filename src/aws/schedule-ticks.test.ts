import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSchedule } from "./schedule-expression.ts";
import { ticksAt, type Ticks } from "./schedule-ticks.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function at(expression: string, dueMs: number, nowMs: number): Ticks {
  const schedule = parseSchedule(expression);
  assert.ok(schedule !== undefined);
  return ticksAt(schedule, dueMs, nowMs, 0);
}

test("in time, a tick is fired and the next one is set", () => {
  assert.deepEqual(at("rate(1 hour)", HOUR_MS, HOUR_MS + 5), { tickMs: HOUR_MS, nextMs: 2 * HOUR_MS });
  assert.deepEqual(at("cron(0 * * * ? *)", HOUR_MS, HOUR_MS + 5), { tickMs: HOUR_MS, nextMs: 2 * HOUR_MS });
  assert.deepEqual(at("cron(0 0 1 1 ? 1970)", 0, 5), { tickMs: 0 });
});

test("of several that are past, the last is fired", () => {
  assert.deepEqual(at("rate(1 minute)", MINUTE_MS, 90 * MINUTE_MS + 5), { tickMs: 90 * MINUTE_MS, nextMs: 91 * MINUTE_MS });
  assert.deepEqual(at("cron(0 6 * * ? *)", 6 * HOUR_MS, 80 * HOUR_MS), { tickMs: 78 * HOUR_MS, nextMs: 102 * HOUR_MS });
});

test("what is older than a day is left out, but for a single time", () => {
  assert.deepEqual(at("cron(0 6 1 * ? *)", 6 * HOUR_MS, 31 * HOUR_MS), { nextMs: Date.UTC(1970, 1, 1, 6) });
  assert.deepEqual(at("at(1970-01-01T06:00:00)", 6 * HOUR_MS, 10_000 * HOUR_MS), { tickMs: 6 * HOUR_MS });
});

test("ten years ahead costs no more than a day", () => {
  const nowMs = 10 * 365 * 24 * HOUR_MS;
  assert.deepEqual(at("cron(* * * * ? *)", MINUTE_MS, nowMs + 5), { tickMs: nowMs, nextMs: nowMs + MINUTE_MS });
});
