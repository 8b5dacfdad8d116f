// Functions with packages from their registries, built once for all test runs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { loadConfig } from "../../src/config.ts";

export const BUILD_MS_MAX = 300_000;

/** Files by their names, and the commands that are run beside them. */
export type Recipe = readonly [files: Readonly<Record<string, string>>, commands: readonly (readonly string[])[]];

/**
 * The directory with the files and what the commands make of them: some take minutes. Undefined: a toolchain or registry is not there, and the test
 * is skipped with its own words.
 */
export function built(t: TestContext, name: string, ...[files, commands]: Recipe): string | undefined {
  const hash = createHash("sha256").update(JSON.stringify([files, commands]));
  const directory = join(loadConfig().runtimesDirectory, "test-clients", `${name}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(directory)) return directory;
  const work = `${directory}.${process.pid}`;
  for (const [file, text] of Object.entries(files)) {
    const path = join(work, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: file === "bootstrap" ? 0o755 : 0o644 });
  }
  for (const [command = "", ...words] of commands) {
    const { status, error, stderr } = spawnSync(command, words, { cwd: work, encoding: "utf8", timeout: BUILD_MS_MAX });
    if (status === 0) continue;
    rmSync(work, { recursive: true });
    t.skip(`NOT RUN: ${[command, ...words].join(" ")}: ${error?.message ?? stderr.slice(-500)}`);
    return undefined;
  }
  renameSync(work, directory);
  return directory;
}
