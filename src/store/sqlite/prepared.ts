// Prepared statements of one database, found again by their text, and its transactions.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementResultingChanges, StatementSync } from "node:sqlite";

export type Row = Record<string, SQLOutputValue>;

export class Prepared {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  first(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.statement(sql, values).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.statement(sql, values).all(...values);
  }

  /** Row by row, for what is too much to be held at once. */
  iterate(sql: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.statement(sql, values).iterate(...values);
  }

  run(sql: string, ...values: SQLInputValue[]): StatementResultingChanges {
    return this.statement(sql, values).run(...values);
  }

  /** Commits what `work` does, or rolls it back and throws what it threw. */
  transaction<T>(work: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite ends a transaction itself when the disk is full.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  protected statement(sql: string, _values: readonly SQLInputValue[]): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
