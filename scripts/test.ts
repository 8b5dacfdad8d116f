// Runs the tests: `node scripts/test.ts` what needs no privileges, `e2e` what needs real sandboxes; further words are file globs.
// `--failures=FILE` before them: what failed is appended there, too.
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, env, execPath, exit } from "node:process";

const SUITES: Readonly<Record<string, readonly string[]>> = {
  unit: ["src/**/*.test.ts", "tests/*.test.ts", "tests/contracts/*.test.ts", "tests/api/*.test.ts", "runtimes/**/*.test.ts"],
  e2e: ["tests/e2e/*.test.ts", "tests/acceptance/**/*.test.ts"],
};

const FLAG = "--failures=";
const keptIn = argv.find((word) => word.startsWith(FLAG))?.slice(FLAG.length);
const words = argv.slice(2).filter((word) => !word.startsWith(FLAG));
const suite = words[0] !== undefined && words[0] in SUITES ? words.shift() : "unit";
const files = globSync(words.length > 0 ? words : [...(SUITES[suite ?? "unit"] ?? [])]).toSorted();
if (files.length === 0) {
  console.error(`no test file matches ${words.join(" ")}`);
  exit(1);
}
// Sandboxes share two cores with their tests: end-to-end files run one after the other, so that a slow one is slow for its own reasons.
const concurrency = suite === "e2e" ? 1 : 2;
// A deadline is for what hangs: a busy machine must not reach it.
const given = ["--test", "--test-timeout=600000"];
const told = mkdtempSync(join(tmpdir(), "lambent-failures-"));
const FAILURES = join(import.meta.dirname, "failures.ts");

function test(before: readonly string[], after: readonly string[], environment: NodeJS.ProcessEnv = env): number {
  const failures = join(told, "failures");
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout", `--test-reporter=${FAILURES}`];
  const all = [...before, ...given, ...reporters, `--test-reporter-destination=${failures}`, ...after];
  const { status, signal } = spawnSync(execPath, all, { stdio: "inherit", env: environment });
  const text = existsSync(failures) ? readFileSync(failures, "utf8") : "";
  if (text !== "") process.stdout.write(text);
  if (keptIn !== undefined) appendFileSync(keptIn, text);
  if (signal !== null) console.error(`the tests were ended by ${signal}`);
  return status ?? 1;
}

function end(status: number): never {
  rmSync(told, { recursive: true });
  exit(status);
}

const isWhole = suite !== "e2e" && words.length === 0;
if (!isWhole) end(test([], [`--test-concurrency=${concurrency}`, ...files]));

// A whole run notes what clients saw of each operation, and is then asked whether that was everything.
const seen = mkdtempSync(join(tmpdir(), "lambent-seen-"));
const noting = { ...env, LAMBENT_SEEN_OPERATIONS: seen };
const failed = test(["--import", "./tests/support/seen-operations.ts"], [`--test-concurrency=${concurrency}`, ...files], noting);
const status = failed === 0 ? test([], ["tests/coverage/operations.test.ts"], noting) : failed;
rmSync(seen, { recursive: true });
end(status);
