// A database beside the store's, of logs, metrics or traces: one schema, and one thread that has it open.
import { DatabaseSync } from "node:sqlite";
import { Prepared } from "./prepared.ts";

export class SideDatabase extends Prepared {
  readonly #database: DatabaseSync;

  /** `schema` makes what is not there yet. */
  constructor(path: string, schema: string) {
    const database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA user_version = 1; PRAGMA busy_timeout = 5000;");
    database.exec(schema);
    super(database);
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }
}
