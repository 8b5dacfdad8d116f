// How long to wait before the next attempt.

/** `firstMs` after the first attempt, then twice as long each time, up to `maxMs`. */
export function backoffMs(attempt: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.max(0, attempt - 1));
}
