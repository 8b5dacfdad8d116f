// Wakes those who wait for messages of a queue. Lossy by contract: what it forgets is found by polling.
import type { Clock, Timer } from "../base/clock.ts";
import type { NewMessage } from "./storage.ts";

/** Wake-ups in the same span are one. */
const SPAN_MS = 10;
/** Wake-ups that a queue waits for at most. */
const PLANNED_MAX = 1000;

interface Listening {
  readonly wakes: Set<() => void>;
  /** By the time at which they are due. */
  readonly planned: Map<number, Timer>;
}

export class Hints {
  readonly #clock: Clock;
  readonly #queues = new Map<string, Listening>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(queue: string, wake: () => void): { stop(): void } {
    const listening = this.#queues.get(queue) ?? { wakes: new Set(), planned: new Map<number, Timer>() };
    this.#queues.set(queue, listening);
    listening.wakes.add(wake);
    return {
      stop: () => {
        listening.wakes.delete(wake);
        if (listening.wakes.size > 0 || this.#queues.get(queue) !== listening) return;
        for (const timer of listening.planned.values()) timer.cancel();
        this.#queues.delete(queue);
      },
    };
  }

  enqueued(messages: readonly NewMessage[]): void {
    if (this.#queues.size === 0) return;
    const times = new Map<string, Set<number>>();
    for (const { queue, visibleAtMs = 0 } of messages) {
      if (!this.#queues.has(queue)) continue;
      const due = times.get(queue) ?? new Set();
      times.set(queue, due.add(visibleAtMs));
    }
    for (const [queue, due] of times) for (const dueMs of due) this.visible(queue, dueMs);
  }

  /** Something of the queue is visible at a time, or now. */
  visible(queue: string, dueMs: number): void {
    const listening = this.#queues.get(queue);
    if (listening === undefined) return;
    const delayMs = dueMs - this.#clock.now();
    if (delayMs <= 0) return wakeAll(listening);
    const span = Math.ceil(dueMs / SPAN_MS) * SPAN_MS;
    if (listening.planned.has(span) || listening.planned.size >= PLANNED_MAX) return;
    const timer = this.#clock.after(span - this.#clock.now(), () => {
      listening.planned.delete(span);
      wakeAll(listening);
    });
    listening.planned.set(span, timer);
  }

  close(): void {
    for (const { planned } of this.#queues.values()) for (const timer of planned.values()) timer.cancel();
    this.#queues.clear();
  }
}

function wakeAll({ wakes }: Listening): void {
  for (const wake of wakes) wake();
}
