// Schedule expressions of EventBridge and its Scheduler: `rate(…)`, `cron(…)` with six fields, `at(…)`, and when they are due next.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
import { localMs, momentOf } from "../base/time-zone.ts";
import { cronField, dayFields, type DayRule } from "./cron-fields.ts";

export interface Schedule {
  readonly kind: "rate" | "cron" | "at";
  /** The first time it is due behind `afterMs`; `undefined` when there is none. A rate counts from `anchorMs`, which is a time of it, both ways. */
  next(afterMs: number, anchorMs: number): number | undefined;
}

const UNITS_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
/** About 2,700 years of minutes: what is longer is no number that a time can be made of. */
const VALUE_MAX = 9_999_999;

interface ScheduleOptions {
  /** IANA name. Default UTC. */
  readonly zone?: string;
  /** `rate(1 minutes)` and `rate(5 minute)` are refused, as rules do. */
  readonly isStrict?: boolean;
}

/** `undefined` for what is none of the three. */
export function parseSchedule(text: string, { zone = "UTC", isStrict = false }: ScheduleOptions = {}): Schedule | undefined {
  const [, kind = "", words = ""] = /^(rate|cron|at)\(([^()]{1,250})\)$/.exec(text) ?? [];
  if (kind === "rate") return rate(words, isStrict);
  if (kind === "cron") return cron(words, zone);
  return kind === "at" ? at(words, zone) : undefined;
}

function rate(words: string, isStrict: boolean): Schedule | undefined {
  const [, digits = "", unit = "", plural] = /^(\d{1,7}) (minute|hour|day)(s)?$/.exec(words) ?? [];
  const value = Number(digits);
  if (digits === "" || value < 1 || value > VALUE_MAX) return undefined;
  if (isStrict && (value === 1) === (plural === "s")) return undefined;
  const everyMs = value * (UNITS_MS[unit] ?? 0);
  return {
    kind: "rate",
    next: (afterMs, anchorMs) => anchorMs + (Math.floor((afterMs - anchorMs) / everyMs) + 1) * everyMs,
  };
}

/** A time that clocks skip is not left out: it is due when they have gone forward. */
function at(words: string, zone: string): Schedule | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$/.test(words)) return undefined;
  const local = Date.parse(`${words}Z`);
  // Date.parse takes February 30 for March 2.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== words) return undefined;
  const { utcMs } = momentOf(zone, local);
  return { kind: "at", next: (afterMs) => (afterMs < utcMs ? utcMs : undefined) };
}

interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: DayRule;
  readonly months: readonly number[];
  readonly years: ReadonlySet<number>;
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const YEARS = { min: 1970, max: 2199 } as const;

function cron(words: string, zone: string): Schedule | undefined {
  const [minute = "", hour = "", dayOfMonth = "", month = "", dayOfWeek = "", year = "", ...more] = words.split(" ");
  const minutes = cronField(minute, { min: 0, max: 59 });
  const hours = cronField(hour, { min: 0, max: 23 });
  const days = dayFields(dayOfMonth, dayOfWeek);
  const months = cronField(month, { min: 1, max: 12, names: MONTHS });
  const years = cronField(year, { ...YEARS, wraps: false });
  if (more.length > 0 || minutes === undefined || hours === undefined || days === undefined) return undefined;
  if (months === undefined || years === undefined) return undefined;
  const fields: Cron = { minutes, hours, days, months, years: new Set(years) };
  return { kind: "cron", next: (afterMs) => nextOf(fields, zone, afterMs) };
}

/** What clocks skip is left out; what they show twice counts once. */
function nextOf(fields: Cron, zone: string, afterMs: number): number | undefined {
  const localAfter = localMs(zone, afterMs);
  for (const [year, month, day] of daysFrom(fields, new Date(localAfter)))
    for (const hour of fields.hours)
      for (const minute of fields.minutes) {
        const local = Date.UTC(year, month - 1, day, hour, minute);
        if (local <= localAfter) continue;
        const { utcMs, isSkipped } = momentOf(zone, local);
        // Clocks that were put back have shown it before.
        if (!isSkipped && utcMs > afterMs) return utcMs;
      }
  return undefined;
}

function* daysFrom({ years, months, days }: Cron, from: Date): Generator<readonly [year: number, month: number, day: number]> {
  for (let year = Math.max(from.getUTCFullYear(), YEARS.min); year <= YEARS.max; year++) {
    if (!years.has(year)) continue;
    for (const month of months)
      for (const day of days(year, month)) if (Date.UTC(year, month - 1, day + 1) > from.getTime()) yield [year, month, day];
  }
}
