// `lambent test`: the whole test suite as CI runs it: checks, unit and API tests, then everything that needs real sandboxes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { NODE_VERSIONS } from "../runtime/pins.ts";
import { ensureTestTools } from "./test-tools.ts";
import { CliError, type Terminal } from "./terminal.ts";
import { ensureRuntimes } from "./runtime.ts";
import type { Command } from "commander";
import { type Run, type Shared } from "./command.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const BIN = join(ROOT, "node_modules", ".bin");
const STEPS: readonly (readonly [string, string, readonly string[]])[] = [
  ["format", join(BIN, "oxfmt"), ["--check", "."]],
  ["lint", join(BIN, "oxlint"), ["--type-aware", "--deny-warnings"]],
  ["types", join(BIN, "tsc"), []],
  ["unit, contract and API tests", process.execPath, ["scripts/test.ts"]],
  ["end-to-end tests with real sandboxes, runtimes and clients", process.execPath, ["scripts/test.ts", "e2e"]],
];

/** One after the other, as those that need sandboxes have to be. */
const these = (files: readonly string[]): (typeof STEPS)[number] => [
  files.join(" "),
  process.execPath,
  ["scripts/test.ts", "e2e", ...files],
];

/** Whether it passed. */
async function step(title: string, command: string, words: readonly string[], terminal: Terminal): Promise<boolean> {
  terminal.note(terminal.style("bold", `\n== ${title}`));
  const child = spawn(command, words, { cwd: ROOT, stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0;
}

/** `files`: these alone; none: all there is. */
async function runTests(config: Config, files: readonly string[], terminal: Terminal): Promise<number> {
  await ensureRuntimes(config, terminal, NODE_VERSIONS.keys());
  await ensureTestTools(config, terminal);
  const directory = await mkdtemp(join(tmpdir(), "lambent-tests-"));
  const failures = join(directory, "failures");
  const failed: string[] = [];
  // All of them, whichever fails: who waits a quarter of an hour for an answer wants the whole of it, and at its end.
  for (const [title, command, words] of files.length === 0 ? STEPS : [these(files)]) {
    const more = command === process.execPath ? [`--failures=${failures}`] : [];
    if (!(await step(title, command, [...words, ...more], terminal))) failed.push(title);
  }
  const text = await readFile(failures, "utf8").catch(() => "");
  await rm(directory, { recursive: true });
  if (failed.length > 0) throw new CliError(`${text}\nfailed: ${failed.join("; ")}`);
  terminal.note(terminal.style("green", "\nall passed"));
  return 0;
}

export function addTest(program: Command, run: Run): void {
  program
    .command("test")
    .description("pass the whole test suite, or these files of it")
    .argument("[files...]", "such as tests/e2e/limits.test.ts")
    .action((files: string[], options: Shared) => run((config, terminal) => runTests(config, files, terminal), options));
}
