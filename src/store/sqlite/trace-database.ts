// Traces in SQL: a row for each trace, with what it is listed by, and one for each of its segments.
import { TRACE_BYTES_MAX, TRACES_BYTES_MAX, type ListedTrace, type Trace, type TraceList, type TraceSegment } from "../trace-store.ts";
import type { Row } from "./prepared.ts";
import { SideDatabase } from "./side-database.ts";

// The times and bytes of a trace are those of its segments, and kept with it because lists and bounds ask for them.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS trace (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL,
    trace_id TEXT NOT NULL, start_ms REAL NOT NULL, end_ms REAL, written_ms REAL NOT NULL, bytes INTEGER NOT NULL, kept INTEGER NOT NULL,
    is_full INTEGER NOT NULL, UNIQUE (account, region, trace_id));
  CREATE INDEX IF NOT EXISTS trace_start ON trace (account, region, start_ms);
  CREATE INDEX IF NOT EXISTS trace_end ON trace (account, region, end_ms);
  CREATE INDEX IF NOT EXISTS trace_written ON trace (account, region, written_ms);
  CREATE INDEX IF NOT EXISTS trace_age ON trace (written_ms);
  CREATE TABLE IF NOT EXISTS segment (trace INTEGER NOT NULL, id TEXT NOT NULL, start_ms REAL NOT NULL, end_ms REAL,
    bytes INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (trace, id));
  CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY CHECK (one = 1), kept INTEGER NOT NULL);
  INSERT OR IGNORE INTO total VALUES (1, 0);`;

/** What a segment takes beside its document, about: many small ones are bounded, too. */
const ROW_BYTES = 256;
/** What one step of `expire` removes at most: bounds how long others wait for it. */
const EXPIRED_TRACES_MAX = 500;
const EXPIRED_BYTES_MAX = 16 * 1024 ** 2;
const COLUMNS = { start: "start_ms", end: "end_ms", written: "written_ms" } as const;

export interface TracePut {
  readonly segments: readonly TraceSegment[];
  readonly nowMs: number;
}

export class TraceDatabase {
  readonly #sql: SideDatabase;
  readonly #bytesMax: number;

  constructor(path: string, bytesMax: number = TRACES_BYTES_MAX) {
    this.#bytesMax = bytesMax;
    this.#sql = new SideDatabase(path, SCHEMA);
  }

  /** Several puts in one transaction; for each the indexes of what is refused. */
  putAll(puts: readonly TracePut[]): number[][] {
    return this.#sql.transaction(() => {
      const refused = puts.map((put) => this.#put(put));
      this.#makeRoom();
      return refused;
    });
  }

  ofTraces(account: string, region: string, traceIds: readonly string[]): Trace[] {
    return traceIds.flatMap((traceId) => {
      const trace = this.#find(account, region, traceId);
      if (trace === undefined) return [];
      const rows = this.#sql.all("SELECT * FROM segment WHERE trace = ? ORDER BY start_ms, id", Number(trace["id"]));
      const segments = rows.map((row) => segmentOf({ account, region, traceId }, row));
      return [{ traceId, isFull: trace["is_full"] === 1, segments }];
    });
  }

  list({ account, region, by, fromMs, toMs, after, limit }: TraceList): ListedTrace[] {
    const at = COLUMNS[by];
    const position = after ?? { atMs: toMs, sequence: 0 };
    const rows = this.#sql.all(
      `SELECT id, trace_id, bytes, ${at} AS at FROM trace WHERE account = ? AND region = ? AND ${at} >= ?
       AND (${at}, id) < (?, ?) ORDER BY ${at} DESC, id DESC LIMIT ?`,
      account,
      region,
      fromMs,
      position.atMs,
      position.sequence,
      limit,
    );
    return rows.map((row) => ({
      traceId: String(row["trace_id"]),
      bytes: Number(row["bytes"]),
      atMs: Number(row["at"]),
      sequence: Number(row["id"]),
    }));
  }

  /** Whether there is more to do. */
  expire(beforeMs: number): boolean {
    return this.#sql.transaction(() => {
      const old = this.#sql.all(
        "SELECT id, kept FROM trace WHERE written_ms < ? ORDER BY written_ms LIMIT ?",
        beforeMs,
        EXPIRED_TRACES_MAX,
      );
      let bytes = 0;
      for (const row of old) {
        if (bytes > EXPIRED_BYTES_MAX) return true;
        this.#remove(row);
        bytes += Number(row["kept"]);
      }
      return old.length === EXPIRED_TRACES_MAX;
    });
  }

  close(): void {
    this.#sql.close();
  }

  #put({ segments, nowMs }: TracePut): number[] {
    const refused: number[] = [];
    const traces = Map.groupBy(segments.entries(), ([, { account, region, traceId }]) => `${account} ${region} ${traceId}`);
    for (const entries of traces.values()) {
      const [[, first] = []] = entries;
      if (first === undefined) continue;
      const trace = this.#begun(first, nowMs);
      let bytes = Number(trace["bytes"]);
      const refusedBefore = refused.length;
      for (const [index, segment] of entries) {
        const added = this.#write(Number(trace["id"]), segment, TRACE_BYTES_MAX - bytes);
        if (added === undefined) refused.push(index);
        else bytes += added;
      }
      this.#sum(trace, nowMs, refused.length > refusedBefore);
    }
    return refused;
  }

  /** How many bytes the trace has grown by; undefined: by more than there is room for, and nothing is written. */
  #write(trace: number, { id, startMs, endMs, document }: TraceSegment, room: number): number | undefined {
    const before = this.#sql.first("SELECT bytes, end_ms FROM segment WHERE trace = ? AND id = ?", trace, id);
    // Two that were sent one after the other may arrive the other way round.
    if (before !== undefined && before["end_ms"] !== null && endMs === undefined) return 0;
    const bytes = Buffer.byteLength(document);
    const added = bytes - Number(before?.["bytes"] ?? 0);
    if (added > room) return undefined;
    this.#sql.run(
      `INSERT INTO segment (trace, id, start_ms, end_ms, bytes, document) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       start_ms = excluded.start_ms, end_ms = excluded.end_ms, bytes = excluded.bytes, document = excluded.document`,
      trace,
      id,
      startMs,
      endMs ?? null,
      bytes,
      document,
    );
    return added;
  }

  #begun({ account, region, traceId, startMs }: TraceSegment, nowMs: number): Row {
    const present = this.#find(account, region, traceId);
    if (present !== undefined) return present;
    const made = this.#sql.first(
      `INSERT INTO trace (account, region, trace_id, start_ms, written_ms, bytes, kept, is_full) VALUES (?, ?, ?, ?, ?, 0, 0, 0) RETURNING *`,
      account,
      region,
      traceId,
      startMs,
      nowMs,
    );
    if (made === undefined) throw new Error("a row that was inserted is not there");
    return made;
  }

  /** Brings the trace's row to what its segments are now. */
  #sum(trace: Row, nowMs: number, wasRefused: boolean): void {
    const id = Number(trace["id"]);
    const row = this.#sql.first(
      `UPDATE trace SET start_ms = of.start_ms, end_ms = of.end_ms, bytes = of.bytes, kept = of.bytes + of.count * ${ROW_BYTES},
       written_ms = ?, is_full = max(is_full, ?)
       FROM (SELECT min(start_ms) AS start_ms, max(end_ms) AS end_ms, sum(bytes) AS bytes, count(*) AS count FROM segment WHERE trace = ?) AS of
       WHERE trace.id = ? RETURNING kept`,
      nowMs,
      wasRefused ? 1 : 0,
      id,
      id,
    );
    this.#addToTotal(Number(row?.["kept"]) - Number(trace["kept"]));
  }

  /** What was just written is the newest, and stays. */
  #makeRoom(): void {
    for (;;) {
      if (Number(this.#sql.first("SELECT kept FROM total")?.["kept"]) <= this.#bytesMax) return;
      const oldest = this.#sql.first("SELECT id, kept FROM trace ORDER BY written_ms, id LIMIT 1");
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  #remove(trace: Row): void {
    const id = Number(trace["id"]);
    this.#sql.run("DELETE FROM segment WHERE trace = ?", id);
    this.#sql.run("DELETE FROM trace WHERE id = ?", id);
    this.#addToTotal(-Number(trace["kept"]));
  }

  #addToTotal(bytes: number): void {
    this.#sql.run("UPDATE total SET kept = kept + ?", bytes);
  }

  #find(account: string, region: string, traceId: string): Row | undefined {
    return this.#sql.first("SELECT * FROM trace WHERE account = ? AND region = ? AND trace_id = ?", account, region, traceId);
  }
}

const segmentOf = (trace: Pick<TraceSegment, "account" | "region" | "traceId">, row: Row): TraceSegment => ({
  ...trace,
  id: String(row["id"]),
  startMs: Number(row["start_ms"]),
  ...(row["end_ms"] === null ? {} : { endMs: Number(row["end_ms"]) }),
  document: String(row["document"]),
});
