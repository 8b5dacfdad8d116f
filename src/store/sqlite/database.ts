// Runs groups of calls on the database: one transaction for a group, in which each call succeeds or fails alone.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { StorageFailure } from "../storage.ts";
import { checkDatabase, migrate } from "./migrate.ts";
import { endClaims } from "./queues.ts";
import { Damage, Refusal } from "./refusal.ts";
import { Statements } from "./statements.ts";
import { READS, tables, UNSYNCED, type TableCall, type Tables } from "./tables.ts";

export type CallResult =
  | { readonly result: unknown }
  | { readonly failure: StorageFailure; readonly message: string }
  /** The call was wrong, by its arguments; the store is not. */
  | { readonly bug: string };

/** Frames in the WAL, and how many of them are in the database already. */
interface WalState {
  readonly frames: number;
  readonly copied: number;
}

const DISK_FULL: CallResult = { failure: "Unavailable", message: "the disk is full" };
// SQLite's result codes: https://www.sqlite.org/rescode.html
const FULL = 13;
const IOERR_SHMSIZE = 4874;
/** TOOBIG, CONSTRAINT, MISMATCH, RANGE: about the values of one call. */
const OF_ONE_CALL: ReadonlySet<number> = new Set([18, 19, 20, 25]);
const CACHE_KIB = 16_384;

const codeOf = (error: unknown): number | undefined => (error as { errcode?: number }).errcode;
/** Of an error of SQLite: no space is left, but nothing is wrong with what is there. */
export const isDiskFull = (error: unknown) => (codeOf(error) ?? 0) % 256 === FULL || codeOf(error) === IOERR_SHMSIZE;

/** A call failed after it had written: the group is run again, with a savepoint for each call. */
class Torn extends Error {}

export class Database {
  readonly #database: DatabaseSync;
  readonly #sql: Statements;
  readonly #tables: Tables;
  readonly #control = new Map<string, StatementSync>();
  #isSynced = true;

  /**
   * Throws when the data is damaged, not ours or newer than this program; nothing has been written then. `wasKilled`: the last server, with
   * this data open. Then all of it is read for damage first, and what that server had claimed is claimed no more.
   */
  constructor(path: string, wasKilled: boolean) {
    this.#database = new DatabaseSync(path);
    try {
      checkDatabase(this.#database);
      if (wasKilled) this.#checkDamage();
      // FULL: in WAL mode NORMAL loses acknowledged commits on power loss. Checkpoints are the driver's business.
      this.#database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
        PRAGMA cache_size = -${CACHE_KIB}; PRAGMA cell_size_check = ON; PRAGMA busy_timeout = 5000`);
      migrate(this.#database);
      // What a failed sync has left in the WAL only seems to be durable: it is written once more, and the WAL begins anew.
      this.#copy("TRUNCATE");
    } catch (cause) {
      this.#database.close();
      throw new Error(`${path}: ${(cause as Error).message}`, { cause });
    }
    this.#sql = new Statements(this.#database);
    this.#tables = tables(this.#sql);
    if (wasKilled) this.#endClaims();
  }

  /** The directory's lock says that nobody else is left. On a full disk they run out. */
  #endClaims(): void {
    try {
      endClaims(this.#sql);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  /**
   * Runs the calls in one transaction that is durable when this returns, unless none of them needs to be; a call that fails leaves nothing and lets the others stand.
   * On a full disk only reads are answered. Throws when the store can no longer be trusted.
   */
  run(calls: readonly TableCall[]): CallResult[] {
    try {
      return this.#group(calls);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
    try {
      if (this.#makeRoom()) return this.#group(calls);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
    return this.#runReads(calls);
  }

  walState(): WalState {
    return this.#checkpoint("NOOP");
  }

  /** Copies what the WAL holds into the database; when nothing is left, the next write begins the WAL anew. */
  copyWal(): void {
    this.#copy("PASSIVE");
  }

  /** The same, and waits for another thread that is copying. */
  restartWal(): void {
    this.#copy("RESTART");
  }

  close(): void {
    this.#database.close();
  }

  #checkDamage(): void {
    const found = this.#database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (found !== "ok") throw new Error(`the database is damaged: ${String(found)}`);
  }

  #group(calls: readonly TableCall[]): CallResult[] {
    try {
      return this.#transaction(calls, false);
    } catch (error) {
      if (error instanceof Torn) return this.#transaction(calls, true);
      throw error;
    }
  }

  /** On a full disk: when the database can take all that the WAL holds, the WAL's file is room for more. */
  #makeRoom(): boolean {
    this.copyWal();
    const { frames, copied } = this.walState();
    return frames > 0 && frames === copied;
  }

  #runReads(calls: readonly TableCall[]): CallResult[] {
    const answers = this.#transaction(
      calls.filter(([name]) => READS.has(name)),
      false,
    )[Symbol.iterator]();
    return calls.map(([name]) => (READS.has(name) ? (answers.next().value ?? DISK_FULL) : DISK_FULL));
  }

  #transaction(calls: readonly TableCall[], apart: boolean): CallResult[] {
    this.#sync(!calls.every(([name]) => UNSYNCED.has(name)));
    this.#exec(calls.every(([name]) => READS.has(name)) ? "BEGIN" : "BEGIN IMMEDIATE");
    try {
      const results = calls.map((call) => (apart ? this.#runBetweenSavepoints(call) : this.#runTogether(call)));
      this.#exec("COMMIT");
      return results;
    } catch (error) {
      // SQLite has rolled back by itself after some of its errors.
      if (this.#database.isTransaction) this.#exec("ROLLBACK");
      throw error;
    }
  }

  /** Of the next commits. One that is not synced stands in the WAL before the next that is, and is durable with it at the latest. */
  #sync(isSynced: boolean): void {
    if (isSynced === this.#isSynced) return;
    // Takes effect when it is compiled, so it is no prepared statement.
    this.#database.exec(`PRAGMA synchronous = ${isSynced ? "FULL" : "NORMAL"}`);
    this.#isSynced = isSynced;
  }

  /** Savepoints cost a copy of every page that is touched: they are made only for a group in which they are needed. */
  #runTogether(call: TableCall): CallResult {
    const before = this.#sql.writes;
    const outcome = this.#call(call);
    if (!("result" in outcome) && this.#sql.writes !== before) throw new Torn();
    return outcome;
  }

  #runBetweenSavepoints(call: TableCall): CallResult {
    this.#exec("SAVEPOINT call");
    const outcome = this.#call(call);
    if (!("result" in outcome)) this.#exec("ROLLBACK TO call");
    this.#exec("RELEASE call");
    return outcome;
  }

  #call([name, ...words]: TableCall): CallResult {
    try {
      return { result: (this.#tables[name] as (...all: readonly unknown[]) => unknown)(...words) };
    } catch (error) {
      if (error instanceof Refusal) return { failure: error.failure, message: error.message };
      const code = codeOf(error);
      if (error instanceof Damage || (code !== undefined && !OF_ONE_CALL.has(code % 256))) throw error;
      return { bug: `${name}: ${(error as Error).message}` };
    }
  }

  #copy(mode: "PASSIVE" | "RESTART" | "TRUNCATE"): void {
    try {
      this.#checkpoint(mode);
    } catch (error) {
      // The WAL keeps what the database has no room for.
      if (!isDiskFull(error)) throw error;
    }
  }

  #checkpoint(mode: "NOOP" | "PASSIVE" | "RESTART" | "TRUNCATE"): WalState {
    const row = this.#statement(`PRAGMA wal_checkpoint(${mode})`).get();
    return { frames: Math.max(0, Number(row?.["log"])), copied: Math.max(0, Number(row?.["checkpointed"])) };
  }

  #exec(sql: string): void {
    this.#statement(sql).run();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#control.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#control.set(sql, statement);
    }
    return statement;
  }
}
