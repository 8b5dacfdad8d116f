// Fires the durable timers of one group when they are due: what follows from a timer is one transaction with its end.
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { StorageError, type ClaimedTimer, type Effects, type Timers } from "./storage.ts";

export interface Firing {
  /** May set the timer again. */
  readonly effects: Effects;
  /** Called when that is durable. */
  readonly settled?: () => void;
}

interface TimerWorkersDeps {
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
  readonly group: string;
  /** Called again when what it has read was changed in the meantime. What it throws is a bug: it is logged, and the timer comes again. */
  readonly fire: (timer: ClaimedTimer) => Firing | Promise<Firing>;
}

const SECOND_MS = 1000;
const CLAIM_MAX = 100;
/** After it, what a killed server was firing comes again. */
const VISIBILITY_MS = 15_000;
const TRIES_MAX = 10;

export class TimerWorkers {
  readonly #deps: TimerWorkersDeps;
  #next: Timer | undefined;
  #running = Promise.resolve();
  #isStopped = false;

  /** Begins with what is due. */
  constructor(deps: TimerWorkersDeps) {
    this.#deps = deps;
    this.#look(0);
  }

  /** There is a timer that is due. */
  wake(): void {
    this.#next?.cancel();
    this.#look(0);
  }

  /** Nothing more is begun; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#next?.cancel();
    await this.#running;
  }

  /** At the beginning of each second, because that is when timers are due. */
  #look(delayMs = SECOND_MS - (this.#deps.clock.now() % SECOND_MS)): void {
    if (this.#isStopped) return;
    this.#next = this.#deps.clock.after(delayMs, () => {
      this.#next = undefined;
      this.#running = this.#running.then(async () => {
        while (!this.#isStopped && (await this.#fireDue()));
        if (this.#next === undefined) this.#look();
      });
    });
  }

  /** Whether there may be more. */
  async #fireDue(): Promise<boolean> {
    const { timers, group, log } = this.#deps;
    try {
      const due = await timers.claimDue(group, CLAIM_MAX, VISIBILITY_MS);
      await Promise.all(due.map((timer) => this.#fire(timer)));
      return due.length === CLAIM_MAX;
    } catch (cause) {
      log.warn("due timers could not be read; they are read again", { group, cause });
      return false;
    }
  }

  async #fire(timer: ClaimedTimer): Promise<void> {
    const { timers, group, log, fire } = this.#deps;
    for (let tries = 1; ; tries++)
      try {
        const { effects, settled } = await fire(timer);
        await timers.acknowledge([timer.token], effects);
        return settled?.();
      } catch (cause) {
        const failure = cause instanceof StorageError ? cause.failure : undefined;
        if (failure === "Conflict" && tries < TRIES_MAX) continue;
        // It was set anew, or taken by another.
        if (failure !== "Fenced") log.error("a timer could not be fired; it comes again", { group, id: timer.id, cause });
        return;
      }
  }
}
