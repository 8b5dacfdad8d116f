// The file of an archive: reads that stay inside of it, and yauzl kept at a distance.
//
// yauzl may throw where nobody can catch it, in the callback of a read, when an archive lies about its offsets: that would end the whole
// server. So it reads through here, where reads out of range are refused and whatever its callbacks throw is a failure of the archive.
import { open, type FileHandle } from "node:fs/promises";
import { RandomAccessReader } from "yauzl";

/** The archive is broken or hostile: what the caller sees is AWS's one sentence, this one is for the log. */
export class BadZip extends Error {}

/** The central directory is read in pieces of this size, not field by field. */
const WINDOW_BYTES = 128 * 1024;

export class ArchiveFile {
  readonly path: string;
  readonly bytes: number;
  readonly #handle: FileHandle;

  private constructor(path: string, bytes: number, handle: FileHandle) {
    this.path = path;
    this.bytes = bytes;
    this.#handle = handle;
  }

  static async open(path: string): Promise<ArchiveFile> {
    const handle = await open(path, "r");
    return new ArchiveFile(path, (await handle.stat()).size, handle);
  }

  /** Throws BadZip for a range that is not inside of the file. */
  async read(position: number, bytes: number): Promise<Buffer> {
    if (!Number.isSafeInteger(position) || position < 0 || bytes < 0 || position + bytes > this.bytes)
      throw new BadZip("the archive points beyond its end");
    const { buffer, bytesRead } = await this.#handle.read(Buffer.allocUnsafe(bytes), 0, bytes, position);
    if (bytesRead !== bytes) throw new BadZip("the archive ends too early");
    return buffer;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** What yauzl sees of the file. */
export class DirectoryReader extends RandomAccessReader {
  readonly #file: ArchiveFile;
  readonly #failure = Promise.withResolvers<never>();
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(file: ArchiveFile) {
    super();
    this.#file = file;
    // Whoever is interested races against it; nobody else has to.
    this.#failure.promise.catch(() => {});
  }

  /** Rejects when yauzl fails where it can't say so. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  override read(into: Buffer, offset: number, bytes: number, position: number, done: (error: Error | null) => void): void {
    void this.#read(into, offset, bytes, position, done);
  }

  override close(done: (error: Error | null) => void): void {
    done(null);
  }

  async #read(into: Buffer, offset: number, bytes: number, position: number, done: (error: Error | null) => void): Promise<void> {
    let failure: Error | null = null;
    try {
      (await this.#bytesAt(position, bytes)).copy(into, offset);
    } catch (error) {
      failure = error as Error;
    }
    try {
      done(failure);
    } catch (error) {
      this.#failure.reject(error);
    }
  }

  async #bytesAt(position: number, bytes: number): Promise<Buffer> {
    const start = position - this.#windowAt;
    if (start >= 0 && start + bytes <= this.#window.length) return this.#window.subarray(start, start + bytes);
    const ahead = Math.max(bytes, Math.min(WINDOW_BYTES, this.#file.bytes - position));
    this.#window = await this.#file.read(position, ahead);
    this.#windowAt = position;
    return this.#window.subarray(0, bytes);
  }
}
