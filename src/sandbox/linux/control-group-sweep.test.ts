// Whose control groups are removed, and whose are left alone, in an imitation of a hierarchy: plain directories.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { startTimeIn, sweep } from "./control-group-sweep.ts";

const OWN = statSync("/proc/self/ns/pid").ino;
const NOBODY = 999_999_999;
const startTime = () => startTimeIn(readFileSync("/proc/self/stat", "utf8"));

function hierarchy(context: TestContext, directories: readonly string[]): string {
  const top = mkdtempSync(join(tmpdir(), "lambent-sweep-"));
  context.after(() => rmSync(top, { recursive: true }));
  for (const directory of directories) mkdirSync(join(top, directory), { recursive: true });
  return top;
}

void test("when a process began stands behind a name that may look like anything", () => {
  const rest = "4711 1 1 0 -1 4194304 104 0 0 0 0 0 0 0 20 0 1 0 889123 2494464 185 18446744073709551615";
  assert.equal(startTimeIn(`17 (a) S 1 (b) S ${rest}`), "889123");
  assert.equal(startTimeIn(`17 (launcher) Z ${rest}`), undefined, "it has ended, and nobody has taken note");
  assert.equal(startTimeIn(""), undefined);
});

void test("what a dead launcher left is removed; a living one's, another pid namespace's and what is nobody's stay", async (context) => {
  const living = [`lambent-${process.pid}-${startTime()}-${OWN}/sandbox`, `lambent-${NOBODY}-1-${OWN + 1}/sandbox`];
  const others = ["lambent-server", "user.slice", `lambent-${NOBODY}-1`, `lambent-${NOBODY}-1-${OWN}-x`];
  const dead = [`lambent-${NOBODY}-1-${OWN}/one`, `lambent-${NOBODY}-1-${OWN}/two`, `lambent-${process.pid}-1-${OWN}/three`];
  const top = hierarchy(context, [...living, ...others, ...dead]);
  await Promise.all([sweep(top, systemClock), sweep(top, systemClock)]); // two servers that start at once
  assert.deepEqual(readdirSync(top).toSorted(), [...living.map((path) => path.replace("/sandbox", "")), ...others].toSorted());
  for (const path of living) assert.ok(statSync(join(top, path)).isDirectory());
  await sweep(join(top, "absent"), systemClock);
});

void test("who is left in it is killed, and nobody else: one of another pid namespace is shown as 0", async (context) => {
  const top = hierarchy(context, [`lambent-${NOBODY}-1-${OWN}/sandbox`]);
  const member = spawn("sleep", ["600"]);
  context.after(() => member.kill("SIGKILL"));
  await once(member, "spawn");
  const group = join(top, `lambent-${NOBODY}-1-${OWN}`, "sandbox");
  writeFileSync(join(group, "cgroup.procs"), `0\n${member.pid}\n`);
  writeFileSync(join(group, "freezer.state"), "FROZEN");
  const ended = once(member, "exit");
  await sweep(top, systemClock);
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  assert.equal(readFileSync(join(group, "freezer.state"), "utf8"), "THAWED"); // overwritten from its beginning
});
