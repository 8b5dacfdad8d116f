// When a failed attempt is repeated: at once, then evenly, then ever more slowly, then evenly again, as SNS's delivery policies have it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html

export type BackoffCurve = "linear" | "arithmetic" | "geometric" | "exponential";

/** Counts of retries in the order of their phases; after them every retry waits `maxMs`. */
export interface RetryPace {
  readonly noDelay: number;
  readonly minDelay: number;
  readonly backoff: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly curve: BackoffCurve;
}

/** How far the wait has come from `minMs` to `maxMs`, at `share` (0 to 1) of the backoff phase. */
function curved({ minMs, maxMs, curve }: RetryPace, step: number, share: number): number {
  if (curve === "exponential") return minMs * 2 ** step;
  if (curve === "geometric") return minMs * (maxMs / minMs) ** share;
  return minMs + (maxMs - minMs) * (curve === "linear" ? share : (share * (share + 1)) / 2);
}

/** The wait before the retry that follows attempt number `attempt`, which was 1 at first. */
export function pacedDelayMs(pace: RetryPace, attempt: number): number {
  const { noDelay, minDelay, backoff, minMs, maxMs } = pace;
  if (attempt <= noDelay) return 0;
  if (attempt <= noDelay + minDelay) return minMs;
  const step = attempt - noDelay - minDelay - 1;
  if (step >= backoff) return maxMs;
  return Math.round(Math.min(maxMs, curved(pace, step, backoff === 1 ? 1 : step / (backoff - 1))));
}
