// Whether this machine can run programs of the other architecture, and by what: read, never changed.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { release as kernelRelease } from "node:os";
import { join } from "node:path";
import { findTool, toolsChanged } from "./tools.ts";

/** `emulator`: a static program that a sandbox brings for itself; absent: whatever the machine itself has been told to use. */
export type Emulation = { readonly detail: string; readonly emulator?: string } | { readonly missing: string; readonly remedy: string };

export interface EmulationPlaces {
  /** `6.12.9` */
  readonly release: string;
  /** Where binfmt_misc is mounted, if it is. */
  readonly registrations: string;
  /** `/proc/filesystems`, and the directory of kernel modules. */
  readonly fileSystems: string;
  readonly modules: string;
  find(name: string): string | undefined;
  /** Another text when `find` may find something else. */
  changed(): string;
}

const HERE: EmulationPlaces = {
  release: kernelRelease(),
  registrations: "/proc/sys/fs/binfmt_misc",
  fileSystems: "/proc/filesystems",
  modules: `/lib/modules/${kernelRelease()}`,
  find: findTool,
  changed: toolsChanged,
};

/** Debian's static build, and what distributions call it that have no other. */
const EMULATORS = ["qemu-aarch64-static", "qemu-aarch64"];
const HEAD_BYTES = 4096;
const PROGRAM_INTERPRETER = 3;

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // as good as empty
  }
}

function headOf(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

/** Inside of an image there is no library of the host's: only a program that asks for no loader can run. */
function isStatic(path: string): boolean {
  try {
    const head = headOf(path);
    const [start, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
    const types = Array.from({ length: count }, (_, at) => head.readUInt32LE(start + at * size));
    return head.readUInt32BE(0) === 0x7f454c46 && !types.includes(PROGRAM_INTERPRETER);
  } catch {
    return false; // unreadable, or no program
  }
}

/** Since Linux 6.7 a user namespace can have registrations of its own. */
function canRegister({ release, fileSystems, modules }: EmulationPlaces): boolean {
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const isNewEnough = major > 6 || (major === 6 && minor >= 7);
  const module = join(modules, "kernel/fs/binfmt_misc.ko");
  const isThere = textOf(fileSystems).includes("binfmt_misc") || ["", ".gz", ".xz", ".zst"].some((end) => existsSync(module + end));
  return isNewEnough && isThere;
}

/** The machine's own, which sandboxes inherit: with the flag F its emulator is open already, so that no path inside is looked up. */
const namesOf = (registrations: string): readonly string[] => (existsSync(registrations) ? readdirSync(registrations) : []);

function registered({ registrations }: EmulationPlaces): string | undefined {
  return namesOf(registrations).find((name) => {
    const text = textOf(join(registrations, name));
    return /^enabled$/m.test(text) && /^flags: \w*F/m.test(text) && /^magic 7f454c460201010{19}200b7/m.test(text);
  });
}

/** Programs for arm64 on a machine for x86_64; the other way round is not built. */
export function arm64Emulation(places: EmulationPlaces = HERE): Emulation {
  const found = EMULATORS.map((name) => places.find(name)).find((path) => path !== undefined && isStatic(path));
  if (found !== undefined && canRegister(places)) return { detail: found, emulator: found };
  const own = registered(places);
  if (own !== undefined) return { detail: `the machine's own binfmt_misc registration ${own}` };
  if (found === undefined) return { missing: "a static qemu-aarch64 is not installed", remedy: "apt install qemu-user-static" };
  return {
    missing: "Linux 6.7 or newer with binfmt_misc is needed, or a registration with the flag F",
    remedy: "apt install binfmt-support qemu-user-static",
  };
}

/** The same, looked for again only when programs or registrations have come or gone: each invocation of a function for arm64 may ask. */
export function watchedArm64Emulation(places: EmulationPlaces = HERE): () => Emulation {
  let seen: string | undefined;
  let found: Emulation | undefined;
  return () => {
    const now = [places.changed(), ...namesOf(places.registrations)].join(" ");
    if (found === undefined || now !== seen) [seen, found] = [now, arm64Emulation(places)];
    return found;
  };
}
