// The thread that owns the database: takes whatever calls have gathered, commits them as one group, answers. Group commit is this loop.
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { TableCall } from "../storage-over.ts";
import { Database, type CallResult } from "./database.ts";

export type ToWorker = { readonly calls: readonly TableCall[] } | { readonly close: true };
export type FromWorker =
  | { readonly opened: true }
  | { readonly results: readonly CallResult[] }
  /** The whole group failed: nothing of it was written. `isFull`: the disk has no space, later calls may work again. */
  | { readonly failed: string; readonly count: number; readonly isFull: boolean }
  | { readonly closed: true };

/** Calls per commit at most: bounds how long one commit takes. */
const GROUP_MAX = 2048;
const SQLITE_FULL = 13;

if (parentPort !== null) {
  const port = parentPort;
  const tell = (message: FromWorker) => port.postMessage(message);
  const { path, mustCheck } = workerData as { path: string; mustCheck: boolean };
  const database = new Database(path);
  const found = mustCheck ? database.check() : "ok";
  if (found !== "ok") throw new Error(`the database ${path} is damaged: ${found}`);
  tell({ opened: true });
  port.on("message", (first: ToWorker) => {
    const calls: TableCall[] = [];
    let isClosing = false;
    for (let message: ToWorker | undefined = first; message !== undefined; message = next(calls.length)) {
      if ("close" in message) isClosing = true;
      else calls.push(...message.calls);
    }
    if (calls.length > 0) commit(calls);
    if (!isClosing) return;
    database.close();
    tell({ closed: true });
    port.close();
  });
  const next = (gathered: number) => (gathered >= GROUP_MAX ? undefined : (receiveMessageOnPort(port)?.message as ToWorker | undefined));
  const commit = (calls: readonly TableCall[]) => {
    try {
      tell({ results: database.run(calls) });
    } catch (error) {
      tell({ failed: (error as Error).message, count: calls.length, isFull: (error as { errcode?: number }).errcode === SQLITE_FULL });
    }
  };
}
