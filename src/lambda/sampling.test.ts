import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { Sampler } from "./sampling.ts";

test("of each function the first request in a second is recorded, and a twentieth of the others", () => {
  const clock = manualClock();
  const chances = { next: 0.5 };
  const sampler = new Sampler(clock, () => chances.next);
  assert.deepEqual(
    ["f", "f", "g", "g"].map((name) => sampler.samples(name)),
    [true, false, true, false],
  );
  chances.next = 0.049;
  assert.equal(sampler.samples("f"), true);
  chances.next = 0.05;
  assert.equal(sampler.samples("f"), false);
  clock.advance(1000);
  assert.deepEqual(
    ["f", "f"].map((name) => sampler.samples(name)),
    [true, false],
  );
});
