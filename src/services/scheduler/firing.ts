// Schedules fire: a durable timer stands for the next tick of each; its firing, the delivery and the next timer are one transaction.
import { randomInt } from "node:crypto";
import { parseSchedule, type Schedule } from "../../aws/schedule-expression.ts";
import { ticksAt } from "../../aws/schedule-ticks.ts";
import type { ClaimedTimer, Entry, Timer } from "../../store/storage.ts";
import { TimerWorkers, type Firing } from "../../store/timer-workers.ts";
import { deliveriesOf } from "./deliveries-of.ts";
import { findSchedule, scheduleNameOf, type ScheduleName, type ScheduleRecord, type SchedulerParts } from "./model.ts";

const GROUP = "scheduler.schedule";

interface Tick extends ScheduleName {
  readonly tickMs: number;
  readonly generation: string;
  /** Of a flexible window: its moment has come, or its end is that of the schedule. Absent: the tick itself. */
  readonly stage?: "moment" | "end";
}

const MINUTE_MS = 60_000;

/** Between its start and its end, which a single time has not. */
function scheduleOf({ expression, zone, startMs = -Infinity, endMs = Infinity }: ScheduleRecord): Schedule | undefined {
  const schedule = parseSchedule(expression, { zone });
  if (schedule === undefined || schedule.kind === "at") return schedule;
  return {
    kind: schedule.kind,
    next(afterMs, anchorMs) {
      const tickMs = schedule.next(Math.max(afterMs, startMs - 1), anchorMs);
      return tickMs === undefined || tickMs > endMs ? undefined : tickMs;
    },
  };
}

/** None when it is switched off or has no tick any more. */
export function timersOf(name: ScheduleName, record: ScheduleRecord, afterMs: number): Timer[] {
  const tickMs = record.state === "DISABLED" ? undefined : scheduleOf(record)?.next(afterMs, record.anchorMs);
  return tickMs === undefined ? [] : [timerAt(name, record, tickMs)];
}

function timerAt(name: ScheduleName, { generation }: ScheduleRecord, tickMs: number): Timer {
  return { group: GROUP, id: idOf(name), dueAtMs: tickMs, body: bodyOf({ ...placeOf(name), tickMs, generation }) };
}

const idOf = ({ account, region, group, name }: ScheduleName) => `${account}/${region}/${group}/${name}`;
const placeOf = ({ account, region, group, name }: ScheduleName): ScheduleName => ({ account, region, group, name });
const bodyOf = (tick: Tick) => Buffer.from(JSON.stringify(tick));

export function scheduleWorkers(parts: SchedulerParts): TimerWorkers {
  const { timers, clock, log } = parts;
  return new TimerWorkers({ timers, clock, log, group: GROUP, fire: (timer) => fire(parts, timer) });
}

function fire(parts: SchedulerParts, { body, dueAtMs }: ClaimedTimer): Firing {
  const tick = JSON.parse(Buffer.from(body).toString()) as Tick;
  const entry = findSchedule(parts, tick);
  const schedule = entry === undefined ? undefined : scheduleOf(entry.value);
  // It was changed or deleted: what it is now has a timer of its own, or none.
  if (entry?.value.generation !== tick.generation || schedule === undefined) return { effects: {} };
  if (tick.stage !== undefined) return firing(parts, entry, tick.stage === "end" ? { isGone: true } : { tickMs: tick.tickMs });
  const { tickMs, nextMs } = ticksAt(schedule, { tickMs: tick.tickMs, dueAtMs }, parts.clock.now(), entry.value.anchorMs);
  const next = nextMs === undefined ? [] : [timerAt(tick, entry.value, nextMs)];
  const isGone = nextMs === undefined && entry.value.afterCompletion === "DELETE";
  const windowMs = windowOf(entry.value);
  if (tickMs === undefined || windowMs === 0) return firing(parts, entry, { tickMs, timers: next, isGone });
  return firing(parts, entry, { timers: [...next, ...windowTimers({ ...tick, tickMs }, windowMs, isGone)] });
}

const windowOf = ({ window }: ScheduleRecord): number =>
  window.Mode === "FLEXIBLE" ? (window.MaximumWindowInMinutes ?? 0) * MINUTE_MS : 0;

/** Beside that of the next tick, since windows may overlap: some moment, and after the last tick the end. Names have no slash. */
function windowTimers(tick: Tick, windowMs: number, isLast: boolean): Timer[] {
  const at = (stage: "moment" | "end", afterMs: number): Timer => ({
    group: GROUP,
    id: `${idOf(tick)}/${tick.tickMs}/${stage}`,
    dueAtMs: tick.tickMs + afterMs,
    body: bodyOf({ ...tick, stage }),
  });
  return [at("moment", randomInt(windowMs)), ...(isLast ? [at("end", windowMs)] : [])];
}

interface Consequences {
  /** The tick whose target is invoked. */
  readonly tickMs?: number | undefined;
  readonly timers?: readonly Timer[];
  /** The schedule is deleted. */
  readonly isGone?: boolean;
}

function firing(
  { clock, deliveries }: SchedulerParts,
  entry: Entry<ScheduleRecord>,
  { tickMs, timers = [], isGone }: Consequences,
): Firing {
  const { key, value, revision } = entry;
  const messages = tickMs === undefined ? [] : deliveries.messagesOf(deliveriesOf(scheduleNameOf(key), value, tickMs, clock.now()));
  const write = isGone === true ? { key, expect: revision } : { key, keep: true as const, expect: revision };
  return { effects: { enqueue: messages, timers, writes: [write] }, settled: () => deliveries.wake(messages) };
}
