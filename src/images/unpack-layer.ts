// Unpacks one layer of a container image: whiteouts stay files of their names, and nothing is ever written outside of the target.
//
// An archive is a stream whose later entries replace earlier ones. What was made is known from a table, never looked up on the disk; files are
// created new (O_EXCL, O_NOFOLLOW) in directories that we made; symbolic links come last, so until then there is nothing that could be followed.
import { constants, createReadStream } from "node:fs";
import { chmod, link, lutimes, mkdir, open, rm, symlink } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { BadTar, readTar, type TarEntry } from "./tar.ts";

const CREATE_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const WHITEOUT = ".wh.";
/** In a directory: of the layers below, nothing in it is seen. */
export const OPAQUE = ".wh..wh..opq";

interface LayerLimits {
  /** Of the unpacked archive. */
  readonly bytesMax: number;
  readonly entriesMax: number;
}

interface Directory {
  readonly kind: "directory";
  /** Set last: it may forbid what is still to be written. */
  mode: number;
  readonly names: Map<string, Made>;
}

type Made = Directory | { readonly kind: "file" } | { readonly kind: "symlink"; readonly target: string; readonly modified: Date };

/** The name that a whiteout of the layer hides in those below it. */
export const hiddenBy = (name: string): string | undefined => (name.startsWith(WHITEOUT) ? name.slice(WHITEOUT.length) : undefined);

/** Every user of the sandbox is somebody else than the owner: what others may is what counts, and set-uid bits mean nothing inside. */
const fileMode = (mode: number) => (mode & 0o755) | 0o600;
const directoryMode = (mode: number) => (mode & 0o755) | 0o700;

class Layer {
  readonly #directory: string;
  readonly #root: Directory = { kind: "directory", mode: 0o755, names: new Map() };
  readonly #limits: LayerLimits;
  #entries = 0;
  bytes = 0;

  constructor(directory: string, limits: LayerLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  async add(entry: TarEntry): Promise<void> {
    const { path, kind, mode } = entry;
    this.#count();
    if (path === "" && kind !== "directory") throw new BadTar("its root is not a directory");
    if (kind === "directory") {
      (await this.#directoryAt(path, "made")).mode = directoryMode(mode);
      return;
    }
    const name = basename(path);
    const hidden = hiddenBy(name);
    // Of aufs, which left its own bookkeeping there.
    if (hidden?.startsWith(WHITEOUT) === true && name !== OPAQUE) return;
    if (hidden === "" || hidden === "." || hidden === "..") throw new BadTar(`${path} hides no name`);
    const { names } = await this.#directoryAt(parentOf(path), "implied");
    await this.#remove(names, name, path);
    // Devices, pipes and sockets: /dev is the sandbox's own, elsewhere nobody needs them.
    if (kind === "special") return;
    const made = kind === "symlink" ? symlinkOf(entry) : kind === "link" ? await this.#link(entry) : await this.#write(entry);
    names.set(name, made);
  }

  #count(): void {
    if (++this.#entries > this.#limits.entriesMax) throw new BadTar(`it has more than ${this.#limits.entriesMax} entries`);
  }

  /** An entry for a directory replaces what else is there; above other entries there may be nothing but directories. */
  async #directoryAt(path: string, how: "made" | "implied"): Promise<Directory> {
    if (path === "") return this.#root;
    const { names } = await this.#directoryAt(parentOf(path), "implied");
    const name = basename(path);
    const found = names.get(name);
    if (found?.kind === "directory") return found;
    if (found !== undefined && how === "implied") throw new BadTar(`something stands below ${path}, which is a ${found.kind}`);
    await this.#remove(names, name, path);
    this.#count();
    await mkdir(join(this.#directory, path), { mode: 0o700 });
    const made: Directory = { kind: "directory", mode: 0o755, names: new Map() };
    names.set(name, made);
    return made;
  }

  async #remove(names: Map<string, Made>, name: string, path: string): Promise<void> {
    const found = names.get(name);
    names.delete(name);
    if (found !== undefined && found.kind !== "symlink") await rm(join(this.#directory, path), { recursive: true });
  }

  /** Only to what this layer holds: that is how layers are made, and what is below is not known here. */
  async #link({ path, target }: TarEntry): Promise<Made> {
    const found = this.#find(target);
    if (found === undefined || found.kind === "directory")
      throw new BadTar(`${path} is a link to ${target}, which is no file of the layer`);
    if (found.kind === "file") await link(join(this.#directory, target), join(this.#directory, path));
    return found;
  }

  #find(path: string): Made | undefined {
    let at: Made | undefined = this.#root;
    for (const part of path.split("/")) at = at?.kind === "directory" ? at.names.get(part) : undefined;
    return at;
  }

  async #write({ path, mode, modified, content }: TarEntry): Promise<Made> {
    const file = await open(join(this.#directory, path), CREATE_NEW, 0o600);
    try {
      for await (const piece of content) {
        this.bytes += piece.length;
        await file.writeFile(piece);
      }
      await file.chmod(fileMode(mode));
      await file.utimes(modified, modified);
    } finally {
      await file.close();
    }
    return { kind: "file" };
  }

  async finish(): Promise<void> {
    await this.#finish(this.#root, this.#directory);
  }

  /** Neither the directory nor anything above it is a link. */
  async #finish({ names, mode }: Directory, path: string): Promise<void> {
    for (const [name, made] of names) {
      const place = join(path, name);
      if (made.kind === "directory") await this.#finish(made, place);
      else if (made.kind === "symlink") {
        await symlink(made.target, place);
        await lutimes(place, made.modified, made.modified);
      }
    }
    await chmod(path, mode);
  }
}

const parentOf = (path: string): string => (path.includes("/") ? posix.dirname(path) : "");

const symlinkOf = ({ target, modified }: TarEntry): Made => ({ kind: "symlink", target, modified });

async function magicOf(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(4);
    const { bytesRead } = await file.read(head, 0, 4, 0);
    return head.toString("hex", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The tar of a file that is gzip, zstd or a tar itself. */
async function* tarOf(path: string): AsyncGenerator<Buffer> {
  const magic = await magicOf(path);
  const source = createReadStream(path, { highWaterMark: 256 * 1024 });
  const inflate = magic.startsWith("1f8b") ? createGunzip() : magic === "28b52ffd" ? createZstdDecompress() : undefined;
  const stream = inflate === undefined ? source : source.on("error", (cause) => inflate.destroy(cause)).pipe(inflate);
  try {
    for await (const piece of stream) yield piece as Buffer;
  } catch (cause) {
    // What a system call refuses is the disk's fault; what zlib refuses is the archive's.
    if ((cause as NodeJS.ErrnoException).syscall !== undefined) throw cause;
    throw new BadTar("it can't be decompressed", { cause });
  } finally {
    source.destroy();
  }
}

/** Into `directory`, which must be new and empty; resolves with the bytes of its files. Throws BadTar. */
export async function unpackLayer(path: string, directory: string, limits: LayerLimits): Promise<number> {
  const layer = new Layer(directory, limits);
  for await (const entry of readTar(tarOf(path), limits.bytesMax)) await layer.add(entry);
  await layer.finish();
  return layer.bytes;
}
