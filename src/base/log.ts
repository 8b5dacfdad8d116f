// The server's own log: a line for each event, as JSON or to be read. Function output never passes through it.
import type { Clock } from "./clock.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to each of its lines. */
  with(fields: LogFields): Log;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LogOptions {
  readonly clock: Clock;
  readonly level: LogLevel;
  /** `isUrgent`: a warning or an error, which must not be lost with the process. */
  readonly write: (line: string, isUrgent: boolean) => void;
}

type Format = (timeMs: number, level: LogLevel, message: string, fields: LogFields) => string;

const NO_FIELDS: LogFields = {};

function logIn(format: Format, options: LogOptions, common: LogFields): Log {
  const line =
    (level: LogLevel) =>
    (message: string, own: LogFields = NO_FIELDS) => {
      if (RANK[level] < RANK[options.level]) return;
      const fields = common === NO_FIELDS ? own : { ...common, ...own };
      options.write(format(options.clock.now(), level, message, fields), RANK[level] >= RANK.warn);
    };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    with: (fields) => logIn(format, options, { ...common, ...fields }),
  };
}

function plain(error: Error): object {
  const { name, message, stack, cause } = error;
  return { name, message, stack, cause: cause instanceof Error ? plain(cause) : cause };
}

let second = Number.NaN;
let secondText = "";

/** As `toISOString`, of which the larger part is the same for all lines of a second. */
function isoTime(timeMs: number): string {
  const now = Math.floor(timeMs / 1000);
  if (now !== second) {
    second = now;
    secondText = new Date(now * 1000).toISOString().slice(0, -4);
  }
  return `${secondText}${String(Math.floor(timeMs - now * 1000)).padStart(3, "0")}Z`;
}

function jsonLine(timeMs: number, level: LogLevel, message: string, fields: LogFields): string {
  let shown = fields;
  for (const name in fields) if (fields[name] instanceof Error) shown = { ...shown, [name]: plain(fields[name]) };
  return `${JSON.stringify({ time: isoTime(timeMs), level, message, ...shown })}\n`;
}

const BARE = /^[\w./:@$+-]+$/;

function textOf(value: unknown): string {
  if (value instanceof Error) return value.stack ?? String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return BARE.test(text) ? text : JSON.stringify(text);
}

function textLine(timeMs: number, level: LogLevel, message: string, fields: LogFields): string {
  const shown = Object.entries(fields).filter(([, value]) => value !== undefined);
  const pairs = shown.map(([name, value]) => ` ${name}=${textOf(value)}`).join("");
  // What a client has sent must not move the cursor.
  const text = `${message}${pairs}`.replaceAll(/[^\P{Cc}\n]/gu, "?");
  return `${new Date(timeMs).toISOString().slice(11, -1)} ${level.padEnd(5)} ${text}\n`;
}

/** One JSON object a line. */
export const jsonLog = (options: LogOptions): Log => logIn(jsonLine, options, NO_FIELDS);

/** For people at a terminal. */
export const textLog = (options: LogOptions): Log => logIn(textLine, options, NO_FIELDS);

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silentLog };
