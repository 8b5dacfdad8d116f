// Reads a tar archive as a stream, entry by entry: ustar, pax and GNU's long names. Everything that it says is bounded before it is believed.
import { isUtf8 } from "node:buffer";

const BLOCK_BYTES = 512;
/** Of a pax header or a long name, which are held in memory. */
const META_BYTES_MAX = 1024 * 1024;
const PATH_BYTES_MAX = 4095;
const PART_BYTES_MAX = 255;
const PARTS_MAX = 128;

/** What the archive says can't be, or is not for us. */
export class BadTar extends Error {
  override readonly name = "BadTar";
}

type TarKind = "file" | "directory" | "symlink" | "link" | "special";

export interface TarEntry {
  /** Relative, with `/` between its parts, none of which is `.` or `..`; empty for the root itself. */
  readonly path: string;
  readonly kind: TarKind;
  readonly mode: number;
  readonly bytes: number;
  /** Where a symbolic link points to, as it stands there; of a hard link a path as above. */
  readonly target: string;
  readonly modified: Date;
  /** To be read to its end or not at all, before the next entry is asked for. */
  readonly content: AsyncIterable<Buffer>;
}

/** Exact pieces of a stream, never more than `bytesMax` of it. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #bytesMax: number;
  #held: Buffer = Buffer.alloc(0);
  #bytes = 0;

  constructor(source: AsyncIterable<Uint8Array>, bytesMax: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#bytesMax = bytesMax;
  }

  /** False at the end of the stream. */
  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#bytes += next.value.byteLength;
    if (this.#bytes > this.#bytesMax) throw new BadTar(`it is larger than ${this.#bytesMax} bytes`);
    const { buffer, byteOffset, byteLength } = next.value;
    const piece = Buffer.from(buffer, byteOffset, byteLength);
    this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    return true;
  }

  /** Undefined at the end of the stream. */
  async block(bytes: number): Promise<Buffer | undefined> {
    while (this.#held.length < bytes)
      if (!(await this.#more())) {
        if (this.#held.length === 0) return undefined;
        throw new BadTar("it ends within an entry");
      }
    const block = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return block;
  }

  async *run(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0;) {
      if (this.#held.length === 0 && !(await this.#more())) throw new BadTar("it ends within an entry");
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }
}

const padding = (bytes: number) => (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;

function text(field: Buffer): string {
  const end = field.indexOf(0);
  const bytes = end === -1 ? field : field.subarray(0, end);
  if (!isUtf8(bytes)) throw new BadTar("a name in it is not UTF-8");
  return bytes.toString("utf8");
}

/** Octal digits, or, with the highest bit set, a big-endian number. */
function integer(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, (field[0] ?? 0) & 0x7f);
    if (!Number.isSafeInteger(value)) throw new BadTar("a number in it is too large");
    return value;
  }
  const digits = field.toString("latin1").replaceAll("\0", " ").trim();
  if (!/^[0-7]*$/.test(digits)) throw new BadTar("a number in it is malformed");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function isChecked(header: Buffer): boolean {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return integer(header.subarray(148, 156)) === sum;
}

/** `length key=value\n`, again and again. */
function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, space));
    const equals = bytes.indexOf(0x3d, space);
    const end = at + length;
    if (space === -1 || !Number.isSafeInteger(length) || end > bytes.length || equals === -1 || equals >= end || bytes[end - 1] !== 0x0a)
      throw new BadTar("an extended header in it is malformed");
    records.set(bytes.toString("latin1", space + 1, equals), text(bytes.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

/** Without a `/` or `./` before it, which some archivers write. */
function pathOf(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  const isLong = Buffer.byteLength(name) > PATH_BYTES_MAX || parts.length > PARTS_MAX;
  if (isLong || parts.some((part) => part === ".." || Buffer.byteLength(part) > PART_BYTES_MAX))
    throw new BadTar(`the name ${name.slice(0, 200)} is not a path inside of it`);
  return parts.join("/");
}

const KINDS: ReadonlyMap<string, TarKind> = new Map([
  ["\0", "file"],
  ["0", "file"],
  ["7", "file"],
  ["1", "link"],
  ["2", "symlink"],
  ["3", "special"],
  ["4", "special"],
  ["5", "directory"],
  ["6", "special"],
]);

function nameOf(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const isUstar = header.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? text(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function targetOf(kind: TarKind, name: string): string {
  if (kind === "link") return pathOf(name);
  if (kind !== "symlink") return "";
  if (name === "" || Buffer.byteLength(name) > PATH_BYTES_MAX) throw new BadTar("a link in it points to no name");
  return name;
}

/** What the headers before an entry say of it: pax's over GNU's. */
type Extended = ReadonlyMap<string, string>;

function entryOf(header: Buffer, extended: Extended): Omit<TarEntry, "content"> {
  const type = header.toString("latin1", 156, 157);
  const name = extended.get("path") ?? nameOf(header);
  const kind = KINDS.get(type);
  if (kind === undefined || [...extended.keys()].some((key) => key.startsWith("GNU.sparse")))
    throw new BadTar(`the entry ${name.slice(0, 200)} is of a kind that is not supported`);
  const given = extended.get("size");
  const bytes = given === undefined ? integer(header.subarray(124, 136)) : Number(given);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new BadTar("a size in it is malformed");
  const seconds = Number(extended.get("mtime") ?? integer(header.subarray(136, 148)));
  return {
    path: pathOf(name),
    // Before POSIX had directories, a slash at the end told them.
    kind: kind === "file" && name.endsWith("/") ? "directory" : kind,
    mode: integer(header.subarray(100, 108)) & 0o7777,
    bytes: kind === "file" ? bytes : 0,
    target: targetOf(kind, extended.get("linkpath") ?? text(header.subarray(157, 257))),
    modified: new Date(Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 0xffff_ffff) * 1000 : 0),
  };
}

async function metaOf(pieces: Pieces, header: Buffer): Promise<Buffer> {
  const bytes = integer(header.subarray(124, 136));
  if (bytes > META_BYTES_MAX) throw new BadTar("an extended header in it is too large");
  const content = await pieces.block(bytes + padding(bytes));
  if (content === undefined && bytes > 0) throw new BadTar("it ends within an entry");
  return content?.subarray(0, bytes) ?? Buffer.alloc(0);
}

/** Throws BadTar. `bytesMax`: of the whole archive, headers and padding included. */
export async function* readTar(source: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<TarEntry> {
  const pieces = new Pieces(source, bytesMax);
  const extended = new Map<string, string>();
  for (let header = await pieces.block(BLOCK_BYTES); header !== undefined; header = await pieces.block(BLOCK_BYTES)) {
    if (header.every((byte) => byte === 0)) return;
    if (!isChecked(header)) throw new BadTar("a header in it has a wrong checksum");
    const type = header.toString("latin1", 156, 157);
    if (type === "x") for (const [key, value] of paxRecords(await metaOf(pieces, header))) extended.set(key, value);
    else if (type === "g") await metaOf(pieces, header);
    else if (type === "L" && !extended.has("path")) extended.set("path", text(await metaOf(pieces, header)));
    else if (type === "K" && !extended.has("linkpath")) extended.set("linkpath", text(await metaOf(pieces, header)));
    else {
      const entry = entryOf(header, extended);
      extended.clear();
      const content = pieces.run(entry.bytes);
      yield { ...entry, content };
      // What nobody has read.
      for await (const _ of content);
      await pieces.block(padding(entry.bytes));
    }
  }
}
