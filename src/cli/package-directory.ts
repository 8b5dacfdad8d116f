// A directory → the zip that CreateFunction takes; the same files give the same bytes, so that nothing is uploaded twice.
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";

const IGNORED = new Set([".git", ".hg", ".svn", "__pycache__", ".DS_Store", ".venv"]);
// The earliest time that a zip can hold: times would make equal packages differ.
const MTIME = new Date("1980-01-01T00:00:00Z");

async function filesBelow(directory: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(join(directory, prefix), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (IGNORED.has(entry.name) || entry.name.endsWith(".pyc")) continue;
    const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await filesBelow(directory, name)));
    else if (entry.isFile() || entry.isSymbolicLink()) found.push(name);
  }
  return found;
}

/** Resolves with the zip's bytes and the names in it; symbolic links stay links. */
export async function packageDirectory(directory: string): Promise<{ zip: Uint8Array; files: readonly string[] }> {
  const files = await filesBelow(directory);
  const archive = new ZipFile();
  for (const name of files) {
    const path = join(directory, name);
    const info = await lstat(path);
    if (info.isSymbolicLink()) archive.addBuffer(Buffer.from(await readlink(path)), name, { mtime: MTIME, mode: 0o120777 });
    else archive.addBuffer(await readFile(path), name, { mtime: MTIME, mode: 0o100000 | ((info.mode & 0o111) === 0 ? 0o644 : 0o755) });
  }
  archive.end();
  return { zip: await buffer(archive.outputStream), files };
}
