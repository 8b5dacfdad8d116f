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

/** `tickMs` is what the timer was set for; it comes earlier when the clock was set back meanwhile. */
interface TickTimer {
  readonly tickMs: number;
  readonly dueAtMs: number;
}

/** A timer is that exact. */
const SECOND_MS = 1000;

/** The first tick that the clock, as it is now, comes to; ticks come again where that is no sooner than the next one was to come. */
function dueAt(schedule: Schedule, { tickMs, dueAtMs }: TickTimer, anchorMs: number): number {
  return dueAtMs < tickMs ? (schedule.next(dueAtMs - SECOND_MS, anchorMs) ?? tickMs) : tickMs;
}

/**
 * Of several that are past, the last is fired and the others are left out; what is older than a day is left out, but for `at`, which is late
 * rather than lost.
 */
export function ticksAt(schedule: Schedule, timer: TickTimer, nowMs: number, anchorMs: number): Ticks {
  const dueMs = dueAt(schedule, timer, anchorMs);
  if (dueMs > nowMs) return { nextMs: dueMs };
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
