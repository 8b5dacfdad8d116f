// Work that is done regularly: at once, after each interval, after a failure too, and not after the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "./log.ts";
import { manualClock } from "./manual-clock.ts";
import { regularly } from "./regularly.ts";

test("at once, then an interval after each end, whatever fails, until it is stopped", async () => {
  const clock = manualClock();
  let pending = Promise.withResolvers<void>();
  let begun = 0;
  const work = () => {
    begun++;
    pending = Promise.withResolvers();
    return pending.promise;
  };
  const regular = regularly({ clock, log: silentLog, intervalMs: 100, failed: "it failed" }, work);
  clock.advance(1000);
  assert.equal(begun, 1);
  pending.reject(new Error("no"));
  await new Promise(setImmediate);
  clock.advance(99);
  assert.equal(begun, 1);
  clock.advance(1);
  assert.equal(begun, 2);
  let isStopped = false;
  const stopped = regular.stop().then(() => (isStopped = true));
  await new Promise(setImmediate);
  assert.equal(isStopped, false);
  pending.resolve();
  await stopped;
  clock.advance(1000);
  assert.equal(begun, 2);
});
