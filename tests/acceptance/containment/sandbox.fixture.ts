// Real sandboxes for tests: a host, specs with small programs, and what a sandbox may leave behind.
import { randomUUID } from "node:crypto";
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../../src/base/log.ts";
import { linuxSandboxHost, type LinuxSandboxHost } from "../../../src/sandbox/linux/host.ts";
import type { Sandbox, SandboxExit, SandboxHost, SandboxSpec } from "../../../src/sandbox/sandbox.ts";

export const LAUNCHER = join(import.meta.dirname, "..", "..", "..", "native", "build", "launcher");
const PYTHON = "/usr/bin/python3";

const missing = [
  process.getuid?.() === 0 || process.env["LAMBENT_TEST_ROOTLESS"] === "1" ? "" : "root",
  existsSync(LAUNCHER) ? "" : "the launcher (make -C native)",
  existsSync(PYTHON) ? "" : PYTHON,
].filter((what) => what !== "");
/** Why real sandboxes can't be tested here, or false. */
export const skip: string | false = missing.length > 0 ? `needs ${missing.join(", ")}` : false;

/** For what takes well under a second: only a failure, or a machine that does next to nothing, comes so far. */
const LIMIT_MS = 60_000;

export const startHost = (cgroupParent?: string): Promise<LinuxSandboxHost> =>
  linuxSandboxHost({ launcherPath: LAUNCHER, log: silentLog, ...(cgroupParent === undefined ? {} : { cgroupParent }) });

export const sh = (script: string): readonly string[] => ["/bin/sh", "-c", script];

const PRELUDE = `
import ctypes, errno, os, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def name(e): return errno.errorcode.get(e, str(e))
def tries(f, *a):
    try: r = f(*a)
    except OSError as e: return name(e.errno)
    return "done" if r is None else r
def call(number, *a):
    r = libc.syscall(number, *a)
    return r if r >= 0 else name(ctypes.get_errno())
`;
/** `tries(f, …)` and `call(number, …)` answer the name of the error, or what came back. */
export const python = (code: string): readonly string[] => [PYTHON, "-ISuc", PRELUDE + code];

export function spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: `t-${randomUUID().slice(0, 18)}`,
    mounts: [],
    argv: ["/usr/bin/true"],
    env: {},
    workingDirectory: "/",
    memoryBytes: 128 * 2 ** 20,
    cpuMillis: 2000,
    processors: 2,
    processesMax: 64,
    openFilesMax: 1024,
    tmpBytes: 8 * 2 ** 20,
    tmpInodes: 1000,
    listeners: [],
    network: "endpoint",
    ...changes,
  };
}

/** Everything that a sandbox writes, when it has ended its output. */
export async function outputOf(sandbox: Sandbox): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of sandbox.output) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

interface Ran {
  readonly exit: SandboxExit;
  readonly output: string;
}

/** Runs a program to its end, within a minute. */
export async function run(host: SandboxHost, argv: readonly string[], changes: Partial<SandboxSpec> = {}): Promise<Ran> {
  const sandbox = await host.start(spec({ argv, ...changes }));
  const deadline = setTimeout(() => void sandbox.kill(), LIMIT_MS);
  try {
    const output = await outputOf(sandbox);
    return { exit: await sandbox.exited, output };
  } finally {
    clearTimeout(deadline);
    await sandbox.kill();
  }
}

/** Resolves when the sandbox has written `text`, within a minute; the output goes on flowing. */
export async function seen(sandbox: Sandbox, text: string): Promise<void> {
  let output = "";
  let deadline: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve, reject) => {
    deadline = setTimeout(() => reject(new Error(`not within ${LIMIT_MS} ms: ${text}; it wrote: ${output}`)), LIMIT_MS);
    sandbox.output.on("data", (piece: Buffer) => {
      output += piece.toString();
      if (output.includes(text)) resolve();
    });
    sandbox.output.once("close", () => reject(new Error(`the sandbox has ended; it wrote: ${output}`)));
  }).finally(() => clearTimeout(deadline));
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

export function processes(): readonly Process[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const status = readFileSync(`/proc/${entry}/status`, "utf8");
        if (/^State:\tZ/m.test(status)) return []; // not every machine's process 1 reaps orphans
        const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(entry), parent: Number(/^PPid:\t(\d+)/m.exec(status)?.[1]), command }];
      } catch {
        return []; // it has ended since the listing
      }
    });
}

/** Host pids of processes whose command line holds `marker`. */
export const marked = (marker: string): readonly number[] =>
  processes()
    .filter(({ pid, command }) => command.includes(marker) && pid !== process.pid)
    .map(({ pid }) => pid);

const launchersOf = (owner: number): readonly number[] =>
  processes()
    .filter(({ parent, command }) => parent === owner && command.includes("native/build/launcher"))
    .map(({ pid }) => pid);

/** Host pid of the launcher that `owner` has started. */
export function launcherOf(owner = process.pid): number {
  const [found] = launchersOf(owner);
  if (found === undefined) throw new Error(`process ${owner} has no launcher`);
  return found;
}

/** One more host in this process, with the pid of its launcher: numbers of processes begin anew, so the highest need not be the newest. */
export async function startAnother(
  start: () => Promise<LinuxSandboxHost> = startHost,
): Promise<{ host: LinuxSandboxHost; launcher: number }> {
  const others = launchersOf(process.pid);
  const host = await start();
  const launcher = launchersOf(process.pid).find((pid) => !others.includes(pid));
  if (launcher === undefined) throw new Error("the new host has no launcher");
  return { host, launcher };
}

/** Whether this launcher still runs; its number may have become another process's. */
export const isLauncher = (pid: number): boolean =>
  processes().some((one) => one.pid === pid && one.command.includes("native/build/launcher"));

/** Host pids of all that runs below a process. */
export function below(ancestor: number): ReadonlySet<number> {
  const found = new Set([ancestor]);
  const all = processes();
  for (let size = 0; size !== found.size;) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  found.delete(ancestor);
  return found;
}

/** This process's own place in the tree of version 2: an ordinary user's servers make their groups there. */
const ownPlace = (): string => {
  const [, path = ""] = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8")) ?? [];
  return `${path.replace(/\/lambent-server$/, "").slice(1)}/`;
};

/** Control groups of one launcher, its own and its sandboxes', in every hierarchy. */
export function controlGroups(launcher: number): readonly string[] {
  const places = ["", "*/", "rootless-test-*/", "*/rootless-test-*/", ownPlace()].map((place) => join("/sys/fs/cgroup", place));
  const own = [...new Set(globSync(places.map((place) => join(place, `lambent-${launcher}-*`))))];
  return own.flatMap((directory) => [directory, ...directoriesIn(directory)]);
}

/** Whether the kernel says that the control group of a process stands still. */
export const isFrozen = (pid: number): boolean =>
  readFileSync(`/proc/${pid}/cgroup`, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":"))
    .flatMap(([, controllers, path]) => ["", "unified", controllers ?? ""].map((place) => join("/sys/fs/cgroup", place, path ?? "")))
    .flatMap((group) => ["freezer.state", "cgroup.events"].map((file) => join(group, file)))
    .some((file) => existsSync(file) && /^(?:FROZEN|frozen 1)$/m.test(readFileSync(file, "utf8")));

function directoriesIn(directory: string): readonly string[] {
  const entries = existsSync(directory) ? readdirSync(directory, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name));
}

export function mountCount(): number {
  return readFileSync("/proc/self/mounts", "utf8").trim().split("\n").length;
}

/** What must be the same outside before and after a case: a launcher, and what it has. */
export function outsideOf(launcher: number) {
  return {
    launcher,
    controlGroups: controlGroups(launcher),
    mounts: mountCount(),
    children: processes().filter(({ parent }) => parent === launcher),
    descriptors: readdirSync(`/proc/${launcher}/fd`).length,
  };
}

/** The network namespace of a process, as `net:[4026531840]`; undefined when it has ended. */
export function networkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Whether any process is in the namespace, given as `net:[4026531840]`. */
export function isNamespaceUsed(name: string): boolean {
  return processes().some(({ pid }) => networkOf(pid) === name);
}
