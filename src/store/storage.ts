// The interfaces of everything that must survive, and what each promises. Drivers: memory, sqlite; later postgres.
//
// They are one provider because "acknowledge the event and write its dead letter" must be one transaction: see Effects.
// Calls are batches; ids are made by the caller (UUIDv7); nothing resolves before it is durable unless it says so.

import type { Mailboxes } from "./mailboxes.ts";

/** Why a call failed; never collapsed into one another, because each asks for a different reaction. */
export type StorageFailure = "NotDelivered" | "Unknown" | "Fenced" | "Conflict" | "Throttled" | "Unavailable";

export class StorageError extends Error {
  readonly failure: StorageFailure;
  constructor(failure: StorageFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StorageError";
    this.failure = failure;
  }
}

// --- records ---------------------------------------------------------------------------------------------------

/** Address of a record. `region` is empty for global services (IAM). */
export interface Key {
  readonly account: string;
  readonly region: string;
  /** `lambda.function`, `s3.bucket`, …: the resource's folder and file. */
  readonly kind: string;
  readonly id: string;
}

/** `value` is JSON: what `structuredClone` and `JSON.stringify` agree on. Treat it as frozen. */
export interface Entry<T = unknown> {
  readonly key: Key;
  /** Rises with every write in the whole store; the compare-and-set token of the record. */
  readonly revision: number;
  readonly value: T;
}

export interface Write {
  readonly key: Key;
  /** Absent: the record is deleted. */
  readonly value?: unknown;
  /** The revision that the record must have now, "absent" if it must not exist; without it the write is unconditional. */
  readonly expect?: number | "absent";
  /** The record stays as it is: only `expect` is checked, in the same transaction as the other writes. */
  readonly keep?: true;
  /**
   * Instead of a value: added to the numbers of the record, which has nothing else and is made with these when it is not there. For totals
   * that every writer changes: it never conflicts. Followers are not told of it.
   */
  readonly add?: Readonly<Record<string, number>>;
}

export interface ListRange {
  readonly account: string;
  readonly region: string;
  readonly kind: string;
  readonly prefix?: string;
  /** Exclusive lower bound of the id. */
  readonly after?: string;
  /** Records returned at most. */
  readonly limit: number;
}

export interface Change {
  readonly key: Key;
  readonly revision: number;
  /** Absent when the record was deleted. */
  readonly value?: unknown;
}

export interface MetaStore {
  /** One answer per key, in order. */
  get<T>(keys: readonly Key[]): Promise<readonly (Entry<T> | undefined)[]>;
  /** Records of one kind, by id in UTF-8 byte order. */
  list<T>(range: ListRange): Promise<readonly Entry<T>[]>;
  /**
   * All writes or none; resolves with the revision of each when durable. `Conflict` if any expectation fails.
   * Followers in this process have seen the change when it resolves. `enqueue`: messages that follow from it, in the same transaction.
   */
  write(writes: readonly Write[], enqueue?: readonly NewMessage[]): Promise<readonly number[]>;
  /**
   * Calls `seen` with every present record of the kinds, then with every change in order of revision, until stopped; nothing twice.
   * Very many present records come in portions, and changes may come between these. Resolves when the present records have been
   * delivered. `seen` must not throw or wait.
   */
  follow(kinds: readonly string[], seen: (changes: readonly Change[]) => void): Promise<{ stop(): void }>;
}

/** Writes that join an acknowledgement or a journal append in one transaction. */
export interface Effects {
  readonly writes?: readonly Write[];
  readonly enqueue?: readonly NewMessage[];
  readonly timers?: readonly Timer[];
}

// --- queue -----------------------------------------------------------------------------------------------------

export interface NewMessage {
  readonly queue: string;
  /** UUIDv7; a second enqueue of the same id into the same queue changes nothing. */
  readonly id: string;
  readonly body: Uint8Array;
  /** Wall time in ms before which it is not claimed. */
  readonly visibleAtMs?: number;
}

export interface ClaimedMessage {
  readonly queue: string;
  readonly id: string;
  readonly body: Uint8Array;
  /** Random per claim: a stale holder can't acknowledge. */
  readonly token: string;
  /** 1 at the first claim. */
  readonly attempt: number;
  readonly enqueuedAtMs: number;
}

export interface DurableQueue {
  /** Resolves only when all are durable. */
  enqueue(messages: readonly NewMessage[]): Promise<void>;
  /** The same for one that is worked on at once: the token of its claim, as `claim` makes it; undefined when it was there already. */
  enqueueClaimed(message: Omit<NewMessage, "visibleAtMs">, visibilityMs: number): Promise<string | undefined>;
  /** Takes up to `limit` visible messages, oldest first, and hides them for `visibilityMs`; not durable: power loss ends claims. */
  claim(queue: string, limit: number, visibilityMs: number): Promise<readonly ClaimedMessage[]>;
  /** Keeps claimed messages hidden for `visibilityMs` from now; `false` for tokens that are no longer valid. */
  extend(tokens: readonly string[], visibilityMs: number): Promise<readonly boolean[]>;
  /** Removes claimed messages (there may be none) and applies the effects, in one transaction; `Fenced` if any token is no longer valid. */
  acknowledge(tokens: readonly string[], effects?: Effects): Promise<void>;
  /** Gives a claimed message back, visible again after `delayMs`; stale tokens are ignored. */
  release(tokens: readonly string[], delayMs: number): Promise<void>;
  /** How many are visible, hidden by a claim, and delayed. */
  depth(queue: string): Promise<{ visible: number; claimed: number; delayed: number }>;
  /** The queues whose names begin with the prefix and that have a message to claim now. */
  waiting(prefix: string): Promise<readonly string[]>;
  /** Calls `wake` soon after messages of the queue become visible; lossy: poll as well. */
  onHint(queue: string, wake: () => void): { stop(): void };
}

// --- journal, timers, leases, capacity -----------------------------------------------------------------------------

export interface JournalEvent {
  /** 1 for the first event of a stream, without gaps. */
  readonly sequence: number;
  readonly body: Uint8Array;
}

export interface Journal {
  /** Appends after `expectedSequence` (0 for a new stream) together with the effects; `Conflict` if the stream has moved on. */
  append(stream: string, expectedSequence: number, events: readonly Uint8Array[], effects?: Effects): Promise<void>;
  read(stream: string, afterSequence: number, limit: number): Promise<readonly JournalEvent[]>;
  remove(stream: string): Promise<void>;
}

export interface Timer {
  readonly group: string;
  /** Setting a timer of the same group and id replaces it. */
  readonly id: string;
  readonly dueAtMs: number;
  readonly body: Uint8Array;
}

export interface ClaimedTimer extends Timer {
  readonly token: string;
}

export interface Timers {
  set(timers: readonly Timer[]): Promise<void>;
  cancel(group: string, ids: readonly string[]): Promise<void>;
  /** Takes due timers, earliest first, and hides them for `visibilityMs`; not durable, like claims of messages. */
  claimDue(group: string, limit: number, visibilityMs: number): Promise<readonly ClaimedTimer[]>;
  /** Removes fired timers (there may be none) with the effects, in one transaction; `Fenced` if any token is no longer valid. */
  acknowledge(tokens: readonly string[], effects?: Effects): Promise<void>;
}

export interface Lease {
  readonly name: string;
  /** Strictly rises with each new holder, also over restarts. */
  readonly epoch: number;
  readonly expiresAtMs: number;
}

export interface Leases {
  /** Takes those that are free or expired; one answer per name, in order. */
  acquire(names: readonly string[], holder: string, durationMs: number): Promise<readonly (Lease | undefined)[]>;
  /** `undefined` where the lease was lost. */
  renew(leases: readonly Lease[], durationMs: number): Promise<readonly (Lease | undefined)[]>;
  release(leases: readonly Lease[]): Promise<void>;
  /** Applies the effects only while the lease is held; `Fenced` otherwise. */
  fenced(lease: Lease, effects: Effects): Promise<void>;
}

/** A share of a limit on concurrency, to be used without asking again until it is given back or expires. */
export interface Budget {
  readonly id: string;
  readonly pool: string;
  readonly amount: number;
  readonly expiresAtMs: number;
}

interface Capacity {
  /** Sets the limit of a pool; budgets that are out are not recalled, later draws see the new limit. */
  limit(pool: string, amount: number): Promise<void>;
  /** Draws up to `want`; the sum of live budgets of a pool never exceeds its limit. `undefined` when nothing is left. */
  draw(pool: string, want: number, durationMs: number): Promise<Budget | undefined>;
  giveBack(budgets: readonly Budget[]): Promise<void>;
}

export interface Storage {
  readonly meta: MetaStore;
  readonly queue: DurableQueue;
  readonly mailboxes: Mailboxes;
  readonly journal: Journal;
  readonly timers: Timers;
  readonly leases: Leases;
  readonly capacity: Capacity;
  /** Waits for what was accepted, then releases the files. */
  close(): Promise<void>;
}
