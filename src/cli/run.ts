// Another program of this machine, run to its end: npm, pip, chmod.
import { spawn } from "node:child_process";
import { CliError } from "./terminal.ts";

const COMMAND_MS_MAX = 10 * 60_000;
const ERROR_LINES_MAX = 12;
const ERROR_BYTES_MAX = 64 * 1024;

/** Resolves with what the command wrote to stdout; rejects with CliError when it fails, is not there, or takes too long. */
export function run(command: string, words: readonly string[], directory: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(COMMAND_MS_MAX);
    const child = spawn(command, words, { cwd: directory, stdio: ["ignore", "pipe", "pipe"], signal });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-ERROR_BYTES_MAX)));
    child.stderr.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-ERROR_BYTES_MAX)));
    child.on("error", (cause) => {
      const problem = signal.aborted ? `did not end within ${COMMAND_MS_MAX / 60_000} minutes` : "can't be started: is it installed?";
      reject(new CliError(`${command} ${problem}`, 1, { cause }));
    });
    child.on("close", (code, ended) => {
      if (code === 0) return resolve(output);
      const said = errors.trim().split("\n").slice(-ERROR_LINES_MAX).join("\n");
      reject(new CliError(`${command} ${words.slice(0, 3).join(" ")} … failed (${ended ?? `status ${code}`}):\n${said}`));
    });
  });
}
