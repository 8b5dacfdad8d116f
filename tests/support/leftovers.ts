// What a server may leave behind on this machine: looked at before and after, the difference must be nothing.
//
// Of what other servers on this machine have, nothing is a leftover: they live.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { globSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./eventually.ts";

interface Leftovers {
  readonly cgroups: readonly string[];
  readonly mounts: readonly string[];
  readonly networkNamespaces: readonly string[];
  readonly processes: readonly string[];
}

interface Process {
  readonly pid: string;
  readonly parent: string;
  readonly command: string;
}

/** Those that were there for as long as it took to look at them. */
const ofEach = <T>(names: readonly string[], look: (name: string) => T): T[] =>
  names.flatMap((name) => {
    try {
      return [look(name)];
    } catch {
      return []; // it has ended since the listing
    }
  });

function processes(): Process[] {
  return ofEach(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name)),
    (pid) => ({
      pid,
      parent: /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "",
      command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim(),
    }),
  );
}

const isLauncher = ({ command }: Process) => command.includes("native/build/launcher");

/** Launchers whose server, a Node process, lives, and all that runs below them. Orphans are process 1's. */
function belowLivingServers(all: readonly Process[]): ReadonlySet<string> {
  const servers = new Set(all.filter(({ pid, command }) => pid !== "1" && /^\S*\bnode /.test(command)).map(({ pid }) => pid));
  const found = new Set(all.filter((one) => isLauncher(one) && servers.has(one.parent)).map(({ pid }) => pid));
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return found;
}

/** It is mounted as soon as somebody looks there. */
const isAutomatic = (line: string) => line.includes(" /proc/sys/fs/binfmt_misc ");

export function leftovers(): Leftovers {
  const all = processes();
  const living = belowLivingServers(all);
  const others = all.filter(({ pid }) => !living.has(pid));
  const inUse = new Set(ofEach([...living], (pid) => readlinkSync(`/proc/${pid}/ns/net`)));
  const namespaces = new Set(
    ofEach(
      others.map(({ pid }) => pid),
      (pid) => readlinkSync(`/proc/${pid}/ns/net`),
    ),
  );
  return {
    cgroups: globSync(["/sys/fs/cgroup/*/lambent-*", "/sys/fs/cgroup/lambent-*"]).filter(
      (path) => !living.has(/lambent-(\d+)-/.exec(path)?.[1] ?? ""),
    ),
    mounts: readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => !isAutomatic(line)),
    networkNamespaces: [...namespaces].filter((name) => !inUse.has(name)),
    processes: others
      .filter((one) => isLauncher(one) || /\/var\/rapid\/|\/var\/task\//.test(one.command))
      .map(({ pid, command }) => `${pid} ${command}`),
  };
}

/** What is there now and was not before: leftovers of others that went away in between are no concern. */
function addedSince(before: Leftovers): Leftovers {
  const now = leftovers();
  const added = (what: keyof Leftovers) => now[what].filter((one) => !before[what].includes(one));
  return {
    cgroups: added("cgroups"),
    mounts: added("mounts"),
    networkNamespaces: added("networkNamespaces"),
    processes: added("processes"),
  };
}

const NOTHING: Leftovers = { cgroups: [], mounts: [], networkNamespaces: [], processes: [] };

/** Fails unless nothing more is there than before: what the kernel tears down in the background has its time. */
export async function nothingLeftSince(before: Leftovers): Promise<void> {
  await eventually("nothing is left", () => isDeepStrictEqual(addedSince(before), NOTHING)).catch(() =>
    assert.deepEqual(addedSince(before), NOTHING),
  );
}
