// Work that must not overlap: for each key one at a time, in the order in which it came.

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Rejects as the work does; the next one's turn comes all the same. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
