// Which tick of a schedule a durable timer stands for when it fires, and what becomes of ticks that passed while no server ran.
import type { Schedule } from "./schedule-expression.ts";

/** What was missed longer ago is not made up for: EventBridge drops events of this age too. */
const MISSED_MS_MAX = 86_400_000;

export interface Ticks {
  /** To be fired now. */
  readonly tickMs?: number;
  /** When the timer is to fire again. */
  readonly nextMs?: number;
}

/**
 * `dueMs` is the tick that the timer was set for. Of several that are past, the last is fired and the others are left out; what is older
 * than a day is left out, but for `at`, which is late rather than lost.
 */
export function ticksAt(schedule: Schedule, dueMs: number, nowMs: number, anchorMs: number): Ticks {
  let tickMs = dueMs;
  if (schedule.kind === "at") return { tickMs };
  const horizonMs = nowMs - MISSED_MS_MAX;
  let nextMs = schedule.next(Math.max(dueMs, horizonMs), anchorMs);
  while (nextMs !== undefined && nextMs <= nowMs) {
    tickMs = nextMs;
    nextMs = schedule.next(nextMs, anchorMs);
  }
  return { ...(tickMs < horizonMs ? {} : { tickMs }), ...(nextMs === undefined ? {} : { nextMs }) };
}
