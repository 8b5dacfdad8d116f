// All that the kernel says of a live sandbox, read from outside, in a form that is the same on every machine.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { controlGroups, processes } from "./sandbox.fixture.ts";

const read = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, "utf8");
const lines = (text: string): readonly string[] => text.trim().split("\n");

const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/** Of each kind whether it is the sandbox's own or the host's. */
function namespacesOf(pid: number): Record<string, string> {
  const own = (name: string) => readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`);
  return Object.fromEntries(NAMESPACES.map((name) => [name, own(name) ? "own" : "host"]));
}

const STATUS = /^(?:Umask|Groups|NStgid|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Seccomp_filters|SigBlk|SigIgn):/;

/** Of every thread; each way to be is there once. */
function statusOf(pid: number): readonly (readonly string[])[] {
  const each = readdirSync(`/proc/${pid}/task`).map((task) => {
    const kept = lines(read(pid, `task/${task}/status`)).filter((line) => STATUS.test(line));
    return kept.map((line) =>
      line
        .replace(/^NStgid:.*\t(\d+)$/, "NStgid: $1")
        .replace(/\s+/g, " ")
        .trim(),
    );
  });
  return [...new Map(each.map((one) => [one.join("\n"), one])).values()];
}

/** What of the host is mounted depends on what the host has: of such groups the ways in which they are mounted. */
const GROUPS: readonly (readonly [RegExp, string])[] = [
  [/^\/(?:usr|bin|sbin|lib\w*)$/, "the host's programs"],
  [/^\/etc\/.+/, "the host's files below /etc"],
  [/^\/dev\/.+/, "devices"],
  [/^\/proc\/(?!sys$).+/, "hidden below /proc"],
];

function mountsOf(pid: number): Record<string, readonly string[]> {
  const found: Record<string, string[]> = {};
  for (const line of lines(read(pid, "mountinfo"))) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , , at = "", options = "", ...propagation] = before.split(" ");
    const [type = "", , settings = ""] = after.split(" ");
    const group = GROUPS.find(([pattern]) => pattern.test(at))?.[1] ?? at;
    const isOurs = ["/", "/dev", "/etc", "/proc", "/proc/sys", "/tmp"].includes(at);
    const limits = settings.split(",").filter((one) => /^(?:ro|rw|size=|nr_inodes=|mode=|hidepid|subset)/.test(one));
    const text = [options, propagation.join(" ") || "private", ...(isOurs ? [type, limits.toSorted().join(",")] : [])].join(" ");
    found[group] = [...new Set([...(found[group] ?? []), text])].toSorted();
  }
  return found;
}

const descriptorsOf = (pid: number): readonly string[] =>
  readdirSync(`/proc/${pid}/fd`)
    .toSorted((a, b) => Number(a) - Number(b))
    .map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]/, "")}`);

function limitsOf(pid: number): readonly string[] {
  const kept = /^Max (?:open files|processes|core|locked|stack|msgqueue|file size|address space|nice|realtime priority)/;
  return lines(read(pid, "limits"))
    .filter((line) => kept.test(line))
    .map((line) => line.trim().replace(/\s{2,}/g, " | "));
}

/** By what they say, under one name for both versions of control groups. */
const CONTROLS: Readonly<Record<string, readonly string[]>> = {
  memory: ["memory.limit_in_bytes", "memory.max"],
  cpuQuotaMicroseconds: ["cpu.cfs_quota_us", "cpu.max"],
  processes: ["pids.max"],
  isFrozen: ["cgroup.freeze", "freezer.state"],
};

function controlsOf(launcher: number, id: string): Record<string, readonly string[]> {
  const directories = controlGroups(launcher).filter((path) => path.endsWith(`/${id}`));
  const valuesOf = (files: readonly string[]) =>
    directories.flatMap((path) => files.map((file) => join(path, file))).filter((path) => existsSync(path));
  return Object.fromEntries(
    Object.entries(CONTROLS).map(([name, files]) => [
      name,
      valuesOf(files).map((path) => readFileSync(path, "utf8").trim().split(" ")[0]?.replace("THAWED", "0") ?? ""),
    ]),
  );
}

/** The ids outside are another pair for each sandbox; that they are nobody's here is what counts. */
function mapsOf(pid: number): readonly string[] {
  return ["uid_map", "gid_map"].map((file) => {
    const [inside, outside, count] = read(pid, file).trim().split(/\s+/);
    const isOwn = Number(outside) >= 100_000;
    return `${inside} ${isOwn ? "its own" : outside} ${count}`;
  });
}

// PTRACE_SECCOMP_GET_FILTER: the instructions, 8 bytes each. Of the first filter, and there must not be a second one.
const FILTER = `
import ctypes, hashlib, os, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
def ptrace(*a):
    r = libc.ptrace(*a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
ptrace(0x4206, pid, None, None)
ptrace(0x4207, pid, None, None)
os.waitpid(pid, 0x40000000)
try:
    n = ptrace(0x420c, pid, 0, None)
    program = ctypes.create_string_buffer(n * 8)
    ptrace(0x420c, pid, 0, program)
    print(n, hashlib.sha256(program.raw).hexdigest())
finally: ptrace(17, pid, None, None)`;

/** The filter's program, as `instructions sha256`; only the host's root may ask for it. */
export function filterOf(pid: number): string {
  const { stdout, stderr, status } = spawnSync("/usr/bin/python3", ["-ISc", FILTER, String(pid)], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

/** Much of a sandbox can't be looked into by the ordinary user who started the server: inside.test.ts asks for it from within. */
function shown<T>(look: () => T): T | string {
  try {
    return look();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** `first` is the host's pid of the sandbox's first process. */
export function postureOf(first: number, launcher: number, id: string) {
  const init = processes().find(({ pid }) => pid === first)?.parent ?? 0;
  const of = (pid: number) => ({
    namespaces: shown(() => namespacesOf(pid)),
    threads: statusOf(pid),
    descriptors: shown(() => descriptorsOf(pid)),
  });
  return {
    process1: {
      ...of(init),
      commandLine: shown(() => read(init, "cmdline").replaceAll("\0", "")),
      environment: shown(() => read(init, "environ").replaceAll("\0", "")),
    },
    process2: {
      ...of(first),
      maps: mapsOf(first),
      limits: limitsOf(first),
      environment: shown(() => read(first, "environ").split("\0").slice(0, -1)),
      oomScoreAdj: read(first, "oom_score_adj").trim(),
    },
    mounts: mountsOf(first),
    controlGroups: controlsOf(launcher, id),
  };
}
