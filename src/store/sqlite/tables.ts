// All of the store's SQL: synchronous, one call at a time, inside a transaction that the caller has begun. Times come from the caller.
import { randomUUID } from "node:crypto";
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import type {
  Budget,
  Change,
  ClaimedMessage,
  ClaimedTimer,
  Effects,
  Entry,
  JournalEvent,
  Key,
  Lease,
  ListRange,
  NewMessage,
  StorageFailure,
  Timer,
  Write,
} from "../storage.ts";

type Row = Record<string, SQLOutputValue>;

/** A refusal that the interface promises; anything else that is thrown is a fault of the store. */
export class Refusal extends Error {
  readonly failure: StorageFailure;
  constructor(failure: StorageFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

export interface Written {
  readonly revisions: readonly number[];
  readonly changes: readonly Change[];
}

const blob = (text: string) => Buffer.from(text, "utf8");
const textOf = (value: SQLOutputValue | undefined) => Buffer.from(value as Uint8Array).toString("utf8");
const bytesOf = (value: SQLOutputValue | undefined) => value as Uint8Array;
const keyOf = (row: Row): Key => ({
  account: String(row["account"]),
  region: String(row["region"]),
  kind: String(row["kind"]),
  id: textOf(row["id"]),
});
const entryOf = (row: Row): Entry => ({
  key: keyOf(row),
  revision: Number(row["revision"]),
  value: JSON.parse(String(row["value"])) as unknown,
});

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

export class Tables {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  // --- records

  metaGet(keys: readonly Key[]): (Entry | undefined)[] {
    return keys.map((key) => {
      const row = this.#first(
        "SELECT * FROM meta WHERE kind = ? AND account = ? AND region = ? AND id = ?",
        key.kind,
        key.account,
        key.region,
        blob(key.id),
      );
      return row === undefined ? undefined : entryOf(row);
    });
  }

  metaList({ kind, account, region, prefix = "", after, limit }: ListRange): Entry[] {
    const start = blob(prefix);
    const end = prefixEnd(start);
    const where = ["kind = ? AND account = ? AND region = ? AND id >= ?"];
    const values: SQLInputValue[] = [kind, account, region, start];
    if (end !== undefined && end.length > 0) {
      where.push("id < ?");
      values.push(end);
    }
    if (after !== undefined) {
      where.push("id > ?");
      values.push(blob(after));
    }
    return this.#all(`SELECT * FROM meta WHERE ${where.join(" AND ")} ORDER BY id LIMIT ?`, ...values, limit).map(entryOf);
  }

  metaAll(kinds: readonly string[]): Change[] {
    return kinds.flatMap((kind) => this.#all("SELECT * FROM meta WHERE kind = ?", kind).map(entryOf));
  }

  metaWrite(writes: readonly Write[]): Written {
    const changes = writes.map((write) => this.#writeOne(write));
    return { revisions: changes.map((change) => change.revision), changes: changes.filter((_change, index) => !writes[index]?.keep) };
  }

  #writeOne({ key, value, expect, keep }: Write): Change {
    const where = [key.kind, key.account, key.region, blob(key.id)] as const;
    if (expect !== undefined) {
      const row = this.#first("SELECT revision FROM meta WHERE kind = ? AND account = ? AND region = ? AND id = ?", ...where);
      const present = row === undefined ? "absent" : Number(row["revision"]);
      if (present !== expect) throw new Refusal("Conflict", `${key.kind} ${key.id}: revision ${present}, expected ${expect}`);
    }
    if (keep) return { key, revision: typeof expect === "number" ? expect : 0 };
    const revision = Number(this.#first("UPDATE counter SET value = value + 1 WHERE name = 'revision' RETURNING value")?.["value"]);
    if (value === undefined) {
      this.#run("DELETE FROM meta WHERE kind = ? AND account = ? AND region = ? AND id = ?", ...where);
      return { key, revision };
    }
    const text = JSON.stringify(value);
    this.#run(
      "INSERT INTO meta (kind, account, region, id, revision, value) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision, value = excluded.value",
      ...where,
      revision,
      text,
    );
    return { key, revision, value: JSON.parse(text) as unknown };
  }

  #effects(effects: Effects | undefined, nowMs: number): Change[] {
    if (effects?.enqueue !== undefined) this.enqueue(effects.enqueue, nowMs);
    if (effects?.timers !== undefined) this.timersSet(effects.timers);
    return effects?.writes === undefined ? [] : [...this.metaWrite(effects.writes).changes];
  }

  // --- queue

  enqueue(messages: readonly NewMessage[], nowMs: number): void {
    const insert = this.#statement(
      "INSERT INTO queue (queue, id, body, enqueued_ms, visible_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    for (const { queue, id, body, visibleAtMs } of messages) insert.run(queue, id, body, nowMs, visibleAtMs ?? nowMs);
  }

  claim(queue: string, limit: number, visibilityMs: number, nowMs: number): ClaimedMessage[] {
    const rows = this.#all("SELECT * FROM queue WHERE queue = ? AND visible_ms <= ? ORDER BY sequence LIMIT ?", queue, nowMs, limit);
    return rows.map((row) => {
      const token = randomUUID();
      const attempt = Number(row["attempt"]) + 1;
      this.#run(
        "UPDATE queue SET token = ?, attempt = ?, visible_ms = ? WHERE sequence = ?",
        token,
        attempt,
        nowMs + visibilityMs,
        Number(row["sequence"]),
      );
      return { queue, id: String(row["id"]), body: bytesOf(row["body"]), token, attempt, enqueuedAtMs: Number(row["enqueued_ms"]) };
    });
  }

  extend(tokens: readonly string[], visibilityMs: number, nowMs: number): boolean[] {
    const sql = "UPDATE queue SET visible_ms = ? WHERE token = ? AND visible_ms > ?";
    return tokens.map((token) => Number(this.#run(sql, nowMs + visibilityMs, token, nowMs).changes) === 1);
  }

  acknowledge(tokens: readonly string[], effects: Effects | undefined, nowMs: number): Change[] {
    for (const token of tokens)
      if (Number(this.#run("DELETE FROM queue WHERE token = ? AND visible_ms > ?", token, nowMs).changes) !== 1)
        throw new Refusal("Fenced", "a claim is no longer valid");
    return this.#effects(effects, nowMs);
  }

  release(tokens: readonly string[], delayMs: number, nowMs: number): void {
    for (const token of tokens)
      this.#run("UPDATE queue SET token = NULL, visible_ms = ? WHERE token = ? AND visible_ms > ?", nowMs + delayMs, token, nowMs);
  }

  depth(queue: string, nowMs: number): { visible: number; claimed: number; delayed: number } {
    const row = this.#first(
      `SELECT coalesce(sum(visible_ms <= ?2), 0) AS visible, coalesce(sum(visible_ms > ?2 AND token IS NOT NULL), 0) AS claimed,
       coalesce(sum(visible_ms > ?2 AND token IS NULL), 0) AS delayed FROM queue WHERE queue = ?1`,
      queue,
      nowMs,
    );
    return { visible: Number(row?.["visible"]), claimed: Number(row?.["claimed"]), delayed: Number(row?.["delayed"]) };
  }

  // --- journal

  append(stream: string, expectedSequence: number, events: readonly Uint8Array[], effects: Effects | undefined, nowMs: number): Change[] {
    const last = Number(this.#first("SELECT coalesce(max(sequence), 0) AS last FROM journal WHERE stream = ?", stream)?.["last"]);
    if (last !== expectedSequence) throw new Refusal("Conflict", `journal ${stream}: at ${last}, expected ${expectedSequence}`);
    for (const [index, body] of events.entries()) this.#run("INSERT INTO journal VALUES (?, ?, ?)", stream, last + 1 + index, body);
    return this.#effects(effects, nowMs);
  }

  readJournal(stream: string, afterSequence: number, limit: number): JournalEvent[] {
    const rows = this.#all(
      "SELECT sequence, body FROM journal WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
      stream,
      afterSequence,
      limit,
    );
    return rows.map((row) => ({ sequence: Number(row["sequence"]), body: bytesOf(row["body"]) }));
  }

  removeJournal(stream: string): void {
    this.#run("DELETE FROM journal WHERE stream = ?", stream);
  }

  // --- timers

  timersSet(timers: readonly Timer[]): void {
    for (const { group, id, dueAtMs, body } of timers)
      this.#run(
        "INSERT OR REPLACE INTO timer (grp, id, due_ms, body, hidden_ms, token) VALUES (?, ?, ?, ?, 0, NULL)",
        group,
        id,
        dueAtMs,
        body,
      );
  }

  timersCancel(group: string, ids: readonly string[]): void {
    for (const id of ids) this.#run("DELETE FROM timer WHERE grp = ? AND id = ?", group, id);
  }

  timersClaim(group: string, limit: number, visibilityMs: number, nowMs: number): ClaimedTimer[] {
    const rows = this.#all(
      "SELECT * FROM timer WHERE grp = ? AND due_ms <= ? AND hidden_ms <= ? ORDER BY due_ms, id LIMIT ?",
      group,
      nowMs,
      nowMs,
      limit,
    );
    return rows.map((row) => {
      const token = randomUUID();
      const id = String(row["id"]);
      this.#run("UPDATE timer SET token = ?, hidden_ms = ? WHERE grp = ? AND id = ?", token, nowMs + visibilityMs, group, id);
      return { group, id, dueAtMs: Number(row["due_ms"]), body: bytesOf(row["body"]), token };
    });
  }

  timersAcknowledge(tokens: readonly string[], effects: Effects | undefined, nowMs: number): Change[] {
    for (const token of tokens)
      if (Number(this.#run("DELETE FROM timer WHERE token = ? AND hidden_ms > ?", token, nowMs).changes) !== 1)
        throw new Refusal("Fenced", "a claim of a timer is no longer valid");
    return this.#effects(effects, nowMs);
  }

  // --- leases

  leasesAcquire(names: readonly string[], holder: string, durationMs: number, nowMs: number): (Lease | undefined)[] {
    return names.map((name) => {
      const row = this.#first("SELECT epoch, expires_ms FROM lease WHERE name = ?", name);
      if (row !== undefined && Number(row["expires_ms"]) > nowMs) return undefined;
      const lease = { name, epoch: Number(row?.["epoch"] ?? 0) + 1, expiresAtMs: nowMs + durationMs };
      this.#run("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?)", name, lease.epoch, holder, lease.expiresAtMs);
      return lease;
    });
  }

  leasesRenew(leases: readonly Lease[], durationMs: number, nowMs: number): (Lease | undefined)[] {
    const sql = "UPDATE lease SET expires_ms = ? WHERE name = ? AND epoch = ? AND expires_ms > ?";
    return leases.map((lease) => {
      const expiresAtMs = nowMs + durationMs;
      return Number(this.#run(sql, expiresAtMs, lease.name, lease.epoch, nowMs).changes) === 1 ? { ...lease, expiresAtMs } : undefined;
    });
  }

  /** The row stays, so that the next holder's epoch is higher. */
  leasesRelease(leases: readonly Lease[]): void {
    for (const { name, epoch } of leases) this.#run("UPDATE lease SET expires_ms = 0 WHERE name = ? AND epoch = ?", name, epoch);
  }

  fenced(lease: Lease, effects: Effects, nowMs: number): Change[] {
    const row = this.#first("SELECT 1 AS held FROM lease WHERE name = ? AND epoch = ? AND expires_ms > ?", lease.name, lease.epoch, nowMs);
    if (row === undefined) throw new Refusal("Fenced", `lease ${lease.name} of epoch ${lease.epoch} is no longer held`);
    return this.#effects(effects, nowMs);
  }

  // --- capacity

  capacityLimit(pool: string, amount: number): void {
    this.#run("INSERT OR REPLACE INTO capacity VALUES (?, ?)", pool, amount);
  }

  capacityDraw(pool: string, want: number, durationMs: number, nowMs: number): Budget | undefined {
    this.#run("DELETE FROM budget WHERE pool = ? AND expires_ms <= ?", pool, nowMs);
    const limit = Number(this.#first("SELECT amount FROM capacity WHERE pool = ?", pool)?.["amount"] ?? 0);
    const used = Number(this.#first("SELECT coalesce(sum(amount), 0) AS used FROM budget WHERE pool = ?", pool)?.["used"]);
    const amount = Math.min(want, limit - used);
    if (amount <= 0) return undefined;
    const budget = { id: randomUUID(), pool, amount, expiresAtMs: nowMs + durationMs };
    this.#run("INSERT INTO budget VALUES (?, ?, ?, ?)", budget.id, pool, amount, budget.expiresAtMs);
    return budget;
  }

  capacityGiveBack(budgets: readonly Budget[]): void {
    for (const { id } of budgets) this.#run("DELETE FROM budget WHERE id = ?", id);
  }

  #statement(sql: string): StatementSync {
    const found = this.#prepared.get(sql) ?? this.#database.prepare(sql);
    this.#prepared.set(sql, found);
    return found;
  }

  #run(sql: string, ...values: SQLInputValue[]) {
    return this.#statement(sql).run(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  #first(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }
}
