// Blobs as files named after their SHA-256: written beside, synced, renamed, directory synced; so a name always has its whole content.
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, open, opendir, readdir, rename, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { BlobInfo, BlobStore, BlobWriter } from "./blob-store.ts";

const TEMPORARY = "incoming";

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === "ENOENT";

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

class DiskBlobWriter implements BlobWriter {
  readonly #file: FileHandle;
  readonly #temporary: string;
  readonly #pathOf: (sha256: string) => string;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #isOpen = true;

  constructor(file: FileHandle, temporary: string, pathOf: (sha256: string) => string) {
    this.#file = file;
    this.#temporary = temporary;
    this.#pathOf = pathOf;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#bytes += chunk.byteLength;
    for (let at = 0; at < chunk.byteLength;) at += (await this.#file.write(chunk, at)).bytesWritten;
  }

  async commit(): Promise<BlobInfo> {
    await this.#file.sync();
    await this.#close();
    const sha256 = this.#hash.digest("hex");
    const path = this.#pathOf(sha256);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Renamed over an equal blob as well: that makes it young again, so that a collector does not take it from under a new record.
    await rename(this.#temporary, path);
    await syncDirectory(dirname(path));
    await syncDirectory(dirname(dirname(path)));
    return { sha256, bytes: this.#bytes };
  }

  async abort(): Promise<void> {
    await this.#close();
    await rm(this.#temporary, { force: true });
  }

  async #close(): Promise<void> {
    if (this.#isOpen) await this.#file.close();
    this.#isOpen = false;
  }
}

/** What a process that was killed had begun to write is removed at the start. */
export async function diskBlobs(options: { directory: string; clock: Clock }): Promise<BlobStore> {
  const { directory, clock } = options;
  const incoming = join(directory, TEMPORARY);
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  const pathOf = (sha256: string) => join(directory, sha256.slice(0, 2), sha256.slice(2));
  const has = async (sha256: string) => {
    try {
      await access(pathOf(sha256));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  };
  const writer = async (): Promise<BlobWriter> => {
    const temporary = join(incoming, randomUUID());
    return new DiskBlobWriter(await open(temporary, "wx", 0o600), temporary, pathOf);
  };
  return {
    writer,
    has,
    path: pathOf,
    async put(bytes) {
      const writing = await writer();
      try {
        await writing.write(bytes);
        return await writing.commit();
      } catch (error) {
        await writing.abort();
        throw error;
      }
    },
    async read(sha256, range) {
      if (!(await has(sha256))) return undefined;
      // createReadStream's end is inclusive.
      return createReadStream(pathOf(sha256), range === undefined ? {} : { start: range.start, end: range.end - 1 });
    },
    collect: (isReferenced, minimumAgeMs) => collect(directory, isReferenced, clock.now() - minimumAgeMs),
  };
}

async function collect(directory: string, isReferenced: (sha256: string) => boolean, beforeMs: number): Promise<number> {
  let removed = 0;
  for (const shard of await readdir(directory)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue;
    for await (const entry of await opendir(join(directory, shard))) {
      const path = join(directory, shard, entry.name);
      if (isReferenced(shard + entry.name) || (await stat(path)).mtimeMs > beforeMs) continue;
      await unlink(path);
      removed += 1;
    }
  }
  return removed;
}
