// Starts a thread of the store, with nothing of the process's environment but where its compiled code is kept.
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";

/** Without the compile cache, each thread would load Node's whole TypeScript compiler: 11 MiB that are never used again. */
export function startWorker(script: URL, workerData: unknown): Worker {
  const cache = getCompileCacheDir();
  // The directory that was asked for: Node appends one for its version.
  return new Worker(script, { workerData, execArgv: [], env: cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) } });
}
