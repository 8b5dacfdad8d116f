// Runs the BlobStore contract over its drivers, and what only the one on disk promises.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { access, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { memoryBlobs } from "../../src/store/memory/memory-blobs.ts";
import { withSmallDisk } from "../support/small-disk.ts";
import { blobsContract } from "./blobs.contract.ts";

const makeDirectory = () => mkdtemp(join(tmpdir(), "lambent-blobs-"));

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await makeDirectory();
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

blobsContract("memory", async (clock) => {
  const blobs = memoryBlobs({ clock });
  return { blobs, close: () => blobs.close() };
});
blobsContract("disk", async (clock) => {
  const directory = await makeDirectory();
  return { blobs: await diskBlobs({ directory, clock }), close: () => rm(directory, { recursive: true }) };
});

test("the memory driver leaves no file behind", async () => {
  const blobs = memoryBlobs({ clock: systemClock });
  const path = blobs.path((await blobs.put(Buffer.from("x"))).sha256);
  await access(path);
  await blobs.close();
  await assert.rejects(access(dirname(path)), { code: "ENOENT" });
});

test("blobs are there after a restart, what was half written is not, and only their owner may read them", () =>
  withDirectory(async (directory) => {
    const blobs = await diskBlobs({ directory, clock: systemClock });
    const { sha256 } = await blobs.put(Buffer.from("kept"));
    const writer = await blobs.writer();
    await writer.write(Buffer.alloc(100_000, 1));
    assert.equal((await readdir(join(directory, "incoming"))).length, 1);
    await writeFile(join(directory, "incoming", "half"), "half");
    const again = await diskBlobs({ directory, clock: systemClock });
    assert.deepEqual(await readdir(join(directory, "incoming")), []);
    assert.equal(await again.has(sha256), true);
    assert.equal((await stat(again.path(sha256))).mode & 0o777, 0o600);
    assert.equal((await stat(dirname(again.path(sha256)))).mode & 0o777, 0o700);
    await writer.abort();
  }));

test("collect leaves files alone that are not blobs", () =>
  withDirectory(async (directory) => {
    const blobs = await diskBlobs({ directory, clock: systemClock });
    await writeFile(join(directory, "00", "README"), "not a blob");
    assert.equal(await blobs.collect(() => false, -60_000), 0);
    await access(join(directory, "00", "README"));
  }));

test("a full disk leaves no half blob, and blobs are written again when space returns", (t) =>
  withSmallDisk(t, 4, async (directory) => {
    const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock });
    const filler = Buffer.alloc(3 * 2 ** 20, "f");
    const { sha256 } = await blobs.put(filler);
    const big = Buffer.alloc(2 * 2 ** 20, "b");
    await assert.rejects(blobs.put(big), { code: "ENOSPC" });
    assert.equal(await blobs.has(createHash("sha256").update(big).digest("hex")), false);
    assert.deepEqual(await readdir(join(directory, "blobs", "incoming")), []);
    assert.equal(await blobs.has(sha256), true);
    assert.equal(await blobs.collect(() => false, -60_000), 1);
    await blobs.put(big);
  }));
