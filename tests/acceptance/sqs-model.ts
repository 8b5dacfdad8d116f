// What SQS promises, as a model that is simple enough to be believed: lists, and rules over them. It knows nothing of how Lambent does it.
import assert from "node:assert/strict";

interface ModelMessage {
  readonly id: string;
  readonly body: string;
  readonly group: string | undefined;
  sentMs: number;
  readonly dueMs: number;
  receives: number;
  /** End of the claim, 0 when there was none. */
  hiddenUntilMs: number;
  /** Of the last receive. */
  handle: string | undefined;
}

export interface Seen {
  readonly id: string;
  readonly body: string;
  readonly group: string | undefined;
  readonly receives: number;
  readonly handle: string;
}

const DEDUPLICATION_MS = 300_000;

interface ModelOptions {
  readonly isFifo: boolean;
  readonly retentionMs: number;
  /** Messages received so often go to the next queue. */
  readonly maxReceives?: number;
  readonly deadLetters?: ModelQueue;
}

export class ModelQueue {
  readonly #options: ModelOptions;
  /** In the order in which they came. */
  #messages: ModelMessage[] = [];
  readonly #sent = new Map<string, { id: string; untilMs: number }>();
  /** Every handle ever given, and the message. */
  readonly #handles = new Map<string, ModelMessage>();

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** `undefined`: a new message. */
  duplicateOf(key: string, nowMs: number): string | undefined {
    const first = this.#sent.get(key);
    return first !== undefined && nowMs < first.untilMs ? first.id : undefined;
  }

  send(message: Pick<ModelMessage, "id" | "body" | "group" | "dueMs">, key: string | undefined, nowMs: number): void {
    this.#messages.push({ ...message, sentMs: nowMs, receives: 0, hiddenUntilMs: 0, handle: undefined });
    if (key !== undefined) this.#sent.set(key, { id: message.id, untilMs: nowMs + DEDUPLICATION_MS });
  }

  /** Checks that these may be what a receive got, and that nothing was withheld. */
  received(seen: readonly Seen[], limit: number, visibilityMs: number, nowMs: number): void {
    this.#expire(nowMs);
    assert.ok(seen.length <= limit, "no more than asked for");
    // Whoever received from this queue's source may have moved messages here that nobody has looked at since.
    const isFilled = seen.length === limit;
    this.#passDeadLetters(isFilled ? new Set() : undefined, nowMs);
    const before = new Map(this.#receivable(nowMs).map((message) => [message.id, message]));
    if (this.#options.isFifo) this.#checkOrder(seen, nowMs);
    for (const one of seen) {
      const message = before.get(one.id);
      assert.ok(message !== undefined, `${one.id} (${one.body}) must not be received now: ${this.#why(one.id, nowMs)}`);
      assert.deepEqual([one.body, one.group, one.receives], [message.body, message.group, message.receives + 1], one.id);
      before.delete(one.id);
    }
    const withheld = [...before.values()].filter((message) => !this.#isDead(message));
    if (!isFilled)
      assert.deepEqual(
        withheld.map(({ body }) => body),
        [],
        "everything that can be received is received",
      );
    for (const one of seen) this.#claim(one, visibilityMs, nowMs);
  }

  /** What deleting with a handle must do; `undefined` when both may happen. */
  removal(handle: string, nowMs: number): "removed" | "nothing" | "refused" | undefined {
    this.#expire(nowMs);
    const message = this.#handles.get(handle);
    if (message === undefined || !this.#messages.includes(message)) return "nothing";
    if (this.#isDead(message) && message.hiddenUntilMs <= nowMs) return undefined;
    const isLast = message.handle === handle;
    if (this.#options.isFifo) return isLast && message.hiddenUntilMs > nowMs ? "removed" : "refused";
    return isLast ? "removed" : "nothing";
  }

  remove(handle: string): void {
    const message = this.#handles.get(handle);
    this.#messages = this.#messages.filter((one) => one !== message);
  }

  /** Whether the claim of the handle can be changed; `undefined` when that is not known. */
  isHeld(handle: string, nowMs: number): boolean | undefined {
    this.#expire(nowMs);
    const message = this.#handles.get(handle);
    // One that is too old is removed soon, not at once.
    if (message !== undefined && message.sentMs + this.#options.retentionMs <= nowMs) return undefined;
    if (message === undefined || !this.#messages.includes(message) || message.handle !== handle) return false;
    if (message.hiddenUntilMs > nowMs) return true;
    // Whose claim is over may be among the dead letters already; else it is held as long as nobody else has received it.
    return this.#isDead(message) ? undefined : !this.#options.isFifo;
  }

  hide(handle: string, visibilityMs: number, nowMs: number): void {
    const message = this.#handles.get(handle);
    if (message !== undefined) message.hiddenUntilMs = nowMs + visibilityMs;
  }

  purge(): void {
    this.#messages = [];
  }

  /** Those that are waiting to be moved count where they are. */
  counts(nowMs: number): { visible: number; claimed: number; delayed: number; uncertain: number } {
    this.#expire(nowMs);
    const claimed = this.#messages.filter(({ hiddenUntilMs }) => hiddenUntilMs > nowMs).length;
    const delayed = this.#messages.filter(({ dueMs }) => dueMs > nowMs).length;
    const uncertain = this.#messages.filter((message) => this.#isDead(message) && message.hiddenUntilMs <= nowMs).length;
    return { visible: this.#messages.length - claimed - delayed, claimed, delayed, uncertain };
  }

  get size(): number {
    return this.#messages.length;
  }

  handles(): readonly string[] {
    return [...this.#handles.keys()];
  }

  /** Forgets handles of long ago, so that a long run stays quick. */
  trim(most: number): void {
    for (const handle of this.#handles.keys()) {
      if (this.#handles.size <= most) return;
      this.#handles.delete(handle);
    }
  }

  #isDead({ receives }: ModelMessage): boolean {
    return receives >= (this.#options.maxReceives ?? Infinity);
  }

  #expire(nowMs: number): void {
    this.#messages = this.#messages.filter(({ sentMs }) => sentMs + this.#options.retentionMs > nowMs);
  }

  #ofGroup(group: string | undefined): ModelMessage[] {
    return this.#messages.filter((message) => message.group === group);
  }

  /** Visible; in a FIFO queue those of a group up to the first that is not due, and none while one is claimed. */
  #receivable(nowMs: number): ModelMessage[] {
    const visible = this.#messages.filter(({ dueMs, hiddenUntilMs }) => dueMs <= nowMs && hiddenUntilMs <= nowMs);
    if (!this.#options.isFifo) return visible;
    return visible
      .filter(({ group }) => this.#ofGroup(group).every(({ hiddenUntilMs }) => hiddenUntilMs <= nowMs))
      .filter((message) => {
        const all = this.#ofGroup(message.group);
        return all.slice(0, all.indexOf(message)).every(({ dueMs }) => dueMs <= nowMs);
      });
  }

  /** Of each group the first ones, in order. */
  #checkOrder(seen: readonly Seen[], nowMs: number): void {
    for (const group of new Set(seen.map((one) => one.group))) {
      const got = seen.filter((one) => one.group === group).map(({ id }) => id);
      const first = this.#ofGroup(group).filter((message) => !this.#isDead(message) || message.hiddenUntilMs > nowMs);
      assert.deepEqual(
        got,
        first.slice(0, got.length).map(({ id }) => id),
        `the order of group ${group}`,
      );
    }
  }

  /**
   * Dead messages go to the dead-letter queue when somebody receives: all that were in reach if the receive was not filled, else some, and
   * which they were shows when they are received there.
   */
  #passDeadLetters(only: ReadonlySet<string> | undefined, nowMs: number): void {
    const { deadLetters } = this.#options;
    if (deadLetters === undefined || only !== undefined) return;
    // Behind a dead one of its group there may be another.
    for (;;) {
      const dead = this.#receivable(nowMs).filter((message) => this.#isDead(message));
      if (dead.length === 0) return;
      for (const message of dead) this.#pass(message, nowMs);
    }
  }

  /** The dead-letter queue has it now: it was seen there, or must be there. */
  #pass(message: ModelMessage, nowMs: number): void {
    this.#messages = this.#messages.filter((one) => one !== message);
    const sentMs = this.#options.isFifo ? nowMs : message.sentMs;
    this.#options.deadLetters?.adopt({ ...message, sentMs, dueMs: 0, receives: 0, hiddenUntilMs: 0, handle: undefined });
  }

  adopt(message: ModelMessage): void {
    this.#messages.push(message);
  }

  /** Of messages that were dead and in reach, those that the dead-letter queue has shown. */
  passSeen(ids: ReadonlySet<string>, nowMs: number): void {
    for (const message of this.#messages.filter(({ id }) => ids.has(id)))
      if (this.#isDead(message) && message.hiddenUntilMs <= nowMs) this.#pass(message, nowMs);
  }

  #claim(one: Seen, visibilityMs: number, nowMs: number): void {
    const message = this.#messages.find(({ id }) => id === one.id);
    if (message === undefined) return;
    message.receives += 1;
    message.hiddenUntilMs = nowMs + visibilityMs;
    message.handle = one.handle;
    this.#handles.set(one.handle, message);
  }

  #why(id: string, nowMs: number): string {
    const message = this.#messages.find((one) => one.id === id);
    if (message === undefined) return "it was deleted, or never sent";
    if (message.dueMs > nowMs) return "it is delayed";
    if (message.hiddenUntilMs > nowMs) return "it is claimed";
    return "its group is claimed or delayed";
  }
}
