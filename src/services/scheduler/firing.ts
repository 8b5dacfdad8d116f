// Schedules fire: a durable timer stands for the next tick of each; its firing, the delivery and the next timer are one transaction.
import { parseSchedule, type Schedule } from "../../aws/schedule-expression.ts";
import { ticksAt } from "../../aws/schedule-ticks.ts";
import type { ClaimedTimer, Timer } from "../../store/storage.ts";
import { TimerWorkers, type Firing } from "../../store/timer-workers.ts";
import { deliveriesOf } from "./deliveries-of.ts";
import { findSchedule, scheduleKey, type ScheduleName, type ScheduleRecord, type SchedulerParts } from "./model.ts";

const GROUP = "scheduler.schedule";

interface Tick extends ScheduleName {
  readonly tickMs: number;
  readonly generation: string;
}

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

function timerAt({ account, region, group, name }: ScheduleName, { generation }: ScheduleRecord, tickMs: number): Timer {
  const body = Buffer.from(JSON.stringify({ account, region, group, name, tickMs, generation } satisfies Tick));
  return { group: GROUP, id: `${account}/${region}/${group}/${name}`, dueAtMs: tickMs, body };
}

export function scheduleWorkers(parts: SchedulerParts): TimerWorkers {
  const { timers, clock, log } = parts;
  return new TimerWorkers({ timers, clock, log, group: GROUP, fire: (timer) => fire(parts, timer) });
}

function fire(parts: SchedulerParts, { body, dueAtMs }: ClaimedTimer): Firing {
  const { clock, deliveries } = parts;
  const { generation, tickMs: setForMs, ...name } = JSON.parse(Buffer.from(body).toString()) as Tick;
  const entry = findSchedule(parts, name);
  const record = entry?.value;
  const schedule = record === undefined ? undefined : scheduleOf(record);
  // It was changed or deleted: what it is now has a timer of its own, or none.
  if (entry === undefined || record?.generation !== generation || schedule === undefined) return { effects: {} };
  const { tickMs, nextMs } = ticksAt(schedule, { tickMs: setForMs, dueAtMs }, clock.now(), record.anchorMs);
  const messages = tickMs === undefined ? [] : deliveries.messagesOf(deliveriesOf(name, record, tickMs, clock.now()));
  const isGone = nextMs === undefined && record.afterCompletion === "DELETE";
  const key = scheduleKey(name);
  return {
    effects: {
      enqueue: messages,
      timers: nextMs === undefined ? [] : [timerAt(name, record, nextMs)],
      writes: [isGone ? { key, expect: entry.revision } : { key, keep: true, expect: entry.revision }],
    },
    settled: () => deliveries.wake(messages),
  };
}
