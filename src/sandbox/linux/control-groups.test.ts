// Which hierarchies are found on which machine, and what becomes of a version 2 tree: an imitation of one, where nobody is moved.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SandboxError } from "../sandbox.ts";
import { findHierarchies, prepareHierarchies } from "./control-groups.ts";

const VERSION_1 = `sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0
tmpfs /sys/fs/cgroup tmpfs ro,nosuid,nodev,noexec,mode=755 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,nosuid,xattr,name=systemd 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/blkio cgroup rw,nosuid,blkio 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,nosuid,cpuset 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,nosuid,pids 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,nosuid,freezer 0 0
`;
const VERSION_1_GROUPS = `9:freezer:/
8:pids:/user.slice/user-1000.slice/session-1.scope
7:cpuset:/
6:memory:/user.slice/user-1000.slice/session-1.scope
5:blkio:/user.slice
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-1000.slice/session-1.scope
`;
const HYBRID = `${VERSION_1}cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid,nodev,noexec,nsdelegate 0 0\n`;
const VERSION_2 = `sysfs /sys sysfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n`;
const SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-u7.scope";

const root = { groups: "", isRoot: true };
const user = { isRoot: false };
/** As a line each: `1 /sys/fs/cgroup/memory memory`. */
const lines = (machine: Parameters<typeof findHierarchies>[0]) =>
  findHierarchies(machine).map(({ version, directory, roles }) => [version, directory, ...roles].join(" "));

void test("version 1: the hierarchies that have a role, at their roots for root", () => {
  assert.deepEqual(lines({ mounts: VERSION_1, ...root }), [
    "1 /sys/fs/cgroup/cpu,cpuacct cpu",
    "1 /sys/fs/cgroup/memory memory",
    "1 /sys/fs/cgroup/pids pids",
    "1 /sys/fs/cgroup/freezer freezer",
  ]);
});

void test("an ordinary user is in a place of its own in each of them", () => {
  assert.deepEqual(lines({ mounts: HYBRID, groups: `${VERSION_1_GROUPS}0::/user.slice/lambent-server\n`, ...user }), [
    "1 /sys/fs/cgroup/cpu,cpuacct/user.slice cpu",
    "1 /sys/fs/cgroup/memory/user.slice/user-1000.slice/session-1.scope memory",
    "1 /sys/fs/cgroup/pids/user.slice/user-1000.slice/session-1.scope pids",
    "1 /sys/fs/cgroup/freezer freezer",
    "2 /sys/fs/cgroup/unified/user.slice",
  ]);
});

void test("version 2: the root's, a scope's, and beside the group that a scope's processes have moved to", () => {
  assert.deepEqual(lines({ mounts: VERSION_2, ...root }), ["2 /sys/fs/cgroup"]);
  assert.deepEqual(lines({ mounts: VERSION_2, groups: `0::${SCOPE}\n`, ...user }), [`2 /sys/fs/cgroup${SCOPE}`]);
  assert.deepEqual(lines({ mounts: VERSION_2, groups: `0::${SCOPE}/lambent-server\n`, ...user }), [`2 /sys/fs/cgroup${SCOPE}`]);
  assert.deepEqual(lines({ mounts: VERSION_2, groups: "0::/lambent-server\n", ...user }), ["2 /sys/fs/cgroup"]);
  assert.deepEqual(lines({ mounts: VERSION_2, groups: "0::/not-lambent-server\n", ...user }), ["2 /sys/fs/cgroup/not-lambent-server"]);
});

void test("a container: what it sees as its roots, and without a cgroup namespace its place in the machine's", () => {
  assert.deepEqual(lines({ mounts: VERSION_2, groups: "0::/\n", ...user }), ["2 /sys/fs/cgroup"]);
  const groups = "3:memory:/docker/4f2a\n";
  const mounts = "cgroup /sys/fs/cgroup/memory cgroup ro,nosuid,nodev,noexec,relatime,memory 0 0\n";
  assert.deepEqual(lines({ mounts, groups, ...user }), ["1 /sys/fs/cgroup/memory/docker/4f2a memory"]);
  assert.deepEqual(lines({ mounts, groups, isRoot: true }), ["1 /sys/fs/cgroup/memory memory"]);
});

void test("a parent that was asked for is the place in each hierarchy, whoever asks", () => {
  for (const isRoot of [true, false])
    assert.deepEqual(
      lines({ mounts: HYBRID, groups: VERSION_1_GROUPS, parent: "/machine/lambent", isRoot }).at(-1),
      "2 /sys/fs/cgroup/unified/machine/lambent",
    );
});

void test("a hierarchy that is mounted several times is one, and one that names no role is none", () => {
  const again = "cgroup /chroot/memory cgroup rw,memory 0 0\ncgroup2 /chroot/unified cgroup2 rw 0 0\n";
  assert.deepEqual(lines({ mounts: HYBRID + again, ...root }), lines({ mounts: HYBRID, ...root }));
  assert.deepEqual(
    lines({ mounts: "cgroup /x cgroup rw,name=memory 0 0\ncgroup /y cgroup rw,cpuset 0 0\nmemory /z tmpfs rw,memory 0 0\n", ...root }),
    [],
  );
});

interface Imitation {
  readonly top: string;
  /** What a mount text names is there instead. */
  readonly at: (text: string) => string;
  readonly written: (path: string) => Promise<string>;
}

/** Files of a version 2 group; members stay in `cgroup.procs`, as nobody takes them out. */
async function imitation(context: TestContext, groups: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<Imitation> {
  const top = await mkdtemp(join(tmpdir(), "lambent-groups-"));
  context.after(() => rm(top, { recursive: true }));
  for (const [group, files] of Object.entries(groups)) {
    await mkdir(join(top, group), { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(top, group, name), text);
  }
  return { top, at: (text) => text.replaceAll("/sys/fs/cgroup", top), written: (path) => readFile(join(top, path), "utf8") };
}

/** +memory, +cpu, +pids: each by a write of its own, over the one before in a plain file. */
const ENABLED = "+pidsry";

const below = (top: string, hierarchies: readonly { version: number; directory: string; roles: readonly string[] }[]) =>
  hierarchies.map(({ version, directory, roles }) => [version, directory.replace(top, ""), ...roles].join(" "));

void test("the version 2 tree has the roles that version 1 did not take, gives them to children, and freezes", async (context) => {
  const all = "cpuset cpu io memory hugetlb pids rdma\n";
  const { top, at, written } = await imitation(context, { "": { "cgroup.controllers": all, "cgroup.subtree_control": "" } });
  assert.deepEqual(below(top, await prepareHierarchies({ mounts: at(VERSION_2), ...root })), ["2  memory cpu pids freezer"]);
  assert.equal(await written("cgroup.subtree_control"), ENABLED);
  assert.ok(!(await readdir(top)).includes("lambent-server"), "processes stay in the root");
});

void test("beside it a freezer of version 1 is not used, and without it, it is", async (context) => {
  const { top, at } = await imitation(context, {
    unified: { "cgroup.controllers": "\n", "cgroup.type": "domain\n", "cgroup.procs": "1\n" },
  });
  const hybrid = ["1 /cpu,cpuacct cpu", "1 /memory memory", "1 /pids pids", "2 /unified freezer"];
  assert.deepEqual(below(top, await prepareHierarchies({ mounts: at(HYBRID), ...root })), hybrid);
  assert.deepEqual(await readdir(join(top, "unified")), ["cgroup.controllers", "cgroup.procs", "cgroup.type"], "nobody has to move");
  const together = at(HYBRID).replace("pids cgroup rw,nosuid,pids", "pids cgroup rw,nosuid,pids,freezer");
  assert.deepEqual(below(top, await prepareHierarchies({ mounts: together, ...root })), hybrid);
  assert.deepEqual(below(top, await prepareHierarchies({ mounts: at(VERSION_1), ...root })).at(-1), "1 /freezer freezer");
});

void test("below the root, the processes of a version 2 group move to a child of their own", async (context) => {
  const files = {
    "cgroup.controllers": "cpu memory pids\n",
    "cgroup.type": "domain\n",
    "cgroup.procs": "17\n4711\n",
    "cgroup.subtree_control": "",
  };
  const { top, at, written } = await imitation(context, { [SCOPE]: files, [`${SCOPE}/lambent-server`]: { "cgroup.procs": "" } });
  const found = await prepareHierarchies({ mounts: at(VERSION_2), groups: `0::${SCOPE}\n`, ...user });
  assert.deepEqual(below(top, found), [`2 ${SCOPE} memory cpu pids freezer`]);
  assert.equal(await written(`${SCOPE}/lambent-server/cgroup.procs`), "4711", "one by one");
  assert.equal(await written(`${SCOPE}/cgroup.subtree_control`), ENABLED);
});

void test("what can't be moved or enabled does not keep anybody waiting: the launcher says what it can't make", async (context) => {
  const files = { "cgroup.controllers": "cpu memory pids\n", "cgroup.type": "domain\n", "cgroup.procs": "17\n" };
  const { top, at } = await imitation(context, { "": files });
  assert.deepEqual(below(top, await prepareHierarchies({ mounts: at(VERSION_2), ...root })), ["2  memory cpu pids freezer"]);
  assert.deepEqual(await readdir(join(top, "lambent-server")), [], "control files are the kernel's to make");
});

void test("a machine that can't hold a sandbox to all its limits, or freeze it, is refused with what is missing", async (context) => {
  const { at } = await imitation(context, { "": { "cgroup.controllers": "cpu pids\n", "cgroup.subtree_control": "" } });
  const without = (name: string) => VERSION_1.replace(`cgroup rw,nosuid,${name}`, "tmpfs rw");
  const refusals: readonly (readonly [string, RegExp])[] = [
    ["", /no memory control group: limits on memory can't be enforced: run {2}\.\/lambent doctor/],
    [at(VERSION_2), /no memory control group/],
    [without("memory"), /no memory control group/],
    [without("cpu,cpuacct"), /no cpu control group: limits on CPU can't be enforced/],
    [without("pids"), /no pids control group: limits on processes can't be enforced/],
    [without("freezer"), /no freezer: idle sandboxes can't be frozen/],
  ];
  for (const [mounts, message] of refusals)
    await assert.rejects(prepareHierarchies({ mounts, ...root }), (error) => error instanceof SandboxError && message.test(error.message));
});
