// docs/walkthrough.md runs as it stands: every block of commands, in one shell, prints what the page says.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testToolsDirectory } from "../../src/cli/test-tools.ts";
import { loadConfig } from "../../src/config.ts";
import { startLambent } from "../support/lambent-process.ts";

const PAGE = join(import.meta.dirname, "..", "..", "docs", "walkthrough.md");
const TITLED = /^## (?<title>.*?)$.*?^```sh\n(?<commands>.*?)^```\n\n^```output\n(?<output>.*?)^```/gms;
const SEPARATOR = "-- end of block --";

interface Block {
  readonly title: string;
  readonly commands: string;
  readonly output: string;
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(TITLED)].map(({ groups }) => groups as unknown as Block);
}

test("the walkthrough", { timeout: 900_000 }, async (t) => {
  const blocks = blocksOf(await readFile(PAGE, "utf8"));
  assert.ok(blocks.length >= 6, `${blocks.length} blocks of commands`);
  const server = await startLambent();
  t.after(() => server.dispose());
  const work = await mkdtemp(join(tmpdir(), "lambent-walkthrough-"));
  t.after(() => rm(work, { recursive: true }));
  const path = `${join(testToolsDirectory(loadConfig()), "bin")}:${process.env["PATH"]}`;
  const script = blocks.map(({ commands }) => `${commands}echo '${SEPARATOR}'\n`).join("");
  const { stdout, stderr, status } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd: work,
    env: { PATH: path, HOME: work, AWS_PAGER: "", ...server.environment },
    encoding: "utf8",
    timeout: 840_000,
  });
  const printed = stdout.split(`${SEPARATOR}\n`);
  for (const [at, { title, output }] of blocks.entries()) assert.equal(printed[at], output, `${title}\n${stderr}`);
  assert.equal(status, 0, stderr);
});
