// Merged layers: which of two files is seen, and that nothing in a layer leads anywhere.
import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { mergeLayers } from "./merge-layers.ts";

/** Text: a file; `-> x`: a link; empty: a directory. */
type Tree = Readonly<Record<string, string>>;

async function plant(directory: string, tree: Tree): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(tree)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (text === "") await mkdir(path, { recursive: true });
    else if (text.startsWith("-> ")) await symlink(text.slice(3), path);
    else await writeFile(path, text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
  }
}

async function read(directory: string, prefix = ""): Promise<Tree> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(join(directory, prefix), { withFileTypes: true })) {
    const name = join(prefix, entry.name);
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(join(directory, name))}`;
    else if (entry.isFile()) found[name] = await readFile(join(directory, name), "utf8");
    else {
      const inside = await read(directory, name);
      Object.assign(found, Object.keys(inside).length === 0 ? { [name]: "" } : inside);
    }
  }
  return found;
}

async function merged(t: TestContext, ...layers: readonly Tree[]): Promise<{ readonly tree: Tree; readonly place: string }> {
  const place = await mkdtemp(join(tmpdir(), "lambent-merge-"));
  t.after(() => rm(place, { recursive: true }));
  await mkdir(join(place, "outside"));
  await writeFile(join(place, "outside", "file"), "untouched");
  const sources = layers.map((_, n) => join(place, String(n)));
  for (const [n, layer] of layers.entries()) await plant(sources[n] ?? "", layer);
  const before = await Promise.all(sources.map((source) => read(source)));
  const target = join(place, "merged");
  await mkdir(target);
  await mergeLayers(sources, target);
  assert.deepEqual(await Promise.all(sources.map((source) => read(source))), before, "the layers are as they were");
  assert.deepEqual(await readdir(join(place, "outside")), ["file"]);
  return { tree: await read(target), place: target };
}

const CASES: Readonly<Record<string, readonly [layers: readonly Tree[], expected: Tree]>> = {
  "files of all layers": [
    [{ "python/a.py": "a" }, { "python/b.py": "b", "bin/c": "c" }],
    { "python/a.py": "a", "python/b.py": "b", "bin/c": "c" },
  ],
  "the later file": [[{ x: "1" }, { x: "2" }, { x: "3" }], { x: "3" }],
  "an empty directory": [[{ empty: "" }, { x: "1" }], { empty: "", x: "1" }],
  "a file over a directory": [[{ "x/deep/a": "a" }, { x: "file" }], { x: "file" }],
  "a directory over a file": [[{ x: "file" }, { "x/a": "a" }], { "x/a": "a" }],
  "a directory over a file over a directory": [[{ "x/old": "old" }, { x: "file" }, { "x/new": "new" }], { "x/new": "new" }],
  "a directory over a link": [[{ lib: "-> ../outside" }, { "lib/file": "mine" }], { "lib/file": "mine" }],
  "a file over a link": [[{ file: "-> ../outside/file" }, { file: "mine" }], { file: "mine" }],
  "a link over a directory": [[{ "lib/file": "mine" }, { lib: "-> ../outside" }], { lib: "-> ../outside" }],
  "a link over a directory, and a directory again": [[{ "lib/a": "a" }, { lib: "-> ../outside" }, { "lib/b": "b" }], { "lib/b": "b" }],
  "links, dangling and absolute ones too": [[{ a: "-> /etc/passwd" }, { b: "-> nowhere" }], { a: "-> /etc/passwd", b: "-> nowhere" }],
  "names that JavaScript knows": [
    [{ "__proto__/a": "a", constructor: "1" }, { "__proto__/b": "b" }],
    { "__proto__/a": "a", "__proto__/b": "b", constructor: "1" },
  ],
};

for (const [name, [layers, expected]] of Object.entries(CASES))
  test(`Z21 merged: ${name}`, async (t) => {
    assert.deepEqual((await merged(t, ...layers)).tree, expected);
  });

test("files are shared, not copied, with their modes; directories can be read by all", async (t) => {
  const { place } = await merged(t, { "bin/run": "#!/bin/sh", data: "x" }, { "bin/other": "y" });
  assert.equal((await lstat(join(place, "bin", "run"))).nlink, 2);
  const modes = await Promise.all(["bin", "bin/run", "data"].map(async (name) => (await lstat(join(place, name))).mode & 0o777));
  assert.deepEqual(modes, [0o755, 0o755, 0o644]);
});
