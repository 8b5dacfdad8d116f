// What this machine can and cannot isolate: read, never changed. For `lambent doctor`.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { ENVIRONMENTS_BY_FILES, OPEN_FILES_MAX, RAISE_OPEN_FILES } from "../../base/open-files.ts";
import { mountedHierarchies } from "./control-group-mounts.ts";
import { inspectRootless } from "./doctor-rootless.ts";
import { arm64Emulation } from "./emulator.ts";
import { missingGatewayPackages } from "./tools.ts";

export interface HostFinding {
  readonly name: string;
  /** `missing`: no sandbox can be made. `degraded`: it works, with less. */
  readonly state: "ok" | "missing" | "degraded";
  readonly detail: string;
  /** The command that mends it. */
  readonly remedy?: string;
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8").trim() : undefined);

function launcher(path: string): HostFinding {
  try {
    accessSync(path, constants.X_OK);
    return { name: "launcher", state: "ok", detail: path };
  } catch {
    return { name: "launcher", state: "missing", detail: `${path} is not there`, remedy: "make -C native   (./lambent does it by itself)" };
  }
}

const isRoot = () => process.getuid?.() === 0;

function user(): HostFinding {
  return { name: "user", state: "ok", detail: isRoot() ? "root" : `uid ${process.getuid?.()}, without root` };
}

function kernel(): HostFinding {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const isNewEnough = major > 5 || (major === 5 && minor >= 14);
  if (isNewEnough) return { name: "kernel", state: "ok", detail: release() };
  return { name: "kernel", state: "missing", detail: `${release()}: Linux 5.14 or newer is needed (mount_setattr, clone3, pidfd)` };
}

function userNamespaces(): HostFinding {
  const limit = Number(read("/proc/sys/user/max_user_namespaces") ?? 0);
  if (limit > 0) return { name: "user namespaces", state: "ok", detail: `up to ${limit}` };
  return { name: "user namespaces", state: "missing", detail: "switched off", remedy: "sysctl -w user.max_user_namespaces=10000" };
}

function seccomp(): HostFinding {
  const actions = read("/proc/sys/kernel/seccomp/actions_avail");
  if (actions?.includes("errno") === true) return { name: "seccomp", state: "ok", detail: "filters available" };
  return { name: "seccomp", state: "missing", detail: "the kernel has no seccomp filters" };
}

/** Which hierarchy has a controller: version 1 mounts name it, version 2 lists it. */
function controllers(): readonly HostFinding[] {
  const mounted = mountedHierarchies(read("/proc/self/mounts") ?? "");
  const unified = mounted.find(({ version }) => version === 2)?.directory;
  const listed = unified === undefined ? [] : (read(`${unified}/cgroup.controllers`) ?? "").split(" ");
  return ["memory", "cpu", "pids"].map((name) => {
    const old = mounted.find(({ version, options }) => version === 1 && options.includes(name))?.directory;
    if (old !== undefined) return { name: `cgroup ${name}`, state: "ok", detail: `version 1, ${old}` };
    if (listed.includes(name)) return { name: `cgroup ${name}`, state: "ok", detail: `version 2, ${unified}` };
    return {
      name: `cgroup ${name}`,
      state: "missing",
      detail: "no hierarchy has this controller",
      remedy: `boot with cgroup_enable=${name}`,
    };
  });
}

function freezer(): HostFinding {
  const mounted = mountedHierarchies(read("/proc/self/mounts") ?? "");
  if (mounted.some(({ version }) => version === 2)) return { name: "freezer", state: "ok", detail: "version 2" };
  if (mounted.some(({ options }) => options.includes("freezer"))) return { name: "freezer", state: "ok", detail: "version 1" };
  return {
    name: "freezer",
    state: "missing",
    detail: "idle sandboxes can't be frozen",
    remedy: "mount -t cgroup2 none /sys/fs/cgroup/unified",
  };
}

function internet(network: "endpoint" | "internet"): HostFinding {
  const name = "internet for functions";
  const missing = missingGatewayPackages();
  const canTunnel = existsSync("/dev/net/tun");
  const setting = network === "internet" ? "on" : "off: the network setting internet gives it";
  if (missing.length === 0 && canTunnel) return { name, state: "ok", detail: `possible, and ${setting}` };
  return {
    name,
    state: network === "internet" ? "missing" : "degraded",
    detail: missing.length > 0 ? `functions reach Lambent only: ${missing.join(" and ")} not installed` : "/dev/net/tun is not there",
    remedy: missing.length > 0 ? `apt install ${missing.join(" ")}` : "modprobe tun",
  };
}

function arm64(): HostFinding {
  const name = "functions for arm64";
  if (process.arch === "arm64") return { name, state: "ok", detail: "this machine is one; those for x86_64 do not run" };
  const found = arm64Emulation();
  if ("missing" in found) return { name, state: "degraded", detail: `they do not run: ${found.missing}`, remedy: found.remedy };
  return { name, state: "ok", detail: `through ${found.detail}` };
}

/** Memory allows more environments than the files that they need. */
function openFiles(environmentsMax: number): HostFinding {
  const name = "open files";
  if (environmentsMax < ENVIRONMENTS_BY_FILES) return { name, state: "ok", detail: `up to ${OPEN_FILES_MAX}` };
  const detail = `up to ${OPEN_FILES_MAX}: enough for ${environmentsMax} execution environments, and memory for more`;
  return { name, state: "degraded", detail, remedy: RAISE_OPEN_FILES };
}

interface Inspected {
  readonly launcherPath: string;
  readonly network: "endpoint" | "internet";
  readonly environmentsMax: number;
}

export function inspectHost(options: Inspected): readonly HostFinding[] {
  return [
    kernel(),
    user(),
    launcher(options.launcherPath),
    userNamespaces(),
    seccomp(),
    ...(isRoot() ? [...controllers(), freezer()] : inspectRootless()),
    openFiles(options.environmentsMax),
    internet(options.network),
    arm64(),
  ];
}
