// The records of one kind in memory, kept up to date by the change feed: for reads that may not wait.
import { byteOrder } from "./byte-order.ts";
import type { Change, Entry, Key, MetaStore } from "./storage.ts";

/** Undefined: it is not there, or was not. */
type Changed<T> = (key: Key, entry: Entry<T> | undefined, before: Entry<T> | undefined) => void;

interface Partition<T> {
  readonly entries: Map<string, Entry<T>>;
  /** Ids in UTF-8 byte order; made when a list is asked for. */
  sorted: string[] | undefined;
}

/** The first place whose id is not before `id`. */
function placeOf(sorted: readonly string[], id: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byteOrder(sorted[middle] ?? "", id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class View<T> {
  /** By account and region. */
  readonly #partitions = new Map<string, Map<string, Partition<T>>>();
  readonly #changed: Changed<T> | undefined;
  #feed: { stop(): void } | undefined;

  private constructor(changed: Changed<T> | undefined) {
    this.#changed = changed;
  }

  /** `changed` is called for every present record and for every change after it; it must not throw. */
  static async open<T>(meta: MetaStore, kind: string, changed?: Changed<T>): Promise<View<T>> {
    const view = new View<T>(changed);
    view.#feed = await meta.follow([kind], (changes) => view.#apply(changes));
    return view;
  }

  get(account: string, region: string, id: string): Entry<T> | undefined {
    return this.#partitions.get(account)?.get(region)?.entries.get(id);
  }

  /** By id in UTF-8 byte order, after `after`. */
  list(account: string, region: string, range: { prefix?: string; after?: string; limit: number }): Entry<T>[] {
    const partition = this.#partitions.get(account)?.get(region);
    if (partition === undefined) return [];
    const { prefix = "", after, limit } = range;
    const sorted = (partition.sorted ??= [...partition.entries.keys()].toSorted(byteOrder));
    const found: Entry<T>[] = [];
    const first = after === undefined ? 0 : placeOf(sorted, after);
    for (let at = Math.max(first, placeOf(sorted, prefix)); at < sorted.length && found.length < limit; at++) {
      const id = sorted[at] ?? "";
      if (!id.startsWith(prefix)) break;
      const entry = partition.entries.get(id);
      if (entry !== undefined && id !== after) found.push(entry);
    }
    return found;
  }

  *all(): IterableIterator<Entry<T>> {
    for (const regions of this.#partitions.values()) for (const { entries } of regions.values()) yield* entries.values();
  }

  close(): void {
    this.#feed?.stop();
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, revision, value } of changes) {
      const partition = this.#partition(key);
      const entry = value === undefined ? undefined : { key, revision, value: value as T };
      const before = partition.entries.get(key.id);
      this.#replace(partition, key.id, entry);
      this.#changed?.(key, entry, before);
    }
  }

  /** The one that a record is in; it is made when it is the first. */
  #partition({ account, region }: Key): Partition<T> {
    const regions = this.#partitions.get(account) ?? new Map<string, Partition<T>>();
    this.#partitions.set(account, regions);
    const partition = regions.get(region) ?? { entries: new Map<string, Entry<T>>(), sorted: undefined };
    regions.set(region, partition);
    return partition;
  }

  #replace(partition: Partition<T>, id: string, entry: Entry<T> | undefined): void {
    const isKnown = partition.entries.has(id);
    if (entry === undefined) partition.entries.delete(id);
    else partition.entries.set(id, entry);
    if (partition.sorted === undefined || isKnown === (entry !== undefined)) return;
    const place = placeOf(partition.sorted, id);
    if (entry === undefined) partition.sorted.splice(place, 1);
    else partition.sorted.splice(place, 0, id);
  }
}
