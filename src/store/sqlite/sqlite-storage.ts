// The embedded Storage: SQLite in a thread of its own, FULL durability, group commit; one server per directory.
import { chmodSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { makeDurableDirectory } from "../../base/durable-directory.ts";
import type { Log } from "../../base/log.ts";
import { StorageError, type Storage } from "../storage.ts";
import { reopen, storageOver, type Driver } from "../storage-over.ts";
import { lockDirectory } from "./directory-lock.ts";
import { checkFile } from "./migrate.ts";
import { makePrivateFile } from "./private-file.ts";
import type { TableCall } from "./tables.ts";
import { Thread } from "./thread.ts";

/** Older ones can lose what two threads commit and copy in one moment: https://www.sqlite.org/wal.html#walresetbug */
const SQLITE_MIN = [3, 51, 3] as const;

/** Throws when this Node brings an SQLite that can't be trusted. */
export function checkSqlite(version: string | undefined): void {
  const [major = 0, minor = 0, patch = 0] = (version ?? "").split(".").map(Number);
  const difference = [major - SQLITE_MIN[0], minor - SQLITE_MIN[1], patch - SQLITE_MIN[2]].find((one) => one !== 0) ?? 0;
  if (difference < 0)
    throw new Error(`SQLite ${version} of Node ${process.version} can lose data: use a Node with SQLite ${SQLITE_MIN.join(".")} or newer`);
}

const mebibytesOf = (path: string): number => Math.round((statSync(path, { throwIfNoEntry: false })?.size ?? 0) / 2 ** 20);

/**
 * Opens (or makes) the store in a directory. Throws StorageError `Unavailable` when another server holds it, and an Error when the data is
 * newer than this program or damaged. `failed` is called when the store can no longer promise durability: the process should end.
 */
export async function sqliteStorage(options: {
  directory: string;
  clock: Clock;
  /** Of the durable queue and of timers. Default: the clock. */
  pace?: Clock;
  /** Of the time that the disk takes. Default: the clock. */
  disk?: Clock;
  log: Log;
  failed?: (cause: Error) => void;
}): Promise<Storage> {
  const { directory, log } = options;
  checkSqlite(process.versions["sqlite"]);
  await makeDurableDirectory(directory);
  chmodSync(directory, 0o700);
  const lock = lockDirectory(directory);
  try {
    const path = join(directory, "store.db");
    // A clean stop removes the WAL.
    const wasKilled = existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0;
    checkFile(path);
    if (wasKilled)
      log.info("the last server did not stop cleanly: checking the database, a few seconds for each GiB", {
        path,
        mebibytes: mebibytesOf(path),
      });
    lock.sign();
    makePrivateFile(path);
    const failed = (cause: Error) => {
      log.error("the store has failed: nothing more is taken", { path, cause });
      options.failed?.(cause);
    };
    const thread = new Thread({ path, wasKilled, clock: options.disk ?? options.clock, failed });
    await thread.ready;
    const driver = driverOver(thread, () => lock.release());
    await reopen(driver, options);
    return storageOver(driver, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function driverOver(thread: Thread, release: () => void): Driver {
  return {
    run: (name, words, settled) =>
      new Promise((resolve, reject) => {
        const settle: Parameters<Thread["run"]>[1] = (outcome) => {
          if ("failure" in outcome) return reject(new StorageError(outcome.failure, outcome.message));
          if ("bug" in outcome) return reject(new Error(outcome.bug));
          const result = outcome.result as Parameters<typeof resolve>[0] & Parameters<NonNullable<typeof settled>>[0];
          settled?.(result);
          resolve(result);
        };
        thread.run([name, ...words] as unknown as TableCall, settle, reject);
      }),
    copy: (body) => thread.copy(body),
    async close() {
      await thread.close();
      release();
    },
  };
}
