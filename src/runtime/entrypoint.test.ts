// Which bootstrap of a custom runtime is started, and what is said when none can be.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { entrypointOf } from "./entrypoint.ts";
import { HERE } from "./program-machine.ts";
import type { RuntimeLayout } from "./settings.ts";

const PROVIDED: RuntimeLayout = { argv: ["/var/task/bootstrap"], mounts: [], env: {}, protocol: "runtime-api", version: "" };
const NONE = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
const denied = (path: string) => `fork/exec ${path}: permission denied`;

/** By the name of a file: its mode, or where it links to. */
type Files = Readonly<Record<string, number | string>>;

const CASES: readonly (readonly [name: string, code: Files, layers: Files | undefined, expected: string])[] = [
  ["the package's", { bootstrap: 0o755 }, { bootstrap: 0o755 }, "/var/task/bootstrap"],
  ["a layer's", {}, { bootstrap: 0o755 }, "/opt/bootstrap"],
  ["the package's, even if it can't be run", { bootstrap: 0o644 }, { bootstrap: 0o755 }, denied("/var/task/bootstrap")],
  ["a layer's that can't be run", {}, { bootstrap: 0o644 }, denied("/opt/bootstrap")],
  ["none, without layers", {}, undefined, NONE],
  ["none, with layers", {}, { other: 0o755 }, NONE],
  ["a directory is none", { "bootstrap/x": 0o755 }, { bootstrap: 0o755 }, "/opt/bootstrap"],
  ["a link inside", { bootstrap: "bin/run", "bin/run": 0o755 }, undefined, "/var/task/bootstrap"],
  ["a link to a layer", { bootstrap: "/opt/bin/run" }, { "bin/run": 0o755 }, "/var/task/bootstrap"],
  ["a link that climbs to a layer", { bootstrap: "../../opt/run" }, { run: 0o755 }, "/var/task/bootstrap"],
  ["a link to what can't be run", { bootstrap: "/opt/run" }, { run: 0o644 }, denied("/var/task/bootstrap")],
  ["a link through a linked directory", { bootstrap: "bin/run", bin: "/opt/bin" }, { "bin/run": 0o755 }, "/var/task/bootstrap"],
  ["a link to a layer, without layers, is none", { bootstrap: "/opt/run" }, undefined, NONE],
  ["a dangling link is none", { bootstrap: "nowhere" }, { bootstrap: 0o755 }, "/opt/bootstrap"],
  ["a link to itself is none", { bootstrap: "bootstrap" }, undefined, NONE],
  // The same whether this host has the file or not: it is the sandbox's to say.
  ["a link out to a file", { bootstrap: "/etc/passwd" }, undefined, "/var/task/bootstrap"],
  ["a link out to nothing", { bootstrap: "/nowhere/at/all" }, undefined, "/var/task/bootstrap"],
  ["a link out through a linked directory", { bootstrap: "out/passwd", out: "/etc" }, undefined, "/var/task/bootstrap"],
];

async function plant(directory: string, files: Files): Promise<void> {
  await mkdir(directory);
  for (const [name, what] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(join(path, ".."), { recursive: true });
    if (typeof what === "string") await symlink(what, path);
    else await writeFile(path, "", { mode: what });
  }
}

for (const [name, code, layers, expected] of CASES)
  test(`bootstrap: ${name}`, async (t) => {
    const place = await mkdtemp(join(tmpdir(), "lambent-entrypoint-"));
    t.after(() => rm(place, { recursive: true }));
    const settings = { codeDirectory: join(place, "code"), memoryMiB: 128, variables: {}, architecture: HERE };
    await plant(settings.codeDirectory, code);
    if (layers !== undefined) await plant(join(place, "layers"), layers);
    const found = await entrypointOf(PROVIDED, layers === undefined ? settings : { ...settings, layersDirectory: join(place, "layers") });
    assert.deepEqual(found, expected.startsWith("/") ? { argv: [expected] } : { problem: expected });
  });

test("bootstrap: one for another machine", async (t) => {
  const place = await mkdtemp(join(tmpdir(), "lambent-entrypoint-"));
  t.after(() => rm(place, { recursive: true }));
  const elf = Buffer.alloc(64);
  elf.writeUInt32BE(0x7f454c46, 0);
  elf.writeUInt16LE(183, 18);
  await writeFile(join(place, "bootstrap"), elf, { mode: 0o755 });
  const settings = { codeDirectory: place, memoryMiB: 128, variables: {} };
  const problem = "fork/exec /var/task/bootstrap: exec format error";
  assert.deepEqual(await entrypointOf(PROVIDED, { ...settings, architecture: "x86_64" }), { problem });
  assert.deepEqual(await entrypointOf(PROVIDED, { ...settings, architecture: "arm64" }), { argv: ["/var/task/bootstrap"] });
});

test("managed runtimes start their own program, as the function's settings have it", async () => {
  const layout: RuntimeLayout = { ...PROVIDED, argv: ["/var/lang/bin/node"], argvFor: ({ memoryMiB }) => ["node", String(memoryMiB)] };
  const settings = { codeDirectory: "/nowhere", memoryMiB: 128, variables: {}, architecture: HERE };
  assert.deepEqual(await entrypointOf(layout, settings), { argv: ["node", "128"] });
});
