// How the machine's control groups are found, and what is left alone there: beside other mounts, other servers and other processes.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync, writeFileSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill } from "node:process";
import { test } from "node:test";
import { mountedHierarchies } from "../../src/sandbox/linux/control-group-mounts.ts";
import {
  controlGroups,
  isLauncher,
  LAUNCHER,
  launcherOf,
  marked,
  run,
  sh,
  skip,
  startAnother,
} from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";

const needsRoot = process.getuid?.() === 0 ? skip : "needs root";
const FIXTURE = join(import.meta.dirname, "control-groups.fixture.ts");
const OWNER = join(import.meta.dirname, "..", "acceptance", "containment", "owner.fixture.ts");
/** As native/launcher.c numbers its events. */
const FAILED = 2;

const mounted = () => mountedHierarchies(readFileSync("/proc/self/mounts", "utf8"));
const versionTwo = () => mounted().find(({ version }) => version === 2);

/** A host for sandboxes that is made after `script`, in namespaces of its own: what it said. */
function makeHost(namespaces: readonly string[], script: string): string {
  const words = [...namespaces, "sh", "-ec", `${script}\nexec "$@"`, "sh", process.execPath, FIXTURE];
  // A session of its own: what is killed with its process group is not this test.
  const { stdout, stderr, status, signal } = spawnSync("setsid", ["--wait", "unshare", ...words], { encoding: "utf8", timeout: 60_000 });
  return status === 0 ? stdout : `${stdout}${stderr}(${signal ?? status})`;
}

/** A process with three sandboxes, the second one frozen, in a mount namespace of its own. */
async function owner(marker: string, script = ""): Promise<{ child: ChildProcess; launcher: number }> {
  const words = ["--mount", "sh", "-ec", `${script}\nexec "$@"`, "sh", process.execPath, OWNER, marker, "3"];
  const child = spawn("unshare", words, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, launcher: Number(line.toString()) };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

test("a control group is found behind a mount whose line is as long as you like", { skip: needsRoot }, async () => {
  const memory = mounted().find(({ version, options }) => version === 1 && options.includes("memory")) ?? versionTwo();
  assert.ok(memory !== undefined);
  const top = await mkdtemp(join(tmpdir(), "lambent-cgroups-"));
  try {
    const said = makeHost(
      ["--mount"],
      `mkdir -p ${top}/${"a".repeat(200)}/${"b".repeat(60)}
       umount -l ${memory.directory}
       mount -t tmpfs long ${top}/${"a".repeat(200)}/${"b".repeat(60)}
       mount -t ${memory.version === 2 ? "cgroup2" : "cgroup -o memory"} again ${memory.directory}`,
    );
    assert.equal(said, "made\n");
  } finally {
    await rm(top, { recursive: true });
  }
});

test("a server of another pid namespace keeps its control groups, and its sandboxes their lives", { skip: needsRoot }, async () => {
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
    assert.equal(makeHost(["--pid", "--fork", "--mount-proc"], ""), "made\n");
    assert.ok(existsSync(join(group, "empty")));
    assert.equal(member.exitCode ?? member.signalCode, null);
  } finally {
    // In its own pid namespace nobody has that number: it is what a launcher left that was killed.
    assert.equal(makeHost(["--mount"], ""), "made\n");
    await once(member, "exit");
    assert.ok(!existsSync(group));
  }
});

test(
  "a launcher that still ends the sandboxes of a killed server is left to it by servers that start",
  { skip: needsRoot },
  async (context) => {
    const marker = `ending-${process.pid}`;
    const { child, launcher } = await owner(marker);
    const groups = controlGroups(launcher);
    kill(launcher, "SIGSTOP"); // as one that has not come to it yet
    context.after(() => isLauncher(launcher) && kill(launcher, "SIGCONT"));
    await end(child);
    const { host } = await startAnother();
    context.after(() => host.stop());
    assert.deepEqual(controlGroups(launcher), groups);
    assert.ok(marked(marker).length > 0, "one is frozen; the others may have seen that nobody listens to them any more");
    kill(launcher, "SIGCONT");
    await eventually(
      "it has ended them",
      () => !isLauncher(launcher) && controlGroups(launcher).length === 0 && marked(marker).length === 0,
    );
    assert.equal((await run(host, sh("exit 5"))).exit.code, 5);
  },
);

test("servers that start at once leave each other alone, and nothing of one that died before", { skip: needsRoot }, async (context) => {
  const { child, launcher } = await owner(`before-${process.pid}`);
  kill(launcher, "SIGKILL");
  await end(child);
  await eventually("its launcher has ended", () => !isLauncher(launcher));
  assert.ok(controlGroups(launcher).length > 0, "nobody was there to remove them");
  const hosts = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { host } = await startAnother();
      context.after(() => host.stop());
      return host;
    }),
  );
  assert.deepEqual(controlGroups(launcher), []);
  const ends = await Promise.all(hosts.map((host) => run(host, sh("exit 5"))));
  assert.deepEqual(
    ends.map(({ exit }) => exit.code),
    [5, 5, 5, 5],
  );
});

test("what a version 1 freezer holds back ends too, when its launcher has died", { skip: needsRoot }, async (context) => {
  const tree = versionTwo();
  const freezer = mounted().find(({ version, options }) => version === 1 && options.includes("freezer"));
  if (tree === undefined || freezer === undefined) return context.skip("needs a freezer of version 1, and one of version 2 to do without");
  const withoutIt = `umount -l ${tree.directory}`;
  const marker = `frozen-${process.pid}`;
  const { child, launcher } = await owner(marker, withoutIt);
  kill(launcher, "SIGKILL");
  await end(child);
  assert.ok(marked(marker).length > 0, "frozen, its sandbox outlives it");
  assert.equal(makeHost(["--mount"], withoutIt), "made\n");
  await eventually("nothing is left", () => marked(marker).length === 0 && controlGroups(launcher).length === 0);
});

test("a launcher without control groups for every role does not get ready", { skip: needsRoot }, () => {
  const launch = (hierarchies: readonly string[]) => {
    const words = ["-c", `exec "$0" "$@" 3<&0`, LAUNCHER, "", "", "", "", ...hierarchies];
    const { stdout } = spawnSync("sh", words, { timeout: 60_000 });
    return { event: stdout[4], reason: stdout.subarray(9).toString() };
  };
  const top = versionTwo()?.directory ?? "";
  for (const hierarchies of [[], [`2f${top}`], ["mcpf"], ["2mcpfx/sys"], [`2mcpf/${"x".repeat(2000)}`], ["2mcpf/nowhere/at/all"]]) {
    const { event, reason } = launch(hierarchies);
    assert.equal(event, FAILED);
    assert.match(reason, /control group/, JSON.stringify(hierarchies));
  }
  assert.throws(() => launcherOf(), "none of them is left");
});
