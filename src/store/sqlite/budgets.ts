// Budgets of concurrency in SQL: those of a pool that have not expired never add up to more than its limit.
import { randomUUID } from "node:crypto";
import type { Budget } from "../storage.ts";
import type { Statements } from "./statements.ts";

export function limitPool(sql: Statements, pool: string, amount: number): void {
  sql.run("INSERT INTO capacity (pool, amount) VALUES (?, ?) ON CONFLICT (pool) DO UPDATE SET amount = excluded.amount", pool, amount);
}

export function drawBudget(sql: Statements, pool: string, want: number, durationMs: number, nowMs: number): Budget | undefined {
  sql.run("DELETE FROM budget WHERE pool = ? AND expires_ms <= ?", pool, nowMs);
  const limit = Number(sql.first("SELECT amount FROM capacity WHERE pool = ?", pool)?.["amount"] ?? 0);
  const used = Number(sql.first("SELECT sum(amount) AS used FROM budget WHERE pool = ?", pool)?.["used"] ?? 0);
  const amount = Math.min(want, limit - used);
  if (amount <= 0) return undefined;
  const budget = { id: randomUUID(), pool, amount, expiresAtMs: nowMs + durationMs };
  sql.run("INSERT INTO budget (id, pool, amount, expires_ms) VALUES (?, ?, ?, ?)", budget.id, pool, amount, budget.expiresAtMs);
  return budget;
}

export function giveBackBudgets(sql: Statements, budgets: readonly Budget[]): void {
  for (const { id } of budgets) sql.run("DELETE FROM budget WHERE id = ?", id);
}
