// Directories that are there after a power loss: a new name is only on the disk when the directory that holds it was synced.
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** What was made, renamed or removed in the directory is so for good when this resolves. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Makes a directory that only its owner may enter, with those above it that are missing. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  // One that is there already may come from a process that was killed before it had synced it.
  for (let made = path; ; made = dirname(made)) {
    await syncParent(made);
    if (first === undefined || made === first) return;
  }
}

async function syncParent(path: string): Promise<void> {
  try {
    await syncDirectory(dirname(path));
  } catch (cause) {
    // Who may not read the directory above has not made this one either.
    if ((cause as NodeJS.ErrnoException).code !== "EACCES") throw cause;
  }
}
