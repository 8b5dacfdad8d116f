// The log of one execution environment: platform lines and function output in their order, and the tail of the present invocation.
import type { Clock } from "../base/clock.ts";
import { platformLine, type PlatformEvent } from "./report.ts";
import type { ApplicationLevel, LogSettings } from "./settings.ts";

const TAIL_BYTES_MAX = 4096;
const LEVEL_RANK: Record<ApplicationLevel, number> = { TRACE: 0, DEBUG: 1, INFO: 2, WARN: 3, ERROR: 4, FATAL: 5 };
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

export interface LogRecord {
  readonly timestampMs: number;
  readonly message: string;
}

/** The last 4 KiB of what was logged while it was attached. */
export class LogTail {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  add(text: string): void {
    const piece = Buffer.from(text);
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    for (let first = this.#pieces[0]; first !== undefined && this.#bytes - first.length >= TAIL_BYTES_MAX; first = this.#pieces[0]) {
      this.#pieces.shift();
      this.#bytes -= first.length;
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces).subarray(-TAIL_BYTES_MAX);
  }
}

export interface EnvironmentLogOptions {
  readonly logging: LogSettings;
  readonly clock: Clock;
  /** Stands in the events of a JSON log. */
  readonly tenantId?: string;
  /** Takes events at once and never waits. */
  readonly append: (records: readonly LogRecord[]) => void;
}

/** Sees everything that is logged, before any level or format leaves something out. */
export interface LogObserver {
  platform(event: PlatformEvent, timestampMs: number): void;
  text(source: "function" | "extension", timestampMs: number, text: string): void;
}

export class EnvironmentLog {
  observer: LogObserver | undefined;
  readonly #logging: LogSettings;
  readonly #clock: Clock;
  readonly #tenantId: string | undefined;
  readonly #append: (records: readonly LogRecord[]) => void;
  #requestId: string | undefined;
  #tail: LogTail | undefined;
  /** What came while a line that belongs before it was not known yet. */
  #held: LogRecord[] | undefined;

  constructor(options: EnvironmentLogOptions) {
    this.#logging = options.logging;
    this.#clock = options.clock;
    this.#tenantId = options.tenantId;
    this.#append = options.append;
  }

  /** From here on, output belongs to this invocation. */
  begin(requestId: string, tail: LogTail | undefined): void {
    this.#requestId = requestId;
    this.#tail = tail;
  }

  platform(event: PlatformEvent): void {
    const now = this.#clock.now();
    this.observer?.platform(event, now);
    const line = platformLine(event, this.#logging, now, this.#tenantId);
    if (line !== undefined) this.#write([this.#record(now, line)]);
  }

  /**
   * Announces a platform event that will be known in a moment: what is logged until then comes after it. The returned function
   * writes the event, and must be called once. The next invocation may begin meanwhile.
   */
  reserve(): (event: PlatformEvent) => void {
    const later: LogRecord[] = [];
    this.#held = later;
    const tail = this.#tail;
    this.#tail = undefined;
    // Its place: who reads the log reads by time, and would otherwise find what comes meanwhile before it.
    const placeMs = this.#clock.now();
    return (event) => {
      this.#held = undefined;
      this.observer?.platform(event, this.#clock.now());
      const line = platformLine(event, this.#logging, placeMs, this.#tenantId);
      if (line !== undefined) {
        const record = this.#record(placeMs, line);
        tail?.add(record.message);
        later.unshift(record);
      }
      if (later.length > 0) this.#append(later);
    };
  }

  /** One event from the runtime's own log, formatted by it. */
  event(timestampMs: number, text: string): void {
    const line = text.endsWith("\n") ? text.slice(0, -1) : text;
    this.observer?.text("function", timestampMs, this.#logging.format === "Text" ? `${line}\n` : line);
    this.#write([this.#record(timestampMs, line)]);
  }

  /** Lines that an extension has written: they stay as they are, whatever the format is. */
  extensionLines(lines: readonly string[]): void {
    const now = this.#clock.now();
    for (const line of lines) this.observer?.text("extension", now, `${line}\n`);
    this.#write(lines.map((line) => this.#record(now, line)));
  }

  /** Lines of raw output. */
  lines(lines: readonly string[]): void {
    const now = this.#clock.now();
    const records: LogRecord[] = [];
    for (const line of lines) {
      this.observer?.text("function", now, `${line}\n`);
      const text = this.#logging.format === "JSON" ? this.#wrapped(line, now) : line;
      if (text !== undefined) records.push(this.#record(now, text));
    }
    if (records.length > 0) this.#write(records);
  }

  #record(timestampMs: number, line: string): LogRecord {
    return { timestampMs, message: `${line}\n` };
  }

  #write(records: readonly LogRecord[]): void {
    if (this.#tail !== undefined) for (const { message } of records) this.#tail.add(message);
    if (this.#held === undefined) this.#append(records);
    else this.#held.push(...records);
  }

  /** In a JSON log a line that is JSON stays as it is, and any other line becomes the message of an event of level INFO. */
  #wrapped(line: string, nowMs: number): string | undefined {
    const json = line.startsWith("{") ? parsed(line) : undefined;
    if (!this.#passes(json === undefined ? "INFO" : levelOf(json))) return undefined;
    if (json !== undefined) return line;
    const timestamp = new Date(nowMs).toISOString();
    return JSON.stringify({
      timestamp,
      level: "INFO",
      message: line,
      ...(this.#requestId === undefined ? {} : { requestId: this.#requestId }),
      tenantId: this.#tenantId,
    });
  }

  #passes(level: ApplicationLevel | undefined): boolean {
    return level === undefined || LEVEL_RANK[level] >= LEVEL_RANK[this.#logging.applicationLevel ?? "INFO"];
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON after all: an ordinary line that begins with a brace.
    return undefined;
  }
}

/** Only a line that has both a level and an RFC 3339 time stamp is filtered by its level. */
function levelOf(json: Readonly<Record<string, unknown>>): ApplicationLevel | undefined {
  const { level, timestamp } = json;
  if (typeof timestamp !== "string" || !RFC_3339.test(timestamp) || typeof level !== "string") return undefined;
  const name = level.toUpperCase();
  return Object.hasOwn(LEVEL_RANK, name) ? (name as ApplicationLevel) : undefined;
}
