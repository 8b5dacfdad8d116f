// The format of the database: which version it has, and the steps to the one that this program knows, each in one transaction.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";

const MIGRATIONS = join(import.meta.dirname, "..", "migrations");
/** "Lmbt": says that a file is ours before anything in it is believed. */
const APPLICATION_ID = 0x4c6d6274;

const migrationFiles = () =>
  readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .toSorted();

const numberOf = (database: DatabaseSync, pragma: "application_id" | "user_version") =>
  Number(database.prepare(`PRAGMA ${pragma}`).get()?.[pragma]);

/** Throws when the data isn't ours or is newer than this program. Only reads. */
export function checkFormat(database: DatabaseSync): void {
  const isEmpty = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0;
  if (!isEmpty && numberOf(database, "application_id") !== APPLICATION_ID)
    throw new Error("it is not a database of Lambent, or was made before its first release: use another data directory");
  const [version, known] = [numberOf(database, "user_version"), migrationFiles().length];
  if (version > known)
    throw new Error(
      `the data was written by a newer Lambent (format ${version}, this one knows ${known}): use that version, or another data directory`,
    );
}

export function migrate(database: DatabaseSync): void {
  const version = numberOf(database, "user_version");
  for (const [index, name] of migrationFiles().entries()) {
    if (index < version) continue;
    database.exec("BEGIN IMMEDIATE");
    database.exec(readFileSync(join(MIGRATIONS, name), "utf8"));
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}
