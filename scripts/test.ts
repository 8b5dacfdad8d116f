// Runs the tests: `node scripts/test.ts` what needs no privileges, `e2e` what needs real sandboxes; further words are file globs.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { argv, execPath, exit } from "node:process";

const SUITES: Readonly<Record<string, readonly string[]>> = {
  unit: ["src/**/*.test.ts", "tests/*.test.ts", "tests/contracts/*.test.ts", "tests/api/*.test.ts", "runtimes/**/*.test.ts"],
  e2e: ["tests/e2e/*.test.ts", "tests/acceptance/**/*.test.ts"],
};

const words = argv.slice(2);
const suite = words[0] !== undefined && words[0] in SUITES ? words.shift() : "unit";
const files = globSync(words.length > 0 ? words : [...(SUITES[suite ?? "unit"] ?? [])]).toSorted();
if (files.length === 0) {
  console.error(`no test file matches ${words.join(" ")}`);
  exit(1);
}
// Sandboxes share two cores with their tests: end-to-end files run one after the other, so that a slow one is slow for its own reasons.
const concurrency = suite === "e2e" ? 1 : 2;
const run = spawnSync(execPath, ["--test", `--test-concurrency=${concurrency}`, "--test-timeout=300000", ...files], { stdio: "inherit" });
exit(run.status ?? 1);
