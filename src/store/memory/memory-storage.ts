// The Storage that forgets: the same SQL on a database in memory, run at once. For tests.
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { Database } from "../sqlite/database.ts";
import type { TableCall, Tables } from "../sqlite/tables.ts";
import { StorageError, type Storage } from "../storage.ts";
import { storageOver, type Driver } from "../storage-over.ts";

export function memoryStorage(options: { clock: Clock; pace?: Clock }): Storage {
  const database = new Database(":memory:", false);
  let isClosed = false;
  const run = <M extends keyof Tables>(name: M, words: Parameters<Tables[M]>, settled?: (result: ReturnType<Tables[M]>) => void) => {
    if (isClosed) throw new StorageError("Unavailable", "the store is closed");
    const [outcome] = database.run([[name, ...words] as unknown as TableCall]);
    if (outcome === undefined) throw new Error("a call without an outcome");
    if ("failure" in outcome) throw new StorageError(outcome.failure, outcome.message);
    if ("bug" in outcome) throw new Error(outcome.bug);
    const result = outcome.result as ReturnType<Tables[M]>;
    settled?.(result);
    return result;
  };
  const driver: Driver = {
    run: async (name, words, settled) => run(name, words, settled),
    copy: (body) => new Uint8Array(body),
    close: async () => {
      if (!isClosed) database.close();
      isClosed = true;
    },
  };
  return storageOver(driver, { ...options, log: silentLog });
}
