// What every sandbox's root has besides what its request mounts: parts of the host's system, texts of ours, and what of /proc is hidden.
import { lstatSync, readlinkSync, statSync } from "node:fs";
import type { SandboxMount } from "../sandbox.ts";

export interface Link {
  readonly path: string;
  readonly to: string;
}

export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Made once by the launcher, below a place of its own. Sandboxes have parts of it, read-only. */
export interface SharedParts {
  readonly mounts: readonly SandboxMount[];
  readonly links: readonly Link[];
  readonly files: readonly TextFile[];
}

/** Of one sandbox: which of the shared parts it has, and what is made in its root. */
export interface RootParts {
  readonly parts: readonly string[];
  readonly links: readonly Link[];
  readonly emptyDirectories: readonly string[];
}

const SYSTEM_DIRECTORIES = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];

/** Below /etc. */
const SYSTEM_FILE_NAMES = `
  ssl/certs ssl/openssl.cnf ca-certificates pki alternatives ld.so.cache ld.so.conf ld.so.conf.d localtime mime.types services protocols`;

const SYSTEM_FILES = SYSTEM_FILE_NAMES.trim()
  .split(/\s+/)
  .map((name) => `/etc/${name}`);

const DEVICES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

const DEVICE_LINKS: readonly Link[] = [
  { path: "/dev/fd", to: "/proc/self/fd" },
  { path: "/dev/stdin", to: "/proc/self/fd/0" },
  { path: "/dev/stdout", to: "/proc/self/fd/1" },
  { path: "/dev/stderr", to: "/proc/self/fd/2" },
];

const FILES: readonly TextFile[] = [
  { path: "/etc/passwd", text: "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/tmp:/sbin/nologin\n" },
  { path: "/etc/group", text: "root:x:0:\nsbx_user1051:x:990:\n" },
  { path: "/etc/hostname", text: "sandbox\n" },
  { path: "/etc/hosts", text: "127.0.0.1 localhost\n169.254.100.1 sandbox sandbox.localdomain\n" },
  { path: "/etc/nsswitch.conf", text: "passwd: files\ngroup: files\nhosts: files dns\n" },
  { path: "/etc/resolv.conf", text: "# no resolver can be reached\n" },
];

/** What tells of the host or steers it. A kernel need not have each of them. */
const HIDDEN_NAMES = `
  kcore keys key-users sysrq-trigger timer_list sched_debug kallsyms kmsg kpagecount kpageflags kpagecgroup modules config.gz interrupts partitions
  diskstats swaps acpi scsi irq bus driver tty asound dynamic_debug`;

export const HIDDEN: readonly string[] = HIDDEN_NAMES.trim()
  .split(/\s+/)
  .map((name) => `/proc/${name}`);

/** What an image leaves to who runs it; it must have files of these names. */
export const IMAGE_PARTS: RootParts = {
  parts: ["/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"],
  links: [],
  emptyDirectories: [],
};

/**
 * Where a prepared sandbox gets its mounts. The dynamic linker never again looks into a library directory that was not there when the process
 * started, so these have theirs from the beginning.
 */
const EMPTY_DIRECTORIES = ["/var/task/lib", "/opt/lib"];

/** Not every host has every one. What is there and can't be looked at is an error, as it is to the launcher. */
const isThere = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined;
const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** As this host has it now: where /bin is a link, it is one inside. */
export function hostParts(): { readonly shared: SharedParts; readonly root: RootParts } {
  const directories = SYSTEM_DIRECTORIES.filter((path) => !isLink(path) && isThere(path));
  const mounts = [...directories, ...[...SYSTEM_FILES, ...DEVICES].filter(isThere)].map((path) => ({ source: path, target: path }));
  return {
    shared: { mounts, links: DEVICE_LINKS, files: FILES },
    root: {
      parts: [...directories, "/etc", "/dev"],
      links: SYSTEM_DIRECTORIES.filter(isLink).map((path) => ({ path, to: readlinkSync(path) })),
      emptyDirectories: EMPTY_DIRECTORIES,
    },
  };
}
