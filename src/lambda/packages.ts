// Deployment packages, layers and images: zips and tars in the blob store are the truth, unpacked directories a cache that sandboxes mount.
import { randomUUID } from "node:crypto";
import { access, chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { CommonFault } from "../aws/fault.ts";
import { mergeLayers } from "../images/merge-layers.ts";
import { makeRootPlaces } from "../images/root-places.ts";
import { BadTar } from "../images/tar.ts";
import { unpackLayer } from "../images/unpack-layer.ts";
import type { BlobStore } from "../store/blob-store.ts";
import { limits } from "../limits.ts";
import { invalidParameter } from "./faults.ts";
import { imageLayerTree, imageRoot } from "./images.ts";
import type { CodePackage, FunctionCode } from "./model.ts";
import { unpackZip, unzippedBytes } from "./zip.ts";

const TEMPORARY = ".new-";
/** Belongs to a directory's name: raised when packages are unpacked in another way, so that what is cached is made anew. */
const FORMAT = 1;
const PACKAGE_NAME = new RegExp(`^([0-9a-f]{64})-${FORMAT}$`);
/** Beside a directory lies what was made of it, under its name with a dot and more: it goes when the directory goes. */
const MADE_OF_IT = new RegExp(`^([0-9a-f]{64}-${FORMAT})\\.`);
const BOOT_FILE = ".boot";
/** In the directory of an image's layer. */
const LAYER_FILES = "files";
const LAYER_BYTES = "bytes";

/** Changes whenever the machine starts; empty where there is none, which makes every cache an old one. */
async function bootId(): Promise<string> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/**
 * Thousands of small files are not synced one by one: what a process wrote outlives it, and after a start of the machine the cache is
 * thrown away, because a machine that lost power may have left files without their content.
 */
async function emptyAfterBoot(directory: string): Promise<void> {
  const boot = await bootId();
  const path = join(directory, BOOT_FILE);
  // Missing or unreadable: then it is not a cache that could be trusted.
  const former = await readFile(path, "utf8").catch(() => "");
  if (boot !== "" && former === boot) return;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await writeFile(path, boot);
}

async function unpackedBefore(directory: string): Promise<Set<string>> {
  const found = new Set<string>();
  const names = new Set(await readdir(directory));
  for (const name of names) {
    const sha256 = PACKAGE_NAME.exec(name)?.[1];
    if (sha256 !== undefined) found.add(sha256);
    // An unpacking that a crash interrupted, or the work of another version.
    else if (name !== BOOT_FILE && !names.has(MADE_OF_IT.exec(name)?.[1] ?? ""))
      await rm(join(directory, name), { recursive: true, force: true });
  }
  return found;
}

const nameOfCode = ({ sha256, image }: FunctionCode): string => (image === undefined ? sha256 : imageRoot(image));

export class Packages {
  readonly #blobs: BlobStore;
  readonly #directory: string;
  readonly #ready: Set<string>;
  readonly #filling = new Map<string, Promise<void>>();
  /** When the collector first found that nothing refers to a package: environments may still run on it for a while. */
  readonly #unusedSinceMs = new Map<string, number>();

  private constructor(blobs: BlobStore, directory: string, ready: Set<string>) {
    this.#blobs = blobs;
    this.#directory = directory;
    this.#ready = ready;
  }

  static async open(blobs: BlobStore, directory: string): Promise<Packages> {
    await emptyAfterBoot(directory);
    await chmod(directory, 0o755);
    return new Packages(blobs, directory, await unpackedBefore(directory));
  }

  pathOf(sha256: string): string {
    return join(this.#directory, `${sha256}-${FORMAT}`);
  }

  isReady(sha256: string): boolean {
    return this.#ready.has(sha256);
  }

  /** Stores an uploaded zip and unpacks it; throws AWS's errors for one that can't be used. */
  async add(zip: Uint8Array): Promise<CodePackage> {
    if (zip.byteLength > limits.zippedBytesMax)
      throw new CommonFault("RequestEntityTooLargeException", `Zipped size must be smaller than ${limits.zippedBytesMax} bytes`, 413);
    if (zip.byteLength === 0) throw invalidParameter("Uploaded file must be a non-empty zip");
    const code = await this.#blobs.put(zip);
    await this.ensure(code.sha256);
    return code;
  }

  /** The same for one that comes from S3: it may be larger, as long as its content is not. */
  async addStream(body: Readable): Promise<CodePackage> {
    const writer = await this.#blobs.writer();
    try {
      let bytes = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes >= limits.unzippedBytesMax) throw invalidParameter(`Unzipped size must be smaller than ${limits.unzippedBytesMax} bytes`);
        await writer.write(chunk);
      }
      // What is unpacked is what was read, whatever happens to the object meanwhile.
      const code = await writer.commit();
      await this.ensure(code.sha256);
      return code;
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** What a stored package takes when it is unpacked, in bytes. */
  async unzippedBytes(sha256: string): Promise<number> {
    return await unzippedBytes(this.#blobs.path(sha256));
  }

  /** Resolves when the package's directory is there; concurrent callers share the work. */
  async ensure(sha256: string): Promise<void> {
    await this.#ensure(sha256, (directory) => unpackZip(this.#blobs.path(sha256), directory));
  }

  /** The same for several layers in one directory, the last one on top; `name` is like a package's, and tells their order. */
  async ensureMerged(name: string, layers: readonly string[]): Promise<void> {
    await this.#ensure(name, async (directory) => {
      for (const sha256 of layers) {
        // What somebody has removed is made again.
        await this.recheck(this.pathOf(sha256));
        await this.ensure(sha256);
      }
      await mergeLayers(
        layers.map((sha256) => this.pathOf(sha256)),
        directory,
      );
    });
  }

  /** Resolves when what the function's code is is there: its package, or the root of its image. */
  async ensureCode(code: FunctionCode): Promise<void> {
    if (code.image === undefined) await this.ensure(code.sha256);
    else await this.ensureImage(code);
  }

  hasCode(code: FunctionCode): boolean {
    return this.isReady(nameOfCode(code));
  }

  pathOfCode(code: FunctionCode): string {
    return this.pathOf(nameOfCode(code));
  }

  /** The root of an image; its layers are unpacked once, whatever images have them. Throws BadTar for one that can't be unpacked. */
  async ensureImage({ image }: FunctionCode): Promise<void> {
    if (image === undefined) return;
    await this.#ensure(imageRoot(image), async (directory) => {
      let bytes = 0;
      for (const sha256 of image.layers) {
        bytes += await this.#ensureImageLayer(sha256);
        if (bytes > limits.imageBytesMax) throw new BadTar(`with those below it is larger than ${limits.imageBytesMax} bytes`);
      }
      const trees = image.layers.map((sha256) => join(this.pathOf(imageLayerTree(sha256)), LAYER_FILES));
      await mergeLayers(trees, directory, "honoured");
      await makeRootPlaces(directory);
    });
  }

  /** Resolves with the bytes of its files, which are written down beside them. */
  async #ensureImageLayer(sha256: string): Promise<number> {
    const name = imageLayerTree(sha256);
    await this.recheck(this.pathOf(name));
    await this.#ensure(name, async (directory) => {
      const files = join(directory, LAYER_FILES);
      await mkdir(files);
      const bytes = await unpackLayer(this.#blobs.path(sha256), files, {
        bytesMax: limits.imageBytesMax,
        entriesMax: limits.imageLayerEntriesMax,
      });
      await writeFile(join(directory, LAYER_BYTES), String(bytes));
    });
    return Number(await readFile(join(this.pathOf(name), LAYER_BYTES), "utf8"));
  }

  async #ensure(name: string, fill: (directory: string) => Promise<void>): Promise<void> {
    this.#unusedSinceMs.delete(name);
    if (this.#ready.has(name)) return;
    let filling = this.#filling.get(name);
    if (filling === undefined) {
      filling = this.#make(name, fill).finally(() => this.#filling.delete(name));
      this.#filling.set(name, filling);
    }
    await filling;
  }

  // Written completely before it has its name, and long before anything in it is executed (ETXTBSY).
  async #make(name: string, fill: (directory: string) => Promise<void>): Promise<void> {
    const temporary = join(this.#directory, `${TEMPORARY}${randomUUID()}`);
    await mkdir(temporary);
    try {
      await chmod(temporary, 0o755);
      await fill(temporary);
      await rename(temporary, this.pathOf(name));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
    this.#ready.add(name);
  }

  /** After a sandbox could not be made: a directory that somebody removed is made again at the next use. */
  async recheck(directory: string): Promise<void> {
    try {
      await access(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      for (const sha256 of this.#ready) if (this.pathOf(sha256) === directory) this.#ready.delete(sha256);
    }
  }

  /** Removes directories to which nothing has referred for `ageMs`. */
  async collect(isReferenced: (sha256: string) => boolean, nowMs: number, ageMs: number): Promise<void> {
    for (const sha256 of this.#ready) {
      if (isReferenced(sha256)) {
        this.#unusedSinceMs.delete(sha256);
        continue;
      }
      const sinceMs = this.#unusedSinceMs.get(sha256) ?? nowMs;
      this.#unusedSinceMs.set(sha256, sinceMs);
      if (nowMs - sinceMs < ageMs) continue;
      this.#unusedSinceMs.delete(sha256);
      await this.#remove(sha256);
    }
  }

  /** Renamed first: whoever unpacks the same package meanwhile finds its name free. */
  async #remove(sha256: string): Promise<void> {
    const doomed = join(this.#directory, `${TEMPORARY}${randomUUID()}`);
    this.#ready.delete(sha256);
    for (const name of await readdir(this.#directory))
      if (MADE_OF_IT.exec(name)?.[1] === basename(this.pathOf(sha256))) await rm(join(this.#directory, name), { force: true });
    try {
      await rename(this.pathOf(sha256), doomed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    await rm(doomed, { recursive: true, force: true });
  }
}
