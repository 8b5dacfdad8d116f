// Files that only the server's user may read; SQLite gives its side files (-wal, -shm, -journal) the mode of the main one.
import { closeSync, fchmodSync, openSync } from "node:fs";

/** Makes the file when it is missing, and closes it to others in any case. */
export function makePrivateFile(path: string): void {
  const file = openSync(path, "a", 0o600);
  fchmodSync(file, 0o600);
  closeSync(file);
}
