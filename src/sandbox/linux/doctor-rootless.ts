// What sandboxes without root need of this machine besides the rest: read, never changed. For `lambent doctor`.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { mountedHierarchies, ownGroups } from "./control-group-mounts.ts";
import type { HostFinding } from "./doctor.ts";
import { subordinateIds } from "./subordinate-ids.ts";

const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8").trim() : undefined);

/** systemd gives a user's own scope these only when it is told to. */
const DELEGATE = "systemd-run --user --scope -p Delegate=yes ./lambent up";
const DELEGATE_CPU =
  "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf, log in again, then " +
  DELEGATE;

function ids(): HostFinding {
  const found = subordinateIds();
  const name = "subordinate ids";
  if ("missing" in found) return { name, state: "missing", detail: found.missing, remedy: found.remedy };
  return { name, state: "ok", detail: `${found.count} from ${found.uidFirst}` };
}

function namespaces(): HostFinding {
  const name = "rootless namespaces";
  if (read("/proc/sys/kernel/unprivileged_userns_clone") === "0")
    return { name, state: "missing", detail: "only root may make them", remedy: "sudo sysctl -w kernel.unprivileged_userns_clone=1" };
  if (read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1")
    return {
      name,
      state: "missing",
      detail: "AppArmor takes their privileges away",
      remedy: "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (or run as root)",
    };
  return { name, state: "ok", detail: "allowed" };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A user's systemd runs from the first login on (su and sudo are none); not every one is given the CPU. */
function remedyFor(controller: string, unified = ""): string {
  const uid = process.getuid?.();
  if (!existsSync(`/run/user/${uid}/systemd`)) return `sudo loginctl enable-linger ${uid}, then ${DELEGATE}`;
  const given = read(`${unified}/user.slice/user-${uid}.slice/user@${uid}.service/cgroup.controllers`) ?? "";
  return controller !== "cpu" || given.split(" ").includes(controller) ? DELEGATE : DELEGATE_CPU;
}

/** Of each mounted hierarchy, this user's own part: it must be able to make groups there. */
function delegation(controller: string): HostFinding {
  const name = `cgroup ${controller}`;
  const groups = ownGroups(read("/proc/self/cgroup") ?? "");
  const mounted = mountedHierarchies(read("/proc/self/mounts") ?? "");
  const old = groups.find((group) => group.controllers.includes(controller));
  const oldMount = mounted.find(({ version, options }) => version === 1 && options.includes(controller))?.directory;
  const unified = mounted.find(({ version }) => version === 2)?.directory;
  // The server prefers the freezer of version 2 wherever there is one.
  const version = oldMount === undefined || (controller === "freezer" && unified !== undefined) ? 2 : 1;
  const mount = version === 1 ? oldMount : unified;
  const path = version === 1 ? old?.path : groups.find((group) => group.controllers.length === 0)?.path;
  if (mount === undefined || path === undefined) return { name, state: "missing", detail: "no hierarchy has this controller" };
  const directory = `${mount}${path === "/" ? "" : path}`;
  const isEnabled =
    version === 1 || controller === "freezer" || (read(`${directory}/cgroup.controllers`) ?? "").split(" ").includes(controller);
  if (isEnabled && isWritable(directory) && isWritable(`${directory}/cgroup.procs`))
    return { name, state: "ok", detail: `version ${version}, delegated: ${directory}` };
  return {
    name,
    state: "missing",
    detail: `not delegated to this user: ${directory}; the limit could not be enforced`,
    remedy: remedyFor(controller, unified),
  };
}

export const inspectRootless = (): readonly HostFinding[] => [namespaces(), ids(), ...["memory", "cpu", "pids", "freezer"].map(delegation)];
