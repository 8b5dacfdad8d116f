// The embedded TraceStore: traces.db in a thread of its own; what is put while a transaction runs goes together into the next.
// The thread begins with the first trace: most servers never see one, and it takes some 15 MiB.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TraceStore } from "../trace-store.ts";
import { callThread, type Call } from "./call-thread.ts";
import type { TracePut } from "./trace-database.ts";
import type { TraceCalls } from "./trace-worker.ts";

type Put = TracePut & PromiseWithResolvers<readonly number[]>;

export function sqliteTraces({ directory }: { readonly directory: string }): TraceStore {
  const path = join(directory, "traces.db");
  const begin = () => callThread<TraceCalls>(new URL("./trace-worker.ts", import.meta.url), path);
  let thread: Call<TraceCalls> | undefined = existsSync(path) ? begin() : undefined;
  const call: Call<TraceCalls> = (method, ...words) => (thread ??= begin())(method, ...words);
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
      if (thread !== undefined) while (await thread("expire", beforeMs));
    },
    async close() {
      await writing;
      if (thread === undefined) thread = () => Promise.reject(new Error("traces.db is closed"));
      else await thread("close");
    },
  };
}
