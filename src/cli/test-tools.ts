// Clients that the end-to-end tests use besides the AWS SDK for JavaScript: boto3 and the AWS CLI, in a virtual environment of their own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { CliError, type Terminal } from "./terminal.ts";

const PACKAGES = ["boto3==1.44.5", "awscli==1.46.3"];

/** Directory of the virtual environment, below the runtimes so that it outlives a checkout. */
export const testToolsDirectory = (config: Config): string => join(config.runtimesDirectory, "test-tools");

async function run(command: string, words: readonly string[]): Promise<void> {
  const child = spawn(command, words, { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new CliError(`${command} ${words.slice(0, 4).join(" ")} … failed`);
}

export async function ensureTestTools(config: Config, terminal: Terminal): Promise<void> {
  const directory = testToolsDirectory(config);
  const wanted = PACKAGES.join("\n");
  if ((await readFile(join(directory, "packages"), "utf8").catch(() => "")) === wanted) return;
  terminal.note(`installing ${PACKAGES.join(" and ")} for the tests (once)`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(config.runtimesDirectory, { recursive: true });
  await run("/usr/bin/python3", ["-m", "venv", directory]);
  await run(join(directory, "bin", "pip"), ["install", "--quiet", "--disable-pip-version-check", ...PACKAGES]);
  await writeFile(join(directory, "packages.new"), wanted);
  await rename(join(directory, "packages.new"), join(directory, "packages"));
}
