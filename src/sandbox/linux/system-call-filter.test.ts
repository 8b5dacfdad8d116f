// The filter's program, run by a small interpreter: for every number, and for the arguments that matter, which answer comes out.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemCallFilter } from "./system-call-filter.ts";
import { SYSTEM_CALL_NUMBERS, type Architecture } from "./system-call-numbers.ts";

const ARCHITECTURES: readonly Architecture[] = ["x64", "arm64"];
const AUDIT: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const LAST_KNOWN = 462;
const X32 = 0x4000_0000;

/** struct seccomp_data. */
function callOf(number: number, architecture: number, args: readonly bigint[]): Buffer {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [at, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + at * 8);
  return data;
}

const JUMPS: Readonly<Record<number, (accumulator: number, value: number) => boolean>> = {
  0x15: (accumulator, value) => accumulator === value,
  0x25: (accumulator, value) => accumulator > value,
  0x35: (accumulator, value) => accumulator >= value,
  0x45: (accumulator, value) => (accumulator & value) !== 0,
};

/** Runs the instructions as the kernel does; any other one than these is a failure. */
function run(program: Buffer, data: Buffer): number {
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const [code, value] = [program.readUInt16LE(at), program.readUInt32LE(at + 4)];
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x05) at += value * 8;
    else {
      const jumps = JUMPS[code];
      assert.ok(jumps !== undefined, `an instruction of code ${code}`);
      at += program.readUInt8(at + (jumps(accumulator, value) ? 2 : 3)) * 8;
    }
  }
  return assert.fail("ran off the program's end");
}

const WORDS = new Map([
  [0x7fff_0000, "allow"],
  [0x8000_0000, "kill"],
  [0x0005_0000, "done"],
  [0x0005_0001, "EPERM"],
  [0x0005_0026, "ENOSYS"],
  [0x0005_005d, "EPROTONOSUPPORT"],
  [0x0005_0061, "EAFNOSUPPORT"],
]);

const PROGRAMS = { x64: systemCallFilter("x64"), arm64: systemCallFilter("arm64") };

function answer(on: Architecture, number: number, args: readonly bigint[] = [], architecture = AUDIT[on]): string {
  const action = run(PROGRAMS[on], callOf(number, architecture, args));
  return WORDS.get(action) ?? action.toString(16);
}

const EXPECTED = readFileSync(join(import.meta.dirname, "system-call-filter.expected.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(" "));

/** Name → answer. */
const expectedOn = (on: Architecture): ReadonlyMap<string, string> =>
  new Map(
    EXPECTED.map(([name = "", x64 = "", arm64 = ""]) => [name, on === "x64" ? x64 : arm64] as const).filter(([, word]) => word !== "-"),
  );

const MAX = 0xffff_ffff_ffff_ffffn;
const CLONE_NEW = {
  ns: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
};
/** What pthread_create asks for. */
const THREAD = 0x3d_0f00n;
/** Above it the kernel does not look: the same number to it. */
const HIGH = 1n << 32n;

/** Arguments → answer, for each call whose answer depends on them. */
const CASES: Readonly<Record<string, readonly (readonly [readonly bigint[], string])[]>> = {
  clone: [
    [[17n], "allow"],
    [[THREAD, MAX, MAX, MAX, MAX, MAX], "allow"],
    [[0x4111n], "allow"], // vfork
    ...Object.values(CLONE_NEW).flatMap((flag) => [
      [[BigInt(flag)], "EPERM"] as const,
      [[BigInt(flag) | 17n], "EPERM"] as const,
      [[BigInt(flag) | THREAD], "EPERM"] as const,
      [[BigInt(flag) | HIGH], "EPERM"] as const,
    ]),
    [[HIGH], "allow"],
    [[MAX], "EPERM"],
    [[0x80n], "allow"], // CLONE_NEWTIME: for clone3 and unshare only, a signal's number here
  ],
  socket: [
    ...[0n, 1n, 2n, 5n].map((type) => [[1n, type, 0n], "allow"] as const),
    [[1n, 1n, 99n], "allow"],
    ...[2n, 10n].flatMap((family) => [
      ...[0n, 1n, 6n, 17n, 58n].map((protocol) => [[family, 1n, protocol], "allow"] as const),
      ...[2n, 33n, 132n, 136n, 255n, 262n, 0xffff_ffffn].map((protocol) => [[family, 1n, protocol], "EPROTONOSUPPORT"] as const),
      [[family, 1n, 6n + HIGH], "allow"] as const,
    ]),
    [[16n, 3n, 0n], "allow"],
    ...[1n, 4n, 9n, 12n, 15n, 16n].map((protocol) => [[16n, 3n, protocol], "EPROTONOSUPPORT"] as const),
    ...[0n, 3n, 4n, 9n, 15n, 17n, 21n, 29n, 31n, 38n, 40n, 44n, 0xffff_ffffn].map((family) => [[family, 1n, 0n], "EAFNOSUPPORT"] as const),
    [[1n + HIGH], "allow"],
  ],
  socketpair: [
    [[1n, 1n, 0n], "allow"],
    ...[0n, 2n, 10n, 16n, 40n, 0xffff_ffffn].map((family) => [[family, 1n, 0n], "EAFNOSUPPORT"] as const),
  ],
  ioctl: [
    [[0n, 0x5412n], "EPERM"],
    [[0n, 0x541cn], "EPERM"],
    [[0n, 0x5412n | HIGH], "EPERM"],
    [[0n, 0x541cn | HIGH], "EPERM"],
    ...[0n, 0x5401n, 0x5411n, 0x5413n, 0x541bn, 0x541dn, 0x5421n, 0x8933n, MAX].map((request) => [[0n, request], "allow"] as const),
    [[0x5412n, 0n], "allow"],
  ],
  personality: [
    [[0n], "allow"],
    [[0xffff_ffffn], "allow"],
    [[MAX], "allow"],
    ...[1n, 8n, 0x4_0000n, 0x40_0000n, 0xffff_fffen].map((persona) => [[persona], "EPERM"] as const),
  ],
  setrlimit: [
    [[4n], "done"],
    [[4n | HIGH], "done"],
    ...[0n, 1n, 3n, 5n, 7n, 15n, 0xffff_ffffn].map((resource) => [[resource], "allow"] as const),
  ],
  prlimit64: [
    [[0n, 4n, 0n, 1n], "allow"],
    [[0n, 4n, 1n, 1n], "done"],
    [[0n, 4n, HIGH, 0n], "done"],
    [[0n, 4n, 0x7fff_0000_0000n, 0n], "done"],
    [[0n, 4n, MAX, 0n], "done"],
    [[0n, 4n | HIGH, 1n], "done"],
    ...[0n, 3n, 5n, 7n, 15n].map((resource) => [[0n, resource, 1n, 1n], "allow"] as const),
  ],
  mmap: [
    [[0n, 4096n, 3n, 0x22n, MAX, 0n], "allow"],
    [[MAX, MAX, MAX, MAX ^ 0x4_0000n], "allow"],
    [[0n, 4096n, 3n, 0x4_0000n], "EPERM"],
    [[0n, 4096n, 3n, 0x4_0022n], "EPERM"],
    [[0n, 4096n, 3n, MAX], "EPERM"],
  ],
  memfd_create: [
    ...[0n, 1n, 2n, 3n, 8n, MAX ^ 4n].map((flags) => [[MAX, flags], "allow"] as const),
    ...[4n, 5n, 7n, MAX].map((flags) => [[0n, flags], "EPERM"] as const),
  ],
  shmget: [
    ...[0n, 0o1600n, MAX ^ 0o4000n].map((flags) => [[0n, 4096n, flags], "allow"] as const),
    ...[0o4000n, 0o5600n, MAX].map((flags) => [[0n, 4096n, flags], "EPERM"] as const),
  ],
};

for (const on of ARCHITECTURES) {
  const expected = expectedOn(on);
  const numbers = SYSTEM_CALL_NUMBERS[on];

  test(`${on}: the expectation has every known call, and no other`, () => {
    assert.deepEqual([...expected.keys()].toSorted(), [...numbers.keys()].toSorted());
    assert.equal(Math.max(...numbers.values()), LAST_KNOWN);
    assert.equal(new Set(numbers.values()).size, numbers.size);
  });

  test(`${on}: every number is answered as expected, whatever its arguments`, () => {
    const nameOf = new Map([...numbers].map(([name, number]) => [number, name]));
    for (let number = 0; number <= LAST_KNOWN; number++) {
      const name = nameOf.get(number);
      const word = name === undefined ? "EPERM" : (expected.get(name) ?? "nothing");
      if (word === "checked") continue;
      for (const value of [0n, 1n, 4n, 0x1000_0000n, MAX])
        assert.equal(
          answer(
            on,
            number,
            Array.from({ length: 6 }, () => value),
          ),
          word,
          `${number} ${name}`,
        );
    }
    for (const number of [463, 464, 500, 511, 512, 547, 1023, 4096, 0x3fff_ffff]) assert.equal(answer(on, number), "ENOSYS", `${number}`);
  });

  test(`${on}: calls that are checked are answered by their arguments`, () => {
    const checked = [...expected].filter(([, word]) => word === "checked").map(([name]) => name);
    assert.deepEqual(checked.toSorted(), Object.keys(CASES).toSorted());
    for (const [name, cases] of Object.entries(CASES))
      for (const [args, word] of cases) assert.equal(answer(on, numbers.get(name) ?? -1, args), word, `${name} ${args.join(" ")}`);
  });

  test(`${on}: a foreign architecture ends the process, and on x64 so do the calls of x32`, () => {
    const foreign = [AUDIT[on === "x64" ? "arm64" : "x64"], 0x4000_0003 /* i386 */, 0x4000_0028 /* arm */, 0];
    for (const architecture of foreign)
      for (const number of [0, 1, 59, LAST_KNOWN, 500]) assert.equal(answer(on, number, [], architecture), "kill");
    for (const number of [X32, X32 + 1, X32 + 520, 0x7fff_ffff, 0xffff_ffff])
      assert.equal(answer(on, number), on === "x64" ? "kill" : "ENOSYS", `${number}`);
  });

  test(`${on}: every jump stays inside the program, and whatever way is taken, it ends with an answer`, () => {
    const program = PROGRAMS[on];
    assert.ok(program.length % 8 === 0 && program.length / 8 < 4096);
    for (let at = 0; at < program.length; at += 8) {
      const [code, ifTrue, ifFalse] = [program.readUInt16LE(at), program.readUInt8(at + 2), program.readUInt8(at + 3)];
      const farthest = code === 0x05 ? program.readUInt32LE(at + 4) : Math.max(ifTrue, ifFalse);
      if (code !== 0x06) assert.ok(at + 8 + farthest * 8 < program.length, `instruction ${at / 8}`);
    }
  });

  test(`${on}: the program is the one that posture.json has`, () => {
    const posture = join(import.meta.dirname, "..", "..", "..", "tests", "acceptance", "containment", "posture.json");
    const { filter } = JSON.parse(readFileSync(posture, "utf8")) as { filter: Record<string, string> };
    assert.equal(filter[on], `${PROGRAMS[on].length / 8} ${createHash("sha256").update(PROGRAMS[on]).digest("hex")}`);
  });
}

test("there is no filter for an architecture that nobody looked at", () => {
  assert.throws(() => systemCallFilter("riscv64"), /riscv64/);
});

const HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
test("the numbers are those of this machine's header", { skip: !existsSync(HEADER) && `needs ${HEADER}` }, () => {
  const numbers = SYSTEM_CALL_NUMBERS.x64;
  const defined = readFileSync(HEADER, "utf8").matchAll(/^#define __NR_(\w+) (\d+)$/gm);
  for (const [, name = "", number] of defined) if (Number(number) <= LAST_KNOWN) assert.equal(numbers.get(name), Number(number), name);
});

const GENERIC = "/usr/include/asm-generic/unistd.h";
test("and those of arm64 are the generic ones", { skip: !existsSync(GENERIC) && `needs ${GENERIC}` }, () => {
  const defined = readFileSync(GENERIC, "utf8").matchAll(/^#define __NR(?:3264)?_(\w+) (\d+)$/gm);
  const generic = new Map([...defined].map(([, name = "", number]) => [Number(number), name]));
  // The header has both names of calls that were born with 64-bit offsets.
  const other: Readonly<Record<string, string>> = { fstatat: "newfstatat" };
  for (const [name, number] of SYSTEM_CALL_NUMBERS.arm64) {
    const found = generic.get(number);
    if (found !== undefined && found !== "syscalls") assert.equal(name, other[found] ?? found, `${number}`);
  }
});
