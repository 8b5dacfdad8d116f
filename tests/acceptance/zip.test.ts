// Hostile deployment packages (Z01 to Z23): refused with AWS's sentence or harmless, and never a byte outside of the target.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { systemClock } from "../../src/base/clock.ts";
import { Packages } from "../../src/lambda/packages.ts";
import { unpackZip } from "../../src/lambda/zip.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { rawZip, type RawEntry } from "./raw-zip.ts";
import { processCpuMs } from "../support/cpu-time.ts";

const UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again.";
const TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes";
const MIB = 2 ** 20;

let root = "";
let number = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "lambent-zip-"));
});
after(() => rm(root, { recursive: true, force: true }));

interface Unpacked {
  readonly directory: string;
  /** Every path below it, sorted. */
  readonly paths: readonly string[];
}

/** In a folder of its own, whose only content may be the target. */
async function unpack(zip: Uint8Array): Promise<Unpacked> {
  const place = join(root, String(number++));
  const directory = join(place, "box", "code");
  await mkdir(directory, { recursive: true });
  const file = join(root, `${number}.zip`);
  await writeFile(file, zip);
  try {
    await unpackZip(file, directory);
  } finally {
    await rm(file);
    assert.deepEqual(await readdir(place), ["box"], "something was written outside");
    assert.deepEqual(await readdir(join(place, "box")), ["code"], "something was written outside");
  }
  return { directory, paths: (await pathsBelow(directory, "")).toSorted() };
}

/** Node's recursive reading of a directory follows links. */
async function pathsBelow(directory: string, prefix: string): Promise<string[]> {
  const entries = await readdir(join(directory, prefix), { withFileTypes: true });
  const below = entries.map(async (entry) => {
    const path = `${prefix}${entry.name}`;
    return entry.isDirectory() ? [path, ...(await pathsBelow(directory, `${path}/`))] : [path];
  });
  return (await Promise.all(below)).flat();
}

async function refused(zip: Uint8Array, message = UNREADABLE): Promise<void> {
  await assert.rejects(unpack(zip), { name: "InvalidParameterValueException", message });
}

async function outcomeOf(zip: Uint8Array): Promise<Unpacked | "refused"> {
  try {
    return await unpack(zip);
  } catch (error) {
    assert.equal((error as Error).name, "InvalidParameterValueException", String((error as Error).stack));
    return "refused";
  }
}

const file = (name: string, data = "x", more: Partial<RawEntry> = {}): RawEntry => ({ name, data, ...more });
const link = (name: string, target: string): RawEntry => ({ name, data: target, mode: 0o120777, method: 0 });

/** CPU time that it takes, and by how much the process grows. */
async function cost(work: () => Promise<void>): Promise<{ tookMs: number; grownMiB: number }> {
  const rss = process.memoryUsage.rss();
  const beganMs = processCpuMs();
  await work();
  return { tookMs: processCpuMs() - beganMs, grownMiB: (process.memoryUsage.rss() - rss) / MIB };
}

test("an ordinary package arrives as it is: content, permissions, times, links, empty directories", async () => {
  const large = randomBytes(3 * MIB);
  const { directory, paths } = await unpack(
    rawZip([
      file("./"),
      file("index.js", "exports.handler = 1"),
      file("bin/tool", "#!/bin/sh", { mode: 0o100755 }),
      { name: "./lib/large.bin", data: large },
      { name: "lib/stored.bin", data: large, method: 0 },
      { name: "empty/", mode: 0o040700, method: 0 },
      { name: "nothing", data: "", method: 0 },
      link("lib/link.js", "../index.js"),
      file("zürich/ß.txt"),
    ]),
  );
  const expected = ["index.js", "bin", "bin/tool", "lib", "lib/large.bin", "lib/stored.bin", "lib/link.js", "empty", "nothing"];
  assert.deepEqual(paths, [...expected, "zürich", "zürich/ß.txt"].toSorted());
  assert.equal(await readFile(join(directory, "lib/link.js"), "utf8"), "exports.handler = 1");
  assert.deepEqual(await readFile(join(directory, "lib/large.bin")), large);
  assert.deepEqual(await readFile(join(directory, "lib/stored.bin")), large);
  const modes = await Promise.all(["index.js", "bin/tool", "empty", "lib", "lib/large.bin"].map((path) => lstat(join(directory, path))));
  assert.deepEqual(
    modes.map(({ mode }) => mode & 0o7777),
    [0o644, 0o755, 0o755, 0o755, 0o644],
  );
  assert.equal((await lstat(join(directory, "index.js"))).mtime.toISOString(), "2024-02-03T04:05:06.000Z");
});

test("permissions do not depend on the umask of the server", async () => {
  const mask = process.umask(0o077);
  try {
    const { directory } = await unpack(rawZip([file("a/b"), { name: "a/large", data: randomBytes(MIB) }]));
    const found = await Promise.all(["a", "a/b", "a/large"].map((path) => lstat(join(directory, path))));
    assert.deepEqual(
      found.map(({ mode }) => mode & 0o7777),
      [0o755, 0o644, 0o644],
    );
  } finally {
    process.umask(mask);
  }
});

test(
  "two thousand small files cost less than a second and a half of CPU time",
  { skip: !existsSync("/dev/shm") && "there is no memory to write to" },
  async () => {
    const zip = rawZip(
      Array.from({ length: 2001 }, (_, index) => file(`node_modules/m${index % 50}/file-${index}.js`, `// ${index}\n`.repeat(100))),
    );
    // In memory, because what is measured is this code, not a disk.
    const directory = await mkdtemp("/dev/shm/lambent-zip-");
    try {
      await writeFile(join(directory, "zip"), zip);
      const times: number[] = [];
      for (const name of ["a", "b", "c"]) {
        await mkdir(join(directory, name));
        times.push((await cost(() => unpackZip(join(directory, "zip"), join(directory, name)))).tookMs);
      }
      assert.ok(Math.min(...times) < 1500, `${times.join(", ")} ms of CPU time`);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);

const HOSTILE_NAMES: Readonly<Record<string, readonly (string | Uint8Array)[]>> = {
  "Z01 names that go up": ["../evil", "a/../../evil", "..", "a/..", "../", "./../evil", "a/b/../../../evil"],
  "Z02 absolute names": ["/etc/evil", "//evil", "C:/evil", "c:evil"],
  "Z03 backslashes": ["..\\evil", "a\\b", "\\evil", "C:\\evil"],
  "Z04 NUL, control characters, invalid UTF-8": [
    "a\0b",
    "a\nb",
    "a\u007fb",
    "\u001b[2J",
    Buffer.from([0x61, 0xff]),
    Buffer.from([0xc0, 0xae, 0xc0, 0xae, 0x2f, 0x65]),
    "",
  ],
  "Z08 a sibling with the same prefix": ["../code-evil/x", "../code.js"],
  "Z17 too long or too deep": ["a".repeat(4096), "a".repeat(256), `${"a/".repeat(999)}a`, `${"ab/".repeat(400)}c`, "a//b"],
};

for (const [name, names] of Object.entries(HOSTILE_NAMES))
  test(`${name} are refused`, async () => {
    for (const one of names) await refused(rawZip([file("good"), { name: one, data: "evil" }]));
  });

test("Z05 nothing is written through a link, whatever the order of the entries", async () => {
  await refused(rawZip([link("a", "/"), file("a/evil")]));
  await refused(rawZip([file("a/evil"), link("a", "/")]));
  await refused(rawZip([link("a", "../../.."), link("a/b", "/"), file("a/b/evil")]));
  await refused(rawZip([link("a", "."), file("a/x")]));
});

test("a link that is named twice, then written to, is the last of the two", async () => {
  const { directory } = await unpack(rawZip([link("a", join(root, "target")), file("a", "mine")]));
  assert.ok((await lstat(join(directory, "a"))).isFile());
  await assert.rejects(lstat(join(root, "target")), { code: "ENOENT" });
});

test("Z06 a link to anywhere is kept and never followed", async () => {
  const { directory } = await unpack(rawZip([link("a", "/etc/shadow"), link("up", "../../../..")]));
  assert.equal(await readlink(join(directory, "a")), "/etc/shadow");
  assert.equal(await readlink(join(directory, "up")), "../../../..");
});

test("links to nothing, too far, or to a NUL are refused", async () => {
  for (const target of ["", "a".repeat(4096), "a\0b"]) await refused(rawZip([link("a", target)]));
  await refused(rawZip([{ name: "a", data: Buffer.from([0xff]), mode: 0o120777 }]));
});

test("Z07 devices, pipes and sockets are refused; set-uid, set-gid and sticky bits are dropped", async () => {
  for (const type of [0o020000, 0o060000, 0o010000, 0o140000]) await refused(rawZip([file("a", "x", { mode: type | 0o644 })]));
  const { directory } = await unpack(
    rawZip([file("suid", "x", { mode: 0o107777 }), file("none", "x", { mode: 0o100000 }), { name: "d/", mode: 0o043777, method: 0 }]),
  );
  const found = await Promise.all(["suid", "none", "d"].map((path) => lstat(join(directory, path))));
  assert.deepEqual(
    found.map(({ mode }) => mode & 0o7777),
    [0o755, 0o644, 0o755],
  );
});

test("Z09 entries that share their bytes are refused at once", async () => {
  const kernel = { name: "k", data: Buffer.alloc(20 * MIB) };
  const listed = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...kernel, name: `k${index}`, offset: 0, isOnlyListed: true }));
  const many = rawZip([kernel, ...listed(250)]);
  const few = rawZip([kernel, ...listed(5)]);
  assert.ok(many.length < 60_000, `${many.length} bytes for ${251 * 20} MiB`);
  await refused(rawZip([file("warm up")]).subarray(1));
  const { tookMs, grownMiB } = await cost(async () => {
    await refused(many, TOO_LARGE);
    await refused(few);
  });
  assert.ok(tookMs < 2000 && grownMiB < 100, `took ${tookMs} ms and ${grownMiB} MiB`);
});

test("an entry whose bytes hold the header of another is refused", async () => {
  const inner = rawZip([file("inner", "y".repeat(100))]);
  const outer = file("outer", "", { data: inner, method: 0 });
  const offset = 30 + "outer".length;
  await refused(rawZip([outer, file("inner", "y".repeat(100), { offset, isOnlyListed: true })]));
});

test("Z10 a declared size is not allocated", async () => {
  const claims = [0xfffffffe, 4 * 2 ** 30 - 2, 300 * MIB].map((bytes) => rawZip([file("a", "x", { bytes })]));
  const { tookMs, grownMiB } = await cost(async () => {
    for (const zip of claims) {
      assert.ok(zip.length < 200);
      await refused(zip, TOO_LARGE);
    }
    // Less than the limit, and still not true.
    await refused(rawZip([file("a", "x", { bytes: 200 * MIB })]));
    await refused(rawZip([file("a", "x", { bytes: 200_000 })]));
    await refused(rawZip([file("a", "", { bytes: 2 * MIB, compressedBytes: 0, method: 8 })]));
  });
  assert.ok(tookMs < 2000 && grownMiB < 100, `took ${tookMs} ms and ${grownMiB} MiB`);
});

test("Z11 what inflates beyond the limit is stopped there, and what inflates beyond its claim at its claim", async () => {
  const zeros = Buffer.alloc(251 * MIB);
  await refused(rawZip([{ name: "zeros", data: zeros }]), TOO_LARGE);
  await refused(rawZip([{ name: "zeros", data: zeros.subarray(0, 250 * MIB) }]), TOO_LARGE);
  const half = zeros.subarray(0, 125 * MIB);
  await refused(
    rawZip([
      { name: "a", data: half },
      { name: "b", data: half },
    ]),
    TOO_LARGE,
  );
  for (const bytes of [1, 1000, 2 * MIB]) {
    await refused(rawZip([{ name: "liar", data: zeros.subarray(0, 100 * MIB), bytes }]));
    const written = await lstat(join(root, String(number - 1), "box", "code", "liar"));
    assert.ok(written.size <= bytes, `${written.size} bytes written for a claim of ${bytes}`);
  }
});

test("Z12 a million entries are refused by their number", async () => {
  const { tookMs } = await cost(() => refused(rawZip([file("a")], { usesZip64: true, entryCount: 1_000_000 })));
  assert.ok(tookMs < 2000, `took ${tookMs} ms`);
  // One more than allowed, and nothing else is wrong with them.
  const empty = Array.from({ length: 65_536 }, (_, index) => ({ name: `d/${index}`, method: 0 }));
  await refused(rawZip(empty, { usesZip64: true }));
});

test("Z13 of equal names the last counts; names that differ in case are two; a file is no directory", async () => {
  const twice = await unpack(rawZip([file("a", "first"), file("b"), file("a", "second")]));
  assert.equal(await readFile(join(twice.directory, "a"), "utf8"), "second");
  const same = await unpack(rawZip([file("./a", "first"), file("a", "second")]));
  assert.deepEqual(same.paths, ["a"]);
  assert.deepEqual((await unpack(rawZip([file("A"), file("a")]))).paths, ["A", "a"]);
  await refused(rawZip([file("a"), file("a/b")]));
  await refused(rawZip([file("a/b"), file("a")]));
  await refused(rawZip([{ name: "a/", method: 0 }, file("a"), file("a/b")]));
  assert.deepEqual((await unpack(rawZip([file("a"), { name: "a/", method: 0 }, file("a/b")]))).paths, ["a", "a/b"]);
});

test("Z14 an archive that ends too early is refused, wherever it ends", async () => {
  const zip = rawZip([file("index.js", "x".repeat(300), { method: 0 }), file("lib/a.js", "y".repeat(900)), link("l", "index.js")]);
  for (let step = 0; step < 200; step++) await refused(zip.subarray(0, Math.floor((zip.length * step) / 200)));
});

test("Z15 there is one view of an archive: what its central directory says", async () => {
  const lies = await unpack(rawZip([file("seen", "x", { localName: "evil" }), file("b", "y", { localBytes: 4_000_000_000 })]));
  assert.deepEqual(lies.paths, ["b", "seen"]);
  const inner = rawZip([file("inner")]);
  const outer = rawZip([file("outer")]);
  const allowed = [["outer"], ["inner"], "refused"].map((one) => JSON.stringify(one));
  for (const zip of [
    Buffer.concat([inner, outer]),
    Buffer.concat([Buffer.from("#!/bin/sh\n"), outer]),
    rawZip([file("outer")], { comment: inner }),
    rawZip([file("outer")], { prefix: inner }),
    rawZip([file("outer")], { entryCount: 0 }),
    rawZip([file("outer")], { entryCount: 2 }),
    rawZip([file("outer", "x", { offset: 1 })]),
    rawZip([file("outer", "x", { offset: 0xfffffff0 })]),
    rawZip([
      file("outer", "x", { bytes: 0xffffffff, compressedBytes: 0xffffffff, extra: Buffer.from([1, 0, 16, 0, ...Buffer.alloc(16, 0xff)]) }),
    ]),
  ]) {
    const outcome = await outcomeOf(zip);
    const view = outcome === "refused" ? outcome : outcome.paths;
    assert.ok(allowed.includes(JSON.stringify(view)) || JSON.stringify(view) === "[]", JSON.stringify(view));
  }
});

test("places that no file has fail the archive, and never the process", async () => {
  // Thrown where nobody can catch it, by the library alone.
  for (const place of [2n ** 58n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 53n]) {
    const zip = rawZip([file("a")], { usesZip64: true });
    zip.writeBigUInt64LE(place, zip.length - 22 - 20 + 8);
    await refused(zip);
    const directory = rawZip([file("a")], { usesZip64: true });
    directory.writeBigUInt64LE(place, directory.length - 22 - 20 - 8);
    await refused(directory);
  }
});

test("Z16 encrypted entries, unknown methods and wrong checksums are refused", async () => {
  for (const flags of [0x801, 0x840, 0x2800]) await refused(rawZip([file("a", "x", { flags })]));
  for (const method of [1, 6, 9, 12, 14, 93, 99]) await refused(rawZip([file("a", "x", { method })]));
  for (const method of [0, 8]) {
    await refused(rawZip([file("a", "x", { method, crc: 1 })]));
    await refused(rawZip([{ name: "a", data: randomBytes(MIB), method, crc: 1 }]));
  }
  await refused(rawZip([file("a", "xyz", { method: 0, bytes: 2 })]));
  await refused(rawZip([{ name: "link", data: "index.js", mode: 0o120777, crc: 1 }]));
});

test("Z18 what is no zip is refused", async () => {
  const others = ["", "PK", "hello", "PK\u0003\u0004", "\0".repeat(512)].map((text) => Buffer.from(text));
  for (const bytes of [...others, gzipSync("hello"), randomBytes(4096), Buffer.alloc(70_000, 0x50)]) await refused(bytes);
});

test("an archive without entries is an empty package", async () => {
  assert.deepEqual((await unpack(rawZip([]))).paths, []);
});

async function packagesIn(directory: string): Promise<Packages> {
  const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock });
  return await Packages.open(blobs, join(directory, "packages"));
}

test("Z19 one byte more than 50 MiB is too large for an upload", async () => {
  const packages = await packagesIn(join(root, "z19"));
  const message = "Zipped size must be smaller than 52428800 bytes";
  await assert.rejects(packages.add(new Uint8Array(50 * MIB + 1)), { code: "RequestEntityTooLargeException", status: 413, message });
  await assert.rejects(packages.add(new Uint8Array(0)), { name: "InvalidParameterValueException" });
  await assert.rejects(packages.add(new Uint8Array(50 * MIB)), { name: "InvalidParameterValueException", message: UNREADABLE });
});

test("an object may be larger than an upload, but its content may not", async () => {
  const packages = await packagesIn(join(root, "z19s3"));
  const zip = rawZip([{ name: "large", data: randomBytes(52 * MIB), method: 0 }]);
  const { sha256, bytes } = await packages.addStream(Readable.from([zip.subarray(0, MIB), zip.subarray(MIB)]));
  assert.deepEqual([sha256, bytes], [createHash("sha256").update(zip).digest("hex"), zip.length]);
  let given = 0;
  const endless = Readable.from(
    (function* () {
      // Has an end all the same, for the disk of whoever breaks the limit.
      for (; given < 400 * MIB; given += MIB) yield Buffer.alloc(MIB);
    })(),
  );
  await assert.rejects(packages.addStream(endless), { name: "InvalidParameterValueException", message: TOO_LARGE });
  assert.ok(given <= 260 * MIB, `read ${given / MIB} MiB of an endless object`);
});

test("Z20 what is unpacked is what was read, once", async () => {
  const packages = await packagesIn(join(root, "z20"));
  const first = rawZip([file("index.js", "first")]);
  const { sha256 } = await packages.addStream(Readable.from([first]));
  assert.equal(sha256, createHash("sha256").update(first).digest("hex"));
  assert.equal(await readFile(join(packages.pathOf(sha256), "index.js"), "utf8"), "first");
});

test("Z22 an archive in an archive is a file", async () => {
  const inner = rawZip([file("../evil")]);
  const { directory, paths } = await unpack(rawZip([{ name: "inner.zip", data: inner }]));
  assert.deepEqual(paths, ["inner.zip"]);
  assert.deepEqual(await readFile(join(directory, "inner.zip")), inner);
});

test("a refused package leaves nothing in the cache", async () => {
  const packages = await packagesIn(join(root, "clean"));
  await assert.rejects(packages.add(rawZip([file("good"), file("bad", "x", { crc: 1 })])), { message: UNREADABLE });
  assert.deepEqual(await readdir(join(root, "clean", "packages")), [".boot"]);
});

/** A small generator, so that a failure can be had again from its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function mutated(zips: readonly Buffer[], random: (below: number) => number): Buffer {
  const zip = Buffer.from(zips[random(zips.length)] ?? []);
  const other = zips[random(zips.length)] ?? zip;
  for (let flips = random(6); flips >= 0; flips--) {
    const at = random(zip.length);
    zip[at] = random(3) === 0 ? random(256) : (zip[at] ?? 0) ^ (1 << random(8));
  }
  if (random(4) > 0) return zip;
  return Buffer.concat([zip.subarray(0, random(zip.length)), other.subarray(random(other.length))]);
}

/** 10,000 is the figure of the long run. */
const MUTATED = Number(process.env["MUTATED_ARCHIVES"] ?? 1_000);

test(`Z23 ${MUTATED} mutated archives are unpacked or refused, and write nothing outside`, async () => {
  const seed = Number(process.env["SEED"] ?? randomBytes(4).readUInt32LE());
  const random = randomOf(seed);
  const zips = [
    rawZip([file("index.js", "x".repeat(500)), file("lib/a.js", "y", { method: 0 }), link("l", "index.js"), { name: "d/", method: 0 }]),
    rawZip([file("a/b/c/d", "z".repeat(5000))], { usesZip64: true, comment: Buffer.from("a comment") }),
    rawZip([link("x", "/etc"), file("y/..hidden", "q"), file("z", "")], { prefix: Buffer.from("MZ") }),
  ];
  const times: number[] = [];
  for (let count = 0; count < MUTATED; count++) {
    const zip = mutated(zips, random);
    const beganMs = processCpuMs();
    try {
      await outcomeOf(zip);
      times.push(processCpuMs() - beganMs);
    } catch (cause) {
      throw new Error(`seed ${seed}, archive ${count}: ${zip.toString("base64")}`, { cause });
    }
    await rm(join(root, String(number - 1)), { recursive: true });
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Infinity;
  assert.ok(median <= 100, `half of them took more than ${median} ms of CPU time`);
});
