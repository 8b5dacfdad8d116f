// Messages of mailboxes in SQL, one by one: put in, move, take out, and what each means for the group that it stands in.
import { crc32 } from "node:zlib";
import { Damage } from "./refusal.ts";
import type { Row } from "./prepared.ts";
import type { Statements } from "./statements.ts";

/** hidden_ms of a message that another of its group stands before. */
export const BEHIND = -1;

export interface MailRow {
  readonly sequence: number;
  readonly mailbox: string;
  readonly id: string;
  readonly group: string | undefined;
  readonly sentMs: number;
  readonly dueMs: number;
  readonly hiddenMs: number;
  readonly isClaimed: boolean;
  readonly receives: number;
  readonly firstMs: number | undefined;
  readonly receivedMs: number;
  readonly token: string;
  readonly attempt: string | undefined;
  readonly source: string | undefined;
  readonly body: Uint8Array;
}

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);

export function mailRow(row: Row): MailRow {
  const [id, body] = [String(row["id"]), row["body"] as Uint8Array];
  const mailbox = String(row["mailbox"]);
  if (crc32(body, crc32(id)) !== Number(row["crc"])) throw new Damage(`the message ${id} of ${mailbox} is not what was written`);
  return {
    sequence: Number(row["sequence"]),
    mailbox,
    id,
    group: textOf(row["mail_group"]),
    sentMs: Number(row["sent_ms"]),
    dueMs: Number(row["due_ms"]),
    hiddenMs: Number(row["hidden_ms"]),
    isClaimed: row["claimed"] === 1,
    receives: Number(row["receives"]),
    firstMs: row["first_ms"] === null ? undefined : Number(row["first_ms"]),
    receivedMs: Number(row["received_ms"]),
    token: textOf(row["token"]) ?? "",
    attempt: textOf(row["attempt"]),
    source: textOf(row["source"]),
    body,
  };
}

type Insert = Pick<MailRow, "mailbox" | "id" | "group" | "sentMs" | "dueMs" | "body"> & Partial<Pick<MailRow, "source">>;

/** The sequence number that it got. */
export function insertMail(sql: Statements, mail: Insert, nowMs: number): number {
  const { mailbox, id, group, sentMs, dueMs, body, source } = mail;
  const isBehind =
    group !== undefined && sql.first("SELECT 1 FROM mail WHERE mailbox = ? AND mail_group = ? LIMIT 1", mailbox, group) !== undefined;
  const { lastInsertRowid } = sql.run(
    `INSERT INTO mail (mailbox, id, mail_group, sent_ms, due_ms, hidden_ms, source, crc, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    mailbox,
    id,
    group ?? null,
    sentMs,
    dueMs,
    isBehind ? BEHIND : dueMs > nowMs ? dueMs : 0,
    source ?? null,
    crc32(body, crc32(id)),
    body,
  );
  return Number(lastInsertRowid);
}

/** The first of the group comes forward, unless one of them is claimed. */
export function settleGroup(sql: Statements, mailbox: string, group: string | undefined, nowMs: number): void {
  if (group === undefined) return;
  const of = "FROM mail WHERE mailbox = ? AND mail_group = ?";
  if (sql.first(`SELECT 1 ${of} AND claimed = 1 LIMIT 1`, mailbox, group) !== undefined) return;
  const first = sql.first(`SELECT sequence, due_ms, hidden_ms ${of} AND claimed = 0 ORDER BY sequence LIMIT 1`, mailbox, group);
  if (first === undefined || Number(first["hidden_ms"]) !== BEHIND) return;
  const dueMs = Number(first["due_ms"]);
  sql.run("UPDATE mail SET hidden_ms = ? WHERE sequence = ?", dueMs > nowMs ? dueMs : 0, first["sequence"] ?? 0);
}

export function deleteMail(sql: Statements, { sequence, mailbox, group }: MailRow, nowMs: number): void {
  sql.run("DELETE FROM mail WHERE sequence = ?", sequence);
  settleGroup(sql, mailbox, group, nowMs);
}

/** A claim or a delay has ended. */
export function uncoverMail(sql: Statements, { sequence, mailbox, group, isClaimed }: Omit<MailRow, "body">, nowMs: number): void {
  const hiddenMs = isClaimed && group !== undefined ? BEHIND : 0;
  sql.run("UPDATE mail SET hidden_ms = ?, claimed = 0 WHERE sequence = ?", hiddenMs, sequence);
  if (isClaimed) settleGroup(sql, mailbox, group, nowMs);
}

/** Instead of how many messages an attempt to receive got: it can be repeated only while nobody has touched any of them. */
export const TOUCHED = -1;

export function endAttempt(sql: Statements, { mailbox, attempt }: MailRow): void {
  if (attempt !== undefined) sql.run("UPDATE mail_attempt SET messages = ? WHERE mailbox = ? AND key = ?", TOUCHED, mailbox, attempt);
}
