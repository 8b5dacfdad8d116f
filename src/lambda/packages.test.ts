// The cache of unpacked packages: shared work, what is kept over a restart, what is removed and when.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";
import { systemClock } from "../base/clock.ts";
import { diskBlobs } from "../store/disk-blobs.ts";
import { Packages } from "./packages.ts";

async function setUp(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "lambent-packages-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock });
  const cache = join(directory, "packages");
  return { cache, open: () => Packages.open(blobs, cache) };
}

async function zipOf(text: string): Promise<Uint8Array> {
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from(text), "file");
  zip.end();
  return await buffer(zip.outputStream);
}

test("many who need the same package share one directory", async (t) => {
  const { cache, open } = await setUp(t);
  const packages = await open();
  const zip = await zipOf("shared");
  const added = await Promise.all(Array.from({ length: 10 }, () => packages.add(zip)));
  assert.equal(new Set(added.map(({ sha256 }) => sha256)).size, 1);
  assert.equal((await readdir(cache)).filter((name) => name !== ".boot").length, 1);
});

test("a restart of the server keeps the cache and removes what was half done; a restart of the machine empties it", async (t) => {
  const { cache, open } = await setUp(t);
  const { sha256 } = await (await open()).add(await zipOf("kept"));
  await mkdir(join(cache, ".new-half", "done"), { recursive: true });
  await mkdir(join(cache, `${"0".repeat(64)}-0`));
  const second = await open();
  assert.ok(second.isReady(sha256));
  const marker = join(second.pathOf(sha256), "marker");
  await writeFile(marker, "");
  assert.ok((await open()).isReady(sha256));
  await stat(marker);
  assert.deepEqual((await readdir(cache)).toSorted(), [".boot", second.pathOf(sha256).slice(cache.length + 1)]);
  await writeFile(join(cache, ".boot"), "another start of the machine");
  const third = await open();
  assert.ok(!third.isReady(sha256));
  assert.deepEqual(await readdir(cache), [".boot"]);
  await third.ensure(sha256);
  await assert.rejects(stat(marker), { code: "ENOENT" });
  assert.equal(await readFile(join(third.pathOf(sha256), "file"), "utf8"), "kept");
});

test("a package goes when nothing has referred to it for an hour, and no earlier", async (t) => {
  const { open } = await setUp(t);
  const packages = await open();
  const { sha256 } = await packages.add(await zipOf("unused"));
  let isUsed = true;
  const collect = (nowMs: number) => packages.collect(() => isUsed, nowMs, 3_600_000);
  await collect(0);
  isUsed = false;
  await collect(1000);
  await collect(3_600_999);
  assert.ok(packages.isReady(sha256));
  // Used again in between: the hour begins anew.
  isUsed = true;
  await collect(3_601_000);
  isUsed = false;
  await collect(3_700_000);
  await collect(7_200_000);
  assert.ok(packages.isReady(sha256));
  await packages.ensure(sha256);
  await collect(7_300_000);
  await collect(10_800_000);
  assert.ok(packages.isReady(sha256));
  await collect(10_900_000);
  assert.ok(!packages.isReady(sha256));
  await assert.rejects(stat(packages.pathOf(sha256)), { code: "ENOENT" });
  await packages.ensure(sha256);
  assert.equal(await readFile(join(packages.pathOf(sha256), "file"), "utf8"), "unused");
});

test("what was made of a package lies beside it, over a restart, and goes with it", async (t) => {
  const { cache, open } = await setUp(t);
  const packages = await open();
  const { sha256 } = await packages.add(await zipOf("compiled"));
  const made = `${packages.pathOf(sha256)}.python3.11`;
  await writeFile(made, "");
  await writeFile(join(cache, `${"0".repeat(64)}-1.python3.11`), "of what is not there");
  const second = await open();
  assert.ok(second.isReady(sha256));
  assert.deepEqual((await readdir(cache)).length, 3);
  await stat(made);
  await second.collect(() => false, 0, 0);
  assert.deepEqual(await readdir(cache), [".boot"]);
  const { sha256: again } = await second.add(await zipOf("compiled"));
  await writeFile(made, "");
  await rm(second.pathOf(again), { recursive: true });
  await second.collect(() => false, 0, 0);
  assert.deepEqual(await readdir(cache), [".boot"]);
});

test("what somebody else removed is found missing, and made again", async (t) => {
  const { open } = await setUp(t);
  const packages = await open();
  const { sha256 } = await packages.add(await zipOf("removed"));
  await packages.recheck(packages.pathOf(sha256));
  assert.ok(packages.isReady(sha256));
  await rm(packages.pathOf(sha256), { recursive: true });
  await packages.recheck(packages.pathOf(sha256));
  assert.ok(!packages.isReady(sha256));
  await packages.ensure(sha256);
  assert.ok(packages.isReady(sha256));
  await rm(packages.pathOf(sha256), { recursive: true });
  await packages.collect(() => false, 0, 0);
  assert.ok(!packages.isReady(sha256));
});

test("functions, which run as another user, can get at it", async (t) => {
  const { cache, open } = await setUp(t);
  const mask = process.umask(0o077);
  try {
    const packages = await open();
    const { sha256 } = await packages.add(await zipOf("readable"));
    for (const path of [cache, packages.pathOf(sha256)]) assert.equal((await stat(path)).mode & 0o777, 0o755);
  } finally {
    process.umask(mask);
  }
});
