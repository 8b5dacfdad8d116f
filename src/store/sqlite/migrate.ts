// The format of the database: which version it has, and the steps to the one that this program knows, each in one transaction.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";

const MIGRATIONS = join(import.meta.dirname, "..", "migrations");
/** "Lmbt": says that a file is ours before anything in it is believed. */
const APPLICATION_ID = 0x4c6d6274;
/** https://www.sqlite.org/fileformat.html#the_database_header */
const HEADER = { bytes: 100, userVersion: 60, applicationId: 68 };

interface Format {
  readonly applicationId: number;
  readonly version: number;
}

const migrationFiles = () =>
  readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .toSorted();

function checkFormat({ applicationId, version }: Format): void {
  if (applicationId !== APPLICATION_ID)
    throw new Error("it is not a database of Lambent, or was made before its first release: use another data directory");
  const known = migrationFiles().length;
  if (version > known)
    throw new Error(
      `the data was written by a newer Lambent (format ${version}, this one knows ${known}): use that version, or another data directory`,
    );
}

/** Throws when the data is not ours or is newer than this program. Reads the file itself: SQLite would make side files to look. */
export function checkFile(path: string): void {
  if (!existsSync(path)) return;
  const header = Buffer.alloc(HEADER.bytes);
  const file = openSync(path, "r");
  const bytes = readSync(file, header);
  closeSync(file);
  const format = { applicationId: header.readUInt32BE(HEADER.applicationId), version: header.readUInt32BE(HEADER.userVersion) };
  // Neither is set before the first migration is in the file; `checkDatabase` looks again, with the WAL.
  if (bytes === 0 || (format.applicationId === 0 && format.version === 0)) return;
  try {
    checkFormat(format);
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}

const numberOf = (database: DatabaseSync, pragma: "application_id" | "user_version") =>
  Number(database.prepare(`PRAGMA ${pragma}`).get()?.[pragma]);

/** Throws as `checkFile` does. Only reads. */
export function checkDatabase(database: DatabaseSync): void {
  if (database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0) return;
  checkFormat({ applicationId: numberOf(database, "application_id"), version: numberOf(database, "user_version") });
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
