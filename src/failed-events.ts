// Events that ended without success and deliveries that failed for good: kept for a while, to be looked at and sent again.
import type { Clock } from "./base/clock.ts";
import type { Log } from "./base/log.ts";
import { timeOrderedId } from "./base/id.ts";
import { StorageError, type Entry, type Key, type MetaStore, type NewMessage, type Write } from "./store/storage.ts";
import { View } from "./store/view.ts";

/** What is kept besides the message itself. */
export interface FailedEvent {
  readonly kind: "invocation" | "delivery";
  readonly account: string;
  readonly region: string;
  /** Of an invocation the function's ARN as it was invoked, of a delivery who sent it: a function, a bucket, a topic. */
  readonly sourceArn: string;
  /** Of a delivery: where it did not arrive. */
  readonly target?: string;
  readonly requestId: string;
  /** `RetriesExhausted`, `EventAgeExceeded`, `ZeroReservedConcurrency`, `FunctionNotFound`; of a delivery the target's error. */
  readonly reason: string;
  /** The function's or the target's error, as text. */
  readonly error: string;
  readonly attempts: number;
  readonly acceptedMs: number;
}

interface KeptEvent extends FailedEvent {
  readonly failedMs: number;
  readonly bytes: number;
}

export type FailedEntry = Entry<KeptEvent>;

/** How the two kinds of messages are read and made new: known to those who make them. */
export interface MessageForms {
  /** The event's payload in a message's body. */
  payloadOf(kind: FailedEvent["kind"], body: Uint8Array): Uint8Array;
  /** The message as at its first attempt, now. */
  renewed(kind: FailedEvent["kind"], message: NewMessage, nowMs: number): NewMessage;
  wake(kind: FailedEvent["kind"], messages: readonly NewMessage[]): void;
}

interface Bounds {
  readonly entries: number;
  readonly bytes: number;
}

/** At most, over all accounts; the oldest go first. */
export const KEPT_MAX = { entries: 10_000, bytes: 512 * 2 ** 20, days: 14 } as const;

const HEAD = "events.failed";
const BODY = "events.failed-message";
const DAY_MS = 86_400_000;
const SWEEP_MS = 3_600_000;

interface BodyRecord {
  readonly queue: string;
  readonly id: string;
  readonly base64: string;
}

interface Deps {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly log: Log;
}

const bodyKey = (key: Key): Key => ({ ...key, kind: BODY });
const removal = ({ key }: FailedEntry): Write[] => [{ key }, { key: bodyKey(key) }];

/** All that are kept, oldest first, and how much it is. */
class Kept {
  readonly max: Bounds;
  readonly #entries = new Map<string, FailedEntry>();
  #bytes = 0;

  constructor(max: Bounds) {
    this.max = max;
  }

  change(key: Key, entry: FailedEntry | undefined): void {
    this.#bytes += (entry?.value.bytes ?? 0) - (this.#entries.get(key.id)?.value.bytes ?? 0);
    if (entry === undefined) this.#entries.delete(key.id);
    else this.#entries.set(key.id, entry);
  }

  /** The oldest, as many as have to go for another one of so many bytes. */
  excess(bytes: number): FailedEntry[] {
    let [count, total] = [this.#entries.size + 1, this.#bytes + bytes];
    const gone: FailedEntry[] = [];
    for (const entry of this.#entries.values()) {
      if (count <= this.max.entries && total <= this.max.bytes) break;
      gone.push(entry);
      count--;
      total -= entry.value.bytes;
    }
    return gone;
  }

  /** Failed before the time. */
  before(timeMs: number): FailedEntry[] {
    const old: FailedEntry[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.value.failedMs >= timeMs) break;
      old.push(entry);
    }
    return old;
  }
}

export class FailedEvents {
  readonly #deps: Deps;
  readonly #view: View<KeptEvent>;
  readonly #kept: Kept;
  #sweep: { cancel(): void } | undefined;
  #sweeping = Promise.resolve();
  /** Since it was last told. */
  #forgotten = 0;

  private constructor(deps: Deps, view: View<KeptEvent>, kept: Kept) {
    this.#deps = deps;
    this.#view = view;
    this.#kept = kept;
    this.#sweepSoon(0);
  }

  static async open(deps: Deps, max: Bounds = KEPT_MAX): Promise<FailedEvents> {
    const kept = new Kept(max);
    const view = await View.open<KeptEvent>(deps.meta, HEAD, (key, entry) => kept.change(key, entry));
    return new FailedEvents(deps, view, kept);
  }

  /** To be written in the transaction that ends the event; makes room by removing the oldest. `message`: to be enqueued when it is sent again. */
  keep(failed: FailedEvent, message: NewMessage): Write[] {
    const failedMs = this.#deps.clock.now();
    const { account, region } = failed;
    const key: Key = { account, region, kind: HEAD, id: timeOrderedId(failedMs) };
    const value: KeptEvent = { ...failed, failedMs, bytes: message.body.byteLength };
    const body: BodyRecord = { queue: message.queue, id: message.id, base64: Buffer.from(message.body).toString("base64") };
    return [...this.#makeRoom(value.bytes), { key, value }, { key: bodyKey(key), value: body }];
  }

  /** Told at once and by the hour: it may happen with each event. */
  #makeRoom(bytes: number): Write[] {
    const oldest = this.#kept.excess(bytes);
    if (this.#forgotten === 0 && oldest.length > 0)
      this.#deps.log.warn("the list of failed events is full: the oldest make room for new ones", { ...this.#kept.max });
    this.#forgotten += oldest.length;
    return oldest.flatMap(removal);
  }

  #tellForgotten(): void {
    if (this.#forgotten > 0) this.#deps.log.warn("failed events were forgotten to make room for new ones", { count: this.#forgotten });
    this.#forgotten = 0;
  }

  /** Oldest first. `functionArn`: unqualified; then only those of the function's invocations and of what it sent. */
  list(
    { account, region }: Pick<Key, "account" | "region">,
    { after = "", limit = Infinity, functionArn }: ListOptions = {},
  ): FailedEntry[] {
    const found: FailedEntry[] = [];
    for (const entry of this.#view.list(account, region, { after, limit: Infinity })) {
      if (found.length >= limit) break;
      if (functionArn === undefined || isOf(entry.value.sourceArn, functionArn)) found.push(entry);
    }
    return found;
  }

  get({ account, region }: Pick<Key, "account" | "region">, id: string): FailedEntry | undefined {
    return this.#view.get(account, region, id);
  }

  /** Undefined: somebody has just removed it. */
  async message({ key }: FailedEntry): Promise<NewMessage | undefined> {
    const [found] = await this.#deps.meta.get<BodyRecord>([bodyKey(key)]);
    return found === undefined
      ? undefined
      : { queue: found.value.queue, id: found.value.id, body: Buffer.from(found.value.base64, "base64") };
  }

  /** The event is in its queue again and the entry gone, in one transaction. False: somebody else was faster. */
  async redrive(entry: FailedEntry, forms: MessageForms): Promise<boolean> {
    const message = await this.message(entry);
    if (message === undefined) return false;
    const { kind } = entry.value;
    const again = forms.renewed(kind, message, this.#deps.clock.now());
    try {
      await this.#deps.meta.write([{ key: entry.key, expect: entry.revision }, { key: bodyKey(entry.key) }], [again]);
    } catch (cause) {
      if (cause instanceof StorageError && cause.failure === "Conflict") return false;
      throw cause;
    }
    forms.wake(kind, [again]);
    return true;
  }

  async stop(): Promise<void> {
    this.#sweep?.cancel();
    this.#sweep = undefined;
    await this.#sweeping;
    this.#view.close();
  }

  #sweepSoon(delayMs: number): void {
    this.#sweep = this.#deps.clock.after(delayMs, () => void (this.#sweeping = this.#removeOld()));
  }

  async #removeOld(): Promise<void> {
    this.#tellForgotten();
    const old = this.#kept.before(this.#deps.clock.now() - KEPT_MAX.days * DAY_MS);
    try {
      if (old.length > 0) await this.#deps.meta.write(old.flatMap(removal));
    } catch (cause) {
      this.#deps.log.warn("old failed events could not be removed; it is tried again", { count: old.length, cause });
    }
    if (this.#sweep !== undefined) this.#sweepSoon(SWEEP_MS);
  }
}

interface ListOptions {
  /** Exclusive. */
  readonly after?: string;
  readonly limit?: number;
  readonly functionArn?: string;
}

const isOf = (sourceArn: string, functionArn: string): boolean => sourceArn === functionArn || sourceArn.startsWith(`${functionArn}:`);
