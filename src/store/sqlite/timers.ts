// Timers in SQL: claimed when they are due, hidden while they are claimed.
import { crc32 } from "node:zlib";
import type { ClaimedTimer, Timer } from "../storage.ts";
import { newToken, rowOfToken } from "./claims.ts";
import { Damage, Refusal } from "./refusal.ts";
import type { Row } from "./prepared.ts";
import type { Statements } from "./statements.ts";

export function setTimers(sql: Statements, timers: readonly Timer[]): void {
  for (const { group, id, dueAtMs, body } of timers)
    sql.run(
      `INSERT INTO timer (timer_group, id, due_ms, body, crc) VALUES (?, ?, ?, ?, ?) ON CONFLICT (timer_group, id)
       DO UPDATE SET due_ms = excluded.due_ms, body = excluded.body, crc = excluded.crc, hidden_ms = 0, token = NULL`,
      group,
      id,
      dueAtMs,
      body,
      crc32(body, crc32(id)),
    );
}

export function cancelTimers(sql: Statements, group: string, ids: readonly string[]): void {
  for (const id of ids) sql.run("DELETE FROM timer WHERE timer_group = ? AND id = ?", group, id);
}

function claimRow(sql: Statements, row: Row, hiddenMs: number): ClaimedTimer {
  const [group, id, body] = [String(row["timer_group"]), String(row["id"]), row["body"] as Uint8Array];
  if (crc32(body, crc32(id)) !== Number(row["crc"])) throw new Damage(`the timer ${id} of ${group} is not what was written`);
  const sequence = Number(row["sequence"]);
  const token = newToken(sequence);
  sql.run("UPDATE timer SET token = ?, hidden_ms = ? WHERE sequence = ?", token, hiddenMs, sequence);
  return { group, id, dueAtMs: Number(row["due_ms"]), body, token };
}

export function claimTimers(sql: Statements, group: string, limit: number, visibilityMs: number, nowMs: number): ClaimedTimer[] {
  const rows = sql.all(
    "SELECT * FROM timer WHERE timer_group = ? AND due_ms <= ? AND hidden_ms <= ? ORDER BY due_ms, id LIMIT ?",
    group,
    nowMs,
    nowMs,
    limit,
  );
  return rows.map((row) => claimRow(sql, row, nowMs + visibilityMs));
}

export function removeFired(sql: Statements, tokens: readonly string[], nowMs: number): void {
  for (const token of tokens)
    if (sql.run("DELETE FROM timer WHERE sequence = ? AND token = ? AND hidden_ms > ?", rowOfToken(token), token, nowMs).changes !== 1)
      throw new Refusal("Fenced", "a claim of a timer is no longer valid");
}
