// A Clock that runs faster than the real one: minutes of waiting in seconds, for tests and development.
import type { Clock } from "./clock.ts";

/** Begins at the real time. `scale`: how many of its milliseconds pass in a real one. */
export function scaledClock(real: Clock, scale: number): Clock {
  const startMs = real.now();
  const startMonotonicMs = real.monotonic();
  return {
    // From the monotonic time: a step of the wall clock must not become an hour.
    now: () => startMs + Math.round((real.monotonic() - startMonotonicMs) * scale),
    monotonic: () => startMonotonicMs + (real.monotonic() - startMonotonicMs) * scale,
    after: (delayMs, run) => real.after(delayMs / scale, run),
    scale,
  };
}
