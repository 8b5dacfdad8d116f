// The MetricStore that forgets: the same SQL on a database in memory, run at once. For tests.
import type { MetricStore } from "../metric-store.ts";
import { MetricDatabase } from "../sqlite/metric-database.ts";

export function memoryMetrics(): MetricStore {
  const database = new MetricDatabase(":memory:");
  return {
    put: (points) => Promise.resolve(database.putAll([points])[0] ?? "stored"),
    query: (query) => Promise.resolve(database.query(query)),
    list: (list) => Promise.resolve(database.list(list)),
    expire(nowMs) {
      while (database.expire(nowMs));
      return Promise.resolve();
    },
    close: () => Promise.resolve(database.close()),
  };
}
