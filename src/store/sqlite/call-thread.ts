// Calls into a thread that owns a database, each with its answer; all of them fail when the thread has ended.
import { basename } from "node:path";
import { startWorker } from "./start-worker.ts";

type Reply = { readonly id: number; readonly result?: unknown; readonly error?: string };
export type Call<C> = <M extends keyof C>(
  method: M,
  ...words: C[M] extends (...words: infer W) => unknown ? W : never
) => Promise<C[M] extends (...words: never[]) => infer R ? R : never>;

/** `path` is the database's: the thread finds it in its workerData. */
export function callThread<C>(script: URL, path: string): Call<C> {
  const worker = startWorker(script, { path });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const name = basename(path);
  let sequence = 0;
  let ended: Error | undefined;
  const end = (cause: Error) => {
    ended ??= cause;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on("message", ({ id, result, error }: Reply) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${name}: ${error}`));
  });
  worker.on("error", (error) => end(error));
  worker.on("exit", () => end(new Error(`${name} is closed`)));
  return (method, ...words) => {
    if (ended !== undefined) return Promise.reject(ended);
    const call = Promise.withResolvers<unknown>();
    const id = sequence++;
    waiting.set(id, call);
    worker.postMessage({ id, method, words });
    return call.promise as never;
  };
}
