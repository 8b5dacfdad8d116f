// What the blob store on disk promises.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { manualClock } from "../../src/base/manual-clock.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-blobs-"));
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("a blob is found under the SHA-256 of its bytes, whole or in part", () =>
  withDirectory(async (directory) => {
    const blobs = await diskBlobs({ directory, clock: systemClock });
    const info = await blobs.put(Buffer.from("hello world"));
    assert.deepEqual(info, { sha256: createHash("sha256").update("hello world").digest("hex"), bytes: 11 });
    const read = async (range?: { start: number; end: number }) => {
      const stream = await blobs.read(info.sha256, range);
      return stream === undefined ? undefined : (await buffer(stream)).toString();
    };
    assert.equal(await read(), "hello world");
    assert.equal(await read({ start: 6, end: 11 }), "world");
    assert.equal(await blobs.read("0".repeat(64)), undefined);
    assert.equal(await blobs.has(info.sha256), true);
  }));

test("nothing is visible before commit, and nothing is left after abort or a killed server", () =>
  withDirectory(async (directory) => {
    const blobs = await diskBlobs({ directory, clock: systemClock });
    const writer = await blobs.writer();
    await writer.write(Buffer.alloc(100_000, 1));
    assert.deepEqual(await readdir(directory), ["incoming"]);
    await writer.abort();
    assert.deepEqual(await readdir(join(directory, "incoming")), []);
    await writeFile(join(directory, "incoming", "half"), "half");
    await diskBlobs({ directory, clock: systemClock });
    assert.deepEqual(await readdir(join(directory, "incoming")), []);
  }));

test("collect removes what is old and not referenced", () =>
  withDirectory(async (directory) => {
    const clock = manualClock(Date.now() + 3_600_000);
    const blobs = await diskBlobs({ directory, clock });
    const kept = await blobs.put(Buffer.from("kept"));
    const gone = await blobs.put(Buffer.from("gone"));
    assert.equal(await blobs.collect((sha256) => sha256 === kept.sha256, 7_200_000), 0);
    assert.equal(await blobs.collect((sha256) => sha256 === kept.sha256, 600_000), 1);
    assert.equal(await blobs.has(gone.sha256), false);
    assert.equal(await blobs.has(kept.sha256), true);
  }));
