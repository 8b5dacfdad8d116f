// The embedded MetricStore: metrics.db in a thread of its own; what is put while a transaction runs goes together into the next.
import { join } from "node:path";
import type { MetricPoint, MetricStore } from "../metric-store.ts";
import { BatchedPuts } from "./batched-puts.ts";
import { callThread } from "./call-thread.ts";
import type { MetricCalls } from "./metric-worker.ts";

export function sqliteMetrics({ directory }: { readonly directory: string }): MetricStore {
  const thread = new URL("./metric-worker.ts", import.meta.url);
  const call = callThread<MetricCalls>(thread, join(directory, "metrics.db"));
  const puts = new BatchedPuts<readonly MetricPoint[], "stored" | "full">((all) => call("putAll", all));
  return {
    put: (points) => puts.put(points),
    query: (query) => call("query", query),
    list: (list) => call("list", list),
    async expire(nowMs) {
      // In steps, between which others get their turn.
      while (await call("expire", nowMs));
    },
    async close() {
      await puts.settled();
      await call("close");
    },
  };
}
