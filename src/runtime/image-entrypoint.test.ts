import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { imageEntrypoint } from "./image-entrypoint.ts";
import { HERE } from "./program-machine.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "lambent-root-"));
  const elf = Buffer.alloc(64);
  elf.writeUInt32BE(0x7f454c46, 0);
  elf.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18);
  for (const [name, content, mode] of [
    ["usr/bin/app", "#!/bin/sh", 0o755],
    ["usr/bin/plain", "", 0o644],
    ["usr/bin/foreign", elf, 0o755],
    ["usr/bin/script", "#! /bin/foreign -x\n", 0o755],
    ["usr/bin/again", "#!/bin/script", 0o755],
    ["usr/bin/endless", "#!/usr/bin/endless\n", 0o755],
    ["work/run", "", 0o755],
    ["work/private", "", 0o700],
  ] as const) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
    await chmod(join(root, name), mode);
  }
  for (const [name, target] of [
    ["bin", "/usr/bin"],
    ["usr/bin/alias", "../../bin/app"],
    ["usr/bin/up", "../../../../../../../../usr/bin/app"],
    ["usr/bin/loop", "loop"],
    ["usr/bin/host", process.execPath],
    ["usr/bin/kernel", "/proc/self/exe"],
  ] as const)
    await symlink(target, join(root, name));
});
after(() => rm(root, { recursive: true }));

const entrypoint = (
  argv: readonly string[],
  workingDirectory = "/work",
  variables = {},
  env: Readonly<Record<string, string>> = { PATH: "/bin" },
) => imageEntrypoint({ argv, command: [], workingDirectory, env }, { architecture: HERE, codeDirectory: root, variables });

test("a program is found by its path, below the working directory, or along PATH; links are followed inside of the image", async () => {
  for (const [word, program] of [
    ["/usr/bin/app", "/usr/bin/app"],
    ["./run", "/work/run"],
    ["app", "/bin/app"],
    ["alias", "/bin/alias"],
    ["up", "/bin/up"],
    ["endless", "/bin/endless"],
  ] as const)
    assert.deepEqual(await entrypoint([word, "x"]), { argv: [program, "x"] }, word);
  assert.deepEqual(await entrypoint(["run"], "", { PATH: "/none:/work" }), { argv: ["/work/run"] });
  assert.deepEqual(await entrypoint(["app"], "/", {}, {}), { argv: ["/usr/bin/app"] });
});

test("what can't be started is told in Go's words, and nothing of the host is ever looked at", async () => {
  for (const [word, problem] of [
    ["/none", "fork/exec /none: no such file or directory"],
    ["/bin/plain", "fork/exec /bin/plain: permission denied"],
    ["/work", "fork/exec /work: permission denied"],
    ["./private", "fork/exec ./private: permission denied"],
    ["none", 'exec: "none": executable file not found in $PATH'],
    ["loop", 'exec: "loop": executable file not found in $PATH'],
    ["host", 'exec: "host": executable file not found in $PATH'],
    ["kernel", 'exec: "kernel": executable file not found in $PATH'],
    ["foreign", "fork/exec /bin/foreign: exec format error"],
    ["script", "fork/exec /bin/script: exec format error"],
    ["again", "fork/exec /bin/again: exec format error"],
    ["", "the image has neither an ENTRYPOINT nor a CMD"],
  ] as const)
    assert.deepEqual(await entrypoint(word === "" ? [] : [word]), { problem }, word);
});

test("a working directory must be there", async () => {
  const errorType = "Runtime.InvalidWorkingDir";
  assert.deepEqual(await entrypoint(["app"], "/none"), { problem: "chdir /none: no such file or directory", errorType });
  assert.deepEqual(await entrypoint(["app"], "/work/run"), { problem: "chdir /work/run: not a directory", errorType });
  assert.deepEqual(await entrypoint(["app"], "/tmp"), { argv: ["/bin/app"] });
});
