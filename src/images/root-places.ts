// The places in an image's root over which a sandbox mounts its own: directories and files, whatever the image has there.
import { chmod, lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const DIRECTORIES = ["dev", "etc", "proc", "sys", "tmp", "var"];
/** Where the code and the layers of a function are that brings only these. */
export const CODE_PLACES: readonly string[] = ["opt", "var/task"];
const FILES = ["etc/hostname", "etc/hosts", "etc/resolv.conf", "var/supervisor", "var/emulator"];

/** What a root has besides its image: one that was made with others has to be made anew. */
export const ROOT_PLACES: readonly string[] = [...DIRECTORIES, ...FILES];

const found = (path: string) => lstat(path).catch(() => undefined);

/** No link is followed: one that stands there is replaced. `more`: further directories, parents first. */
export async function makeRootPlaces(root: string, more: readonly string[] = []): Promise<void> {
  for (const name of [...DIRECTORIES, ...more]) {
    const path = join(root, name);
    if ((await found(path))?.isDirectory() === true) continue;
    await rm(path, { force: true });
    await mkdir(path);
    await chmod(path, 0o755);
  }
  for (const name of FILES) {
    const path = join(root, name);
    await rm(path, { recursive: true, force: true });
    // New, rather than over a file that other images share.
    await writeFile(path, "", { flag: "wx" });
    await chmod(path, 0o644);
  }
}
