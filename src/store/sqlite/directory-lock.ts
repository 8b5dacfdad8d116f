// One server per data directory: a lock that the kernel releases however the process ends, taken through SQLite because Node has none.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StorageError } from "../storage.ts";
import { makePrivateFile } from "./private-file.ts";

const BUSY = 5;

interface DirectoryLock {
  /** Leaves this process's id for those who find the directory locked. */
  sign(): void;
  release(): void;
}

/** Throws StorageError `Unavailable`, with the holder's process id, when another server has the directory. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, "lock.db");
  const holder = join(directory, "lock.pid");
  makePrivateFile(path);
  const lock = new DatabaseSync(path);
  try {
    // Kept until the connection is closed: that is what EXCLUSIVE means to SQLite.
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; COMMIT");
  } catch (cause) {
    lock.close();
    if ((cause as { errcode?: number }).errcode !== BUSY) throw cause;
    const pid = existsSync(holder) ? readFileSync(holder, "utf8") : "unknown";
    throw new StorageError("Unavailable", `${directory} is in use by another Lambent server (pid ${pid})`, { cause });
  }
  let isHeld = true;
  return {
    sign: () => writeFileSync(holder, String(process.pid), { mode: 0o600 }),
    release() {
      if (!isHeld) return;
      isHeld = false;
      rmSync(holder, { force: true });
      lock.close();
    },
  };
}
