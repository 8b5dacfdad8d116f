// Waits for a state, never for a while.
import { setTimeout as pause } from "node:timers/promises";

/** Asks again and again until `probe` answers something; fails with the last reason after `limitMs`, which a busy machine must not reach. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 60_000,
): Promise<T> {
  const endMs = performance.now() + limitMs;
  let reason: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      reason = undefined;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`, { cause: reason });
    await pause(10);
  }
}
