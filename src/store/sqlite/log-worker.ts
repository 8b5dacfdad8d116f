// The thread that owns logs.db: group commit of what is appended, and queries. Speaks with sqlite-log-sink.ts only.
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { eventId, type LogEvent, type LogQuery, type LogStreamInfo, type LogStreamName, type StoredLogEvent } from "../log-sink.ts";

export interface AppendBatch {
  readonly name: LogStreamName;
  readonly ingestedAtMs: number;
  readonly events: readonly LogEvent[];
}

export interface LogCalls {
  append(batches: readonly AppendBatch[]): void;
  query(query: LogQuery): StoredLogEvent[];
  streams(account: string, region: string, group: string): LogStreamInfo[];
  createStream(name: LogStreamName, nowMs: number): "created" | "exists";
  deleteStream(name: LogStreamName): void;
  deleteGroup(account: string, region: string, group: string): void;
  groups(account: string, region: string): string[];
  storedBytes(account: string, region: string, group: string): number;
  expire(account: string, region: string, group: string, beforeMs: number): void;
  close(): void;
}

export interface LogCall {
  readonly id: number;
  readonly method: keyof LogCalls;
  readonly words: readonly unknown[];
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS log_group (id INTEGER PRIMARY KEY, account TEXT, region TEXT, name TEXT, bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, region, name));
  CREATE TABLE IF NOT EXISTS log_stream (id INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, name TEXT, created_ms INTEGER, first_ms INTEGER,
    last_ms INTEGER, ingested_ms INTEGER, UNIQUE (group_id, name));
  CREATE TABLE IF NOT EXISTS log_event (id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, stream_id INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, ingested_ms INTEGER NOT NULL, message TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS log_event_group ON log_event (group_id, timestamp_ms, id);
  CREATE INDEX IF NOT EXISTS log_event_stream ON log_event (stream_id, timestamp_ms, id);`;

type Row = Record<string, SQLOutputValue>;

class LogDatabase implements LogCalls {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA user_version = 1; PRAGMA busy_timeout = 5000;");
    this.#database.exec(SCHEMA);
  }

  append(batches: readonly AppendBatch[]): void {
    this.#transaction(() => batches.forEach((batch) => this.#appendOne(batch)));
  }

  query(query: LogQuery): StoredLogEvent[] {
    const group = this.#groupId(query.account, query.region, query.group);
    if (group === undefined) return [];
    const { sql, values } = selectEvents(query, group);
    return this.#all(sql, ...values).map(storedEvent);
  }

  streams(account: string, region: string, group: string): LogStreamInfo[] {
    return this.#all("SELECT * FROM log_stream WHERE group_id = ?", this.#groupId(account, region, group) ?? -1).map(streamInfo);
  }

  createStream(name: LogStreamName, nowMs: number): "created" | "exists" {
    return this.#transaction(() => (this.#streamIds(name, nowMs).isNew ? "created" : "exists"));
  }

  deleteStream(name: LogStreamName): void {
    return this.#transaction(() => {
      const group = this.#groupId(name.account, name.region, name.group) ?? -1;
      const row = this.#first("SELECT id FROM log_stream WHERE group_id = ? AND name = ?", group, name.stream);
      if (row === undefined) return;
      this.#run("DELETE FROM log_event WHERE stream_id = ?", Number(row["id"]));
      this.#run("DELETE FROM log_stream WHERE id = ?", Number(row["id"]));
      this.#recount(group);
    });
  }

  deleteGroup(account: string, region: string, name: string): void {
    return this.#transaction(() => {
      const group = this.#groupId(account, region, name) ?? -1;
      this.#run("DELETE FROM log_event WHERE group_id = ?", group);
      this.#run("DELETE FROM log_stream WHERE group_id = ?", group);
      this.#run("DELETE FROM log_group WHERE id = ?", group);
    });
  }

  groups(account: string, region: string): string[] {
    const rows = this.#all("SELECT name FROM log_group WHERE account = ? AND region = ? ORDER BY name", account, region);
    return rows.map((row) => String(row["name"]));
  }

  storedBytes(account: string, region: string, group: string): number {
    return Number(this.#first("SELECT bytes FROM log_group WHERE id = ?", this.#groupId(account, region, group) ?? -1)?.["bytes"] ?? 0);
  }

  expire(account: string, region: string, name: string, beforeMs: number): void {
    return this.#transaction(() => {
      const group = this.#groupId(account, region, name) ?? -1;
      const gone = this.#run("DELETE FROM log_event WHERE group_id = ? AND timestamp_ms < ?", group, beforeMs);
      if (Number(gone.changes) > 0) this.#recount(group);
    });
  }

  close(): void {
    this.#database.close();
  }

  #appendOne({ name, ingestedAtMs, events }: AppendBatch): void {
    const { group, stream } = this.#streamIds(name, ingestedAtMs);
    const insert = this.#statement(
      "INSERT INTO log_event (group_id, stream_id, timestamp_ms, ingested_ms, message) VALUES (?, ?, ?, ?, ?)",
    );
    let bytes = 0;
    let firstMs = Infinity;
    let lastMs = 0;
    for (const { timestampMs, message } of events) {
      insert.run(group, stream, timestampMs, ingestedAtMs, message);
      bytes += Buffer.byteLength(message);
      firstMs = Math.min(firstMs, timestampMs);
      lastMs = Math.max(lastMs, timestampMs);
    }
    this.#run("UPDATE log_group SET bytes = bytes + ? WHERE id = ?", bytes, group);
    this.#run(
      "UPDATE log_stream SET first_ms = min(coalesce(first_ms, ?1), ?1), last_ms = max(coalesce(last_ms, 0), ?2), ingested_ms = ?3 WHERE id = ?4",
      firstMs,
      lastMs,
      ingestedAtMs,
      stream,
    );
  }

  #groupId(account: string, region: string, group: string): number | undefined {
    const row = this.#first("SELECT id FROM log_group WHERE account = ? AND region = ? AND name = ?", account, region, group);
    return row === undefined ? undefined : Number(row["id"]);
  }

  #streamIds(name: LogStreamName, nowMs: number): { group: number; stream: number; isNew: boolean } {
    const { account, region } = name;
    this.#run("INSERT INTO log_group (account, region, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", account, region, name.group);
    const group = this.#groupId(account, region, name.group) ?? 0;
    const made = this.#run(
      "INSERT INTO log_stream (group_id, name, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      group,
      name.stream,
      nowMs,
    );
    const row = this.#first("SELECT id FROM log_stream WHERE group_id = ? AND name = ?", group, name.stream);
    return { group, stream: Number(row?.["id"]), isNew: Number(made.changes) > 0 };
  }

  #recount(group: number): void {
    const sum = "SELECT coalesce(sum(length(CAST(message AS BLOB))), 0) FROM log_event WHERE group_id = ?1";
    this.#run(`UPDATE log_group SET bytes = (${sum}) WHERE id = ?1`, group);
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
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

function streamInfo(row: Row): LogStreamInfo {
  const info = { stream: String(row["name"]), createdAtMs: Number(row["created_ms"]) };
  if (row["first_ms"] === null) return info;
  return {
    ...info,
    firstEventMs: Number(row["first_ms"]),
    lastEventMs: Number(row["last_ms"]),
    lastIngestedMs: Number(row["ingested_ms"]),
  };
}

function selectEvents(query: LogQuery, group: number): { sql: string; values: SQLInputValue[] } {
  const where = ["e.group_id = ?"];
  const values: SQLInputValue[] = [group];
  const and = (condition: string, ...more: SQLInputValue[]) => {
    where.push(condition);
    values.push(...more);
  };
  if (query.streams !== undefined) and("s.name IN (SELECT value FROM json_each(?))", JSON.stringify(query.streams));
  if (query.streamPrefix !== undefined) and("substr(s.name, 1, ?) = ?", query.streamPrefix.length, query.streamPrefix);
  if (query.fromMs !== undefined) and("e.timestamp_ms >= ?", query.fromMs);
  if (query.toMs !== undefined) and("e.timestamp_ms < ?", query.toMs);
  const isBackwards = query.backwards === true;
  if (query.cursor !== undefined)
    and(`(e.timestamp_ms, e.id) ${isBackwards ? "<" : ">"} (?, ?)`, query.cursor.timestampMs, Number(query.cursor.id.slice(-40)));
  const direction = isBackwards ? "DESC" : "ASC";
  const sql = `SELECT e.id, e.timestamp_ms, e.ingested_ms, e.message, s.name FROM log_event e JOIN log_stream s ON s.id = e.stream_id
     WHERE ${where.join(" AND ")} ORDER BY e.timestamp_ms ${direction}, e.id ${direction} LIMIT ?`;
  return { sql, values: [...values, query.limit] };
}

const storedEvent = (row: Row): StoredLogEvent => ({
  id: eventId(Number(row["timestamp_ms"]), Number(row["id"])),
  stream: String(row["name"]),
  timestampMs: Number(row["timestamp_ms"]),
  ingestedAtMs: Number(row["ingested_ms"]),
  message: String(row["message"]),
});

if (parentPort !== null) {
  const port = parentPort;
  const logs = new LogDatabase((workerData as { path: string }).path);
  port.on("message", ({ id, method, words }: LogCall) => {
    try {
      const result = (logs[method] as (...all: readonly unknown[]) => unknown).apply(logs, [...words]);
      port.postMessage({ id, result });
      if (method === "close") port.close();
    } catch (error) {
      port.postMessage({ id, error: (error as Error).message });
    }
  });
}
