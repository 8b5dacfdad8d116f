// A disk as it may look after the power is gone: follows the notes of recorder.c, and knows what was synced and what only seemed to be there.
import { constants } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";

export interface Note {
  /** Start, Open, Close, Write, Truncate, File or directory synced, Unlink, Make directory, Rename, Acknowledge. */
  readonly operation: "S" | "O" | "C" | "W" | "T" | "F" | "U" | "M" | "R" | "A";
  readonly descriptor: number;
  readonly number: number;
  readonly content: Buffer;
}

const HEAD_BYTES = 17;

/** A process that was killed may have left the beginning of a last note. */
export function readNotes(log: Buffer): Note[] {
  const notes: Note[] = [];
  for (let at = 0; at + HEAD_BYTES <= log.length;) {
    const end = at + HEAD_BYTES + log.readUInt32LE(at + 13);
    if (end > log.length) break;
    notes.push({
      operation: String.fromCharCode(log.readUInt8(at)) as Note["operation"],
      descriptor: log.readInt32LE(at + 1),
      number: Number(log.readBigInt64LE(at + 5)),
      content: log.subarray(at + HEAD_BYTES, end),
    });
    at = end;
  }
  return notes;
}

/**
 * What is gone: `unsynced` everything that was not synced; `random` any part of that; `torn` the end of the last write of each file, at a sector;
 * `names` what was done to directories that were not synced since, while the files themselves are whole.
 */
export const LOSSES = ["unsynced", "random", "torn", "names"] as const;
export type Loss = (typeof LOSSES)[number];

/** From 0 to 1. */
type Random = () => number;

const SECTOR_BYTES = 512;

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number };

class Content {
  #bytes: Uint8Array;
  length: number;

  constructor(of?: Content) {
    this.#bytes = of?.bytes().slice() ?? new Uint8Array(4096);
    this.length = of?.length ?? 0;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  apply(change: Change): void {
    const end = "length" in change ? change.length : Math.max(this.length, change.at + change.bytes.length);
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(end * 2);
      larger.set(this.bytes());
      this.#bytes = larger;
    }
    if ("length" in change) this.#bytes.fill(0, Math.min(this.length, end), Math.max(this.length, end));
    else this.#bytes.set(change.bytes, change.at);
    this.length = end;
  }
}

class File {
  readonly #synced = new Content();
  #pending: Change[] = [];
  length = 0;

  change(change: Change): void {
    this.#pending.push(change);
    this.length = "length" in change ? change.length : Math.max(this.length, change.at + change.bytes.length);
  }

  sync(): void {
    for (const change of this.#pending) this.#synced.apply(change);
    this.#pending = [];
  }

  after(loss: Loss, random: Random): Uint8Array {
    if (this.#pending.length === 0 || loss === "unsynced") return this.#synced.bytes();
    const content = new Content(this.#synced);
    const share = random();
    const last = this.#pending.length - 1;
    for (const [index, change] of this.#pending.entries()) {
      if (loss === "random" && random() > share) continue;
      content.apply(loss === "torn" && index === last ? torn(change, random) : change);
    }
    return content.bytes();
  }
}

function torn(change: Change, random: Random): Change {
  if ("length" in change) return change;
  const { at, bytes } = change;
  const sectors = Math.ceil((at + bytes.length) / SECTOR_BYTES) - Math.floor(at / SECTOR_BYTES);
  const end = (Math.floor(at / SECTOR_BYTES) + Math.floor(random() * sectors)) * SECTOR_BYTES;
  return { at, bytes: bytes.subarray(0, Math.max(0, end - at)) };
}

class Directory {
  readonly entries = new Map<string, File | Directory>();
  #synced = new Map<string, File | Directory>();
  #pending: { readonly name: string; readonly entry: File | Directory | undefined }[] = [];

  set(name: string, entry: File | Directory | undefined): void {
    setIn(this.entries, name, entry);
    this.#pending.push({ name, entry });
  }

  sync(): void {
    this.#synced = new Map(this.entries);
    this.#pending = [];
  }

  after(loss: Loss, random: Random): ReadonlyMap<string, File | Directory> {
    if (loss === "torn") return this.entries;
    const found = new Map(this.#synced);
    if (loss === "random") for (const { name, entry } of this.#pending) if (random() < 0.5) setIn(found, name, entry);
    return found;
  }
}

function setIn(entries: Map<string, File | Directory>, name: string, entry: File | Directory | undefined): void {
  if (entry === undefined) entries.delete(name);
  else entries.set(name, entry);
}

interface Opened {
  readonly node: File | Directory;
  readonly path: string;
  readonly appends: boolean;
}

/** What another process would find in the memory that files are mapped to is gone with the power. */
const isInMemory = (name: string) => name.endsWith("-shm");

export class Disk {
  readonly #root: string;
  readonly #top = new Directory();
  readonly #opened = new Map<number, Opened>();
  readonly #forgets: (path: string) => boolean;

  /** `forgets`: files and directories whose syncs do nothing, by their paths below the root; as if the program did not sync them. */
  constructor(root: string, forgets: (path: string) => boolean = () => false) {
    this.#root = root;
    this.#forgets = forgets;
  }

  follow({ operation, descriptor, number, content }: Note): void {
    switch (operation) {
      case "S":
        return this.#opened.clear();
      case "O":
        return this.#open(descriptor, number, content.toString());
      case "C":
        return void this.#opened.delete(descriptor);
      case "W":
        return this.#write(this.#opened.get(descriptor), number, content);
      case "T":
        return this.#write(this.#opened.get(descriptor), number);
      case "F":
        return this.#sync(this.#opened.get(descriptor));
      case "M":
        return this.#parentOf(content.toString()).set(basename(content.toString()), new Directory());
      case "U":
        return this.#parentOf(content.toString()).set(basename(content.toString()), undefined);
      case "R":
        return this.#rename(content.toString());
      case "A":
        return;
    }
  }

  /** Writes what is left into a directory. */
  async leave(target: string, loss: Loss, random: Random): Promise<void> {
    await leaveDirectory(this.#top, target, loss, random);
  }

  #open(descriptor: number, flags: number, path: string): void {
    const parent = path === this.#root ? undefined : this.#parentOf(path);
    let node = parent === undefined ? this.#top : parent.entries.get(basename(path));
    if (node === undefined) parent?.set(basename(path), (node = new File()));
    if (node instanceof File && (flags & constants.O_TRUNC) !== 0 && node.length > 0) node.change({ length: 0 });
    if (node !== undefined)
      this.#opened.set(descriptor, { node, path: relative(this.#root, path), appends: (flags & constants.O_APPEND) !== 0 });
  }

  /** Without bytes: the file is cut, or made longer. */
  #write(opened: Opened | undefined, number: number, bytes?: Uint8Array): void {
    if (!(opened?.node instanceof File)) throw new Error("a write to a file that was never opened");
    const { node, appends } = opened;
    node.change(bytes === undefined ? { length: number } : { at: appends ? node.length : number, bytes });
  }

  #sync(opened: Opened | undefined): void {
    if (opened !== undefined && !this.#forgets(opened.path)) opened.node.sync();
  }

  #rename(both: string): void {
    const [from = "", to = ""] = both.split("\n");
    const source = this.#parentOf(from);
    const node = source.entries.get(basename(from));
    this.#parentOf(to).set(basename(to), node);
    source.set(basename(from), undefined);
  }

  #parentOf(path: string): Directory {
    let node: File | Directory | undefined = this.#top;
    for (const name of relative(this.#root, dirname(path)).split("/"))
      if (name !== "") node = node instanceof Directory ? node.entries.get(name) : undefined;
    if (!(node instanceof Directory)) throw new Error(`no directory for ${path}`);
    return node;
  }
}

async function leaveDirectory(directory: Directory, target: string, loss: Loss, random: Random): Promise<void> {
  await mkdir(target, { mode: 0o700 });
  for (const [name, entry] of directory.after(loss, random)) {
    if (isInMemory(name)) continue;
    if (entry instanceof Directory) await leaveDirectory(entry, join(target, name), loss, random);
    else await writeFile(join(target, name), entry.after(loss, random), { mode: 0o600 });
  }
}
