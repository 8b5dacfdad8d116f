// What a server may leave behind on this machine: counted before and after, the difference must be nothing.
import { globSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

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
