// Every write of S3's records passes here, so that a collector of blobs never takes one that a write has just come to refer to.
import type { BlobReferences } from "../../store/blob-collection.ts";
import type { Entry, Key, MetaStore, NewMessage, Write } from "../../store/storage.ts";
import { OBJECT, PART, rangeOf, UPLOAD, VERSION, type Content } from "./model.ts";

const PAGE = 1000;

/** What may be in the value of a record that refers to content. */
interface Referring {
  readonly sha256?: string;
  readonly content?: Content;
  readonly uploadId?: string;
}

// Half of a digest is enough: two that share it only keep a blob too long. As a number it takes an eighth of the memory.
const markOf = (sha256: string) => Number.parseInt(sha256.slice(0, 13), 16);

class Marks {
  readonly blobs = new Set<number>();
  readonly uploads = new Set<string>();

  add({ sha256, content, uploadId }: Referring): void {
    if (sha256 !== undefined) this.blobs.add(markOf(sha256));
    if (uploadId !== undefined) this.uploads.add(uploadId);
    if (content !== undefined) this.add(content);
  }
}

const uploadOf = (part: Key) => part.id.slice(0, part.id.indexOf("\0"));

export class Records {
  readonly #meta: MetaStore;
  /** Of the collection that is running: what is referred to, and what has come to be since it began. */
  #open: Marks | undefined;
  readonly #held = new Map<string, number>();

  constructor(meta: MetaStore) {
    this.#meta = meta;
  }

  /** `enqueue`: in the same transaction. */
  write(writes: readonly Write[], enqueue: readonly NewMessage[] = []): Promise<readonly number[]> {
    for (const { value } of writes) if (typeof value === "object" && value !== null) this.#open?.add(value);
    return this.#meta.write(writes, enqueue);
  }

  /** Keeps blobs that are being read, whatever becomes of the records that refer to them. Returns how to let go. */
  hold(sha256s: readonly string[]): () => void {
    for (const sha256 of sha256s) this.#held.set(sha256, (this.#held.get(sha256) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      for (const sha256 of sha256s) {
        const left = (this.#held.get(sha256) ?? 1) - 1;
        if (left === 0) this.#held.delete(sha256);
        else this.#held.set(sha256, left);
      }
    };
  }

  /** Reads every record; also removes the parts of uploads that are gone, which a crash may have left. One at a time. */
  async references(): Promise<BlobReferences> {
    const marks = new Marks();
    this.#open = marks;
    const release = () => {
      if (this.#open === marks) this.#open = undefined;
    };
    try {
      // In this order: what moves on the way moves through `write`, which marks it too.
      for (const kind of [OBJECT, VERSION, UPLOAD]) for await (const { value } of this.#all(kind)) marks.add(value as Referring);
      const orphans: Entry[] = [];
      for await (const entry of this.#all(PART)) {
        if (marks.uploads.has(uploadOf(entry.key))) marks.add(entry.value as Referring);
        else orphans.push(entry);
        if (orphans.length >= PAGE) await this.#remove(orphans.splice(0), marks);
      }
      await this.#remove(orphans, marks);
    } catch (error) {
      release();
      throw error;
    }
    return { has: (sha256) => marks.blobs.has(markOf(sha256)) || this.#held.has(sha256), release };
  }

  /** Removes the parts of an upload that is over. */
  async removeParts(uploadId: string, keep: ReadonlySet<string> = new Set()): Promise<void> {
    for (let after = "", more = true; more;) {
      const page = await this.#meta.list({ ...rangeOf(PART), prefix: `${uploadId}\0`, after, limit: PAGE });
      more = page.length === PAGE;
      after = page.at(-1)?.key.id ?? after;
      const gone = page.filter(({ key }) => !keep.has(key.id));
      if (gone.length > 0) await this.#meta.write(gone.map(({ key }) => ({ key })));
    }
  }

  async #remove(orphans: readonly Entry[], marks: Marks): Promise<void> {
    const gone = orphans.filter(({ key }) => !marks.uploads.has(uploadOf(key)));
    for (const entry of orphans) if (!gone.includes(entry)) marks.add(entry.value as Referring);
    if (gone.length > 0) await this.#meta.write(gone.map(({ key }) => ({ key })));
  }

  async *#all(kind: string): AsyncGenerator<Entry> {
    for (let after = "", more = true; more;) {
      const page = await this.#meta.list({ ...rangeOf(kind), after, limit: PAGE });
      more = page.length === PAGE;
      after = page.at(-1)?.key.id ?? after;
      yield* page;
    }
  }
}
