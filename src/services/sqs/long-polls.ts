// Receivers that wait for messages: woken by what happens in their mailbox, served in the order in which they came, each with a deadline.
import type { Clock, Timer } from "../../base/clock.ts";
import type { Mailboxes, Received } from "../../store/mailboxes.ts";

/** Waiting receivers; more are answered at once, as if they had not asked to wait. */
const WAITING_MAX = 5000;

const NOTHING: Received = { mail: [], isFull: false, isCut: false, deadLetters: 0 };

interface Waiting {
  readonly ask: () => Promise<Received>;
  readonly resolve: (received: Received) => void;
  readonly reject: (cause: unknown) => void;
  /** Its time is over, or its client gone. */
  hasEnded: boolean;
}

/** Who waits for one mailbox. One asks at a time: what is not there for the first is not there for the others. */
class Line {
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  readonly #hint: { stop(): void };
  #timer: Timer | undefined;
  #isAsking = false;
  #isWoken = false;

  constructor(clock: Clock, listen: (wake: () => void) => { stop(): void }) {
    this.#clock = clock;
    this.#hint = listen(() => this.wake());
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(one: Waiting): void {
    this.#waiting.push(one);
    this.wake();
  }

  end(one: Waiting): void {
    one.hasEnded = true;
    // The first may be about to be given something, which must not be lost.
    if (this.#isAsking && this.#waiting[0] === one) return;
    this.#remove(one);
    one.resolve(NOTHING);
  }

  wake(): void {
    this.#isWoken = true;
    if (!this.#isAsking) void this.#serve();
  }

  stop(): void {
    this.#hint.stop();
    this.#timer?.cancel();
    for (const one of this.#waiting.slice()) this.end(one);
  }

  #remove(one: Waiting): void {
    const at = this.#waiting.indexOf(one);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  async #serve(): Promise<void> {
    this.#isAsking = true;
    while (this.#isWoken) {
      this.#isWoken = false;
      this.#timer?.cancel();
      const [first] = this.#waiting;
      if (first === undefined) break;
      const { nextAtMs } = await this.#ask(first);
      if (!this.#isWoken && nextAtMs !== undefined)
        this.#timer = this.#clock.after(Math.max(0, nextAtMs - this.#clock.now()), () => this.wake());
    }
    this.#isAsking = false;
  }

  async #ask(first: Waiting): Promise<{ nextAtMs?: number }> {
    try {
      const received = await first.ask();
      const isServed = received.mail.length > 0;
      if (isServed || first.hasEnded) {
        this.#remove(first);
        first.resolve(received);
      }
      this.#isWoken ||= isServed || first.hasEnded || received.isCut;
      return received;
    } catch (cause) {
      this.#remove(first);
      first.reject(cause);
      this.#isWoken = true;
      return {};
    }
  }
}

export class LongPolls {
  readonly #clock: Clock;
  readonly #mailboxes: Mailboxes;
  readonly #lines = new Map<string, Line>();
  #waiting = 0;
  #isStopped = false;

  constructor({ clock, mailboxes }: { readonly clock: Clock; readonly mailboxes: Mailboxes }) {
    this.#clock = clock;
    this.#mailboxes = mailboxes;
  }

  /** Resolves with the first messages that `ask` gets, or with nothing after `waitMs` or when the signal is aborted; rejects as `ask` does. */
  async receive(mailbox: string, waitMs: number, signal: AbortSignal, ask: () => Promise<Received>): Promise<Received> {
    if (this.#isStopped || this.#waiting >= WAITING_MAX) return await ask();
    const line = this.#lineOf(mailbox);
    const answer = Promise.withResolvers<Received>();
    const one: Waiting = { ask, resolve: answer.resolve, reject: answer.reject, hasEnded: false };
    const end = () => line.end(one);
    const timer = this.#clock.after(waitMs, end);
    signal.addEventListener("abort", end, { once: true });
    this.#waiting += 1;
    line.add(one);
    if (signal.aborted) end();
    try {
      return await answer.promise;
    } finally {
      this.#waiting -= 1;
      timer.cancel();
      signal.removeEventListener("abort", end);
      this.#leave(mailbox, line);
    }
  }

  /** Who waits there asks again: something has happened that the mailbox does not tell. */
  wake(mailbox: string): void {
    this.#lines.get(mailbox)?.wake();
  }

  /** Everyone who waits gets nothing, at once. */
  stop(): void {
    this.#isStopped = true;
    for (const line of this.#lines.values()) line.stop();
    this.#lines.clear();
  }

  #lineOf(mailbox: string): Line {
    const known = this.#lines.get(mailbox);
    if (known !== undefined) return known;
    const line = new Line(this.#clock, (wake) => this.#mailboxes.onHint(mailbox, wake));
    this.#lines.set(mailbox, line);
    return line;
  }

  #leave(mailbox: string, line: Line): void {
    if (!line.isEmpty || this.#lines.get(mailbox) !== line) return;
    line.stop();
    this.#lines.delete(mailbox);
  }
}
