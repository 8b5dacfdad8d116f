// Journals in SQL: each stream a sequence without gaps.
import { crc32 } from "node:zlib";
import type { JournalEvent } from "../storage.ts";
import { Damage, Refusal } from "./refusal.ts";
import type { Statements } from "./statements.ts";

const crcOf = (stream: string, sequence: number, body: Uint8Array) => crc32(body, crc32(`${stream}\n${sequence}`));

export function appendEvents(sql: Statements, stream: string, expectedSequence: number, events: readonly Uint8Array[]): void {
  const last = Number(sql.first("SELECT max(sequence) AS last FROM journal WHERE stream = ?", stream)?.["last"] ?? 0);
  if (last !== expectedSequence) throw new Refusal("Conflict", `journal ${stream}: at ${last}, expected ${expectedSequence}`);
  for (const [index, body] of events.entries()) {
    const sequence = last + 1 + index;
    sql.run("INSERT INTO journal (stream, sequence, body, crc) VALUES (?, ?, ?, ?)", stream, sequence, body, crcOf(stream, sequence, body));
  }
}

export function readEvents(sql: Statements, stream: string, afterSequence: number, limit: number): JournalEvent[] {
  const rows = sql.all(
    "SELECT sequence, body, crc FROM journal WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
    stream,
    afterSequence,
    limit,
  );
  return rows.map((row) => {
    const [sequence, body] = [Number(row["sequence"]), row["body"] as Uint8Array];
    if (crcOf(stream, sequence, body) !== Number(row["crc"]))
      throw new Damage(`event ${sequence} of journal ${stream} is not what was written`);
    return { sequence, body };
  });
}

export function removeEvents(sql: Statements, stream: string): void {
  sql.run("DELETE FROM journal WHERE stream = ?", stream);
}
