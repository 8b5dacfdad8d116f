// Notices that the wall clock was put back, by the monotonic one: what waits for a time would wait for as much longer.
import type { Clock } from "../base/clock.ts";

/** Smaller steps keep nothing waiting that anybody would miss. */
const STEP_MS_MIN = 1000;

/**
 * The same clock. Before `now` answers with a time behind a step back, `setBack` is called: by how much, and what time it is now. When it
 * rejects, it is called again.
 */
export function watched(clock: Clock, setBack: (byMs: number, nowMs: number) => Promise<unknown>): Clock {
  let leadMs = clock.now() - clock.monotonic();
  const behindMs = () => leadMs - (clock.now() - clock.monotonic());
  return {
    ...clock,
    now() {
      let byMs = behindMs();
      // A thread that was held up between two clocks looks the same, but not twice.
      if (byMs >= STEP_MS_MIN) byMs = Math.min(byMs, behindMs());
      const nowMs = clock.now();
      if (byMs > 0 && byMs < STEP_MS_MIN) return nowMs;
      leadMs -= byMs;
      if (byMs >= STEP_MS_MIN) setBack(Math.round(byMs), nowMs).catch(() => void (leadMs += byMs));
      return nowMs;
    },
  };
}
