// Without root: the user and group ids that the system's administrator gave to this user, one for each sandbox.
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { SandboxError } from "../sandbox.ts";
import { findTool, runTool } from "./tools.ts";

export interface SubordinateIds {
  readonly uidFirst: number;
  readonly gidFirst: number;
  /** Of each. */
  readonly count: number;
}

/** As many sandboxes as a machine may hold, and then some: an id is not used again soon. */
const IDS_MIN = 4096;

/** The largest range of a user, by name or number, in the text of /etc/subuid or /etc/subgid. */
export function largestRange(text: string, user: { name: string; uid: number }): { first: number; count: number } | undefined {
  const ranges = text.split("\n").flatMap((line) => {
    const [, owner, first, count] = /^([^:\s]+):(\d{1,10}):(\d{1,10})$/.exec(line.trim()) ?? [];
    return owner === user.name || owner === String(user.uid) ? [{ first: Number(first), count: Number(count) }] : [];
  });
  return ranges.toSorted((a, b) => b.count - a.count)[0];
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** A sentence says what is missing; the remedy is a command. */
export interface Missing {
  readonly missing: string;
  readonly remedy: string;
}

export function subordinateIds(): SubordinateIds | Missing {
  const { username: name, uid } = userInfo();
  const helpers = ["newuidmap", "newgidmap"].every((tool) => findTool(tool)?.startsWith("/usr/bin/") === true);
  if (!helpers)
    return { missing: "newuidmap and newgidmap are not installed: they map one user id for each sandbox", remedy: "apt install uidmap" };
  const [uids, gids] = ["/etc/subuid", "/etc/subgid"].map((path) => largestRange(read(path), { name, uid }));
  const count = Math.min(uids?.count ?? 0, gids?.count ?? 0);
  if (uids === undefined || gids === undefined || count < IDS_MIN)
    return {
      missing: `${name} has ${count} subordinate user and group ids (/etc/subuid, /etc/subgid), and needs ${IDS_MIN}: one for each sandbox`,
      remedy: `sudo usermod --add-subuids 524288-589823 --add-subgids 524288-589823 ${name}`,
    };
  return { uidFirst: uids.first, gidFirst: gids.first, count };
}

/** What `pid`'s user namespace, which is new, calls 0 is this user; the subordinate ids come after it. */
const mapOf = (pid: number, own: number, first: number, count: number) => [pid, 0, own, 1, 1, first, count].map(String);

/**
 * Maps a user namespace, which has to be done from outside. The system's own programs may: they look at who owns the ids. Rejects with
 * SandboxError when one of them fails or does not end.
 */
export async function mapIds(pid: number, ids: SubordinateIds, clock: Clock): Promise<void> {
  const { uid, gid } = userInfo();
  try {
    await runTool("/usr/bin/newuidmap", mapOf(pid, uid, ids.uidFirst, ids.count), clock);
    await runTool("/usr/bin/newgidmap", mapOf(pid, gid, ids.gidFirst, ids.count), clock);
  } catch (cause) {
    throw new SandboxError(`the subordinate ids (/etc/subuid, /etc/subgid) can't be mapped: ${(cause as Error).message}`, { cause });
  }
}
