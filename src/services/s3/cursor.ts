// Walks over records in the order of their ids, and jumps over all that begin alike without reading them.
import type { Entry, ListRange, MetaStore } from "../../store/storage.ts";

/** No key that begins with a prefix sorts behind the prefix and these: a key has at most 1,024 bytes, and no code point is higher. */
const BEHIND_ALL = "\u{10FFFF}".repeat(256);
const PAGE_MIN = 16;
const PAGE_MAX = 1000;

export class Cursor<T> {
  readonly #meta: MetaStore;
  readonly #range: Omit<ListRange, "after" | "limit">;
  #page: readonly Entry<T>[] = [];
  #index = 0;
  #after: string;
  #isAtEnd = false;
  /** Grows while records are read one after the other, shrinks after a jump, whose page is mostly thrown away. */
  #limit: number;

  /** `after` is exclusive. */
  constructor(meta: MetaStore, range: Omit<ListRange, "after" | "limit">, after: string, expected = PAGE_MIN) {
    this.#meta = meta;
    this.#range = range;
    this.#after = after;
    this.#limit = Math.min(Math.max(expected, PAGE_MIN), PAGE_MAX);
  }

  /** The record under the cursor; `undefined` behind the last one. */
  async peek(): Promise<Entry<T> | undefined> {
    const found = this.#page[this.#index];
    if (found !== undefined || this.#isAtEnd) return found;
    this.#page = await this.#meta.list<T>({ ...this.#range, after: this.#after, limit: this.#limit });
    this.#index = 0;
    this.#isAtEnd = this.#page.length < this.#limit;
    this.#after = this.#page.at(-1)?.key.id ?? this.#after;
    this.#limit = Math.min(this.#limit * 2, PAGE_MAX);
    return this.#page[0];
  }

  advance(): void {
    this.#index += 1;
  }

  /** Moves behind every record whose id begins with `prefix`; the cursor must stand on one. */
  skip(prefix: string): void {
    for (const { key } of this.#page.slice(this.#index)) {
      if (!key.id.startsWith(prefix)) return;
      this.#index += 1;
    }
    if (this.#isAtEnd) return;
    this.#after = prefix + BEHIND_ALL;
    this.#limit = PAGE_MIN;
  }
}

/** Where a walk begins that continues behind `key`, or behind everything that begins with it. */
export const behind = (id: string, isPrefix: boolean): string => (isPrefix ? id + BEHIND_ALL : id);
