// Times in SQL when the clock is put back: whatever waits for one waits no longer than it would have, also over a restart.
import type { Statements } from "./statements.ts";

/** What is counted by the clock of the durable queue, and what by the real one: see `storageOver`. */
export type ClockOf = "queue" | "mail";

/** Times at which waiting ends. */
const WAITS: Readonly<Record<ClockOf, readonly (readonly [table: string, column: string])[]>> = {
  queue: [
    ["message", "hidden_ms"],
    ["timer", "hidden_ms"],
    ["timer", "due_ms"],
  ],
  mail: [
    ["mail", "hidden_ms"],
    ["mail", "due_ms"],
    ["mail_once", "expires_ms"],
    ["mail_attempt", "expires_ms"],
    ["lease", "expires_ms"],
    ["budget", "expires_ms"],
  ],
};

/** … and from which it counts. Others are only shown, and are left as they are. */
const AGES: Readonly<Record<ClockOf, readonly (readonly [table: string, column: string])[]>> = {
  queue: [],
  mail: [
    ["mail", "sent_ms"],
    ["mail", "received_ms"],
  ],
};

/**
 * A longer step corrects a clock that was wrong: who sets timers learns of it at once, since they may stand for times far from now.
 * cron(8) of Debian draws the line here too.
 */
const CORRECTION_MS = 3 * 3_600_000;

export function setBack(sql: Statements, of: ClockOf, byMs: number, nowMs: number): void {
  for (const [table, column] of WAITS[of]) {
    const isCorrected = column === "due_ms" && table === "timer" && byMs > CORRECTION_MS;
    const earlierMs = isCorrected ? Number.MAX_SAFE_INTEGER : byMs;
    sql.run(`UPDATE ${table} SET ${column} = max(${column} - ?1, ?2) WHERE ${column} > ?2`, earlierMs, nowMs);
  }
  for (const [table, column] of AGES[of]) sql.run(`UPDATE ${table} SET ${column} = ${column} - ? WHERE ${column} > ?`, byMs, nowMs);
}

const counterOf = (of: ClockOf) => `closed_ms ${of}`;

/** The next server compares its time with it. */
export function closing(sql: Statements, of: ClockOf, nowMs: number): void {
  sql.run("INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", counterOf(of), nowMs);
}

/** By how much the clock was set back since the last server stopped; 0 when it was not, or that server was killed. */
export function opening(sql: Statements, of: ClockOf, nowMs: number): number {
  const closedMs = Number(sql.first("SELECT value FROM counter WHERE name = ?", counterOf(of))?.["value"] ?? 0);
  sql.run("DELETE FROM counter WHERE name = ?", counterOf(of));
  const byMs = Math.max(0, closedMs - nowMs);
  if (byMs > 0) setBack(sql, of, byMs, nowMs);
  return byMs;
}
