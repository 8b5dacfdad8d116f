// Where function output goes and where it is read from: append, query, tail. Drivers: memory, sqlite.

export interface LogStreamName {
  readonly account: string;
  readonly region: string;
  /** `/aws/lambda/my-function` */
  readonly group: string;
  /** `2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef` */
  readonly stream: string;
}

export interface LogEvent {
  /** Wall time in ms, as the writer gave it. */
  readonly timestampMs: number;
  readonly message: string;
}

export interface StoredLogEvent extends LogEvent {
  readonly stream: string;
  readonly ingestedAtMs: number;
  /** Rises within the store; unique and sortable as text (CloudWatch's eventId). */
  readonly id: string;
}

/** CloudWatch's event ids are 56 digits that sort as text: here time, then the order of arrival. */
export const eventId = (timestampMs: number, sequence: number): string =>
  `${String(timestampMs).padStart(16, "0")}${String(sequence).padStart(40, "0")}`;

type Position = Pick<StoredLogEvent, "timestampMs" | "id">;

/** Events are read in order of time, and of arrival within one millisecond. */
export const orderOf = (a: Position, b: Position): number => a.timestampMs - b.timestampMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

export interface LogQuery {
  readonly account: string;
  readonly region: string;
  readonly group: string;
  /** All streams of the group when absent. */
  readonly streams?: readonly string[];
  readonly streamPrefix?: string;
  /** Inclusive. */
  readonly fromMs?: number;
  /** Exclusive. */
  readonly toMs?: number;
  /** Continue after (or, backwards, before) this event. */
  readonly cursor?: { readonly timestampMs: number; readonly id: string };
  readonly backwards?: boolean;
  readonly limit: number;
}

export interface LogStreamInfo {
  readonly stream: string;
  readonly createdAtMs: number;
  readonly firstEventMs?: number;
  readonly lastEventMs?: number;
  readonly lastIngestedMs?: number;
}

export interface LogSink {
  /**
   * Takes events for a stream; creates group and stream when they are missing. Returns at once: the invoke path never waits for
   * logs. What is buffered is bounded (the oldest events are dropped first and counted in a line of their own) and is written
   * within a second, and before `close` resolves.
   */
  append(name: LogStreamName, events: readonly LogEvent[]): void;
  /** The same for events that somebody waits for: resolves when they are on disk, rejects when they can't be. None of them is dropped. */
  put(name: LogStreamName, events: readonly LogEvent[]): Promise<void>;
  /** Resolves when everything that was appended before is readable and on disk. */
  flush(): Promise<void>;
  query(query: LogQuery): Promise<readonly StoredLogEvent[]>;
  /** Streams of a group; empty when there are none. */
  streams(account: string, region: string, group: string): Promise<readonly LogStreamInfo[]>;
  createStream(name: LogStreamName): Promise<"created" | "exists">;
  deleteStream(name: LogStreamName): Promise<void>;
  deleteGroup(account: string, region: string, group: string): Promise<void>;
  /** Groups that have streams, also those that no CreateLogGroup made. */
  groups(account: string, region: string): Promise<readonly string[]>;
  storedBytes(account: string, region: string, group: string): Promise<number>;
  /** Removes events older than the time; for retention. */
  expire(account: string, region: string, group: string, beforeMs: number): Promise<void>;
  /** Calls `seen` with events as they are appended to the group, until stopped. `seen` must not throw or wait. */
  tail(account: string, region: string, group: string, seen: (stream: string, events: readonly LogEvent[]) => void): { stop(): void };
  close(): Promise<void>;
}
