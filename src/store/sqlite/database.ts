// Opens a database: pragmas, migrations, one transaction for a group of calls in which each fails alone.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TableCall } from "../storage-over.ts";
import type { StorageFailure } from "../storage.ts";
import { Refusal, Tables } from "./tables.ts";

const MIGRATIONS = join(import.meta.dirname, "..", "migrations");
/** About 4 MiB: a checkpoint copies that much, between two commits. */
const CHECKPOINT_PAGES = 1000;

export type CallResult = { readonly result: unknown } | { readonly failure: StorageFailure; readonly message: string };

export class Database {
  readonly #database: DatabaseSync;
  readonly #tables: Tables;

  /** Throws when the data is newer than this program, or damaged; nothing has been written then. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    try {
      checkVersion(this.#database);
      // FULL: in WAL mode NORMAL loses acknowledged commits on power loss.
      this.#database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA busy_timeout = 5000;`,
      );
      migrate(this.#database);
      this.#tables = new Tables(this.#database);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Runs the calls in one transaction that is durable when this returns; a refused call leaves nothing and lets the others stand. */
  run(calls: readonly TableCall[]): CallResult[] {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const results = calls.map((call) => this.#runOne(call));
      this.#database.exec("COMMIT");
      return results;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  check(): string {
    return String(this.#database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]);
  }

  close(): void {
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
  }

  #runOne([method, ...words]: TableCall): CallResult {
    this.#database.exec("SAVEPOINT call");
    try {
      const result = (this.#tables[method] as (...all: readonly unknown[]) => unknown).apply(this.#tables, words);
      this.#database.exec("RELEASE call");
      return { result };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#database.exec("ROLLBACK TO call; RELEASE call");
      return { failure: error.failure, message: error.message };
    }
  }
}

const migrationFiles = () =>
  readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .toSorted();

const versionOf = (database: DatabaseSync) => Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);

function checkVersion(database: DatabaseSync): void {
  const version = versionOf(database);
  const known = migrationFiles().length;
  if (version > known)
    throw new Error(
      `the data was written by a newer Lambent (format ${version}, this one knows ${known}): use that version, or another data directory`,
    );
}

function migrate(database: DatabaseSync): void {
  for (const [index, name] of migrationFiles().entries()) {
    if (index < versionOf(database)) continue;
    database.exec("BEGIN IMMEDIATE");
    database.exec(readFileSync(join(MIGRATIONS, name), "utf8"));
    database.exec(`PRAGMA user_version = ${index + 1}`);
    database.exec("COMMIT");
  }
}
