// Prepared statements, found again by their text; counts those that may have written.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementResultingChanges, StatementSync } from "node:sqlite";

export type Row = Record<string, SQLOutputValue>;

/** Lone surrogates have no UTF-8: SQLite would store another text than it was given. */
function checkText(text: string): void {
  if (!text.isWellFormed()) throw new RangeError("a text of the store has a lone surrogate");
}

export function utf8(text: string): Buffer {
  checkText(text);
  return Buffer.from(text, "utf8");
}

export class Statements {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();
  #writes = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Rises with every statement that may have changed the database. */
  get writes(): number {
    return this.#writes;
  }

  first(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql, values).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql, values).all(...values);
  }

  run(sql: string, ...values: SQLInputValue[]): StatementResultingChanges {
    this.#writes += 1;
    return this.#statement(sql, values).run(...values);
  }

  /** Rows of a statement that writes: RETURNING. */
  returning(sql: string, ...values: SQLInputValue[]): Row[] {
    this.#writes += 1;
    return this.#statement(sql, values).all(...values);
  }

  #statement(sql: string, values: readonly SQLInputValue[]): StatementSync {
    for (const value of values) if (typeof value === "string") checkText(value);
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
