// A bounded queue in which everybody gets a turn: first come, first served within a key, the keys in rotation.

export class FairQueue<T> {
  readonly #lengthMax: number;
  /** Keys in the order of their turns; none is empty. */
  readonly #lines = new Map<string, Set<T>>();
  #length = 0;

  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  get length(): number {
    return this.#length;
  }

  /** Whose turn it is. */
  get nextKey(): string | undefined {
    return this.#lines.keys().next().value;
  }

  /** False: the queue is full. */
  push(key: string, item: T): boolean {
    if (this.#length >= this.#lengthMax) return false;
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, new Set([item]));
    else line.add(item);
    this.#length++;
    return true;
  }

  shift(): T | undefined {
    for (const [key, line] of this.#lines)
      for (const item of line) {
        this.remove(key, item);
        // The next turn is somebody else's.
        if (this.#lines.delete(key)) this.#lines.set(key, line);
        return item;
      }
    return undefined;
  }

  remove(key: string, item: T): void {
    const line = this.#lines.get(key);
    if (line === undefined || !line.delete(item)) return;
    this.#length--;
    if (line.size === 0) this.#lines.delete(key);
  }

  items(): T[] {
    return [...this.#lines.values()].flatMap((line) => [...line]);
  }
}
