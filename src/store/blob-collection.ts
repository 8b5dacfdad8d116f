// Removes blobs that no record names, once an hour: they are written before the record that names them, so young ones stay.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { BlobStore } from "./blob-store.ts";

const INTERVAL_MS = 3_600_000;
const AGE_MS_MIN = 3_600_000;

/** What one service needs, as of the moment when it was asked. */
export interface BlobReferences {
  has(sha256: string): boolean;
  release(): void;
}

interface BlobCollectionDeps {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked before anything is removed; a service that can't answer keeps everything. */
  readonly references: () => Promise<readonly BlobReferences[]>;
}

export function startBlobCollection({ blobs, clock, log, references }: BlobCollectionDeps): { stop(): Promise<void> } {
  let isStopped = false;
  let running = Promise.resolve();
  const collect = async () => {
    const needed = await references();
    try {
      const removed = await blobs.collect((sha256) => needed.some((one) => one.has(sha256)), AGE_MS_MIN);
      log.debug("blobs collected", { removed });
    } finally {
      for (const one of needed) one.release();
    }
  };
  const again = () => {
    if (!isStopped) timer = next();
  };
  const next = () =>
    clock.after(INTERVAL_MS, () => {
      running = collect()
        .catch((cause: unknown) => log.error("blobs could not be collected", { cause }))
        .finally(again);
    });
  let timer = next();
  return {
    async stop() {
      isStopped = true;
      timer.cancel();
      await running;
    },
  };
}
