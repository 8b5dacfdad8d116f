// Pending → Active and InProgress → Successful: what is wanted becomes what runs, soon after the change was answered.
import { requestId } from "../base/id.ts";
import type { Log } from "../base/log.ts";
import { StorageError, type Key, type MetaStore } from "../store/storage.ts";
import type { Background } from "./background.ts";
import { isPending, isUpdating, type FunctionRecord } from "./model.ts";

/** Long enough to be seen by who asks at once, too short to be waited for. */
const COMPLETE_DELAY_MS = 5;
const RETRY_MS_MAX = 60_000;

interface Deps {
  readonly meta: MetaStore;
  readonly log: Log;
  /** It runs what was wanted from now on. */
  readonly completed: (key: Key) => void;
}

/** Until it succeeds: a function that stays Pending can neither be invoked nor changed. */
export function completeSoon(deps: Deps, background: Background, key: Key, delayMs = COMPLETE_DELAY_MS): void {
  background.after(delayMs, async () => {
    try {
      if (await complete(deps.meta, key)) return deps.completed(key);
    } catch (cause) {
      deps.log.warn("a function's state could not be changed yet", { function: key.id, cause });
    }
    completeSoon(deps, background, key, Math.min(delayMs * 4, RETRY_MS_MAX));
  });
}

/** False when a change came in between: it may be one that completes nothing itself (a tag, a setting). */
async function complete(meta: MetaStore, key: Key): Promise<boolean> {
  const [entry] = await meta.get<FunctionRecord>([key]);
  if (entry === undefined || (!isPending(entry.value) && !isUpdating(entry.value))) return true;
  const value: FunctionRecord = { ...entry.value, running: entry.value.wanted, revisionId: requestId() };
  try {
    await meta.write([{ key, value, expect: entry.revision }]);
    return true;
  } catch (error) {
    if (error instanceof StorageError && error.failure === "Conflict") return false;
    throw error;
  }
}
