// Work that nobody waits for but the stop of the service.
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";

export interface Background {
  /** Does the work once, after a while; what it throws is logged. */
  after(delayMs: number, work: () => Promise<void>): void;
  /** Does the work again and again, each time so long after the last time ended. */
  every(intervalMs: number, work: () => Promise<void>): void;
  /** What has not begun does not begin; waits for what has. */
  stop(): Promise<void>;
}

export function backgroundWork({ clock, log }: { readonly clock: Clock; readonly log: Log }): Background {
  const timers = new Set<Timer>();
  const running = new Set<Promise<void>>();
  let isStopped = false;
  const after = (delayMs: number, work: () => Promise<void>) => {
    if (isStopped) return;
    const timer = clock.after(delayMs, () => {
      timers.delete(timer);
      const task = work()
        .catch((cause: unknown) => log.error("background work of lambda failed", { cause }))
        .finally(() => running.delete(task));
      running.add(task);
    });
    timers.add(timer);
  };
  const every = (intervalMs: number, work: () => Promise<void>) => {
    after(intervalMs, async () => {
      try {
        await work();
      } finally {
        every(intervalMs, work);
      }
    });
  };
  return {
    after,
    every,
    async stop() {
      isStopped = true;
      for (const timer of timers) timer.cancel();
      await Promise.all(running);
    },
  };
}
