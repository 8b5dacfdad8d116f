// `./lambent` in a checkout in which nothing is installed yet, on a machine whose npm gets nothing and whose Node is old.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const ROOT = join(import.meta.dirname, "..");
const place = mkdtempSync(join(tmpdir(), "lambent-test-"));
after(() => rmSync(place, { recursive: true }));

test("an installation that fails says so, and leaves nothing behind", () => {
  const [checkout, programs, temporary] = ["checkout", "programs", "temporary"].map((name) => join(place, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [join(checkout, "native", "build"), programs, temporary]) mkdirSync(directory, { recursive: true });
  for (const file of ["lambent", "package.json", "package-lock.json"]) copyFileSync(join(ROOT, file), join(checkout, file));
  for (const program of ["npm", "node"]) {
    writeFileSync(join(programs, program), "#!/bin/sh\nexit 1\n");
    chmodSync(join(programs, program), 0o755);
  }
  const env = { PATH: `${programs}:/usr/bin:/bin`, TMPDIR: temporary, HOME: place };
  const { status, stderr } = spawnSync(join(checkout, "lambent"), ["--version"], { env, encoding: "utf8", timeout: 60_000 });
  assert.deepEqual([status, stderr.split("\n").at(-2)], [1, `lambent: npm ci failed in ${checkout}`]);
  assert.deepEqual(readdirSync(temporary), []);
});
