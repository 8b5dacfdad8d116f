// The Storage that forgets: the same SQL on a database in memory, run at once. For tests.
import type { Clock } from "../../base/clock.ts";
import { Database } from "../sqlite/database.ts";
import { storageOver, type RunCall } from "../storage-over.ts";
import { StorageError, type Storage } from "../storage.ts";

export function memoryStorage(options: { clock: Clock }): Storage {
  const database = new Database(":memory:");
  let isClosed = false;
  const run: RunCall = async (call, settled) => {
    if (isClosed) throw new StorageError("Unavailable", "the store is closed");
    const [outcome] = database.run([structuredClone(call)]);
    if (outcome === undefined) throw new Error("a call without an outcome");
    if ("failure" in outcome) throw new StorageError(outcome.failure, outcome.message);
    settled?.(outcome.result as never);
    return await Promise.resolve(outcome.result as never);
  };
  return storageOver(options.clock, run, () => {
    isClosed = true;
    database.close();
    return Promise.resolve();
  });
}
