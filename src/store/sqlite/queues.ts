// Queues in SQL: visible messages in order of arrival, hidden ones in order of the time at which they become visible.
//
// hidden_ms is 0 while a message is visible, so that the oldest visible ones stand first in the index however many wait.
import { crc32 } from "node:zlib";
import type { ClaimedMessage, NewMessage } from "../storage.ts";
import { newToken, rowOfToken } from "./claims.ts";
import { Damage, Refusal } from "./refusal.ts";
import type { Row } from "./prepared.ts";
import type { Statements } from "./statements.ts";

/** Messages whose time has come that one claim makes visible at most: bounds how long it takes. */
const PROMOTED_MAX = 1000;

const INSERT = `INSERT INTO message (queue, id, body, crc, enqueued_ms, hidden_ms, claimed, attempt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
  ON CONFLICT DO NOTHING`;

function insert(sql: Statements, { queue, id, body }: NewMessage, nowMs: number, hiddenMs: number, claims: 0 | 1) {
  return sql.run(INSERT, queue, id, body, crc32(body, crc32(id)), nowMs, hiddenMs, claims);
}

export function enqueue(sql: Statements, messages: readonly NewMessage[], nowMs: number): void {
  for (const message of messages) {
    const { visibleAtMs = 0 } = message;
    insert(sql, message, nowMs, visibleAtMs > nowMs ? visibleAtMs : 0, 0);
  }
}

/** What an enqueue and a claim would leave, in half the work: the index is written once, the body is not read. */
export function enqueueClaimed(sql: Statements, message: NewMessage, visibilityMs: number, nowMs: number): string | undefined {
  const { changes, lastInsertRowid } = insert(sql, message, nowMs, nowMs + visibilityMs, 1);
  if (changes === 0) return undefined;
  const token = newToken(Number(lastInsertRowid));
  sql.run("UPDATE message SET token = ? WHERE sequence = ?", token, lastInsertRowid);
  return token;
}

function claimRow(sql: Statements, queue: string, row: Row, hiddenMs: number): ClaimedMessage {
  const [sequence, attempt] = [Number(row["sequence"]), Number(row["attempt"]) + 1];
  const [id, body] = [String(row["id"]), row["body"] as Uint8Array];
  if (crc32(body, crc32(id)) !== Number(row["crc"])) throw new Damage(`the message ${id} of ${queue} is not what was written`);
  const token = newToken(sequence);
  sql.run("UPDATE message SET token = ?, attempt = ?, hidden_ms = ?, claimed = 1 WHERE sequence = ?", token, attempt, hiddenMs, sequence);
  return { queue, id, body, token, attempt, enqueuedAtMs: Number(row["enqueued_ms"]) };
}

export function claim(sql: Statements, queue: string, limit: number, visibilityMs: number, nowMs: number): ClaimedMessage[] {
  const due = sql.all(
    "SELECT sequence FROM message WHERE queue = ? AND hidden_ms > 0 AND hidden_ms <= ? ORDER BY hidden_ms LIMIT ?",
    queue,
    nowMs,
    PROMOTED_MAX,
  );
  for (const { sequence = 0 } of due) sql.run("UPDATE message SET hidden_ms = 0, claimed = 0, token = NULL WHERE sequence = ?", sequence);
  const rows = sql.all(
    "SELECT sequence, id, body, crc, enqueued_ms, attempt FROM message WHERE queue = ? AND hidden_ms = 0 AND claimed = 0 ORDER BY sequence LIMIT ?",
    queue,
    limit,
  );
  return rows.map((row) => claimRow(sql, queue, row, nowMs + visibilityMs));
}

const HELD = "WHERE sequence = ? AND token = ? AND hidden_ms > ?";

export function extendClaims(sql: Statements, tokens: readonly string[], visibilityMs: number, nowMs: number): boolean[] {
  const extend = `UPDATE message SET hidden_ms = ? ${HELD}`;
  return tokens.map((token) => sql.run(extend, nowMs + visibilityMs, rowOfToken(token), token, nowMs).changes === 1);
}

export function removeClaimed(sql: Statements, tokens: readonly string[], nowMs: number): void {
  for (const token of tokens)
    if (sql.run(`DELETE FROM message ${HELD}`, rowOfToken(token), token, nowMs).changes !== 1)
      throw new Refusal("Fenced", "a claim is no longer valid");
}

/** All of them: whoever held one is gone. */
export function endClaims(sql: Statements): void {
  sql.run("UPDATE message SET hidden_ms = 0, claimed = 0, token = NULL WHERE claimed = 1");
}

/** The queues of the messages that were given back. */
export function releaseClaims(sql: Statements, tokens: readonly string[], delayMs: number, nowMs: number): string[] {
  const release = `UPDATE message SET hidden_ms = ?, claimed = 0, token = NULL ${HELD} RETURNING queue`;
  const hiddenMs = delayMs > 0 ? nowMs + delayMs : 0;
  const queues = tokens.flatMap((token) => sql.returning(release, hiddenMs, rowOfToken(token), token, nowMs));
  return [...new Set(queues.map((row) => String(row["queue"])))];
}

export function depth(sql: Statements, queue: string, nowMs: number): { visible: number; claimed: number; delayed: number } {
  const row = sql.first(
    `SELECT coalesce(sum(hidden_ms <= ?2), 0) AS visible, coalesce(sum(hidden_ms > ?2 AND claimed = 1), 0) AS claimed,
     coalesce(sum(hidden_ms > ?2 AND claimed = 0), 0) AS delayed FROM message WHERE queue = ?1`,
    queue,
    nowMs,
  );
  return { visible: Number(row?.["visible"]), claimed: Number(row?.["claimed"]), delayed: Number(row?.["delayed"]) };
}

/** From name to name through the index, however many messages each has. Nothing sorts behind U+10FFFF. */
export function waitingQueues(sql: Statements, prefix: string, nowMs: number): string[] {
  const rows = sql.all(
    `WITH RECURSIVE name (queue) AS (
       SELECT min(queue) FROM message WHERE queue >= ?1 AND queue < ?1 || char(1114111)
       UNION ALL
       SELECT (SELECT min(queue) FROM message WHERE queue > name.queue AND queue < ?1 || char(1114111)) FROM name WHERE name.queue IS NOT NULL
     )
     SELECT queue FROM name WHERE queue IS NOT NULL AND EXISTS (SELECT 1 FROM message WHERE message.queue = name.queue AND hidden_ms <= ?2)`,
    prefix,
    nowMs,
  );
  return rows.map((row) => String(row["queue"]));
}
