// Local times of IANA time zones, from the ICU data that Node brings.

const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws RangeError for a zone that is not known. */
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    const digits = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" } as const;
    format = new Intl.DateTimeFormat("en-US", {
      ...digits,
      timeZone: zone,
      hourCycle: "h23",
      calendar: "gregory",
      numberingSystem: "latn",
    });
    formats.set(zone, format);
  }
  return format;
}

/** Names only, no offsets like `+01:00`. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][\w+/-]*$/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch (cause) {
    if (cause instanceof RangeError) return false;
    throw cause;
  }
}

/** What clocks in the zone show, as milliseconds that `Date`'s UTC fields read. */
export function localMs(zone: string, utcMs: number): number {
  if (zone === "UTC") return utcMs;
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(utcMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((utcMs % 1000) + 1000) % 1000);
}

const DAY_MS = 86_400_000;

/** Where clocks are put forward there is a gap that they never show, where they are put back they show the same twice. */
interface Moment {
  /** The first, if there are two; behind the gap by as much as the time is into it, if there is none. */
  readonly utcMs: number;
  readonly isSkipped: boolean;
}

/** When clocks in the zone show this. */
export function momentOf(zone: string, local: number): Moment {
  if (zone === "UTC") return { utcMs: local, isSkipped: false };
  const offset = (utcMs: number) => localMs(zone, utcMs) - utcMs;
  // Zones do not change twice within two days.
  const [before, after] = [offset(local - DAY_MS), offset(local + DAY_MS)];
  for (const candidate of before >= after ? [local - before, local - after] : [local - after, local - before])
    if (localMs(zone, candidate) === local) return { utcMs: candidate, isSkipped: false };
  return { utcMs: local - before, isSkipped: true };
}
