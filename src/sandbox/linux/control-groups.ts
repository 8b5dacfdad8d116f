// Control groups: finds the hierarchies that limits and the freezer need, makes them ready, and removes what dead launchers left there.
import { constants } from "node:fs";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { SandboxError } from "../sandbox.ts";
import { mountedHierarchies, ownGroups } from "./control-group-mounts.ts";
import { sweep } from "./control-group-sweep.ts";

/** What a hierarchy is for. */
export type Role = "memory" | "cpu" | "pids" | "freezer";

export interface Hierarchy {
  readonly version: 1 | 2;
  /** Every launcher makes a directory of its own there. */
  readonly directory: string;
  readonly roles: readonly Role[];
}

const LIMITS = ["memory", "cpu", "pids"] as const;
const MISSING: Readonly<Record<Role, string>> = {
  memory: "no memory control group: limits on memory can't be enforced",
  cpu: "no cpu control group: limits on CPU can't be enforced",
  pids: "no pids control group: limits on processes can't be enforced",
  freezer: "no freezer: idle sandboxes can't be frozen",
};

/** The child of a version 2 group that its processes move to. Who starts the next server is in it already. */
const MEMBERS = "/lambent-server";
/** One of the processes that move may just have forked. */
const MOVES_MAX = 100;

export interface Machine {
  /** The texts of /proc/self/mounts and /proc/self/cgroup. */
  readonly mounts: string;
  readonly groups: string;
  /** The group below which launchers make theirs, in each hierarchy: `/machine/lambent`. Absent: the root's, or without root the process's own. */
  readonly parent?: string | undefined;
  readonly isRoot: boolean;
}

const rolesAmong = (names: readonly string[]): readonly Role[] => [...LIMITS, "freezer" as const].filter((role) => names.includes(role));

/** Where this process is, as the hierarchy's mount shows it: a user's own part of the tree. */
function ownPlace(groups: string, version: 1 | 2, roles: readonly Role[]): string {
  const isIt = (controllers: readonly string[]) =>
    version === 2 ? controllers.length === 0 : rolesAmong(controllers).join() === roles.join();
  const path = ownGroups(groups).find(({ controllers }) => isIt(controllers))?.path ?? "/";
  return (path.endsWith(MEMBERS) ? path.slice(0, -MEMBERS.length) : path).replace(/^\/$/, "");
}

/** A hierarchy may be mounted in several places (for a chroot, say): it is the same one, and a controller is in one only. */
export function findHierarchies({ mounts, groups, parent, isRoot }: Machine): readonly Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const { version, directory, options } of mountedHierarchies(mounts)) {
    const roles = version === 1 ? rolesAmong(options) : [];
    const isKnown = found.some((one) => one.version === version && (version === 2 || one.roles.some((role) => roles.includes(role))));
    if (isKnown || (version === 1 && roles.length === 0)) continue;
    found.push({ version, roles, directory: directory + (parent ?? (isRoot ? "" : ownPlace(groups, version, roles))) });
  }
  return found;
}

/** A control file is neither made nor cut. */
const isWritten = (path: string, text: string): Promise<boolean> =>
  writeFile(path, text, { flag: constants.O_WRONLY }).then(
    () => true,
    () => false,
  );

const textOf = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

/** Moves who is in the group to its child; how many did. */
async function moveMembers(directory: string): Promise<number> {
  let moved = 0;
  for (const pid of (await textOf(`${directory}/cgroup.procs`)).split("\n").filter(Boolean))
    if (await isWritten(`${directory}${MEMBERS}/cgroup.procs`, pid)) moved++;
  return moved;
}

/** Below the root, a version 2 group has either processes or children with limits: those that are there move to a child of their own. */
async function makeRoom(directory: string): Promise<void> {
  const isTheRoot = await access(`${directory}/cgroup.type`).then(
    () => false,
    () => true,
  );
  if (isTheRoot) return;
  await mkdir(directory + MEMBERS).catch(() => undefined); // another server's, or launchers will say that they can't make theirs
  for (let moves = 0; moves < MOVES_MAX && (await moveMembers(directory)) > 0; moves++);
}

/** The version 2 tree can always freeze; which limits it has depends on what version 1 did not take. */
async function prepare(found: Hierarchy): Promise<Hierarchy> {
  const { version, directory } = found;
  if (version === 1) return found;
  const controllers = (await textOf(`${directory}/cgroup.controllers`)).trim().split(" ");
  const limits = LIMITS.filter((role) => controllers.includes(role));
  if (limits.length > 0) await makeRoom(directory);
  for (const role of limits) await isWritten(`${directory}/cgroup.subtree_control`, `+${role}`); // a launcher that does not get it says so
  return { version, directory, roles: [...limits, "freezer"] };
}

/** A version 1 freezer is of no use beside a version 2 tree, which is quicker and lets frozen processes be killed. */
function withoutOldFreezer(hierarchies: readonly Hierarchy[]): readonly Hierarchy[] {
  if (hierarchies.every(({ version }) => version === 1)) return hierarchies;
  return hierarchies
    .map((one) => (one.version === 2 ? one : { ...one, roles: one.roles.filter((role) => role !== "freezer") }))
    .filter(({ roles }) => roles.length > 0);
}

/** Rejects with SandboxError when the machine has not all that sandboxes need. */
export async function prepareHierarchies(machine: Machine): Promise<readonly Hierarchy[]> {
  const hierarchies = withoutOldFreezer(await Promise.all(findHierarchies(machine).map(prepare)));
  for (const [role, missing] of Object.entries(MISSING))
    if (!hierarchies.some(({ roles }) => roles.some((one) => one === role))) throw new SandboxError(`${missing}: run  ./lambent doctor`);
  return hierarchies;
}

/** Those of this machine, swept: for a launcher that this process is about to start. */
export async function controlGroups(parent: string | undefined, clock: Clock): Promise<readonly Hierarchy[]> {
  const [mounts, groups] = await Promise.all(["/proc/self/mounts", "/proc/self/cgroup"].map(textOf));
  const hierarchies = await prepareHierarchies({ mounts: mounts ?? "", groups: groups ?? "", parent, isRoot: process.geteuid?.() === 0 });
  await Promise.all(hierarchies.map(({ directory }) => sweep(directory, clock)));
  return hierarchies;
}
