// The TraceStore that forgets: the same SQL on a database in memory, run at once. For tests.
import { TraceDatabase } from "../sqlite/trace-database.ts";
import type { TraceStore } from "../trace-store.ts";

/** `bytesMax`: of all traces together, where a test wants less than TRACES_BYTES_MAX. */
export function memoryTraces({ bytesMax }: { readonly bytesMax?: number } = {}): TraceStore {
  const database = new TraceDatabase(":memory:", bytesMax);
  return {
    put: (segments, nowMs) => Promise.resolve(database.putAll([{ segments, nowMs }])[0] ?? []),
    ofTraces: (account, region, traceIds) => Promise.resolve(database.ofTraces(account, region, traceIds)),
    list: (list) => Promise.resolve(database.list(list)),
    expire(beforeMs) {
      while (database.expire(beforeMs));
      return Promise.resolve();
    },
    close: () => Promise.resolve(database.close()),
  };
}
