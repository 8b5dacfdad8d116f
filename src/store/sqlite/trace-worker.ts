// The thread that owns traces.db. Speaks with sqlite-traces.ts only.
import { parentPort, workerData } from "node:worker_threads";
import { TraceDatabase } from "./trace-database.ts";

export type TraceCalls = Pick<TraceDatabase, "putAll" | "ofTraces" | "list" | "expire" | "close">;

interface TraceCall {
  readonly id: number;
  readonly method: keyof TraceCalls;
  readonly words: readonly unknown[];
}

if (parentPort !== null) {
  const port = parentPort;
  const traces = new TraceDatabase((workerData as { path: string }).path);
  port.on("message", ({ id, method, words }: TraceCall) => {
    try {
      const result = (traces[method] as (...all: readonly unknown[]) => unknown).apply(traces, [...words]);
      port.postMessage({ id, result });
      if (method === "close") port.close();
    } catch (error) {
      port.postMessage({ id, error: (error as Error).message });
    }
  });
}
