// Prepared statements of the store: their text is checked, and those that may have written are counted.
import type { SQLInputValue, StatementResultingChanges, StatementSync } from "node:sqlite";
import { Prepared, type Row } from "./prepared.ts";

/** Lone surrogates have no UTF-8: SQLite would store another text than it was given. */
function checkText(text: string): void {
  if (!text.isWellFormed()) throw new RangeError("a text of the store has a lone surrogate");
}

export function utf8(text: string): Buffer {
  checkText(text);
  return Buffer.from(text, "utf8");
}

export class Statements extends Prepared {
  #writes = 0;

  /** Rises with every statement that may have changed the database. */
  get writes(): number {
    return this.#writes;
  }

  override run(sql: string, ...values: SQLInputValue[]): StatementResultingChanges {
    this.#writes += 1;
    return super.run(sql, ...values);
  }

  /** Rows of a statement that writes: RETURNING. */
  returning(sql: string, ...values: SQLInputValue[]): Row[] {
    this.#writes += 1;
    return this.all(sql, ...values);
  }

  protected override statement(sql: string, values: readonly SQLInputValue[]): StatementSync {
    for (const value of values) if (typeof value === "string") checkText(value);
    return super.statement(sql, values);
  }
}
