// How many CPUs the programs of a sandbox see: by every way in which runtimes ask, in the host's system and in an image.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeRootPlaces } from "../../src/images/root-places.ts";
import type { LinuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import { run, skip, spec, startHost } from "../acceptance/containment/sandbox.fixture.ts";

const BUSYBOX = "/bin/busybox";
const NODE = join(process.execPath, "..", "..");

let host: LinuxSandboxHost;
let root: string;
before(async () => {
  if (skip !== false) return;
  host = await startHost();
  root = await mkdtemp(join(tmpdir(), "lambent-processors-"));
  await chmod(root, 0o755);
});
after(async () => {
  if (skip !== false) return;
  await host.stop();
  await rm(root, { recursive: true });
});

const seen = async (argv: readonly string[], processors: number, mounts = spec().mounts): Promise<string> => {
  const { output } = await run(host, argv, { processors, mounts, memoryBytes: 512 * 2 ** 20, processesMax: 64 });
  return output.trim();
};

const PYTHON = "import os, multiprocessing; print(os.cpu_count(), len(os.sched_getaffinity(0)), multiprocessing.cpu_count())";
const NODE_SCRIPT = "const os = require('os'); [os.cpus().length, os.availableParallelism(), os.cpus()[0].model !== ''].join(' ')";

for (const wanted of [1, 2, 6]) {
  const count = Math.min(wanted, availableParallelism());
  test(`of ${wanted} CPUs, ${count} that are here: nproc, Python, Node and /proc agree`, { skip }, async () => {
    assert.equal(
      await seen(["/bin/sh", "-c", "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo"], wanted),
      `${count}\n${count}\n${count}`,
    );
    assert.equal(await seen(["/usr/bin/python3", "-c", PYTHON], wanted), `${count} ${count} ${count}`);
    const mounts = [{ source: NODE, target: "/var/lang" }];
    assert.equal(await seen(["/var/lang/bin/node", "-p", NODE_SCRIPT], wanted, mounts), `${count} ${count} true`);
  });
}

test("/proc/stat has the CPUs and the machine's start, and nothing of what the machine does", { skip }, async () => {
  const lines = (await seen(["/bin/cat", "/proc/stat"], 1)).split("\n");
  const [all = "", one = "", ...rest] = lines;
  assert.match(all, /^cpu {2}(?:0 ?){10}$/);
  assert.match(one, /^cpu\d+ (?:0 ?){10}$/);
  assert.match(rest.join("\n"), /^intr 0\nctxt 0\nbtime \d{10}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\nsoftirq (?:0 ?){11}$/);
});

test("nothing of it can be changed", { skip }, async () => {
  const script =
    "for path in /sys/x /sys/devices/system/cpu/online /proc/cpuinfo /proc/stat; do (echo 1 > $path) 2>&1 | sed 's/.*: //'; done";
  const answer = await seen(["/bin/sh", "-c", script], 1);
  assert.deepEqual(
    answer.split("\n").filter((line) => !/^(?:Read-only file system|Permission denied)$/.test(line)),
    [],
  );
});

test("an image has the same view", { skip: skip || (!existsSync(BUSYBOX) && `needs ${BUSYBOX}`) }, async () => {
  await mkdir(join(root, "bin"));
  await cp(BUSYBOX, join(root, "bin", "busybox"));
  await makeRootPlaces(root);
  const script =
    "b=/bin/busybox; $b nproc; $b grep -c ^processor /proc/cpuinfo; $b grep -c ^cpu[0-9] /proc/stat; $b ls /sys /sys/devices/system/cpu; (echo 1 > /sys/x) 2>&1";
  const answer = await seen(["/bin/busybox", "sh", "-c", script], 1, [{ source: root, target: "/" }]);
  assert.match(
    answer,
    /^1\n1\n1\n\/sys:\ndevices\n\n\/sys\/devices\/system\/cpu:\nonline\npossible\npresent\nsh: .*Read-only file system$/,
  );
});
