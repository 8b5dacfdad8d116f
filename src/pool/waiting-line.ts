// Who waits for room: those for whose answer somebody waits come first; events, which can wait, have a turn now and then so that none starves.
import { FairQueue } from "./fair-queue.ts";

/** Turns of callers, one after the other, after which an event that waits has one. */
const CALLERS_IN_A_ROW = 7;

export class WaitingLine<T extends { readonly isEvent: boolean }> {
  readonly #callers: FairQueue<T>;
  readonly #events: FairQueue<T>;
  #inARow = 0;

  /** So many callers, and so many events. */
  constructor(lengthMax: number) {
    this.#callers = new FairQueue(lengthMax);
    this.#events = new FairQueue(lengthMax);
  }

  get length(): number {
    return this.#callers.length + this.#events.length;
  }

  /** Whose turn it is. */
  get nextKey(): string | undefined {
    return this.#next.nextKey;
  }

  /** False: the line is full. */
  push(key: string, item: T): boolean {
    return this.#of(item).push(key, item);
  }

  shift(): T | undefined {
    const next = this.#next;
    this.#inARow = next === this.#callers ? this.#inARow + 1 : 0;
    return next.shift();
  }

  remove(key: string, item: T): void {
    this.#of(item).remove(key, item);
  }

  items(): T[] {
    return [...this.#callers.items(), ...this.#events.items()];
  }

  get #next(): FairQueue<T> {
    const isEventsTurn = this.#callers.length === 0 || (this.#inARow >= CALLERS_IN_A_ROW && this.#events.length > 0);
    return isEventsTurn ? this.#events : this.#callers;
  }

  #of({ isEvent }: T): FairQueue<T> {
    return isEvent ? this.#events : this.#callers;
  }
}
