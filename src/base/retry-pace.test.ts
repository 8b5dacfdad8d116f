import assert from "node:assert/strict";
import { test } from "node:test";
import { pacedDelayMs, type BackoffCurve, type RetryPace } from "./retry-pace.ts";

const delays = (pace: RetryPace, count: number) => Array.from({ length: count }, (_, index) => pacedDelayMs(pace, index + 1));

test("the phases follow one another, and the last goes on", () => {
  const pace: RetryPace = { noDelay: 3, minDelay: 2, backoff: 10, minMs: 1000, maxMs: 20_000, curve: "exponential" };
  assert.deepEqual(
    delays(pace, 18),
    [0, 0, 0, 1000, 1000, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000],
  );
});

for (const [curve, expected] of [
  ["linear", [1000, 4750, 8500, 12_250, 16_000]],
  ["arithmetic", [1000, 3344, 6625, 10_844, 16_000]],
  ["geometric", [1000, 2000, 4000, 8000, 16_000]],
  ["exponential", [1000, 2000, 4000, 8000, 16_000]],
] as const satisfies readonly (readonly [BackoffCurve, readonly number[]])[])
  test(`the ${curve} backoff rises from the least to the greatest wait`, () => {
    assert.deepEqual(delays({ noDelay: 0, minDelay: 0, backoff: 5, minMs: 1000, maxMs: 16_000, curve }, 5), expected);
  });
