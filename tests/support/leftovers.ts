// What a server may leave behind on this machine: counted before and after, the difference must be nothing.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { globSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./eventually.ts";

export interface Leftovers {
  readonly cgroups: readonly string[];
  readonly mounts: number;
  readonly networkNamespaces: number;
  readonly processes: readonly string[];
}

function processes(): { pid: string; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim() }];
      } catch {
        return []; // it has ended since the listing
      }
    });
}

/** Every network namespace that some process is in. */
function networkNamespaces(): number {
  const found = new Set<string>();
  for (const { pid } of processes())
    try {
      found.add(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      continue; // it has ended since the listing
    }
  return found.size;
}

export function leftovers(): Leftovers {
  return {
    cgroups: globSync(["/sys/fs/cgroup/*/lambent-*", "/sys/fs/cgroup/lambent-*"]),
    mounts: readFileSync("/proc/self/mounts", "utf8").trim().split("\n").length,
    networkNamespaces: networkNamespaces(),
    processes: processes()
      .filter(({ command }) => /native\/build\/launcher|\/var\/rapid\/|\/var\/task\//.test(command))
      .map(({ pid, command }) => `${pid} ${command}`),
  };
}

/** What is there now and was not before: leftovers of others that went away in between are no concern. */
function addedSince(before: Leftovers): Leftovers {
  const now = leftovers();
  return {
    cgroups: now.cgroups.filter((one) => !before.cgroups.includes(one)),
    mounts: Math.max(0, now.mounts - before.mounts),
    networkNamespaces: Math.max(0, now.networkNamespaces - before.networkNamespaces),
    processes: now.processes.filter((one) => !before.processes.includes(one)),
  };
}

const NOTHING: Leftovers = { cgroups: [], mounts: 0, networkNamespaces: 0, processes: [] };

/** Fails unless soon nothing more is there than before: what the kernel tears down in the background has a moment. */
export async function nothingLeftSince(before: Leftovers): Promise<void> {
  await eventually("nothing is left", () => isDeepStrictEqual(addedSince(before), NOTHING), 5_000).catch(() =>
    assert.deepEqual(addedSince(before), NOTHING),
  );
}
