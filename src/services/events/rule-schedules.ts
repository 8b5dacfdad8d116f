// Rules with a schedule: each has a durable timer, and each tick is one event for its targets.
import { parseSchedule, type Schedule } from "../../aws/schedule-expression.ts";
import { ticksAt } from "../../aws/schedule-ticks.ts";
import type { ClaimedTimer, Timer } from "../../store/storage.ts";
import { TimerWorkers, type Firing } from "../../store/timer-workers.ts";
import { newEvent } from "./bus-event.ts";
import { deliveriesOf } from "./dispatch.ts";
import { findRule, ruleKey, type EventsParts, type Rule, type RuleName } from "./model.ts";

const GROUP = "events.rule-schedule";

interface Tick extends RuleName {
  readonly tickMs: number;
  /** Of the rule when the timer was set: another one has timers of its own. */
  readonly anchorMs: number;
}

function scheduleOf({ record }: Rule): Schedule | undefined {
  if (record.schedule === undefined || record.state === "DISABLED") return undefined;
  return parseSchedule(record.schedule, { isStrict: true });
}

/** For its next tick; a rate's first comes when it has passed once. */
export function timerOf(rule: Rule, afterMs: number): Timer | undefined {
  const { anchorMs } = rule.record;
  const tickMs = scheduleOf(rule)?.next(afterMs, anchorMs);
  return tickMs === undefined ? undefined : timerAt(rule, tickMs, anchorMs);
}

function timerAt({ account, region, bus, name }: RuleName, tickMs: number, anchorMs: number): Timer {
  const body = Buffer.from(JSON.stringify({ account, region, bus, name, tickMs, anchorMs } satisfies Tick));
  return { group: GROUP, id: `${account}/${region}/${bus}/${name}`, dueAtMs: tickMs, body };
}

export function ruleSchedules(parts: EventsParts): TimerWorkers {
  const { timers, clock, log } = parts;
  return new TimerWorkers({ timers, clock, log, group: GROUP, fire: (timer) => fire(parts, timer) });
}

function fire(parts: EventsParts, { body, dueAtMs }: ClaimedTimer): Firing {
  const { clock, deliveries, rules } = parts;
  const tick = JSON.parse(Buffer.from(body).toString()) as Tick;
  const rule = findRule(parts, tick);
  const schedule = rule === undefined ? undefined : scheduleOf(rule);
  if (rule === undefined || schedule === undefined || rule.record.anchorMs !== tick.anchorMs) return { effects: {} };
  const { tickMs, nextMs } = ticksAt(schedule, { tickMs: tick.tickMs, dueAtMs }, clock.now(), tick.anchorMs);
  const messages = tickMs === undefined ? [] : deliveries.messagesOf(deliveriesOf(rule, eventOf(rule, tickMs, clock.now())));
  const key = ruleKey(rule);
  const revision = rules.get(key.account, key.region, key.id)?.revision ?? 0;
  return {
    effects: {
      enqueue: messages,
      timers: nextMs === undefined ? [] : [timerAt(rule, nextMs, tick.anchorMs)],
      writes: [{ key, keep: true, expect: revision }],
    },
    settled: () => deliveries.wake(messages),
  };
}

const eventOf = ({ account, region, arn }: Rule, tickMs: number, nowMs: number) =>
  newEvent({ account, region, source: "aws.events", detailType: "Scheduled Event", resources: [arn], detail: "{}", timeMs: tickMs }, nowMs);
