// A file system of a few MiB, for tests of what a full disk does; needs root.
import { execFileSync } from "node:child_process";
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getuid } from "node:process";
import type { TestContext } from "node:test";

export async function withSmallDisk(t: TestContext, sizeMiB: number, run: (directory: string) => Promise<void>): Promise<void> {
  if (getuid?.() !== 0) return t.skip("NOT TESTED: a full disk needs root, to mount a small file system");
  const directory = await mkdtemp(join(tmpdir(), "lambent-small-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m,mode=0700`, "lambent-test", directory]);
  try {
    await run(directory);
  } finally {
    execFileSync("umount", ["--lazy", directory]);
    await rmdir(directory);
  }
}
