// Several layers become the one directory that a function sees, at /opt or, of a container image, as its root: the later one wins, file by file.
//
// Files are hard links to those of the unpacked layers: no content is copied, and everything is mounted read-only. The rules are those of an
// overlay: directories of the same name become one, anything else covers what lies below it. Symbolic links stay links and are never followed:
// every directory of the result is made here. An overlay mounted in each sandbox would save the links, and cost each start more mounts, the
// launcher code as root, and hosts whose kernel or container does not let an ordinary user mount one.
import { chmod, copyFile, link, mkdir, readdir, readlink, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { hiddenBy, OPAQUE } from "./unpack-layer.ts";

interface Name {
  readonly kind: "directory" | "file" | "link";
  /** Paths, the topmost first; more than one only of directories. */
  readonly sources: string[];
  /** What lies still deeper is covered. */
  isClosed: boolean;
}

/** Function layers have ordinary files of the names by which image layers hide what is below them. */
type Whiteouts = "honoured" | "ordinary";

/** `target` must be new and empty. Of the sources, unpacked layers, the last one is on top. */
export async function mergeLayers(sources: readonly string[], target: string, whiteouts: Whiteouts = "ordinary"): Promise<void> {
  await merge(sources.toReversed(), target, whiteouts);
}

/** The topmost source first. */
async function merge(sources: readonly string[], target: string, whiteouts: Whiteouts): Promise<void> {
  for (const [name, { kind, sources: found }] of await namesIn(sources, whiteouts)) {
    const place = join(target, name);
    const [top = ""] = found;
    if (kind === "file") await share(top, place);
    else if (kind === "link") await symlink(await readlink(top), place);
    else {
      await mkdir(place);
      // The owner can still enter it: others may not even be allowed to.
      await chmod(place, ((await stat(top)).mode & 0o777) | 0o700);
      await merge(found, place, whiteouts);
    }
  }
}

async function namesIn(sources: readonly string[], whiteouts: Whiteouts): Promise<Map<string, Name>> {
  const names = new Map<string, Name>();
  const hidden = new Set<string>();
  for (const source of sources) {
    const entries = await readdir(source, { withFileTypes: true });
    for (const entry of entries) {
      if (hidden.has(entry.name) || (whiteouts === "honoured" && hiddenBy(entry.name) !== undefined)) continue;
      const path = join(source, entry.name);
      const kind = entry.isDirectory() ? "directory" : entry.isSymbolicLink() ? "link" : "file";
      const known = names.get(entry.name);
      if (known === undefined) names.set(entry.name, { kind, sources: [path], isClosed: kind !== "directory" });
      else if (kind !== "directory") known.isClosed = true;
      else if (!known.isClosed) known.sources.push(path);
    }
    if (whiteouts === "ordinary") continue;
    if (entries.some(({ name }) => name === OPAQUE)) break;
    // In the layers below only: this one may have the name anew.
    for (const { name } of entries) hidden.add(hiddenBy(name) ?? "");
  }
  return names;
}

/** File systems have a limit of links to one file (ext4: 65,000). */
async function share(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EMLINK") throw error;
    await copyFile(source, target);
  }
}
