// The only place that reads the time or sets a timer; everything else takes a Clock.

/** A pending timer; `cancel` is safe to call at any time. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time: milliseconds since the Unix epoch. For what is shown, stored or signed. */
  now(): number;
  /** Monotonic milliseconds with a fraction. For durations and deadlines. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`; any length is right, also beyond Node's 2^31 ms. */
  after(delayMs: number, run: () => void): Timer;
  /** How many of its milliseconds pass in a real one. Absent: one. */
  readonly scale?: number;
}

/** So many real milliseconds, in the clock's own: for what must not become shorter when time runs faster. */
export const inRealTime = ({ scale = 1 }: Clock, ms: number): number => ms * scale;

const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      // setTimeout fires at once beyond 2^31 ms, so a long wait is made of shorter ones.
      const stepMs = Math.min(Math.max(leftMs, 0), TIMER_MS_MAX);
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : run()), stepMs);
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const aborted = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    });
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
