// An ordinary user for tests: an account, subordinate ids and delegated control groups that exist in this mount namespace only.
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, chownSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { arm64Emulation } from "../../src/sandbox/linux/emulator.ts";
import { eventually } from "../support/eventually.ts";
import { shell } from "./internet.fixture.ts";

export const USER = { name: "lambent-test", uid: 54_321, idFirst: 700_000_000, idCount: 65_536 };

const ROOT = join(import.meta.dirname, "..", "..");

export interface Ordinary {
  readonly home: string;
  /** A file of this checkout where that user reaches it: the checkout may lie in root's home. */
  reachable(path: string): string;
  /** Starts a program as that user: no capability, no group but its own. */
  run(words: readonly string[], options?: { delegated?: boolean }): ChildProcess;
  close(): Promise<void>;
}

function cover(directory: string, path: string, text: string): void {
  const place = join(directory, path.replaceAll("/", "_"));
  writeFileSync(place, text);
  chmodSync(place, 0o644);
  shell(`mount --bind ${place} ${path}`);
}

/** Roots of the hierarchies with a controller that sandboxes need. */
function hierarchies(): readonly string[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , type, options]) => type === "cgroup2" || (type === "cgroup" && /\b(?:memory|cpu|pids)\b/.test(options ?? "")))
    .flatMap(([, directory]) => (directory?.startsWith("/sys/fs/cgroup") === true ? [directory] : []));
}

/** In each hierarchy a group that belongs to the user, as systemd makes one for every scope with Delegate=. */
function delegate(name: string): readonly string[] {
  return hierarchies().map((root) => {
    const directory = join(root, name);
    const controllers = globSync(join(root, "cgroup.controllers")).map((path) => readFileSync(path, "utf8").trim().split(" "))[0] ?? [];
    for (const controller of ["memory", "cpu", "pids"])
      if (controllers.includes(controller)) writeFileSync(join(root, "cgroup.subtree_control"), `+${controller}`);
    mkdirSync(directory);
    for (const path of [directory, ...globSync(join(directory, "{cgroup.procs,tasks,cgroup.subtree_control,cgroup.threads}"))])
      chownSync(path, USER.uid, USER.uid);
    return directory;
  });
}

function removeGroups(directory: string): boolean {
  try {
    for (const child of globSync(join(directory, "*/"))) rmdirSync(child);
    rmdirSync(directory);
    return true;
  } catch {
    return false; // its last process is on its way out
  }
}

/** To be called in a mount namespace of the test's own, as root. */
export function ordinaryUser(): Ordinary {
  const directory = mkdtempSync(join(tmpdir(), "lambent-rootless-"));
  chmodSync(directory, 0o755);
  const home = join(directory, "home");
  mkdirSync(home);
  chownSync(home, USER.uid, USER.uid);
  // Runtimes of its own, but for the files: what is installed for root may not be written to.
  const installed = process.env["LAMBENT_RUNTIMES"] ?? "/var/lib/lambent/runtimes";
  shell(`mkdir ${home}/runtimes; for one in ${installed}/*; do [ "\${one##*/}" = system ] || ln -s "$one" ${home}/runtimes/; done
    chown ${USER.uid}:${USER.uid} ${home}/runtimes`);
  const checkout = join(directory, "lambent");
  shell(`mkdir ${checkout}; mount --bind ${ROOT} ${checkout}`);
  const line = `${USER.name}:x:${USER.uid}:${USER.uid}::${home}:/bin/sh\n`;
  cover(directory, "/etc/passwd", readFileSync("/etc/passwd", "utf8") + line);
  for (const path of ["/etc/subuid", "/etc/subgid"]) cover(directory, path, `${USER.name}:${USER.idFirst}:${USER.idCount}\n`);
  // What udev gives everybody on a usual machine.
  shell(`mkdir ${directory}/dev; mount -t tmpfs -o mode=755 none ${directory}/dev; mknod -m 666 ${directory}/dev/tun c 10 200
    [ ! -e /dev/net/tun ] || mount --bind ${directory}/dev/tun /dev/net/tun`);
  const groups: string[] = [];
  return {
    home,
    reachable: (path) => (path.startsWith(`${ROOT}/`) ? join(checkout, relative(ROOT, path)) : path),
    run(words, { delegated = true } = {}) {
      const own = delegated ? delegate(`rootless-test-${process.pid}-${groups.length}`) : [];
      groups.push(...own);
      const joining = own.map((group) => `echo $$ > ${group}/cgroup.procs`).join("\n");
      const identity = [
        "--reuid",
        String(USER.uid),
        "--regid",
        String(USER.uid),
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=+all",
      ];
      const script = `${joining}\nexec setpriv ${identity.join(" ")} "$@"`;
      const env = {
        PATH: process.env["PATH"] ?? "",
        HOME: home,
        TMPDIR: home,
        LAMBENT_TEST_ROOTLESS: "1",
        LAMBENT_TEST_ENVIRONMENTS: "40",
        LAMBENT_TEST_KILLS: "2",
        LAMBENT_RUNTIMES: join(home, "runtimes"),
      };
      return spawn("/bin/sh", ["-euc", script, "sh", ...words], { env, cwd: home, stdio: ["ignore", "pipe", "pipe"] });
    },
    async close() {
      await eventually(
        "the user's control groups are empty",
        () => groups.map(removeGroups).every(Boolean) || groups.every((group) => globSync(group).length === 0),
      );
      shell(`umount ${checkout}; umount ${directory}/dev; umount /etc/passwd /etc/subuid /etc/subgid`);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Whether a sandbox can bring an emulator for arm64 here. */
export const canEmulate = (): boolean => process.arch === "x64" && "emulator" in arm64Emulation();
