import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { BadTar } from "./tar.ts";
import { tarOfEntries, type RawTarEntry } from "./tar.fixture.ts";
import { unpackLayer } from "./unpack-layer.ts";

const LIMITS = { bytesMax: 1 << 20, entriesMax: 100 };

interface Place {
  readonly top: string;
  readonly target: string;
}

async function place(t: TestContext): Promise<Place> {
  const top = await mkdtemp(join(tmpdir(), "lambent-layer-"));
  t.after(() => rm(top, { recursive: true, force: true }));
  const target = join(top, "a", "target");
  await mkdir(target, { recursive: true });
  return { top, target };
}

async function unpack(t: TestContext, archive: Uint8Array, limits = LIMITS): Promise<Place> {
  const made = await place(t);
  await writeFile(join(made.top, "layer"), archive);
  await unpackLayer(join(made.top, "layer"), made.target, limits);
  return made;
}

const all = async (directory: string) => (await readdir(directory, { recursive: true })).toSorted();
const modeOf = async (path: string) => (await stat(path)).mode & 0o7777;

const ORDINARY: readonly RawTarEntry[] = [
  { name: "./", type: "5" },
  { name: "./bin/", type: "5", mode: 0o755 },
  { name: "./bin/tool", data: "tool", mode: 0o4755 },
  { name: "bin/other", type: "1", link: "./bin/tool" },
  { name: "bin/sh", type: "2", link: "/bin/tool" },
  { name: "secret/key", data: "key", mode: 0o600 },
  { name: "dev/null", type: "3" },
  { name: "etc/.wh.gone", data: "" },
  { name: "var/.wh..wh..opq", data: "" },
  { name: ".wh..wh.plnk/1.2", data: "" },
];

for (const [name, pack] of [
  ["plain", (bytes: Uint8Array) => bytes],
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)
  test(`a layer in ${name}: files, modes without set-uid bits, links, whiteouts, no devices`, async (t) => {
    const { target } = await unpack(t, pack(tarOfEntries(ORDINARY)));
    assert.deepEqual(await all(target), [
      ".wh..wh.plnk",
      ".wh..wh.plnk/1.2",
      "bin",
      "bin/other",
      "bin/sh",
      "bin/tool",
      "dev",
      "etc",
      "etc/.wh.gone",
      "secret",
      "secret/key",
      "var",
      "var/.wh..wh..opq",
    ]);
    assert.equal(await modeOf(join(target, "bin/tool")), 0o755);
    assert.equal((await stat(join(target, "bin/tool"))).ino, (await stat(join(target, "bin/other"))).ino);
    assert.equal(await readlink(join(target, "bin/sh")), "/bin/tool");
    assert.equal(await modeOf(join(target, "secret/key")), 0o600);
  });

test("of two entries with one name the later one counts, whatever they are", async (t) => {
  const { target } = await unpack(
    t,
    tarOfEntries([
      { name: "a", data: "first" },
      { name: "a", data: "second" },
      { name: "b/below", data: "" },
      { name: "b", data: "file" },
      { name: "c", type: "2", link: "/etc" },
      { name: "c/", type: "5" },
      { name: "c/inside", data: "inside" },
    ]),
  );
  assert.deepEqual(await all(target), ["a", "b", "c", "c/inside"]);
  assert.equal(await readFile(join(target, "a"), "utf8"), "second");
});

test("long names: pax and GNU", async (t) => {
  const long = `${"d".repeat(150)}/${"e".repeat(150)}`;
  const { target } = await unpack(
    t,
    tarOfEntries([
      { name: "pax", type: "x", data: `${String(long.length + 10)} path=${long}\n` },
      { name: "short", data: "pax" },
      { name: "gnu", type: "L", data: `${long}2\0` },
      { name: "short", data: "gnu" },
    ]),
  );
  assert.equal(await readFile(join(target, long), "utf8"), "pax");
  assert.equal(await readFile(join(target, `${long}2`), "utf8"), "gnu");
});

const HOSTILE: readonly (readonly [string, readonly RawTarEntry[], RegExp])[] = [
  ["a step up", [{ name: "../evil", data: "x" }], /not a path inside/],
  ["a step up in the middle", [{ name: "a/../../evil", data: "x" }], /not a path inside/],
  [
    "a file behind a link",
    [
      { name: "up", type: "2", link: "../.." },
      { name: "up/evil", data: "x" },
    ],
    /stands below up, which is a symlink/,
  ],
  [
    "a file behind a link to a link",
    [
      { name: "up", type: "2", link: ".." },
      { name: "up2", type: "1", link: "up" },
      { name: "up2/evil", data: "x" },
    ],
    /stands below up2/,
  ],
  [
    "a file below a file",
    [
      { name: "a", data: "" },
      { name: "a/evil", data: "x" },
    ],
    /stands below a, which is a file/,
  ],
  ["a hard link out", [{ name: "a", type: "1", link: "../../layer" }], /not a path inside/],
  ["a hard link to what is absent", [{ name: "a", type: "1", link: "/etc/passwd" }], /no file of the layer/],
  [
    "a hard link to a directory",
    [
      { name: "d/", type: "5" },
      { name: "a", type: "1", link: "d" },
    ],
    /no file of the layer/,
  ],
  ["a whiteout of nothing", [{ name: ".wh.", data: "" }], /hides no name/],
  ["a whiteout of the directory above", [{ name: "a/.wh...", data: "" }], /hides no name/],
  ["a sparse file", [{ name: "a", type: "S", data: "" }], /kind that is not supported/],
  [
    "a part that is too long",
    [
      { name: "pax", type: "x", data: `315 path=${"n".repeat(305)}\n` },
      { name: "s", data: "" },
    ],
    /not a path inside/,
  ],
  [
    "an extended header that lies",
    [
      { name: "pax", type: "x", data: "99 path=a\n" },
      { name: "s", data: "" },
    ],
    /malformed/,
  ],
  ["more bytes than are allowed", [{ name: "a", data: "x".repeat(1 << 20) }], /larger than/],
  ["more entries than are allowed", Array.from({ length: 101 }, (_, at) => ({ name: String(at), data: "" })), /more than 100 entries/],
  ["more directories than are allowed", ["a", "b", "c"].map((top) => ({ name: top + "/d".repeat(40), data: "" })), /more than 100 entries/],
  ["a size beyond the end", [{ name: "a", data: "x", size: 5000 }], /ends within an entry/],
  ["a huge extended header", [{ name: "pax", type: "x", data: "", size: 2 ** 31 }], /too large/],
];

for (const [name, entries, expected] of HOSTILE)
  test(`refused: ${name}`, async (t) => {
    const made = await place(t);
    await writeFile(join(made.top, "layer"), tarOfEntries(entries));
    await assert.rejects(unpackLayer(join(made.top, "layer"), made.target, LIMITS), (cause) => {
      assert.ok(cause instanceof BadTar, String(cause));
      assert.match(cause.message, expected);
      return true;
    });
    assert.deepEqual((await readdir(made.top)).toSorted(), ["a", "layer"]);
    assert.deepEqual(await readdir(join(made.top, "a")), ["target"]);
  });

test("what is no archive, ends early or has a damaged header is refused, and a bomb is stopped", async (t) => {
  const whole = tarOfEntries([{ name: "a", data: "x".repeat(600) }]);
  const damaged = Buffer.from(whole);
  damaged[0] = 0x62;
  const bomb = gzipSync(tarOfEntries([{ name: "a", data: "\0".repeat(4 << 20) }]));
  for (const [bytes, expected] of [
    [Buffer.from("no archive".repeat(100)), /checksum|ends within|number/],
    [whole.subarray(0, 700), /ends within an entry/],
    [damaged, /checksum/],
    [gzipSync(whole).subarray(0, 60), /decompressed|ends within/],
    [bomb, /larger than/],
  ] as const)
    await assert.rejects(unpack(t, bytes), expected);
});
