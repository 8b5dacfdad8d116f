// The thread that owns metrics.db. Speaks with sqlite-metrics.ts only.
import { parentPort, workerData } from "node:worker_threads";
import { MetricDatabase } from "./metric-database.ts";

export type MetricCalls = Pick<MetricDatabase, "putAll" | "query" | "list" | "expire" | "close">;

interface MetricCall {
  readonly id: number;
  readonly method: keyof MetricCalls;
  readonly words: readonly unknown[];
}

if (parentPort !== null) {
  const port = parentPort;
  const metrics = new MetricDatabase((workerData as { path: string }).path);
  port.on("message", ({ id, method, words }: MetricCall) => {
    try {
      const result = (metrics[method] as (...all: readonly unknown[]) => unknown).apply(metrics, [...words]);
      port.postMessage({ id, result });
      if (method === "close") port.close();
    } catch (error) {
      port.postMessage({ id, error: (error as Error).message });
    }
  });
}
