import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestRate } from "./request-rate.ts";

const admitted = (rate: RequestRate, nowMs: number, tries: number, perSecond: number) =>
  Array.from({ length: tries }, () => rate.admit(nowMs, perSecond)).filter(Boolean).length;

test("no second has more than it may, wherever it begins", () => {
  const rate = new RequestRate();
  const times: number[] = [];
  for (let nowMs = 0; nowMs < 10_000; nowMs += 7) for (let tries = 0; tries < 3; tries++) if (rate.admit(nowMs, 50)) times.push(nowMs);
  for (const [at, timeMs] of times.entries()) assert.ok((times[at + 50] ?? Infinity) - timeMs >= 1000, `${timeMs}`);
  assert.ok(times.length >= 500, "and it is used");
});

test("a burst is admitted at once, and the next one a second later", () => {
  const rate = new RequestRate();
  assert.equal(admitted(rate, 0, 1000, 100), 100);
  assert.equal(admitted(rate, 999, 10, 100), 0);
  assert.equal(admitted(rate, 1000, 1000, 100), 100);
});

test("a limit that changes holds from then on", () => {
  const rate = new RequestRate();
  assert.equal(admitted(rate, 0, 100, 40), 40);
  assert.equal(admitted(rate, 10, 100, 60), 20);
  assert.equal(admitted(rate, 20, 100, 10), 0);
  assert.equal(admitted(rate, 1010, 100, 10), 10);
  assert.equal(admitted(rate, 5000, 1, 0), 0);
});
