import assert from "node:assert/strict";
import { test } from "node:test";
import { isTimeZone, localMs, momentOf } from "../base/time-zone.ts";
import { parseSchedule } from "./schedule-expression.ts";

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16));

function nextTimes(expression: string, after: string, count: number, zone?: string): (string | undefined)[] {
  const schedule = parseSchedule(expression, zone === undefined ? {} : { zone });
  assert.ok(schedule !== undefined, expression);
  const times: (string | undefined)[] = [];
  for (let ms: number | undefined = Date.parse(`${after}Z`); times.length < count && ms !== undefined;) {
    ms = schedule.next(ms, 0);
    times.push(iso(ms));
  }
  return times;
}

const TABLE: readonly { of: string; after: string; zone?: string; next: readonly (string | undefined)[] }[] = [
  { of: "cron(0 10 * * ? *)", after: "2026-01-01T10:00", next: ["2026-01-02T10:00", "2026-01-03T10:00"] },
  { of: "cron(* * * * ? *)", after: "2026-01-01T10:00:30", next: ["2026-01-01T10:01", "2026-01-01T10:02"] },
  { of: "cron(15 12 * * ? *)", after: "2026-01-01T00:00", next: ["2026-01-01T12:15"] },
  { of: "cron(0 18 ? * MON-FRI *)", after: "2026-01-02T18:00", next: ["2026-01-05T18:00", "2026-01-06T18:00"] },
  { of: "cron(0 8 1 * ? *)", after: "2026-01-01T08:00", next: ["2026-02-01T08:00"] },
  { of: "cron(0/15 * * * ? *)", after: "2026-01-01T23:40", next: ["2026-01-01T23:45", "2026-01-02T00:00"] },
  { of: "cron(5/20 * * * ? *)", after: "2026-01-01T00:00", next: ["2026-01-01T00:05", "2026-01-01T00:25", "2026-01-01T00:45"] },
  { of: "cron(0,30 20-22/2 * * ? *)", after: "2026-01-01T20:00", next: ["2026-01-01T20:30", "2026-01-01T22:00"] },
  {
    of: "cron(0 22-1 * * ? *)",
    after: "2026-01-01T22:30",
    next: ["2026-01-01T23:00", "2026-01-02T00:00", "2026-01-02T01:00", "2026-01-02T22:00"],
  },
  {
    of: "cron(0 0 ? * FRI-MON *)",
    after: "2026-01-02T00:00",
    next: ["2026-01-03T00:00", "2026-01-04T00:00", "2026-01-05T00:00", "2026-01-09T00:00"],
  },
  { of: "cron(0 9 L * ? *)", after: "2026-01-31T09:00", next: ["2026-02-28T09:00", "2026-03-31T09:00"] },
  { of: "cron(0 9 LW * ? *)", after: "2026-01-01T00:00", next: ["2026-01-30T09:00", "2026-02-27T09:00", "2026-03-31T09:00"] },
  { of: "cron(0 9 3W * ? *)", after: "2026-01-01T00:00", next: ["2026-01-02T09:00", "2026-02-03T09:00"] },
  { of: "cron(0 9 1W * ? *)", after: "2026-07-15T00:00", next: ["2026-08-03T09:00"] },
  { of: "cron(0 9 31W * ? *)", after: "2026-05-01T00:00", next: ["2026-05-29T09:00", "2026-07-31T09:00"] },
  { of: "cron(0 10 ? * 6L 2027-2028)", after: "2026-01-01T00:00", next: ["2027-01-29T10:00"] },
  { of: "cron(0 10 ? * FRIL *)", after: "2026-01-01T00:00", next: ["2026-01-30T10:00"] },
  { of: "cron(0 10 ? * 3#2 *)", after: "2026-01-01T00:00", next: ["2026-01-13T10:00", "2026-02-10T10:00"] },
  { of: "cron(0 10 ? * MON#5 *)", after: "2026-01-01T00:00", next: ["2026-03-30T10:00", "2026-06-29T10:00"] },
  { of: "cron(0 10 ? * L *)", after: "2026-01-01T00:00", next: ["2026-01-03T10:00"] },
  { of: "cron(0 0 29 2 ? *)", after: "2096-02-29T00:00", next: ["2104-02-29T00:00"] },
  { of: "cron(0 0 31 2 ? *)", after: "2026-01-01T00:00", next: [undefined] },
  { of: "cron(0 0 30 FEB ? *)", after: "2026-01-01T00:00", next: [undefined] },
  { of: "cron(59 23 31 12 ? 2199)", after: "2026-01-01T00:00", next: ["2199-12-31T23:59", undefined] },
  { of: "cron(0 0 1 1 ? 1970)", after: "2026-01-01T00:00", next: [undefined] },
  { of: "cron(0 0 1 JAN,jul ? 2026/5)", after: "2026-02-01T00:00", next: ["2026-07-01T00:00", "2031-01-01T00:00"] },
  // Clocks go forward on 29 March at 02:00 and back on 25 October at 03:00.
  { of: "cron(30 2 * * ? *)", zone: "Europe/Berlin", after: "2026-03-28T01:00", next: ["2026-03-28T01:30", "2026-03-30T00:30"] },
  { of: "cron(30 2 * * ? *)", zone: "Europe/Berlin", after: "2026-10-24T12:00", next: ["2026-10-25T00:30", "2026-10-26T01:30"] },
  { of: "cron(0/30 * * * ? *)", zone: "Europe/Berlin", after: "2026-03-29T00:30", next: ["2026-03-29T01:00", "2026-03-29T01:30"] },
  { of: "cron(0/30 * * * ? *)", zone: "Europe/Berlin", after: "2026-10-25T00:00", next: ["2026-10-25T00:30", "2026-10-25T02:00"] },
  // In the second of two equal hours.
  { of: "cron(45 2 * * ? *)", zone: "Europe/Berlin", after: "2026-10-25T01:15", next: ["2026-10-26T01:45"] },
  { of: "cron(0 0 * * ? *)", zone: "America/New_York", after: "2026-03-07T12:00", next: ["2026-03-08T05:00", "2026-03-09T04:00"] },
  { of: "cron(0 2 * * ? *)", zone: "America/New_York", after: "2026-03-07T12:00", next: ["2026-03-09T06:00"] },
  { of: "cron(0 12 * * ? *)", zone: "Pacific/Kiritimati", after: "2026-01-01T00:00", next: ["2026-01-01T22:00"] },
  { of: "cron(0 12 * * ? *)", zone: "Pacific/Pago_Pago", after: "2026-01-01T00:00", next: ["2026-01-01T23:00"] },
  { of: "cron(0 0 1 * ? *)", zone: "Asia/Kathmandu", after: "2026-01-15T00:00", next: ["2026-01-31T18:15"] },
  // Half an hour of daylight saving time; back at 02:00 on 5 April.
  { of: "cron(45 1 * * ? *)", zone: "Australia/Lord_Howe", after: "2026-04-04T00:00", next: ["2026-04-04T14:45", "2026-04-05T15:15"] },
  { of: "at(2026-03-29T02:30:00)", zone: "Europe/Berlin", after: "2026-01-01T00:00", next: ["2026-03-29T01:30", undefined] },
  { of: "at(2026-10-25T02:30:00)", zone: "Europe/Berlin", after: "2026-01-01T00:00", next: ["2026-10-25T00:30", undefined] },
  { of: "at(2028-02-29T12:00:00)", after: "2026-01-01T00:00", next: ["2028-02-29T12:00", undefined] },
  { of: "rate(1 minute)", after: "2026-01-01T00:00:30", next: ["2026-01-01T00:01", "2026-01-01T00:02"] },
  { of: "rate(12 hours)", after: "2026-01-01T00:00", next: ["2026-01-01T12:00", "2026-01-02T00:00"] },
];

test("schedules are due when AWS's would be", () => {
  for (const { of, after, zone, next } of TABLE)
    assert.deepEqual(nextTimes(of, after, next.length, zone), next, `${of} ${zone ?? ""} ${after}`);
});

test("a rate counts from its anchor, which is its first time", () => {
  const rate = parseSchedule("rate(5 days)");
  assert.deepEqual(
    [0, 1000, 1001, 432_001_000].map((afterMs) => rate?.next(afterMs, 1000)),
    [1000, 432_001_000, 432_001_000, 864_001_000],
  );
});

const NONE = [
  "",
  "rate()",
  "rate(10)",
  "rate(0 minutes)",
  "rate(10 seconds)",
  "rate(10 years)",
  "rate( 10 minutes )",
  "rate(10 minutes )",
  "rate(10  minutes)",
  "rate(-1 minutes)",
  "rate(1.5 hours)",
  "rate(10 minutes) ",
  "Rate(10 minutes)",
  "cron()",
  "cron(INVALID)",
  "cron(0 1 * * * *)",
  "cron(0 1 ? * ? *)",
  "cron(7 20 * * NOT *)",
  "cron(0 dummy ? * MON-FRI *)",
  "cron(71 8 1 * ? *)",
  "cron(0 24 * * ? *)",
  "cron(0 0 0 * ? *)",
  "cron(0 0 32 * ? *)",
  "cron(0 0 * 13 ? *)",
  "cron(0 0 ? * 8 *)",
  "cron(0 0 ? * 3#6 *)",
  "cron(0 0 ? * 3#1,6#3 *)",
  "cron(0 0 1,L * ? *)",
  "cron(0 0 * * ? 1969)",
  "cron(0 0 * * ? 2200)",
  "cron(0 0 * * ? 2030-2026)",
  "cron(0/0 0 * * ? *)",
  "cron(/15 0 * * ? *)",
  "cron(1- 0 * * ? *)",
  "cron(1-2-3 0 * * ? *)",
  "cron(1, 0 * * ? *)",
  "cron(0 0 * * ?)",
  "cron(0 0 0 * * ? *)",
  "cron(0  0 * * ? *)",
  "cron(W 0 * * ? *)",
  "cron(0 0 W * ? *)",
  "at(2021-12-31)",
  "at(2021-12-31T23:59:59Z)",
  "at(2026-02-30T00:00:00)",
  "at(2026-02-28T24:00:00)",
  "at(2026-13-01T00:00:00)",
];

test("what is no schedule is none", () => {
  for (const text of NONE) assert.equal(parseSchedule(text), undefined, text);
  for (const text of ["rate(1 minutes)", "rate(5 minute)"]) {
    assert.equal(parseSchedule(text, { isStrict: true }), undefined, text);
    assert.ok(parseSchedule(text) !== undefined, text);
  }
});

test("zones are those of the IANA", () => {
  for (const name of ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]) assert.ok(isTimeZone(name), name);
  for (const name of ["", "Mars/Olympus", "+01:00", "../etc/passwd", "Europe/Berlin "]) assert.ok(!isTimeZone(name), name);
  assert.equal(iso(localMs("Asia/Kathmandu", Date.UTC(2026, 0, 1))), "2026-01-01T05:45");
  assert.deepEqual(momentOf("Europe/Berlin", Date.UTC(2026, 2, 29, 2, 30)), { utcMs: Date.UTC(2026, 2, 29, 1, 30), isSkipped: true });
});

/** Minute by minute, from the definition: the first moment of each local minute that the expression names. */
test("an autumn of a schedule in a zone is what each of its minutes says", () => {
  const zone = "America/St_Johns";
  const [start, end] = [Date.UTC(2026, 9, 20, 12), Date.UTC(2026, 10, 5)];
  const seen = new Set<number>();
  const expected: number[] = [];
  for (let ms = start; ms < end; ms += 60_000 * 15) {
    const local = localMs(zone, ms);
    const time = new Date(local);
    if (time.getUTCMinutes() === 30 && time.getUTCHours() % 2 === 1 && !seen.has(local)) expected.push(ms);
    seen.add(local);
  }
  const schedule = parseSchedule("cron(30 1/2 * * ? *)", { zone });
  const found: number[] = [];
  for (let ms = schedule?.next(start - 1, 0); ms !== undefined && ms < end; ms = schedule?.next(ms, 0)) found.push(ms);
  assert.deepEqual(found.map(iso), expected.map(iso));
});
