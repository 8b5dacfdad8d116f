// A deadline for something that has none of its own.
import type { Clock } from "./clock.ts";

/** Settles as `work` does, or rejects with what `late` makes when `limitMs` have passed first; `work` goes on then. */
export async function within<T>(clock: Clock, limitMs: number, work: Promise<T>, late: () => Error): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = clock.after(limitMs, () => deadline.reject(late()));
  try {
    return await Promise.race([work, deadline.promise]);
  } finally {
    timer.cancel();
  }
}
