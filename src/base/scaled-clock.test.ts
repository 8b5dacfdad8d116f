// Time runs so many times faster, for everything that a clock tells or waits for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inRealTime } from "./clock.ts";
import { manualClock } from "./manual-clock.ts";
import { scaledClock } from "./scaled-clock.ts";

test("a minute in a second", () => {
  const real = manualClock();
  real.advance(5000);
  const fast = scaledClock(real, 60);
  assert.deepEqual([fast.now(), fast.monotonic()], [real.now(), real.monotonic()]);
  let fired = 0;
  fast.after(60_000, () => fired++);
  const cancelled = fast.after(60_000, () => fired++);
  cancelled.cancel();
  real.advance(999);
  assert.equal(fired, 0);
  const startMs = real.now() - 999;
  real.advance(1);
  assert.equal(fired, 1);
  assert.deepEqual([fast.now() - startMs, fast.monotonic()], [60_000, 65_000]);
  assert.deepEqual([inRealTime(fast, 100), inRealTime(real, 100)], [6000, 100]);
});
