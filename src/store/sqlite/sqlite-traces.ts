// The embedded TraceStore: traces.db in a thread of its own; what is put while a transaction runs goes together into the next.
// The thread begins with the first trace: most servers never see one, and it takes some 15 MiB.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TraceStore } from "../trace-store.ts";
import { BatchedPuts } from "./batched-puts.ts";
import { callThread, type Call } from "./call-thread.ts";
import type { TracePut } from "./trace-database.ts";
import type { TraceCalls } from "./trace-worker.ts";

export function sqliteTraces({ directory }: { readonly directory: string }): TraceStore {
  const path = join(directory, "traces.db");
  const begin = () => callThread<TraceCalls>(new URL("./trace-worker.ts", import.meta.url), path);
  let thread: Call<TraceCalls> | undefined = existsSync(path) ? begin() : undefined;
  const call: Call<TraceCalls> = (method, ...words) => (thread ??= begin())(method, ...words);
  const puts = new BatchedPuts<TracePut, readonly number[]>((all) => call("putAll", all));
  return {
    put: (segments, nowMs) => puts.put({ segments, nowMs }),
    ofTraces: (account, region, traceIds) => call("ofTraces", account, region, traceIds),
    list: (list) => call("list", list),
    async expire(beforeMs) {
      // In steps, between which others get their turn.
      if (thread !== undefined) while (await thread("expire", beforeMs));
    },
    async close() {
      await puts.settled();
      if (thread === undefined) thread = () => Promise.reject(new Error("traces.db is closed"));
      else await thread("close");
    },
  };
}
