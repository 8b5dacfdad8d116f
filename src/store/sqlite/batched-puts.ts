// Puts of one kind: what comes while a transaction runs goes together into the next.

interface Waiting<P, R> extends PromiseWithResolvers<R> {
  readonly given: P;
}

export class BatchedPuts<P, R> {
  readonly #run: (puts: readonly P[]) => Promise<readonly R[]>;
  #waiting: Waiting<P, R>[] = [];
  #writing: Promise<void> | undefined;

  /** `run` is one transaction; it resolves with an outcome for each put, in their order. */
  constructor(run: (puts: readonly P[]) => Promise<readonly R[]>) {
    this.#run = run;
  }

  /** Resolves, and rejects, with its transaction. */
  put(given: P): Promise<R> {
    const waiting: Waiting<P, R> = { given, ...Promise.withResolvers<R>() };
    this.#waiting.push(waiting);
    this.#writing ??= this.#write();
    return waiting.promise;
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      try {
        const outcomes = await this.#run(waiting.map(({ given }) => given));
        for (const [index, outcome] of outcomes.entries()) waiting[index]?.resolve(outcome);
      } catch (cause) {
        for (const { reject } of waiting) reject(cause);
      }
    }
    this.#writing = undefined;
  }
}
