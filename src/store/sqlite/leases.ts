// Leases in SQL. A row is never deleted, so that the epoch of the next holder is higher.
import type { Lease } from "../storage.ts";
import { Refusal } from "./refusal.ts";
import type { Statements } from "./statements.ts";

export function acquireLeases(
  sql: Statements,
  names: readonly string[],
  holder: string,
  durationMs: number,
  nowMs: number,
): (Lease | undefined)[] {
  return names.map((name) => {
    const row = sql.first("SELECT epoch, expires_ms FROM lease WHERE name = ?", name);
    if (row !== undefined && Number(row["expires_ms"]) > nowMs) return undefined;
    const lease = { name, epoch: Number(row?.["epoch"] ?? 0) + 1, expiresAtMs: nowMs + durationMs };
    sql.run(
      `INSERT INTO lease (name, epoch, holder, expires_ms) VALUES (?, ?, ?, ?) ON CONFLICT (name)
       DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, expires_ms = excluded.expires_ms`,
      name,
      lease.epoch,
      holder,
      lease.expiresAtMs,
    );
    return lease;
  });
}

export function renewLeases(sql: Statements, leases: readonly Lease[], durationMs: number, nowMs: number): (Lease | undefined)[] {
  const expiresAtMs = nowMs + durationMs;
  const renew = "UPDATE lease SET expires_ms = ? WHERE name = ? AND epoch = ? AND expires_ms > ?";
  return leases.map(({ name, epoch }) =>
    sql.run(renew, expiresAtMs, name, epoch, nowMs).changes === 1 ? { name, epoch, expiresAtMs } : undefined,
  );
}

export function releaseLeases(sql: Statements, leases: readonly Lease[]): void {
  for (const { name, epoch } of leases) sql.run("UPDATE lease SET expires_ms = 0 WHERE name = ? AND epoch = ?", name, epoch);
}

export function checkHeld(sql: Statements, { name, epoch }: Lease, nowMs: number): void {
  const row = sql.first("SELECT 1 AS held FROM lease WHERE name = ? AND epoch = ? AND expires_ms > ?", name, epoch, nowMs);
  if (row === undefined) throw new Refusal("Fenced", `lease ${name} of epoch ${epoch} is no longer held`);
}
