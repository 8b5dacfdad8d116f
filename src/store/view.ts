// The records of one kind in memory, kept up to date by the change feed: for reads that may not wait.
import type { Change, Entry, Key, MetaStore } from "./storage.ts";

interface Partition<T> {
  readonly entries: Map<string, Entry<T>>;
  /** Ids in UTF-8 byte order; made when it is asked for, forgotten when an id comes or goes. */
  sorted: string[] | undefined;
}

const bytesOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class View<T> {
  readonly #partitions = new Map<string, Partition<T>>();
  readonly #changed: ((key: Key, entry: Entry<T> | undefined) => void) | undefined;
  #feed: { stop(): void } | undefined;

  private constructor(changed: ((key: Key, entry: Entry<T> | undefined) => void) | undefined) {
    this.#changed = changed;
  }

  /** `changed` is called for every present record and for every change after it; it must not throw. */
  static async open<T>(meta: MetaStore, kind: string, changed?: (key: Key, entry: Entry<T> | undefined) => void): Promise<View<T>> {
    const view = new View<T>(changed);
    view.#feed = await meta.follow([kind], (changes) => view.#apply(changes));
    return view;
  }

  get(account: string, region: string, id: string): Entry<T> | undefined {
    return this.#partitions.get(`${account}/${region}`)?.entries.get(id);
  }

  /** By id in UTF-8 byte order, after `after`. */
  list(account: string, region: string, range: { prefix?: string; after?: string; limit: number }): Entry<T>[] {
    const partition = this.#partitions.get(`${account}/${region}`);
    if (partition === undefined) return [];
    const { prefix = "", after, limit } = range;
    partition.sorted ??= [...partition.entries.keys()].toSorted(bytesOrder);
    const found: Entry<T>[] = [];
    for (const id of partition.sorted) {
      if (found.length >= limit) break;
      const entry = partition.entries.get(id);
      if (entry !== undefined && id.startsWith(prefix) && (after === undefined || bytesOrder(id, after) > 0)) found.push(entry);
    }
    return found;
  }

  *all(): IterableIterator<Entry<T>> {
    for (const partition of this.#partitions.values()) yield* partition.entries.values();
  }

  close(): void {
    this.#feed?.stop();
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, revision, value } of changes) {
      const name = `${key.account}/${key.region}`;
      const partition = this.#partitions.get(name) ?? { entries: new Map<string, Entry<T>>(), sorted: undefined };
      this.#partitions.set(name, partition);
      const isKnown = partition.entries.has(key.id);
      const entry = value === undefined ? undefined : { key, revision, value: value as T };
      if (entry === undefined) partition.entries.delete(key.id);
      else partition.entries.set(key.id, entry);
      if (isKnown !== (entry !== undefined)) partition.sorted = undefined;
      this.#changed?.(key, entry);
    }
  }
}
