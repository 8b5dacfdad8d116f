// Interpreters of the distribution are below /usr, which every sandbox has: at /var/lang, links to them are enough.
import { chmodSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";

/** The directory for /var/lang, with `bin` in it, where there is one link of each name. */
export function systemLinks(runtimesDirectory: string, runtime: string, interpreter: string, names: readonly string[]): string {
  const bin = join(runtimesDirectory, "system", runtime, "bin");
  mkdirSync(bin, { recursive: true });
  for (const name of names) link(interpreter, join(bin, name));
  // Whatever the server's umask is: the sandbox's user has to get in.
  for (const directory of [dirname(bin), bin]) chmodSync(directory, 0o755);
  return dirname(bin);
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (readlinkSync(path) === target) return;
    // The interpreter has moved since.
    unlinkSync(path);
    symlinkSync(target, path);
  }
}
