// What every BlobStore driver promises; called with a way to make a fresh one.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { suite, test } from "node:test";
import { buffer } from "node:stream/consumers";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";

const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

interface OpenBlobs {
  readonly blobs: BlobStore;
  readonly close: () => Promise<void>;
}

export function blobsContract(name: string, open: (clock: ManualClock) => Promise<OpenBlobs>): void {
  const withBlobs = (title: string, run: (blobs: BlobStore, clock: ManualClock) => Promise<void>) => {
    void test(title, async () => {
      const clock = manualClock();
      const { blobs, close } = await open(clock);
      try {
        await run(blobs, clock);
      } finally {
        await close();
      }
    });
  };
  const textOf = async (blobs: BlobStore, sha256: string, range?: { start: number; end: number }) => {
    const stream = await blobs.read(sha256, range);
    return stream === undefined ? undefined : (await buffer(stream)).toString();
  };

  suite(`BlobStore: ${name}`, () => {
    withBlobs("a blob is found under the SHA-256 of its bytes, whole, in part and as a file", async (blobs) => {
      const info = await blobs.put(Buffer.from("hello world"));
      assert.deepEqual(info, { sha256: sha256Of(Buffer.from("hello world")), bytes: 11 });
      assert.equal(await textOf(blobs, info.sha256), "hello world");
      assert.equal(await textOf(blobs, info.sha256, { start: 6, end: 11 }), "world");
      assert.equal(await textOf(blobs, info.sha256, { start: 6, end: 99 }), "world");
      assert.equal(await textOf(blobs, info.sha256, { start: 6, end: 6 }), "");
      assert.equal(await textOf(blobs, info.sha256, { start: 11, end: 12 }), "");
      assert.equal(await readFile(blobs.path(info.sha256), "utf8"), "hello world");
      assert.equal(await blobs.has(info.sha256), true);
    });

    withBlobs("what was never written is not there", async (blobs) => {
      const absent = "0".repeat(64);
      assert.equal(await blobs.has(absent), false);
      assert.equal(await blobs.read(absent), undefined);
      assert.equal(await blobs.read(absent, { start: 0, end: 0 }), undefined);
    });

    withBlobs("nothing but a SHA-256 is taken for a name", async (blobs) => {
      for (const wrong of ["", "..", "../../etc/passwd", "A".repeat(64), `${"0".repeat(63)}/`, "0".repeat(65), "__proto__"]) {
        await assert.rejects(blobs.read(wrong), RangeError);
        await assert.rejects(blobs.has(wrong), RangeError);
        assert.throws(() => blobs.path(wrong), RangeError);
      }
    });

    withBlobs("an empty blob is a blob", async (blobs) => {
      const info = await blobs.put(new Uint8Array(0));
      assert.deepEqual(info, { sha256: sha256Of(new Uint8Array(0)), bytes: 0 });
      assert.equal(await textOf(blobs, info.sha256), "");
    });

    withBlobs("a big blob is written in pieces; nothing of it is visible before commit", async (blobs) => {
      const pieces = Array.from({ length: 40 }, () => randomBytes(256 * 1024 + 1));
      const whole = Buffer.concat(pieces);
      const writer = await blobs.writer();
      for (const piece of pieces) {
        await writer.write(piece);
        assert.equal(await blobs.has(sha256Of(whole)), false);
      }
      assert.deepEqual(await writer.commit(), { sha256: sha256Of(whole), bytes: whole.byteLength });
      const stream = await blobs.read(sha256Of(whole));
      assert.ok(stream !== undefined && (await buffer(stream)).equals(whole));
    });

    withBlobs("a writer's buffer may be used again once it was written", async (blobs) => {
      const writer = await blobs.writer();
      const chunk = Buffer.from("one ");
      await writer.write(chunk);
      chunk.write("two ");
      await writer.write(chunk);
      assert.equal((await writer.commit()).sha256, sha256Of(Buffer.from("one two ")));
    });

    withBlobs("an aborted blob is forgotten, and abort is safe after commit", async (blobs) => {
      const writer = await blobs.writer();
      await writer.write(Buffer.from("gone"));
      await writer.abort();
      await writer.abort();
      assert.equal(await blobs.has(sha256Of(Buffer.from("gone"))), false);
      const kept = await blobs.writer();
      await kept.write(Buffer.from("kept"));
      const { sha256 } = await kept.commit();
      await kept.abort();
      assert.equal(await blobs.has(sha256), true);
    });

    withBlobs("equal bytes written at once are one blob", async (blobs) => {
      const infos = await Promise.all(Array.from({ length: 20 }, () => blobs.put(Buffer.from("same"))));
      assert.equal(new Set(infos.map((info) => info.sha256)).size, 1);
      assert.equal(await blobs.collect(() => false, -1), 1);
    });

    withBlobs("collect removes what is old and not referenced, and what is written again is young", async (blobs, clock) => {
      const kept = await blobs.put(Buffer.from("kept"));
      const gone = await blobs.put(Buffer.from("gone"));
      const again = await blobs.put(Buffer.from("again"));
      clock.advance(60_000);
      const young = await blobs.put(Buffer.from("young"));
      await blobs.put(Buffer.from("again"));
      const isReferenced = (sha256: string) => sha256 === kept.sha256;
      assert.equal(await blobs.collect(isReferenced, 61_000), 0);
      assert.equal(await blobs.collect(isReferenced, 30_000), 1);
      assert.equal(await blobs.has(gone.sha256), false);
      for (const { sha256 } of [kept, again, young]) assert.equal(await blobs.has(sha256), true);
    });

    withBlobs("a blob that is written while it is collected stays", async (blobs, clock) => {
      for (let round = 0; round < 10; round++) {
        const bytes = Buffer.from(`round ${round}`);
        await blobs.put(bytes);
        clock.advance(60_000);
        const [info] = await Promise.all([blobs.put(bytes), blobs.collect(() => false, 30_000)]);
        assert.equal(await blobs.has(info.sha256), true);
      }
    });
  });
}
