// Calls of a client to a server that may be killed at any moment, each with its lines in the ledger.
import { setTimeout as pause } from "node:timers/promises";
import type { Ledger } from "./ledger.ts";

/** Between two tries of a client that found no server. */
const AGAIN_MS = 20;

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** No answer, or one of a server that stops: what was asked may have happened or not. */
function isUnknown({ $metadata }: Failure): boolean {
  const status = $metadata?.httpStatusCode;
  return status === undefined || status >= 500 || status === 429;
}

export class Attempts {
  readonly #ledger: Ledger;
  #isOver = false;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nothing more is begun. */
  end(): void {
    this.#isOver = true;
  }

  /** The answer, `undefined` when it is not known whether the server did it. A name in `expected` is an answer as well. */
  async once<T>(what: string, id: string, call: () => Promise<T>, detail?: string | number): Promise<T | undefined> {
    this.#ledger.write(what, "intent", id, detail);
    const answer = await this.#ask(what, id, call, []);
    if (answer === undefined) return undefined;
    this.#ledger.write(what, "ack", id, detail);
    return answer.value;
  }

  /** Asks until there is an answer, or it is over: `expected` are errors which say that an earlier try did it. */
  async untilKnown(what: string, id: string, call: () => Promise<unknown>, expected: readonly string[] = []): Promise<boolean> {
    this.#ledger.write(what, "intent", id);
    while (!this.#isOver) {
      if ((await this.#ask(what, id, call, expected)) === undefined) continue;
      this.#ledger.write(what, "ack", id);
      return true;
    }
    return false;
  }

  /** For what only looks: without a line. */
  async look<T>(what: string, call: () => Promise<T>): Promise<T | undefined> {
    return (await this.#ask(what, "", call, []))?.value;
  }

  note(what: string, id: string): void {
    this.#ledger.write(what, "ack", id);
  }

  async #ask<T>(what: string, id: string, call: () => Promise<T>, expected: readonly string[]): Promise<{ value?: T } | undefined> {
    try {
      return { value: await call() };
    } catch (cause) {
      const failure = cause as Failure;
      if (expected.includes(failure.name)) return {};
      if (!isUnknown(failure)) this.#ledger.write(what, "refused", id, `${failure.name}: ${failure.message}`);
      await pause(AGAIN_MS);
      return undefined;
    }
  }
}
