// Mailboxes in SQL: each call is one step of a transaction, and does a bounded amount of work.
import type { Forwarded, Hiding, NewMail, Received, ReceivedMail, ReceiveOptions, Removal, SentMail } from "../mailboxes.ts";
import { newToken, rowOfToken } from "./claims.ts";
import { BEHIND, deleteMail, endAttempt, insertMail, mailRow, settleGroup, TOUCHED, uncoverMail, type MailRow } from "./mail-rows.ts";
import type { Statements } from "./statements.ts";

/** Messages that one call makes visible, moves or removes at most beside what it was called for. */
const ASIDE_MAX = 1000;
/** Expired keys that a call with keys removes at most: more than it can make. */
const SWEPT_MAX = 32;

const sweep = (sql: Statements, table: "mail_once" | "mail_attempt", nowMs: number) =>
  sql.run(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE expires_ms <= ? LIMIT ?)`, nowMs, SWEPT_MAX);

function sendOne(sql: Statements, { mailbox, id, body, group, dueAtMs = 0, once }: NewMail, nowMs: number): SentMail {
  if (once !== undefined) {
    // What seems to expire later than it may was written before the clock was set back: it would drop mail for as long.
    const known = "SELECT * FROM mail_once WHERE mailbox = ? AND key = ? AND expires_ms > ? AND expires_ms <= ?";
    const first = sql.first(known, mailbox, once.key, nowMs, nowMs + once.forMs);
    if (first !== undefined) return { id: String(first["id"]), sequence: Number(first["sequence"]) };
  }
  const sequence = insertMail(sql, { mailbox, id, group, sentMs: nowMs, dueMs: dueAtMs, body }, nowMs);
  if (once !== undefined)
    sql.run(
      `INSERT INTO mail_once (mailbox, key, id, sequence, expires_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (mailbox, key) DO UPDATE SET id = excluded.id, sequence = excluded.sequence, expires_ms = excluded.expires_ms`,
      mailbox,
      once.key,
      id,
      sequence,
      nowMs + once.forMs,
    );
  return { id, sequence };
}

export function sendMail(sql: Statements, mail: readonly NewMail[], nowMs: number): SentMail[] {
  if (mail.some(({ once }) => once !== undefined)) sweep(sql, "mail_once", nowMs);
  return mail.map((one) => sendOne(sql, one, nowMs));
}

function uncoverDue(sql: Statements, mailbox: string, nowMs: number): number {
  const due = sql.all(
    "SELECT * FROM mail WHERE mailbox = ? AND hidden_ms > 0 AND hidden_ms <= ? ORDER BY hidden_ms LIMIT ?",
    mailbox,
    nowMs,
    ASIDE_MAX,
  );
  for (const row of due) uncoverMail(sql, mailRow(row), nowMs);
  return due.length;
}

const receivedMail = (row: MailRow, firstMs: number): ReceivedMail => ({
  id: row.id,
  sequence: row.sequence,
  body: row.body,
  ...(row.group === undefined ? {} : { group: row.group }),
  token: row.token,
  receives: row.receives,
  sentAtMs: row.sentMs,
  firstReceivedAtMs: firstMs,
  ...(row.source === undefined ? {} : { source: row.source }),
});

/** What the attempt got before, if all of it is still as it was; `over` once any of it was touched. */
function repeated(sql: Statements, mailbox: string, options: ReceiveOptions, nowMs: number): ReceivedMail[] | "over" | undefined {
  if (options.attempt === undefined) return undefined;
  sweep(sql, "mail_attempt", nowMs);
  const { key } = options.attempt;
  const known = sql.first("SELECT messages FROM mail_attempt WHERE mailbox = ? AND key = ? AND expires_ms > ?", mailbox, key, nowMs);
  if (known === undefined) return undefined;
  if (Number(known["messages"]) === TOUCHED) return "over";
  const held = "WHERE mailbox = ? AND attempt = ? AND claimed = 1 AND hidden_ms > ?";
  const rows = sql.all(`SELECT * FROM mail ${held} ORDER BY sequence`, mailbox, key, nowMs).map(mailRow);
  if (rows.length !== Number(known["messages"])) return undefined;
  sql.run(`UPDATE mail SET hidden_ms = ? ${held}`, nowMs + options.visibilityMs, mailbox, key, nowMs);
  return rows.map((row) => receivedMail(row, row.firstMs ?? nowMs));
}

function claim(sql: Statements, row: MailRow, { visibilityMs, attempt }: ReceiveOptions, nowMs: number): ReceivedMail {
  const token = newToken(row.sequence);
  const firstMs = row.firstMs ?? nowMs;
  sql.run(
    "UPDATE mail SET token = ?, receives = receives + 1, hidden_ms = ?, claimed = 1, first_ms = ?, received_ms = ?, attempt = ? WHERE sequence = ?",
    token,
    nowMs + visibilityMs,
    firstMs,
    nowMs,
    attempt?.key ?? null,
    row.sequence,
  );
  return receivedMail({ ...row, token, receives: row.receives + 1 }, firstMs);
}

/** A message that may not be received any more is put where it belongs. */
function putAside(sql: Statements, row: MailRow, { keptMs, deadLetter }: ReceiveOptions, nowMs: number): "expired" | "dead" | undefined {
  if (row.sentMs + keptMs <= nowMs) {
    deleteMail(sql, row, nowMs);
    return "expired";
  }
  if (deadLetter === undefined || row.receives < deadLetter.receives) return undefined;
  deleteMail(sql, row, nowMs);
  const { id, group, body } = row;
  const { mailbox, source, renewsAge } = deadLetter;
  insertMail(sql, { mailbox, id, group, body, source, sentMs: renewsAge ? nowMs : row.sentMs, dueMs: 0 }, nowMs);
  return "dead";
}

/** Those that follow the first of a group; they come with it, as far as they are due. */
function following(sql: Statements, { mailbox, group, sequence }: MailRow, limit: number, nowMs: number): MailRow[] {
  if (group === undefined || limit <= 0) return [];
  const rows = sql
    .all(
      "SELECT * FROM mail WHERE mailbox = ? AND mail_group = ? AND claimed = 0 AND sequence > ? ORDER BY sequence LIMIT ?",
      mailbox,
      group,
      sequence,
      limit,
    )
    .map(mailRow);
  const late = rows.findIndex(({ dueMs }) => dueMs > nowMs);
  return late === -1 ? rows : rows.slice(0, late);
}

/** Visible messages in order, and with the first of a group those behind it. */
function take(sql: Statements, mailbox: string, options: ReceiveOptions, limit: number, nowMs: number) {
  const mail: ReceivedMail[] = [];
  const aside = { expired: 0, dead: 0 };
  const takeOne = (row: MailRow) => {
    const why = putAside(sql, row, options, nowMs);
    if (why === undefined) mail.push(claim(sql, row, options, nowMs));
    else aside[why] += 1;
    return why === undefined;
  };
  for (;;) {
    const heads = sql.all("SELECT * FROM mail WHERE mailbox = ? AND hidden_ms = 0 ORDER BY sequence LIMIT ?", mailbox, limit - mail.length);
    for (const head of heads.map(mailRow)) {
      if (mail.length >= limit) break;
      // With the first put aside, the next of its group comes forward by itself.
      if (takeOne(head)) for (const next of following(sql, head, limit - mail.length, nowMs)) takeOne(next);
    }
    const isCut = aside.expired + aside.dead >= ASIDE_MAX;
    if (heads.length === 0 || mail.length >= limit || isCut) return { mail, isCut, deadLetters: aside.dead };
  }
}

function countClaimed(sql: Statements, mailbox: string, most: number): number {
  const row = sql.first("SELECT count(*) AS n FROM (SELECT 1 FROM mail WHERE mailbox = ? AND claimed = 1 LIMIT ?)", mailbox, most);
  return Number(row?.["n"]);
}

export function receiveMail(sql: Statements, mailbox: string, options: ReceiveOptions, nowMs: number): Received {
  const uncovered = uncoverDue(sql, mailbox, nowMs);
  const again = repeated(sql, mailbox, options, nowMs);
  if (again === "over") return { mail: [], isFull: false, isCut: false, deadLetters: 0, isAttemptOver: true };
  if (again !== undefined) return { mail: again, isFull: false, isCut: false, deadLetters: 0 };
  const room = options.claimedMax - countClaimed(sql, mailbox, options.claimedMax);
  if (room <= 0) return { mail: [], isFull: true, isCut: false, deadLetters: 0 };
  const { mail, isCut, deadLetters } = take(sql, mailbox, options, Math.min(options.limit, room), nowMs);
  const { attempt } = options;
  if (attempt !== undefined && mail.length > 0)
    sql.run(
      `INSERT INTO mail_attempt (mailbox, key, messages, expires_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT (mailbox, key) DO UPDATE SET messages = excluded.messages, expires_ms = excluded.expires_ms`,
      mailbox,
      attempt.key,
      mail.length,
      nowMs + attempt.forMs,
    );
  if (mail.length > 0) return { mail, isFull: false, isCut, deadLetters };
  const next = sql.first("SELECT min(hidden_ms) AS at FROM mail WHERE mailbox = ? AND hidden_ms > 0", mailbox)?.["at"];
  return {
    mail,
    isFull: false,
    deadLetters,
    isCut: isCut || uncovered === ASIDE_MAX,
    ...(next === null || next === undefined ? {} : { nextAtMs: Number(next) }),
  };
}

function rowOf(sql: Statements, mailbox: string, token: string): MailRow | undefined {
  const row = sql.first("SELECT * FROM mail WHERE sequence = ? AND mailbox = ?", rowOfToken(token), mailbox);
  return row === undefined ? undefined : mailRow(row);
}

function removeOne(sql: Statements, row: MailRow | undefined, token: string, nowMs: number): Removal {
  if (row === undefined) return "gone";
  if (row.token !== token) return "stale";
  if (row.group !== undefined && (!row.isClaimed || row.hiddenMs <= nowMs)) return "over";
  endAttempt(sql, row);
  deleteMail(sql, row, nowMs);
  return "removed";
}

/** `isFreed`: a group may have something to receive again. */
export function removeMail(sql: Statements, mailbox: string, tokens: readonly string[], nowMs: number) {
  let isFreed = false;
  const removals = tokens.map((token) => {
    const row = rowOf(sql, mailbox, token);
    const removal = removeOne(sql, row, token, nowMs);
    if (removal === "removed" && row?.group !== undefined) isFreed = true;
    return removal;
  });
  return { removals, isFreed };
}

function hideOne(sql: Statements, mailbox: string, token: string, visibilityMs: number, totalMs: number, nowMs: number): Hiding {
  const row = rowOf(sql, mailbox, token);
  if (row === undefined) return "gone";
  const isOver = !row.isClaimed || row.hiddenMs <= nowMs;
  if (row.token !== token || (isOver && row.group !== undefined)) return "stale";
  if (nowMs + visibilityMs > row.receivedMs + totalMs) return "beyond";
  endAttempt(sql, row);
  if (visibilityMs === 0) uncoverMail(sql, row, nowMs);
  else sql.run("UPDATE mail SET hidden_ms = ?, claimed = 1 WHERE sequence = ?", nowMs + visibilityMs, row.sequence);
  return "hidden";
}

export const hideMail = (
  sql: Statements,
  mailbox: string,
  claims: readonly { token: string; visibilityMs: number }[],
  totalMs: number,
  nowMs: number,
): Hiding[] => claims.map(({ token, visibilityMs }) => hideOne(sql, mailbox, token, visibilityMs, totalMs, nowMs));

export function countMail(sql: Statements, mailbox: string, nowMs: number): { visible: number; claimed: number; delayed: number } {
  const row = sql.first(
    `SELECT count(*) AS everything, coalesce(sum(claimed = 1 AND hidden_ms > ?2), 0) AS claimed,
     coalesce(sum(claimed = 0 AND (hidden_ms > ?2 OR (hidden_ms = ${BEHIND} AND due_ms > ?2))), 0) AS delayed FROM mail WHERE mailbox = ?1`,
    mailbox,
    nowMs,
  );
  const [claimed, delayed] = [Number(row?.["claimed"]), Number(row?.["delayed"])];
  return { visible: Number(row?.["everything"]) - claimed - delayed, claimed, delayed };
}

export function expireMail(sql: Statements, mailbox: string, untilMs: number, limit: number, nowMs: number): number {
  const rows = sql.returning(
    `DELETE FROM mail WHERE sequence IN (SELECT sequence FROM mail WHERE mailbox = ? AND sent_ms <= ? ORDER BY sent_ms LIMIT ?)
     RETURNING mail_group`,
    mailbox,
    untilMs,
    limit,
  );
  for (const group of new Set(rows.map((row) => row["mail_group"]))) if (typeof group === "string") settleGroup(sql, mailbox, group, nowMs);
  return rows.length;
}

export function forwardMail(
  sql: Statements,
  mailbox: string,
  ids: readonly string[],
  to: string | Readonly<Record<string, string>>,
  nowMs: number,
): Forwarded {
  uncoverDue(sql, mailbox, nowMs);
  for (const [moved, id] of ids.entries()) {
    const found = sql.first("SELECT * FROM mail WHERE mailbox = ? AND hidden_ms = 0 ORDER BY sequence LIMIT 1", mailbox);
    if (found === undefined) return { moved };
    const row = mailRow(found);
    if (typeof to !== "string" && row.source === undefined) return { moved, stop: "no-source" };
    const target = typeof to === "string" ? to : Object.hasOwn(to, row.source ?? "") ? to[row.source ?? ""] : undefined;
    if (target === undefined) return { moved, stop: "no-target" };
    deleteMail(sql, row, nowMs);
    insertMail(sql, { mailbox: target, id, group: row.group, sentMs: nowMs, dueMs: 0, body: row.body }, nowMs);
  }
  return { moved: ids.length };
}

export function forgetMailbox(sql: Statements, mailbox: string): void {
  sql.run("DELETE FROM mail_once WHERE mailbox = ?", mailbox);
  sql.run("DELETE FROM mail_attempt WHERE mailbox = ?", mailbox);
}

/** From name to name through the index, however many messages each has. */
export function mailboxNames(sql: Statements): string[] {
  const rows = sql.all(
    `WITH RECURSIVE name (mailbox) AS (
       SELECT min(mailbox) FROM mail
       UNION ALL
       SELECT (SELECT min(mailbox) FROM mail WHERE mailbox > name.mailbox) FROM name WHERE name.mailbox IS NOT NULL
     )
     SELECT mailbox FROM name WHERE mailbox IS NOT NULL`,
  );
  return rows.map((row) => String(row["mailbox"]));
}
