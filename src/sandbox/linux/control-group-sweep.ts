// Removes the control groups of launchers that were killed: their sandboxes have died with them, or are about to.
import { constants, readFileSync } from "node:fs";
import { readdir, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { kill } from "node:process";
import { sleep, type Clock } from "../../base/clock.ts";

/** As native/cgroup.c names a launcher's directory: its number, when that process began (in the kernel's ticks), its pid namespace. */
const LAUNCHER = /^lambent-(\d+)-(\d+)-(\d+)$/;

/** What has died leaves its group a moment later; what hangs in the kernel does not, and is left to the next sweep. */
const REMOVALS_MAX = 500;

/** In the text of /proc/PID/stat, in the kernel's ticks; undefined when only nobody has taken note of its end. */
export function startTimeIn(text: string): string | undefined {
  // Fields 3 and 22; the name in field 2 may hold spaces and brackets, so counting begins behind its last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** One that can't be looked at, because too many files are open, say, may live. */
async function isLauncher(pid: string, startTime: string): Promise<boolean> {
  try {
    return startTimeIn(await readFile(`/proc/${pid}/stat`, "utf8")) === startTime;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    return !["ENOENT", "ESRCH"].includes(code);
  }
}

function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined; // the group or its member has just gone, or is not this user's to end
  }
}

/** At once, while the numbers are theirs. One whom this pid namespace does not have is shown as 0: for kill, everybody in our own process group. */
function killMembers(group: string): void {
  const members = attempt(() => readFileSync(join(group, "cgroup.procs"), "utf8")) ?? "";
  for (const pid of members.split("\n").map(Number)) if (pid > 0) attempt(() => kill(pid, "SIGKILL"));
}

async function removeSoon(group: string, clock: Clock): Promise<void> {
  for (let removals = 0; removals < REMOVALS_MAX; removals++) {
    const isBusy = await rmdir(group).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === "EBUSY",
    );
    if (!isBusy) return;
    await sleep(clock, 1);
  }
}

async function groupsIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function removeSandbox(group: string, clock: Clock): Promise<void> {
  killMembers(group);
  // A freezer of version 1 holds back even that.
  await writeFile(join(group, "freezer.state"), "THAWED", { flag: constants.O_WRONLY }).catch(() => undefined);
  await removeSoon(group, clock);
}

async function removeLauncher(directory: string, clock: Clock): Promise<void> {
  await Promise.all((await groupsIn(directory)).map((name) => removeSandbox(join(directory, name), clock)));
  await removeSoon(directory, clock);
}

/**
 * A launcher makes its directory when it runs, so none that is about to is taken for a dead one. Of another pid namespace, a container's say, nobody
 * here can tell who lives: what that one's launchers have is theirs to sweep.
 */
export async function sweep(directory: string, clock: Clock): Promise<void> {
  const { ino: own } = await stat("/proc/self/ns/pid");
  await Promise.all(
    (await groupsIn(directory)).map(async (name) => {
      const [, pid = "", startTime = "", pidNamespace] = LAUNCHER.exec(name) ?? [];
      if (pidNamespace !== String(own) || (await isLauncher(pid, startTime))) return;
      await removeLauncher(join(directory, name), clock);
    }),
  );
}
