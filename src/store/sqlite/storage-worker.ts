// The thread that owns the database: takes whatever calls have gathered, commits them as one group, answers. Group commit is this loop.
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import { Checkpoints } from "./checkpoints.ts";
import { Database, type CallResult } from "./database.ts";
import type { TableCall } from "./tables.ts";

export type ToWorker = { readonly calls: readonly TableCall[]; readonly bytes: number } | { readonly close: true };
export type FromWorker =
  | { readonly opened: true }
  | { readonly results: readonly CallResult[] }
  /** What the last group has left on the disk is not known; the thread does nothing more. */
  | { readonly broken: string }
  | { readonly closed: true };

/** Calls and bytes per commit at most: bounds how long one commit takes. */
const GROUP_MAX = 1024;
const GROUP_BYTES_MAX = 8 * 2 ** 20;
/** Bodies from here on are handed over, smaller ones copied. */
const TRANSFERRED_BYTES_MIN = 4096;

interface Group {
  readonly calls: TableCall[];
  readonly isLast: boolean;
}

/** The message that woke the thread, and those that came after it. */
function gather(port: MessagePort, first: ToWorker): Group {
  const calls: TableCall[] = [];
  let bytes = 0;
  for (let message: ToWorker | undefined = first; message !== undefined;) {
    if ("close" in message) return { calls, isLast: true };
    for (const call of message.calls) calls.push(call);
    bytes += message.bytes;
    const isEnough = calls.length >= GROUP_MAX || bytes >= GROUP_BYTES_MAX;
    message = isEnough ? undefined : (receiveMessageOnPort(port)?.message as ToWorker | undefined);
  }
  return { calls, isLast: false };
}

function bodiesOf(results: readonly CallResult[]): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  for (const outcome of results) {
    if (!("result" in outcome) || !Array.isArray(outcome.result)) continue;
    for (const item of outcome.result as readonly { readonly body?: Uint8Array<ArrayBuffer> }[]) {
      const buffer = item?.body?.buffer;
      if (buffer !== undefined && buffer.byteLength >= TRANSFERRED_BYTES_MIN) buffers.push(buffer);
    }
  }
  return buffers;
}

function serve(port: MessagePort, database: Database, path: string): void {
  const tell = (message: FromWorker, buffers: readonly ArrayBuffer[] = []) => port.postMessage(message, buffers);
  const fail = (cause: Error) => {
    checkpoints.abandon();
    tell({ broken: cause.message });
    port.close();
  };
  const checkpoints = new Checkpoints(database, path, fail);
  const close = async () => {
    await checkpoints.close();
    database.close();
    tell({ closed: true });
    port.close();
  };
  tell({ opened: true });
  port.on("message", (first: ToWorker) => {
    const { calls, isLast } = gather(port, first);
    try {
      if (calls.length > 0) {
        const results = database.run(calls);
        tell({ results }, bodiesOf(results));
        checkpoints.committed();
      }
    } catch (cause) {
      return fail(cause as Error);
    }
    if (isLast) close().catch((cause: unknown) => fail(cause as Error));
  });
}

if (parentPort !== null) {
  const { path, wasKilled } = workerData as { path: string; wasKilled: boolean };
  const database = new Database(path, wasKilled);
  serve(parentPort, database, path);
}
