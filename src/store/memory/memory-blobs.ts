// The BlobStore that forgets: for tests. Blobs become files only when their path is asked for.
import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Clock } from "../../base/clock.ts";
import { checkBlobName } from "../blob-name.ts";
import type { BlobInfo, BlobStore, BlobWriter } from "../blob-store.ts";

interface MemoryBlob {
  readonly bytes: Buffer;
  readonly writtenMs: number;
}

interface MemoryBlobStore extends BlobStore {
  /** Removes the files that `path` has made. */
  close(): Promise<void>;
}

export function memoryBlobs(options: { clock: Clock }): MemoryBlobStore {
  const blobs = new Map<string, MemoryBlob>();
  let directory: string | undefined;
  const keep = (bytes: Buffer): BlobInfo => {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    blobs.set(sha256, { bytes, writtenMs: options.clock.now() });
    return { sha256, bytes: bytes.byteLength };
  };
  const find = (sha256: string) => {
    checkBlobName(sha256);
    return blobs.get(sha256);
  };
  return {
    writer: async () => memoryWriter(keep),
    put: async (bytes) => keep(Buffer.from(bytes)),
    async read(sha256, range) {
      const blob = find(sha256);
      if (blob === undefined) return undefined;
      const part = range === undefined ? blob.bytes : blob.bytes.subarray(range.start, Math.max(range.start, range.end));
      return Readable.from(part.byteLength === 0 ? [] : [part]);
    },
    has: async (sha256) => find(sha256) !== undefined,
    path(sha256) {
      const blob = find(sha256);
      directory ??= mkdtempSync(join(tmpdir(), "lambent-blobs-"));
      const path = join(directory, sha256);
      if (blob !== undefined) writeFileSync(path, blob.bytes, { mode: 0o600 });
      return path;
    },
    async collect(isReferenced, minimumAgeMs) {
      const beforeMs = options.clock.now() - minimumAgeMs;
      const old = [...blobs].filter(([sha256, { writtenMs }]) => writtenMs <= beforeMs && !isReferenced(sha256));
      for (const [sha256] of old) blobs.delete(sha256);
      return old.length;
    },
    async close() {
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
      directory = undefined;
    },
  };
}

function memoryWriter(keep: (bytes: Buffer) => BlobInfo): BlobWriter {
  let chunks: Buffer[] = [];
  return {
    async write(chunk) {
      chunks.push(Buffer.from(chunk));
    },
    commit: async () => keep(Buffer.concat(chunks)),
    async abort() {
      chunks = [];
    },
  };
}
