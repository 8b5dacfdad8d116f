// The fields of AWS's cron expressions: lists, ranges and steps, and the days that L, W and # stand for.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html

interface Range {
  readonly min: number;
  readonly max: number;
  /** That of the first stands for `min`. Upper case; given ones may be in any. */
  readonly names?: readonly string[];
  /** Whether `FRI-MON` goes over the end. Default: it does. */
  readonly wraps?: boolean;
}

/** The values in order; `undefined` for what is no such field. */
export function cronField(text: string, range: Range): readonly number[] | undefined {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const found = partOf(part, range);
    if (found === undefined) return undefined;
    for (const value of found) values.add(value);
  }
  return [...values].toSorted((a, b) => a - b);
}

function valueOf(text: string, { min, max, names = [] }: Range): number | undefined {
  const place = names.indexOf(text.toUpperCase());
  if (place !== -1) return min + place;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
}

/** `*`, `5`, `1-5`, each with a step: `5/10` goes to the end. */
function partOf(part: string, range: Range): number[] | undefined {
  const [base = "", stepText, ...more] = part.split("/");
  const step = stepText === undefined ? 1 : /^\d{1,4}$/.test(stepText) ? Number(stepText) : 0;
  const span = spanOf(base, range, stepText !== undefined);
  if (span === undefined || step < 1 || step > range.max || more.length > 0) return undefined;
  const [first, last] = span;
  const size = range.max - range.min + 1;
  const count = last >= first ? last - first : last - first + size;
  return Array.from({ length: Math.floor(count / step) + 1 }, (_, index) => range.min + ((first - range.min + index * step) % size));
}

function spanOf(base: string, range: Range, hasStep: boolean): readonly [first: number, last: number] | undefined {
  if (base === "*") return [range.min, range.max];
  const [first, last, ...more] = base.split("-").map((text) => valueOf(text, range));
  if (first === undefined || more.length > 0) return undefined;
  if (!base.includes("-")) return [first, hasStep ? range.max : first];
  if (last === undefined || (last < first && range.wraps === false)) return undefined;
  return [first, last];
}

/** Days of the month in order. `month` counts from 1. */
export type DayRule = (year: number, month: number) => readonly number[];

const WEEKDAYS: Range = { min: 1, max: 7, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
const DAYS: Range = { min: 1, max: 31 };

/** Exactly one of the two is a question mark. */
export function dayFields(dayOfMonth: string, dayOfWeek: string): DayRule | undefined {
  if ((dayOfMonth === "?") === (dayOfWeek === "?")) return undefined;
  return dayOfWeek === "?" ? daysOfMonth(dayOfMonth) : daysOfWeek(dayOfWeek);
}

const lengthOf = (year: number, month: number) => new Date(Date.UTC(year, month, 0)).getUTCDate();
/** Sunday is 1. */
const weekdayOf = (year: number, month: number, day: number) => new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;
const allDays = (year: number, month: number) => Array.from({ length: lengthOf(year, month) }, (_, index) => index + 1);

/** `L` is the last day, `3W` the weekday (Monday to Friday) nearest to the 3rd, `LW` the last weekday. */
function daysOfMonth(text: string): DayRule | undefined {
  if (text === "L") return (year, month) => [lengthOf(year, month)];
  if (text === "LW") return (year, month) => [nearestWeekday(year, month, lengthOf(year, month))];
  if (text.endsWith("W")) {
    const day = valueOf(text.slice(0, -1), DAYS);
    return day === undefined ? undefined : (year, month) => (day > lengthOf(year, month) ? [] : [nearestWeekday(year, month, day)]);
  }
  const days = cronField(text, DAYS);
  return days === undefined ? undefined : (year, month) => days.filter((day) => day <= lengthOf(year, month));
}

/** In the same month. */
function nearestWeekday(year: number, month: number, day: number): number {
  const weekday = weekdayOf(year, month, day);
  if (weekday === 7) return day === 1 ? 3 : day - 1;
  if (weekday === 1) return day === lengthOf(year, month) ? day - 2 : day + 1;
  return day;
}

/** `L` is Saturday, `6L` the last Friday of the month, `3#2` the second Tuesday. */
function daysOfWeek(text: string): DayRule | undefined {
  if (text === "L") return daysOfWeek("SAT");
  const [, name = "", which = ""] = /^(\w{1,3}?)(L|#[1-5])$/.exec(text) ?? [];
  if (which !== "") {
    const weekday = valueOf(name, WEEKDAYS);
    const place = which === "L" ? -1 : Number(which.slice(1)) - 1;
    if (weekday === undefined) return undefined;
    return (year, month) =>
      [
        allDays(year, month)
          .filter((day) => weekdayOf(year, month, day) === weekday)
          .at(place),
      ].filter((day) => day !== undefined);
  }
  const weekdays = cronField(text, WEEKDAYS);
  return weekdays === undefined
    ? undefined
    : (year, month) => allDays(year, month).filter((day) => weekdays.includes(weekdayOf(year, month, day)));
}
