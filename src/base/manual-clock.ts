// A Clock that moves only when it is told to: the driver for tests and simulation.
import type { Clock } from "./clock.ts";

export interface ManualClock extends Clock {
  /** Moves time forward and runs every timer that is due, in order of its due time. */
  advance(ms: number): void;
  /** Puts the wall clock forward, or back; no time passes. */
  step(ms: number): void;
}

export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let elapsedMs = 0;
  let steppedMs = 0;
  let sequence = 0;
  const timers = new Map<number, { dueMs: number; run: () => void }>();
  const nextDue = (limitMs: number) => {
    let best: number | undefined;
    for (const [id, timer] of timers)
      if (timer.dueMs <= limitMs && (best === undefined || timer.dueMs < (timers.get(best)?.dueMs ?? Infinity))) best = id;
    return best;
  };
  return {
    now: () => startMs + steppedMs + elapsedMs,
    monotonic: () => elapsedMs,
    after(delayMs, run) {
      const id = sequence++;
      timers.set(id, { dueMs: elapsedMs + Math.max(delayMs, 0), run });
      return { cancel: () => void timers.delete(id) };
    },
    advance(ms) {
      const limitMs = elapsedMs + ms;
      for (let id = nextDue(limitMs); id !== undefined; id = nextDue(limitMs)) {
        const timer = timers.get(id);
        timers.delete(id);
        elapsedMs = Math.max(elapsedMs, timer?.dueMs ?? elapsedMs);
        timer?.run();
      }
      elapsedMs = limitMs;
    },
    step(ms) {
      steppedMs += ms;
    },
  };
}
