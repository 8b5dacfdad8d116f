// Where segments of traces are kept and read from: put, read, list, expire. Drivers: memory, sqlite.

export interface TraceSegment {
  readonly account: string;
  readonly region: string;
  /** `1-58406520-a006649127e371903a2de979` */
  readonly traceId: string;
  /** Sixteen hexadecimal digits, of a segment or of a subsegment that was sent by itself. */
  readonly id: string;
  /** Wall time in ms. */
  readonly startMs: number;
  /** Absent while it is in progress. */
  readonly endMs?: number;
  /** JSON, at most SEGMENT_BYTES_MAX. */
  readonly document: string;
}

/** The time by which traces are listed: of the first start, of the last end, or of the last segment that arrived. */
export type TraceTime = "start" | "end" | "written";

export interface TraceList {
  readonly account: string;
  readonly region: string;
  readonly by: TraceTime;
  /** Inclusive. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  /** Continue behind this one. */
  readonly after?: ListPosition;
  readonly limit: number;
}

export interface ListPosition {
  readonly atMs: number;
  /** Tells apart what has the same time. */
  readonly sequence: number;
}

export interface ListedTrace extends ListPosition {
  readonly traceId: string;
  /** Of all its documents. */
  readonly bytes: number;
}

export interface Trace {
  readonly traceId: string;
  /** A segment was refused because of TRACE_BYTES_MAX. */
  readonly isFull: boolean;
  /** In order of their starts. */
  readonly segments: readonly TraceSegment[];
}

export interface TraceStore {
  /**
   * Resolves when they are durable, with the indexes of those that are refused, because their trace would be longer than TRACE_BYTES_MAX.
   * A segment takes the place of the one with its id, except that one in progress never takes that of a complete one.
   * `nowMs`: from when on the time runs for which their traces are kept.
   */
  put(segments: readonly TraceSegment[], nowMs: number): Promise<readonly number[]>;
  /** Those that there are, in the order of the ids. */
  ofTraces(account: string, region: string, traceIds: readonly string[]): Promise<readonly Trace[]>;
  /** The newest first. */
  list(list: TraceList): Promise<readonly ListedTrace[]>;
  /** Removes the traces that have got nothing since. */
  expire(beforeMs: number): Promise<void>;
  close(): Promise<void>;
}

/** "Maximum size of a segment document: 64 kB", https://docs.aws.amazon.com/general/latest/gr/xray.html */
export const SEGMENT_BYTES_MAX = 64 * 1024;
/** "Maximum size of a trace: 500 kB" */
export const TRACE_BYTES_MAX = 500 * 1024;
/** Of all traces together, with their rows: the oldest make room. */
export const TRACES_BYTES_MAX = 1024 ** 3;
