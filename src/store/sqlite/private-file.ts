// Files that only the server's user may read; SQLite gives its side files (-wal, -shm, -journal) the mode of the main one.
import { chmodSync, closeSync, openSync } from "node:fs";

/**
 * Makes the file when it is missing, and closes it to others in any case. A file that is there is not opened: closing it would release
 * the locks that SQLite holds on it in this process.
 */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    chmodSync(path, 0o600);
  }
}
