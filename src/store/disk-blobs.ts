// Blobs as files named after their SHA-256: written beside, synced, renamed, directory synced; so a name always has its whole content.
import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, open, opendir, readdir, rename, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { makeDurableDirectory, syncDirectory } from "../base/durable-directory.ts";
import { checkBlobName } from "./blob-name.ts";
import type { BlobInfo, BlobStore, BlobWriter } from "./blob-store.ts";

const TEMPORARY = "incoming";
const SHARDS = Array.from({ length: 256 }, (_, shard) => shard.toString(16).padStart(2, "0"));
const REST_OF_NAME = /^[0-9a-f]{62}$/;

/** `undefined` when the file or directory that `looking` needs is not there. */
async function ifPresent<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The tasks of one name, one after the other: a collector must not take away what has just been written again. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<T>(name: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const mine = before === undefined ? task() : before.then(task, task);
    this.#last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name);
    }
  }
}

interface Place {
  readonly directory: string;
  readonly clock: Clock;
  readonly turns: Turns;
}

const pathOf = ({ directory }: Place, sha256: string): string => {
  checkBlobName(sha256);
  return join(directory, sha256.slice(0, 2), sha256.slice(2));
};

class DiskBlobWriter implements BlobWriter {
  readonly #place: Place;
  readonly #file: FileHandle;
  readonly #temporary: string;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #isOpen = true;

  constructor(place: Place, file: FileHandle, temporary: string) {
    this.#place = place;
    this.#file = file;
    this.#temporary = temporary;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#bytes += chunk.byteLength;
    for (let at = 0; at < chunk.byteLength;) at += (await this.#file.write(chunk, at)).bytesWritten;
  }

  async commit(): Promise<BlobInfo> {
    const nowSeconds = this.#place.clock.now() / 1000;
    await this.#file.utimes(nowSeconds, nowSeconds);
    await this.#file.sync();
    await this.#close();
    const sha256 = this.#hash.digest("hex");
    const path = pathOf(this.#place, sha256);
    await this.#place.turns.take(sha256, async () => {
      // Over an equal blob as well: that makes it young again, so that a collector does not take it from under a new record.
      await rename(this.#temporary, path);
      await syncDirectory(dirname(path));
    });
    return { sha256, bytes: this.#bytes };
  }

  async abort(): Promise<void> {
    await this.#close();
    await rm(this.#temporary, { force: true });
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }
}

/** The shards are made once, so that no later commit has to sync the directory above them. */
async function prepare(directory: string): Promise<void> {
  // What a process that was killed had begun to write.
  await rm(join(directory, TEMPORARY), { recursive: true, force: true });
  await makeDurableDirectory(directory);
  await mkdir(join(directory, TEMPORARY), { mode: 0o700 });
  const present = new Set(await readdir(directory));
  const missing = SHARDS.filter((shard) => !present.has(shard));
  await Promise.all(missing.map((shard) => mkdir(join(directory, shard), { mode: 0o700 })));
  // Also when all of them are there: a process that was killed may have made them and not come to this.
  await syncDirectory(directory);
}

async function read(path: string, range: { start: number; end: number } | undefined): Promise<Readable | undefined> {
  const file = await ifPresent(open(path, "r"));
  if (file === undefined || range === undefined) return file?.createReadStream();
  if (range.end > range.start) return file.createReadStream({ start: range.start, end: range.end - 1 });
  await file.close();
  return Readable.from([]);
}

export async function diskBlobs(options: { directory: string; clock: Clock }): Promise<BlobStore> {
  const place = { ...options, turns: new Turns() };
  await prepare(place.directory);
  const writer = async (): Promise<BlobWriter> => {
    const temporary = join(place.directory, TEMPORARY, randomUUID());
    return new DiskBlobWriter(place, await open(temporary, "wx", 0o600), temporary);
  };
  return {
    writer,
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
    read: async (sha256, range) => read(pathOf(place, sha256), range),
    has: async (sha256) => (await ifPresent(access(pathOf(place, sha256)).then(() => true))) ?? false,
    path: (sha256) => pathOf(place, sha256),
    collect: (isReferenced, minimumAgeMs) => collect(place, isReferenced, place.clock.now() - minimumAgeMs),
  };
}

async function collect(place: Place, isReferenced: (sha256: string) => boolean, beforeMs: number): Promise<number> {
  let removed = 0;
  for (const shard of SHARDS)
    for await (const { name } of await opendir(join(place.directory, shard))) {
      if (REST_OF_NAME.test(name) && (await removeIfOld(place, shard + name, isReferenced, beforeMs))) removed += 1;
    }
  return removed;
}

const removeIfOld = (place: Place, sha256: string, isReferenced: (sha256: string) => boolean, beforeMs: number): Promise<boolean> =>
  place.turns.take(sha256, async () => {
    const path = pathOf(place, sha256);
    const found = await ifPresent(stat(path));
    if (found === undefined || found.mtimeMs > beforeMs || isReferenced(sha256)) return false;
    await unlink(path);
    return true;
  });
