// The shapes in which records travel to and from the thread that owns the database: values are JSON text, made and read by the caller's side.
import type { Key, NewMessage, Timer } from "./storage.ts";

export interface StoredEntry {
  readonly key: Key;
  readonly revision: number;
  readonly text: string;
}

export interface StoredWrite {
  readonly key: Key;
  /** Absent: the record is deleted. */
  readonly text?: string;
  readonly expect?: number | "absent";
  readonly keep?: true;
  readonly add?: Readonly<Record<string, number>>;
}

export interface StoredEffects {
  readonly writes: readonly StoredWrite[];
  readonly enqueue: readonly NewMessage[];
  readonly timers: readonly Timer[];
}
