// Records in SQL: compare-and-set on a revision that rises through the whole store.
import { crc32 } from "node:zlib";
import type { SQLInputValue } from "node:sqlite";
import type { Key, ListRange } from "../storage.ts";
import type { StoredEntry, StoredWrite } from "../stored.ts";
import { Damage, Refusal } from "./refusal.ts";
import type { Row } from "./prepared.ts";
import { utf8, type Statements } from "./statements.ts";

const WHERE_KEY = "WHERE kind = ? AND account = ? AND region = ? AND id = ?";

/** The least bytes above every text with the prefix; absent when there are none (only 0xff). */
function prefixEnd(prefix: Buffer): Buffer | undefined {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--)
    if ((end[at] ?? 0) < 0xff) {
      end[at] = (end[at] ?? 0) + 1;
      return end.subarray(0, at + 1);
    }
  return undefined;
}

function entryOf(row: Row): StoredEntry {
  const id = Buffer.from(row["id"] as Uint8Array);
  const key = { account: String(row["account"]), region: String(row["region"]), kind: String(row["kind"]), id: id.toString("utf8") };
  const text = String(row["value"]);
  if (crc32(text, crc32(id)) !== Number(row["crc"])) throw new Damage(`the record ${key.kind} ${key.id} is not what was written`);
  return { key, revision: Number(row["revision"]), text };
}

export function getRecords(sql: Statements, keys: readonly Key[]): (StoredEntry | undefined)[] {
  return keys.map((key) => {
    const row = sql.first(`SELECT * FROM record ${WHERE_KEY}`, key.kind, key.account, key.region, utf8(key.id));
    return row === undefined ? undefined : entryOf(row);
  });
}

export function listRecords(sql: Statements, { kind, account, region, prefix = "", after, limit }: ListRange): StoredEntry[] {
  const start = utf8(prefix);
  const end = prefixEnd(start);
  const where = ["kind = ? AND account = ? AND region = ? AND id >= ?"];
  const values: SQLInputValue[] = [kind, account, region, start];
  if (end !== undefined) {
    where.push("id < ?");
    values.push(end);
  }
  if (after !== undefined) {
    where.push("id > ?");
    values.push(utf8(after));
  }
  return sql.all(`SELECT * FROM record WHERE ${where.join(" AND ")} ORDER BY id LIMIT ?`, ...values, limit).map(entryOf);
}

/** A page of all records of a kind, of all accounts and regions. */
export function recordsOfKind(sql: Statements, kind: string, after: Key | undefined, limit: number): StoredEntry[] {
  const { account, region, id } = after ?? { account: "", region: "", id: "" };
  const behind = after === undefined ? "" : "AND (account, region, id) > (?, ?, ?)";
  const values = after === undefined ? [] : [account, region, utf8(id)];
  const select = `SELECT * FROM record WHERE kind = ? ${behind} ORDER BY account, region, id LIMIT ?`;
  return sql.all(select, kind, ...values, limit).map(entryOf);
}

function writeRecord(sql: Statements, { key, text }: StoredWrite, revision: number): void {
  const id = utf8(key.id);
  if (text === undefined) {
    sql.run(`DELETE FROM record ${WHERE_KEY}`, key.kind, key.account, key.region, id);
    return;
  }
  sql.run(
    `INSERT INTO record (kind, account, region, id, revision, value, crc) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (kind, account, region, id) DO UPDATE SET revision = excluded.revision, value = excluded.value, crc = excluded.crc`,
    key.kind,
    key.account,
    key.region,
    id,
    revision,
    text,
    crc32(text, crc32(id)),
  );
}

function added(sql: Statements, key: Key, more: Readonly<Record<string, number>>): string {
  const [entry] = getRecords(sql, [key]);
  const numbers = { ...(entry === undefined ? {} : (JSON.parse(entry.text) as Readonly<Record<string, number>>)) };
  for (const [name, by] of Object.entries(more)) numbers[name] = (numbers[name] ?? 0) + by;
  return JSON.stringify(numbers);
}

/** The revision that the record has now, 0 when there is none. */
function presentRevision(sql: Statements, { key, expect }: StoredWrite): number {
  const row = sql.first(`SELECT revision FROM record ${WHERE_KEY}`, key.kind, key.account, key.region, utf8(key.id));
  const present = Number(row?.["revision"] ?? 0);
  if (expect !== undefined && present !== (expect === "absent" ? 0 : expect))
    throw new Refusal("Conflict", `${key.kind} ${key.id}: ${present === 0 ? "absent" : `revision ${present}`}, expected ${expect}`);
  return present;
}

/** The revision of each write, in order; of one that keeps its record, the revision that the record has. */
export function writeRecords(sql: Statements, writes: readonly StoredWrite[]): number[] {
  const before = Number(sql.first("SELECT value FROM counter WHERE name = 'revision'")?.["value"]);
  let last = before;
  const revisions = writes.map((write) => {
    const present = write.expect === undefined && write.keep !== true ? 0 : presentRevision(sql, write);
    if (write.keep === true) return present;
    last += 1;
    writeRecord(sql, write.add === undefined ? write : { ...write, text: added(sql, write.key, write.add) }, last);
    return last;
  });
  if (last > before) sql.run("UPDATE counter SET value = ? WHERE name = 'revision'", last);
  return revisions;
}
