import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { ScalingRate } from "./scaling-rate.ts";

test("a thousand at once, then a hundred a second; what is not used does not add up; functions have each their own", () => {
  const clock = manualClock();
  const scaling = new ScalingRate(clock);
  const taken = (name: string, tries = 5000) => Array.from({ length: tries }, () => scaling.take(name)).filter(Boolean).length;
  assert.equal(taken("f"), 1000);
  assert.equal(taken("g"), 1000);
  clock.advance(1000);
  assert.equal(taken("f"), 100);
  clock.advance(1_000_000);
  assert.equal(taken("f"), 1000);
  scaling.giveBack("f");
  assert.equal(taken("f"), 1);
});
