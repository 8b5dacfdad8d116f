// The thread that owns logs.db: group commit of what is appended, and queries. Speaks with sqlite-log-sink.ts only.
import type { SQLInputValue } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { eventId, type LogEvent, type LogQuery, type LogStreamInfo, type LogStreamName, type StoredLogEvent } from "../log-sink.ts";
import type { Row } from "./prepared.ts";
import { SideDatabase } from "./side-database.ts";

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

interface LogCall {
  readonly id: number;
  readonly method: keyof LogCalls;
  readonly words: readonly unknown[];
}

/** What one transaction adds to a stream. */
interface Written {
  readonly group: number;
  readonly stream: number;
  bytes: number;
  firstMs: number;
  lastMs: number;
  ingestedAtMs: number;
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

class LogDatabase implements LogCalls {
  readonly #sql: SideDatabase;

  constructor(path: string) {
    this.#sql = new SideDatabase(path, SCHEMA);
  }

  append(batches: readonly AppendBatch[]): void {
    this.#sql.transaction(() => {
      const written = new Map<string, Written>();
      for (const batch of batches) this.#insert(batch, this.#writtenTo(written, batch));
      for (const one of written.values()) this.#count(one);
    });
  }

  query(query: LogQuery): StoredLogEvent[] {
    const group = this.#groupId(query.account, query.region, query.group);
    if (group === undefined) return [];
    const { sql, values } = selectEvents(query, group);
    return this.#sql.all(sql, ...values).map(storedEvent);
  }

  streams(account: string, region: string, group: string): LogStreamInfo[] {
    return this.#sql.all("SELECT * FROM log_stream WHERE group_id = ?", this.#groupId(account, region, group) ?? -1).map(streamInfo);
  }

  createStream(name: LogStreamName, nowMs: number): "created" | "exists" {
    return this.#sql.transaction(() => (this.#streamIds(name, nowMs).isNew ? "created" : "exists"));
  }

  deleteStream(name: LogStreamName): void {
    return this.#sql.transaction(() => {
      const group = this.#groupId(name.account, name.region, name.group) ?? -1;
      const row = this.#sql.first("SELECT id FROM log_stream WHERE group_id = ? AND name = ?", group, name.stream);
      if (row === undefined) return;
      this.#sql.run("DELETE FROM log_event WHERE stream_id = ?", Number(row["id"]));
      this.#sql.run("DELETE FROM log_stream WHERE id = ?", Number(row["id"]));
      this.#recount(group);
    });
  }

  deleteGroup(account: string, region: string, name: string): void {
    return this.#sql.transaction(() => {
      const group = this.#groupId(account, region, name) ?? -1;
      this.#sql.run("DELETE FROM log_event WHERE group_id = ?", group);
      this.#sql.run("DELETE FROM log_stream WHERE group_id = ?", group);
      this.#sql.run("DELETE FROM log_group WHERE id = ?", group);
    });
  }

  groups(account: string, region: string): string[] {
    const rows = this.#sql.all("SELECT name FROM log_group WHERE account = ? AND region = ? ORDER BY name", account, region);
    return rows.map((row) => String(row["name"]));
  }

  storedBytes(account: string, region: string, group: string): number {
    return Number(this.#sql.first("SELECT bytes FROM log_group WHERE id = ?", this.#groupId(account, region, group) ?? -1)?.["bytes"] ?? 0);
  }

  expire(account: string, region: string, name: string, beforeMs: number): void {
    return this.#sql.transaction(() => {
      const group = this.#groupId(account, region, name) ?? -1;
      const gone = this.#sql.run("DELETE FROM log_event WHERE group_id = ? AND timestamp_ms < ?", group, beforeMs);
      if (Number(gone.changes) > 0) this.#recount(group);
    });
  }

  close(): void {
    this.#sql.close();
  }

  /** Every invocation logs several times, and many do within one transaction: what is known of a stream is looked up and written once. */
  #writtenTo(written: Map<string, Written>, { name, ingestedAtMs }: AppendBatch): Written {
    const key = JSON.stringify([name.account, name.region, name.group, name.stream]);
    const known = written.get(key);
    if (known !== undefined) return known;
    const { group, stream } = this.#streamIds(name, ingestedAtMs);
    const fresh = { group, stream, bytes: 0, firstMs: Infinity, lastMs: 0, ingestedAtMs };
    written.set(key, fresh);
    return fresh;
  }

  #insert({ ingestedAtMs, events }: AppendBatch, written: Written): void {
    const insert = "INSERT INTO log_event (group_id, stream_id, timestamp_ms, ingested_ms, message) VALUES (?, ?, ?, ?, ?)";
    written.ingestedAtMs = ingestedAtMs;
    for (const { timestampMs, message } of events) {
      this.#sql.run(insert, written.group, written.stream, timestampMs, ingestedAtMs, message);
      written.bytes += Buffer.byteLength(message);
      written.firstMs = Math.min(written.firstMs, timestampMs);
      written.lastMs = Math.max(written.lastMs, timestampMs);
    }
  }

  #count({ group, stream, bytes, firstMs, lastMs, ingestedAtMs }: Written): void {
    this.#sql.run("UPDATE log_group SET bytes = bytes + ? WHERE id = ?", bytes, group);
    this.#sql.run(
      "UPDATE log_stream SET first_ms = min(coalesce(first_ms, ?1), ?1), last_ms = max(coalesce(last_ms, 0), ?2), ingested_ms = ?3 WHERE id = ?4",
      firstMs,
      lastMs,
      ingestedAtMs,
      stream,
    );
  }

  #groupId(account: string, region: string, group: string): number | undefined {
    const row = this.#sql.first("SELECT id FROM log_group WHERE account = ? AND region = ? AND name = ?", account, region, group);
    return row === undefined ? undefined : Number(row["id"]);
  }

  #streamIds(name: LogStreamName, nowMs: number): { group: number; stream: number; isNew: boolean } {
    const { account, region } = name;
    this.#sql.run("INSERT INTO log_group (account, region, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", account, region, name.group);
    const group = this.#groupId(account, region, name.group) ?? 0;
    const made = this.#sql.run(
      "INSERT INTO log_stream (group_id, name, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      group,
      name.stream,
      nowMs,
    );
    const row = this.#sql.first("SELECT id FROM log_stream WHERE group_id = ? AND name = ?", group, name.stream);
    return { group, stream: Number(row?.["id"]), isNew: Number(made.changes) > 0 };
  }

  #recount(group: number): void {
    const sum = "SELECT coalesce(sum(length(CAST(message AS BLOB))), 0) FROM log_event WHERE group_id = ?1";
    this.#sql.run(`UPDATE log_group SET bytes = (${sum}) WHERE id = ?1`, group);
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
