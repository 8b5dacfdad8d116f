// How the launcher finds the machine's control groups, and what it leaves alone there: started by itself, beside other mounts and other processes.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const LAUNCHER = join(import.meta.dirname, "..", "..", "native", "build", "launcher");
const skip = process.getuid?.() === 0 ? false : "needs root";
/** As native/launcher.c numbers its events: it waits for the server's first request. */
const WAITING = 7;

interface Mounted {
  readonly directory: string;
  readonly type: string;
  readonly options: readonly string[];
}

const mounted = (): Mounted[] =>
  readFileSync("/proc/self/mounts", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, directory = "", type = "", options = ""]) => ({ directory, type, options: options.split(",") }));

const versionTwo = () => mounted().find(({ type }) => type === "cgroup2");

/** Starts it after `script`, in namespaces of its own, with no server behind its pipes: it gets as far as it can alone, and ends. */
function launch(namespaces: readonly string[], script: string): { readonly event: number | undefined; readonly said: string } {
  const words = [...namespaces, "sh", "-ec", `${script}\n"$0" "" "" 3<&0`, LAUNCHER];
  // A session of its own: what is killed with its process group is not this test.
  const { stdout, stderr, status, signal } = spawnSync("setsid", ["--wait", "unshare", ...words], { timeout: 60_000 });
  const said = `${stdout.subarray(9).toString()} ${stderr.toString()} (${signal ?? status})`;
  return { event: stdout[4], said };
}

test("a control group is found behind a mount whose line is as long as you like", { skip }, async () => {
  const memory = mounted().find(({ type, options }) => type === "cgroup" && options.includes("memory")) ?? versionTwo();
  assert.ok(memory !== undefined);
  const top = await mkdtemp(join(tmpdir(), "lambent-cgroups-"));
  try {
    const { event, said } = launch(
      ["--mount"],
      `mkdir -p ${top}/${"a".repeat(200)}/${"b".repeat(60)}
       umount -l ${memory.directory}
       mount -t tmpfs long ${top}/${"a".repeat(200)}/${"b".repeat(60)}
       mount -t ${memory.type} ${memory.type === "cgroup2" ? "" : "-o memory"} again ${memory.directory}`,
    );
    assert.equal(event, WAITING, said);
  } finally {
    await rm(top, { recursive: true });
  }
});

test("a server of another pid namespace keeps its control groups, and its sandboxes their lives", { skip }, async () => {
  const tree = versionTwo();
  assert.ok(tree !== undefined);
  const own = statSync("/proc/self/ns/pid").ino;
  const group = join(tree.directory, `lambent-999999999-1-${own}`);
  const member = spawn("sleep", ["600"]);
  try {
    await once(member, "spawn");
    mkdirSync(join(group, "busy"), { recursive: true });
    mkdirSync(join(group, "empty"));
    writeFileSync(join(group, "busy", "cgroup.procs"), String(member.pid));
    const { event, said } = launch(["--pid", "--fork", "--mount-proc"], "");
    assert.equal(event, WAITING, said);
    assert.ok(existsSync(join(group, "empty")));
    assert.equal(member.exitCode ?? member.signalCode, null);
  } finally {
    // In its own pid namespace nobody has that number: it is what a launcher left that was killed.
    assert.equal(launch(["--mount"], "").event, WAITING);
    await once(member, "exit");
    assert.ok(!existsSync(group));
  }
});
