// Lines on their way to standard error: gathered for a moment, so that a line costs a request no system call of its own.
import type { Clock, Timer } from "./clock.ts";

const FLUSH_INTERVAL_MS = 100;
const GATHERED_LENGTH_MAX = 64 * 1024;

interface LogLines {
  /** `isUrgent`: is written at once, with what came before it. */
  readonly write: (line: string, isUrgent: boolean) => void;
  /** Writes what is gathered: before the process ends. */
  readonly flush: () => void;
}

/** `write` must take the text before it returns, as standard error does. */
export function logLines(clock: Clock, write: (text: string) => void): LogLines {
  let gathered = "";
  let timer: Timer | undefined;
  const flush = () => {
    timer?.cancel();
    timer = undefined;
    if (gathered !== "") write(gathered);
    gathered = "";
  };
  return {
    write(line, isUrgent) {
      gathered += line;
      if (isUrgent || gathered.length > GATHERED_LENGTH_MAX) flush();
      else timer ??= clock.after(FLUSH_INTERVAL_MS, flush);
    },
    flush,
  };
}
