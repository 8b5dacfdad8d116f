// The thread that copies the WAL into the database while commits go on: the slow part of a checkpoint.
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

export type ToCheckpointer = "copy" | "close";
/** What stopped the copying, with SQLite's code; nothing when it went through. */
export interface FromCheckpointer {
  readonly error?: { readonly message: string; readonly errcode: number };
}

if (parentPort !== null) {
  const port = parentPort;
  const database = new DatabaseSync((workerData as { path: string }).path);
  database.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");
  const copy = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  const answer = (message: FromCheckpointer) => port.postMessage(message);
  port.on("message", (message: ToCheckpointer) => {
    if (message === "close") {
      database.close();
      port.close();
      return;
    }
    try {
      copy.get();
      answer({});
    } catch (error) {
      answer({ error: { message: (error as Error).message, errcode: (error as { errcode?: number }).errcode ?? 0 } });
    }
  });
}
