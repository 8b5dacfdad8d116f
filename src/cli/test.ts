// `lambent test`: the whole test suite as CI runs it: checks, unit and API tests, then everything that needs real sandboxes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { ensureTestTools } from "./test-tools.ts";
import { CliError, type Terminal } from "./terminal.ts";
import { ensureRuntimes } from "./runtime.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const BIN = join(ROOT, "node_modules", ".bin");
const STEPS: readonly (readonly [string, string, readonly string[]])[] = [
  ["format", join(BIN, "oxfmt"), ["--check", "."]],
  ["lint", join(BIN, "oxlint"), ["--type-aware", "--deny-warnings"]],
  ["types", join(BIN, "tsc"), []],
  ["unit, contract and API tests", process.execPath, ["scripts/test.ts"]],
  ["end-to-end tests with real sandboxes, runtimes and clients", process.execPath, ["scripts/test.ts", "e2e"]],
];

async function step(title: string, command: string, words: readonly string[], terminal: Terminal): Promise<void> {
  terminal.note(terminal.style("bold", `\n== ${title}`));
  const child = spawn(command, words, { cwd: ROOT, stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new CliError(`${title} failed`);
}

export async function runTests(config: Config, terminal: Terminal): Promise<number> {
  await ensureRuntimes(config, terminal);
  await ensureTestTools(config, terminal);
  for (const [title, command, words] of STEPS) await step(title, command, words, terminal);
  terminal.note(terminal.style("green", "\nall passed"));
  return 0;
}
