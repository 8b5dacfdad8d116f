// The embedded TraceStore: traces.db in a thread of its own; what is put while a transaction runs goes together into the next.
import { join } from "node:path";
import type { TraceStore } from "../trace-store.ts";
import { callThread } from "./call-thread.ts";
import type { TracePut } from "./trace-database.ts";
import type { TraceCalls } from "./trace-worker.ts";

type Put = TracePut & PromiseWithResolvers<readonly number[]>;

export function sqliteTraces({ directory }: { readonly directory: string }): TraceStore {
  const thread = new URL("./trace-worker.ts", import.meta.url);
  const call = callThread<TraceCalls>(thread, join(directory, "traces.db"));
  let waiting: Put[] = [];
  let writing: Promise<void> | undefined;
  const write = async () => {
    while (waiting.length > 0) {
      const puts = waiting;
      waiting = [];
      try {
        const refused = await call(
          "putAll",
          puts.map(({ segments, nowMs }) => ({ segments, nowMs })),
        );
        for (const [index, { resolve }] of puts.entries()) resolve(refused[index] ?? []);
      } catch (cause) {
        for (const { reject } of puts) reject(cause);
      }
    }
    writing = undefined;
  };
  return {
    put(segments, nowMs) {
      const put: Put = { segments, nowMs, ...Promise.withResolvers<readonly number[]>() };
      waiting.push(put);
      writing ??= write();
      return put.promise;
    },
    ofTraces: (account, region, traceIds) => call("ofTraces", account, region, traceIds),
    list: (list) => call("list", list),
    async expire(beforeMs) {
      // In steps, between which others get their turn.
      while (await call("expire", beforeMs));
    },
    async close() {
      await writing;
      await call("close");
    },
  };
}
