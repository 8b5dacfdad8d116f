// Works off durable queues that share a prefix: claims with bounded concurrency, gives every queue its turn, keeps claims alive, settles.
import { backoffMs } from "../base/backoff.ts";
import { inRealTime, type Clock, type Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { StorageError, type ClaimedMessage, type DurableQueue, type Effects, type NewMessage } from "./storage.ts";

/** What becomes of a message: in every case one transaction. */
export type Disposition =
  /** It is removed, together with the effects; `settled` is called when that is durable. */
  | { readonly kind: "done"; readonly effects?: Effects; readonly settled?: () => void }
  /** It comes again after a while, with a new body where one is given. */
  | {
      readonly kind: "later";
      readonly delayMs: number;
      readonly body?: Uint8Array;
      /** There was no room for it: fewer of this queue are claimed at once from now on. */
      readonly isCongested?: true;
    };

interface QueueWorkersDeps {
  readonly queue: DurableQueue;
  readonly clock: Clock;
  readonly log: Log;
  /** All queues whose names begin with it. */
  readonly prefix: string;
  /** Messages at once, of all queues. */
  readonly concurrencyMax: number;
  /** … and of one queue. Default: as many. */
  readonly perQueueMax?: number;
  /** What it throws is a bug: it is logged, and the message comes again. */
  readonly work: (message: ClaimedMessage) => Promise<Disposition>;
}

/** Long enough for a busy machine to extend it in time, short enough that what a killed server held does not wait long. */
const VISIBILITY_MS = 15_000;
const EXTEND_INTERVAL_MS = 5000;
/** Finds what nobody tells of: messages whose delay or claim has ended, or that were there before the start. */
const POLL_INTERVAL_MS = 1000;
const CLAIM_MAX = 32;
const ALLOWANCE_FIRST = 16;
/** Messages that begin in one turn of the event loop: whoever waits for an answer has a turn in between, however many messages wait. */
const BEGUN_PER_TURN = 4;
const RETRY_MS = { first: 1000, max: 300_000 };

interface Line {
  readonly name: string;
  inFlight: number;
  /** In flight at once: one more with each success, half as many when there was no room. */
  allowance: number;
  mayHaveMore: boolean;
  isClaiming: boolean;
}

export class QueueWorkers {
  readonly #deps: QueueWorkersDeps;
  readonly #perQueueMax: number;
  /** Real time, like the work that it protects. */
  readonly #visibilityMs: number;
  readonly #lines = new Map<string, Line>();
  /** Lines of which more could be claimed, in the order of their turns. */
  readonly #ready = new Set<Line>();
  readonly #tokens = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #timers = new Map<string, Timer>();
  /** In this turn of the event loop, and what begins in the next ones. */
  #begun = 0;
  readonly #due: (() => void)[] = [];
  /** In flight, and room that is kept for what is being claimed. */
  #taken = 0;
  #isPaused = false;

  /** Begins with what is there. */
  constructor(deps: QueueWorkersDeps) {
    this.#deps = deps;
    this.#perQueueMax = Math.min(deps.perQueueMax ?? Infinity, deps.concurrencyMax);
    const extendMs = inRealTime(deps.clock, EXTEND_INTERVAL_MS);
    this.#visibilityMs = inRealTime(deps.clock, VISIBILITY_MS);
    this.#every("poll", 0, POLL_INTERVAL_MS, () => this.#poll());
    this.#every("extend", extendMs, extendMs, () => this.#extend());
  }

  /** There is something in the queue. */
  wake(name: string): void {
    const line = this.#lineOf(name);
    line.mayHaveMore = true;
    this.#offer(line);
  }

  /** Resolves when the message is durable. It begins at once where nothing is before it, and is in its queue otherwise. */
  async add(message: Omit<NewMessage, "visibleAtMs">): Promise<void> {
    const { queue, clock } = this.#deps;
    const line = this.#lineOf(message.queue);
    if (!this.#isFree(line)) {
      await queue.enqueue([message]);
      return this.wake(message.queue);
    }
    this.#taken++;
    line.inFlight++;
    let token: string | undefined;
    try {
      token = await queue.enqueueClaimed(message, this.#visibilityMs);
    } finally {
      if (token === undefined) this.#leave(line);
    }
    if (token === undefined) return;
    const claimed = { ...message, token, attempt: 1, enqueuedAtMs: clock.now() };
    void this.#own(() => this.#handle(line, claimed));
  }

  /** Nothing more is claimed; what is in flight goes on. */
  pause(): void {
    this.#isPaused = true;
    this.#cancel("poll");
  }

  /** Resolves when what was in flight is settled. */
  async stop(): Promise<void> {
    this.pause();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#cancel("extend");
  }

  #lineOf(name: string): Line {
    let line = this.#lines.get(name);
    if (line === undefined) {
      const allowance = Math.min(ALLOWANCE_FIRST, this.#perQueueMax);
      line = { name, inFlight: 0, allowance, mayHaveMore: false, isClaiming: false };
      this.#lines.set(name, line);
    }
    return line;
  }

  /** Nothing of it waits, and none of another that could be claimed now. */
  #isFree({ mayHaveMore, isClaiming, inFlight, allowance }: Line): boolean {
    const isBehind = mayHaveMore || isClaiming || inFlight >= allowance;
    return !isBehind && !this.#isPaused && this.#ready.size === 0 && this.#taken < this.#deps.concurrencyMax;
  }

  #cancel(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  #every(name: string, delayMs: number, intervalMs: number, run: () => Promise<void>): void {
    const timer = this.#deps.clock.after(delayMs, () => {
      void this.#own(async () => {
        try {
          await run();
        } catch (cause) {
          this.#deps.log.warn("the queue does not answer; it is asked again", { prefix: this.#deps.prefix, cause });
        }
        if (this.#timers.get(name) === timer) this.#every(name, intervalMs, intervalMs, run);
      });
    });
    this.#timers.set(name, timer);
  }

  async #own(run: () => Promise<void>): Promise<void> {
    const task = run();
    this.#tasks.add(task);
    try {
      await task;
    } finally {
      this.#tasks.delete(task);
    }
  }

  async #poll(): Promise<void> {
    for (const name of await this.#deps.queue.waiting(this.#deps.prefix)) this.wake(name);
  }

  async #extend(): Promise<void> {
    if (this.#tokens.size > 0) await this.#deps.queue.extend([...this.#tokens], this.#visibilityMs);
  }

  #offer(line: Line): void {
    if (line.mayHaveMore && !line.isClaiming && line.inFlight < line.allowance) this.#ready.add(line);
    else if (!line.mayHaveMore && !line.isClaiming && line.inFlight === 0) this.#lines.delete(line.name);
    this.#turn();
  }

  #turn(): void {
    for (const line of this.#ready) {
      const room = Math.min(this.#deps.concurrencyMax - this.#taken, line.allowance - line.inFlight, CLAIM_MAX);
      if (this.#isPaused || this.#taken >= this.#deps.concurrencyMax) return;
      this.#ready.delete(line);
      if (room > 0) void this.#own(() => this.#claim(line, room));
    }
  }

  async #claim(line: Line, room: number): Promise<void> {
    line.isClaiming = true;
    line.mayHaveMore = false;
    this.#taken += room;
    let claimed: readonly ClaimedMessage[] = [];
    try {
      claimed = await this.#deps.queue.claim(line.name, room, this.#visibilityMs);
    } catch (cause) {
      // The next poll finds them.
      this.#deps.log.warn("events could not be claimed", { queue: line.name, cause });
    }
    this.#taken -= room - claimed.length;
    line.isClaiming = false;
    line.inFlight += claimed.length;
    if (claimed.length === room) line.mayHaveMore = true;
    for (const message of claimed) void this.#own(() => this.#handle(line, message));
    this.#offer(line);
  }

  async #handle(line: Line, message: ClaimedMessage): Promise<void> {
    const { token, queue, id, attempt } = message;
    this.#tokens.add(token);
    await this.#nextTurn();
    const disposition = await this.#deps.work(message).catch((cause: unknown): Disposition => {
      this.#deps.log.error("an event could not be worked on", { queue, id, cause });
      return { kind: "later", delayMs: backoffMs(attempt, RETRY_MS.first, RETRY_MS.max) };
    });
    try {
      await this.#settle(message, disposition);
    } catch (cause) {
      // The claim runs out, and the event comes again: at least once.
      const isOvertaken = cause instanceof StorageError && cause.failure === "Fenced";
      this.#deps.log.warn(isOvertaken ? "a claim was held too long: the event comes again" : "an event could not be settled", {
        queue,
        id,
        cause,
      });
    }
    this.#tokens.delete(token);
    line.allowance = this.#allowanceAfter(line, disposition);
    this.#leave(line);
  }

  #leave(line: Line): void {
    this.#taken--;
    line.inFlight--;
    this.#offer(line);
  }

  /** Undefined: this turn of the event loop has room for one more. */
  #nextTurn(): Promise<void> | undefined {
    if (this.#begun >= BEGUN_PER_TURN) return new Promise((begin) => this.#due.push(begin));
    if (this.#begun++ === 0) setImmediate(() => this.#beginTurn());
    return undefined;
  }

  #beginTurn(): void {
    const due = this.#due.splice(0, BEGUN_PER_TURN);
    this.#begun = due.length;
    if (this.#begun > 0) setImmediate(() => this.#beginTurn());
    for (const begin of due) begin();
  }

  #allowanceAfter({ allowance }: Line, disposition: Disposition): number {
    if (disposition.kind === "later" && disposition.isCongested === true) return Math.max(1, Math.floor(allowance / 2));
    return disposition.kind === "done" ? Math.min(this.#perQueueMax, allowance + 1) : allowance;
  }

  async #settle({ token, queue, id }: ClaimedMessage, disposition: Disposition): Promise<void> {
    const durable = this.#deps.queue;
    if (disposition.kind === "done") {
      await durable.acknowledge([token], disposition.effects);
      disposition.settled?.();
      return;
    }
    const { delayMs, body } = disposition;
    if (body === undefined) return await durable.release([token], delayMs);
    const visibleAtMs = this.#deps.clock.now() + delayMs;
    await durable.acknowledge([token], { enqueue: [{ queue, id, body, visibleAtMs }] });
  }
}
