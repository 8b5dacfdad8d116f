// A directory for the time of one piece of work: gone at its end, also when Ctrl-C is the end.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";

/** `prefix`: of its path. Resolves with what the work does. */
export async function inWorkDirectory<T>(prefix: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(prefix);
  const interrupted = (signal: NodeJS.Signals) => {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    // Nobody listens any more, so it ends the process as it does by itself.
    process.kill(process.pid, signal);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    return await work(directory);
  } finally {
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    await rm(directory, { recursive: true, force: true });
  }
}
