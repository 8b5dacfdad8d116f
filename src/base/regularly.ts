// Work in the background that is done at once, and again and again.
import type { Clock, Timer } from "./clock.ts";
import type { Log } from "./log.ts";

interface Regular {
  /** Resolves when the work that runs has ended; it does not begin again. */
  stop(): Promise<void>;
}

/** `intervalMs`: from the end of one to the beginning of the next. What fails is tried again next time; the log has `failed`. */
export function regularly(
  { clock, log, intervalMs, failed }: { readonly clock: Clock; readonly log: Log; readonly intervalMs: number; readonly failed: string },
  work: () => Promise<void>,
): Regular {
  let timer: Timer | undefined;
  let isStopped = false;
  let running = Promise.resolve();
  const run = async () => {
    await work().catch((cause: unknown) => log.error(failed, { cause }));
    if (!isStopped) timer = clock.after(intervalMs, () => void (running = run()));
  };
  running = run();
  return {
    async stop() {
      isStopped = true;
      timer?.cancel();
      await running;
    },
  };
}
