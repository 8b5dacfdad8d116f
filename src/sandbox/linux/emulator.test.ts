// What has to be there for programs for arm64, on machines of every kind: directories in place of the kernel's.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { arm64Emulation, watchedArm64Emulation, type EmulationPlaces } from "./emulator.ts";

let work: string;
before(async () => (work = await mkdtemp(join(tmpdir(), "lambent-emulator-"))));
after(() => rm(work, { recursive: true }));

/** An ELF header with one program header of the type. */
function program(type: number): Buffer {
  const bytes = Buffer.alloc(120);
  bytes.writeUInt32BE(0x7f454c46, 0);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(type, 64);
  return bytes;
}
const STATIC = program(1);
const DYNAMIC = program(3);

const registration = (flags: string, state = "enabled", magic = "7f454c460201010000000000000000000200b700") =>
  `${state}\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`;

let count = 0;
async function machine(release: string, files: Readonly<Record<string, string | Buffer>>): Promise<EmulationPlaces> {
  const root = join(work, String(count++));
  for (const [name, content] of Object.entries({ fs: "nodev\ttmpfs\n", ...files })) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  const find = (name: string) => (name in files ? join(root, name) : undefined);
  return {
    release,
    fileSystems: join(root, "fs"),
    registrations: join(root, "misc"),
    modules: join(root, "modules"),
    find,
    changed: () => "",
  };
}

const MISC = { fs: "nodev\tbinfmt_misc\n" };
const QEMU = { "qemu-aarch64-static": STATIC };

test("a static emulator and a kernel that lets a sandbox register it", async () => {
  const inBuilt = await machine("6.7.0", { ...MISC, ...QEMU });
  assert.deepEqual(arm64Emulation(inBuilt), { detail: inBuilt.find("qemu-aarch64-static"), emulator: inBuilt.find("qemu-aarch64-static") });
  const asModule = await machine("7.0.1-amd64", { "modules/kernel/fs/binfmt_misc.ko.xz": "", "qemu-aarch64": STATIC });
  assert.deepEqual(arm64Emulation(asModule), { detail: asModule.find("qemu-aarch64"), emulator: asModule.find("qemu-aarch64") });
});

test("the machine's own registration, when it is enabled, for arm64, and has opened its emulator", async () => {
  const own = { detail: "the machine's own binfmt_misc registration qemu-aarch64" };
  assert.deepEqual(arm64Emulation(await machine("6.1.0", { ...MISC, ...QEMU, "misc/qemu-aarch64": registration("PF") })), own);
  assert.deepEqual(arm64Emulation(await machine("6.12.0", { ...MISC, "misc/qemu-aarch64": registration("POCF") })), own);
  const others = [
    registration("P"),
    registration("PF", "disabled"),
    registration("F", "enabled", "7f454c4602010100000000000000000002003e00"),
  ];
  for (const other of others)
    assert.deepEqual(arm64Emulation(await machine("6.1.0", { ...MISC, ...QEMU, "misc/status": "enabled\n", "misc/other": other })), {
      missing: "Linux 6.7 or newer with binfmt_misc is needed, or a registration with the flag F",
      remedy: "apt install binfmt-support qemu-user-static",
    });
});

test("without an emulator, or with one that needs the host's libraries, the package is named", async () => {
  const answer = { missing: "a static qemu-aarch64 is not installed", remedy: "apt install qemu-user-static" };
  for (const files of [MISC, { ...MISC, "qemu-aarch64": DYNAMIC }, { ...MISC, "qemu-aarch64": "#!/bin/sh\n" }])
    assert.deepEqual(arm64Emulation(await machine("6.12.0", files)), answer);
});

test("one that asks again looks again when a program or a registration has come", async () => {
  const bare = await machine("6.12.0", MISC);
  const full = await machine("6.12.0", { ...MISC, ...QEMU });
  let changed = "";
  let asked = 0;
  const places: EmulationPlaces = {
    ...bare,
    changed: () => changed,
    find: (name) => (asked++, changed === "" ? undefined : full.find(name)),
  };
  const emulation = watchedArm64Emulation(places);
  assert.ok("missing" in emulation());
  const once = asked;
  assert.ok("missing" in emulation());
  assert.equal(asked, once);
  changed = "qemu was installed";
  assert.equal((emulation() as { emulator?: string }).emulator, full.find("qemu-aarch64-static"));
  await mkdir(bare.registrations);
  await writeFile(join(bare.registrations, "qemu-aarch64"), registration("PF"));
  const twice = asked;
  emulation();
  assert.ok(asked > twice);
});
