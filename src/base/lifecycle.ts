// What was started, to be stopped in the opposite order.

export interface Lifecycle {
  /** Registers how to stop something that has just been started. */
  onStop(name: string, stop: () => void | Promise<void>): void;
  /** Stops everything, last started first; a failing stop does not keep the others from running. */
  stop(): Promise<void>;
}

export function lifecycle(failed: (name: string, cause: unknown) => void): Lifecycle {
  const stops: { name: string; stop: () => void | Promise<void> }[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    for (let entry = stops.pop(); entry !== undefined; entry = stops.pop())
      try {
        await entry.stop();
      } catch (cause) {
        failed(entry.name, cause);
      }
  };
  return {
    onStop: (name, stop) => void stops.push({ name, stop }),
    stop: () => (stopping ??= stopAll()),
  };
}
