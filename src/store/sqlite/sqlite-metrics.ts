// The embedded MetricStore: metrics.db in a thread of its own; what is put while a transaction runs goes together into the next.
import { join } from "node:path";
import type { MetricPoint, MetricStore } from "../metric-store.ts";
import { callThread } from "./call-thread.ts";
import type { MetricCalls } from "./metric-worker.ts";

interface Put extends PromiseWithResolvers<"stored" | "full"> {
  readonly points: readonly MetricPoint[];
}

export function sqliteMetrics({ directory }: { readonly directory: string }): MetricStore {
  const thread = new URL("./metric-worker.ts", import.meta.url);
  const call = callThread<MetricCalls>(thread, join(directory, "metrics.db"));
  let waiting: Put[] = [];
  let writing: Promise<void> | undefined;
  const write = async () => {
    while (waiting.length > 0) {
      const puts = waiting;
      waiting = [];
      try {
        const outcomes = await call(
          "putAll",
          puts.map(({ points }) => points),
        );
        for (const [index, { resolve }] of puts.entries()) resolve(outcomes[index] ?? "stored");
      } catch (cause) {
        for (const { reject } of puts) reject(cause);
      }
    }
    writing = undefined;
  };
  return {
    put(points) {
      const put: Put = { points, ...Promise.withResolvers<"stored" | "full">() };
      waiting.push(put);
      writing ??= write();
      return put.promise;
    },
    query: (query) => call("query", query),
    list: (list) => call("list", list),
    async expire(nowMs) {
      // In steps, between which others get their turn.
      while (await call("expire", nowMs));
    },
    async close() {
      await writing;
      await call("close");
    },
  };
}
