// Metrics in SQL: one row for each metric, unit and period of a tier; what arrives later in a period is merged into its row.
import type { SQLInputValue } from "node:sqlite";
import { Gathered, type Distribution } from "../distribution.ts";
import {
  METRICS_MAX,
  TIERS,
  type ListedMetric,
  type MetricList,
  type MetricName,
  type MetricPeriod,
  type MetricPoint,
  type MetricQuery,
} from "../metric-store.ts";
import type { Row } from "./prepared.ts";
import { SideDatabase } from "./side-database.ts";

// `seconds` is the tier. A point is in one tier only, so that reading all of them counts nothing twice.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS metric (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL,
    namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL, last_ms INTEGER NOT NULL,
    UNIQUE (account, region, namespace, name, dimensions));
  CREATE TABLE IF NOT EXISTS point (metric INTEGER NOT NULL, start_ms INTEGER NOT NULL, seconds INTEGER NOT NULL, unit TEXT NOT NULL,
    count REAL NOT NULL, sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, vals TEXT,
    PRIMARY KEY (metric, start_ms, seconds, unit)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS point_age ON point (seconds, start_ms);`;

/** Rows that one step of `expire` moves: bounds how long others wait for it. */
const EXPIRED_MAX = 5000;

const distributionOf = (row: Row): Distribution => ({
  count: Number(row["count"]),
  sum: Number(row["sum"]),
  min: Number(row["min"]),
  max: Number(row["max"]),
  ...(row["vals"] === null ? {} : { values: JSON.parse(String(row["vals"])) as number[] }),
});

const floorTo = (timeMs: number, periodMs: number) => Math.floor(timeMs / periodMs) * periodMs;

function metricOf(row: Row): ListedMetric {
  const [account, region, namespace, name] = ["account", "region", "namespace", "name"].map((column) => String(row[column]));
  const dimensions = JSON.parse(String(row["dimensions"])) as MetricName["dimensions"];
  return {
    id: Number(row["id"]),
    metric: { account: account ?? "", region: region ?? "", namespace: namespace ?? "", name: name ?? "", dimensions },
  };
}

export class MetricDatabase {
  readonly #sql: SideDatabase;

  constructor(path: string) {
    this.#sql = new SideDatabase(path, SCHEMA);
  }

  /** Several puts in one transaction, each of which stands or falls alone. */
  putAll(puts: readonly (readonly MetricPoint[])[]): ("stored" | "full")[] {
    return this.#sql.transaction(() => puts.map((points) => this.#put(points)));
  }

  query({ metric, unit, fromMs, toMs, periodMs, limit, backwards }: MetricQuery): MetricPeriod[] {
    const id = this.#idOf(metric);
    if (id === undefined) return [];
    const where = unit === undefined ? "" : "AND unit = ?";
    const sql = `SELECT * FROM point WHERE metric = ? AND start_ms >= ? AND start_ms < ? ${where} ORDER BY start_ms ${backwards === true ? "DESC" : "ASC"}, unit`;
    const periods = new Map<string, { startMs: number; unit: string; gathered: Gathered }>();
    for (const row of this.#sql.iterate(sql, id, fromMs, toMs, ...(unit === undefined ? [] : [unit]))) {
      const startMs = fromMs + floorTo(Number(row["start_ms"]) - fromMs, periodMs);
      const key = `${startMs} ${String(row["unit"])}`;
      let period = periods.get(key);
      if (period === undefined) {
        if (periods.size === limit) break;
        periods.set(key, (period = { startMs, unit: String(row["unit"]), gathered: new Gathered() }));
      }
      period.gathered.merge(distributionOf(row));
    }
    return [...periods.values()].map(({ startMs, unit: of, gathered }) => ({ startMs, unit: of, values: gathered.distribution() }));
  }

  list({ account, region, namespace, name, dimensions, activeSinceMs, after, limit }: MetricList): ListedMetric[] {
    const where = ["account = ? AND region = ? AND id > ? AND last_ms >= ?"];
    const values: SQLInputValue[] = [account, region, after, activeSinceMs];
    if (namespace !== undefined) {
      where.push("namespace = ?");
      values.push(namespace);
    }
    if (name !== undefined) {
      where.push("name = ?");
      values.push(name);
    }
    const found: ListedMetric[] = [];
    for (const row of this.#sql.iterate(`SELECT * FROM metric WHERE ${where.join(" AND ")} ORDER BY id`, ...values)) {
      if (found.length === limit) break;
      const listed = metricOf(row);
      const has = (wanted: MetricList["dimensions"][number]) =>
        listed.metric.dimensions.some(({ Name, Value }) => Name === wanted.Name && (wanted.Value === undefined || Value === wanted.Value));
      if (dimensions.every(has)) found.push(listed);
    }
    return found;
  }

  /** Whether there is more to do. */
  expire(nowMs: number): boolean {
    return this.#sql.transaction(() => {
      let isDone = true;
      for (const [index, tier] of TIERS.entries()) {
        const old = this.#sql.all(
          "SELECT * FROM point WHERE seconds = ? AND start_ms < ? ORDER BY start_ms LIMIT ?",
          tier.seconds,
          nowMs - tier.keptMs,
          EXPIRED_MAX,
        );
        isDone &&= old.length < EXPIRED_MAX;
        const next = TIERS[index + 1]?.seconds;
        for (const row of old) {
          this.#sql.run("DELETE FROM point WHERE metric = ? AND start_ms = ? AND seconds = ? AND unit = ?", ...keyOf(row));
          if (next !== undefined)
            this.#merge(Number(row["metric"]), Number(row["start_ms"]), next, String(row["unit"]), distributionOf(row));
        }
      }
      this.#sql.run(
        "DELETE FROM metric WHERE last_ms < ? AND NOT EXISTS (SELECT 1 FROM point WHERE metric = metric.id)",
        nowMs - (TIERS.at(-1)?.keptMs ?? 0),
      );
      return !isDone;
    });
  }

  close(): void {
    this.#sql.close();
  }

  #put(points: readonly MetricPoint[]): "stored" | "full" {
    const fresh = new Set(points.filter(({ metric }) => this.#idOf(metric) === undefined).map(({ metric }) => JSON.stringify(metric)));
    if (fresh.size > 0 && Number(this.#sql.first("SELECT count(*) AS n FROM metric")?.["n"]) + fresh.size > METRICS_MAX) return "full";
    for (const { metric, timestampMs, resolution, unit, values } of points)
      this.#merge(this.#seen(metric, timestampMs), timestampMs, resolution, unit, values);
    return "stored";
  }

  #merge(metric: number, timeMs: number, seconds: number, unit: string, values: Distribution): void {
    const startMs = floorTo(timeMs, seconds * 1000);
    const present = this.#sql.first(
      "SELECT * FROM point WHERE metric = ? AND start_ms = ? AND seconds = ? AND unit = ?",
      metric,
      startMs,
      seconds,
      unit,
    );
    const gathered = new Gathered();
    if (present !== undefined) gathered.merge(distributionOf(present));
    gathered.merge(values);
    const { count, sum, min, max, values: ranges } = gathered.distribution();
    this.#sql.run(
      "INSERT OR REPLACE INTO point (metric, start_ms, seconds, unit, count, sum, min, max, vals) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      metric,
      startMs,
      seconds,
      unit,
      count,
      sum,
      min,
      max,
      ranges === undefined ? null : JSON.stringify(ranges),
    );
  }

  #seen(metric: MetricName, timestampMs: number): number {
    const row = this.#sql.first(
      `INSERT INTO metric (account, region, namespace, name, dimensions, last_ms) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last_ms = max(last_ms, excluded.last_ms) RETURNING id`,
      ...addressOf(metric),
      timestampMs,
    );
    return Number(row?.["id"]);
  }

  #idOf(metric: MetricName): number | undefined {
    const row = this.#sql.first(
      "SELECT id FROM metric WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ?",
      ...addressOf(metric),
    );
    return row === undefined ? undefined : Number(row["id"]);
  }
}

const addressOf = ({ account, region, namespace, name, dimensions }: MetricName) =>
  [account, region, namespace, name, JSON.stringify(dimensions)] as const;

const keyOf = (row: Row) => [Number(row["metric"]), Number(row["start_ms"]), Number(row["seconds"]), String(row["unit"])] as const;
