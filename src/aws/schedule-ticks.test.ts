import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSchedule } from "./schedule-expression.ts";
import { ticksAt, type Ticks } from "./schedule-ticks.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function at(expression: string, tickMs: number, nowMs: number, { dueAtMs = tickMs, anchorMs = 0 } = {}): Ticks {
  const schedule = parseSchedule(expression);
  assert.ok(schedule !== undefined);
  return ticksAt(schedule, { tickMs, dueAtMs }, nowMs, anchorMs);
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

test("a clock that was set back is followed: no tick waits for the old time, none that was fired comes again too soon", () => {
  const hourly = "cron(0 * * * ? *)";
  // Set for 14:00; at 13:10 the clock was set back by an hour, or by two minutes.
  assert.deepEqual(at(hourly, 14 * HOUR_MS, 13 * HOUR_MS, { dueAtMs: 13 * HOUR_MS }), { tickMs: 13 * HOUR_MS, nextMs: 14 * HOUR_MS });
  const early = 14 * HOUR_MS - 2 * MINUTE_MS;
  assert.deepEqual(at(hourly, 14 * HOUR_MS, early, { dueAtMs: early }), { nextMs: 14 * HOUR_MS });
  // Daily, fired at 12:30; at 13:00 the clock was set back by an hour.
  const tomorrow = 36.5 * HOUR_MS;
  assert.deepEqual(at("cron(30 12 * * ? *)", tomorrow, tomorrow - HOUR_MS, { dueAtMs: tomorrow - HOUR_MS }), { nextMs: tomorrow });
  assert.deepEqual(at("at(1970-01-02T12:30:00)", tomorrow, HOUR_MS, { dueAtMs: HOUR_MS }), { nextMs: tomorrow });
});

test("a rate goes on when the clock was set back behind its beginning", () => {
  const anchorMs = 48 * HOUR_MS + 30_000;
  const dueAtMs = 20 * HOUR_MS;
  const next = { tickMs: dueAtMs - MINUTE_MS + 30_000, nextMs: dueAtMs + 30_000 };
  assert.deepEqual(at("rate(1 minute)", anchorMs + MINUTE_MS, dueAtMs, { dueAtMs, anchorMs }), { nextMs: next.nextMs });
  assert.deepEqual(at("rate(1 minute)", anchorMs + MINUTE_MS, dueAtMs, { dueAtMs: dueAtMs - 30_000, anchorMs }), next);
});

test("a clock that was set back while the timer was on its way fires nothing yet", () => {
  assert.deepEqual(at("rate(1 hour)", HOUR_MS, HOUR_MS - 1), { nextMs: HOUR_MS });
});
