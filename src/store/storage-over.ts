// A Storage over something that runs the calls of sqlite/tables.ts: adds time, the change feed and hints. Shared by the drivers.
import type { Clock, Timer as ClockTimer } from "../base/clock.ts";
import type { Tables, Written } from "./sqlite/tables.ts";
import type {
  Budget,
  Change,
  ClaimedMessage,
  ClaimedTimer,
  DurableQueue,
  Effects,
  Entry,
  JournalEvent,
  Lease,
  MetaStore,
  NewMessage,
  Storage,
} from "./storage.ts";

/** A name of a method of Tables, with its arguments. */
export type TableCall = { [M in keyof Tables]: readonly [M, ...Parameters<Tables[M]>] }[keyof Tables];

/**
 * Runs one call in a transaction of its own (or its own part of one), and resolves when that is durable. `settled` is called with the
 * result before the promise resolves, in the order in which the calls were made.
 */
export type RunCall = <R>(call: TableCall, settled?: (result: R) => void) => Promise<R>;

type Seen = (changes: readonly Change[]) => void;

class ChangeFeed {
  readonly #followers = new Set<{ readonly kinds: ReadonlySet<string>; readonly seen: Seen }>();

  publish(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    for (const { kinds, seen } of this.#followers) {
      const wanted = changes.filter((change) => kinds.has(change.key.kind));
      if (wanted.length > 0) seen(wanted);
    }
  }

  follow(kinds: readonly string[], seen: Seen): { stop(): void } {
    const follower = { kinds: new Set(kinds), seen };
    this.#followers.add(follower);
    return { stop: () => void this.#followers.delete(follower) };
  }
}

class Hints {
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #timers = new Set<ClockTimer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(queue: string, wake: () => void): { stop(): void } {
    const listeners = this.#listeners.get(queue) ?? new Set();
    this.#listeners.set(queue, listeners.add(wake));
    return { stop: () => void listeners.delete(wake) };
  }

  visible(messages: readonly NewMessage[] = []): void {
    const nowMs = this.#clock.now();
    for (const { queue, visibleAtMs = nowMs } of messages) {
      const listeners = this.#listeners.get(queue);
      if (listeners === undefined || listeners.size === 0) continue;
      const timer = this.#clock.after(visibleAtMs - nowMs, () => {
        this.#timers.delete(timer);
        for (const wake of listeners) wake();
      });
      this.#timers.add(timer);
    }
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}

export function storageOver(clock: Clock, run: RunCall, close: () => Promise<void>): Storage {
  const feed = new ChangeFeed();
  const hints = new Hints(clock);
  const withEffects = async (call: TableCall, effects: Effects | undefined) => {
    await run<readonly Change[]>(call, (changes) => feed.publish(changes));
    hints.visible(effects?.enqueue);
  };
  return {
    meta: metaStore(run, feed),
    queue: durableQueue(clock, run, hints, withEffects),
    journal: {
      append: (stream, expected, events, effects) => withEffects(["append", stream, expected, events, effects, clock.now()], effects),
      read: (stream, after, limit) => run<readonly JournalEvent[]>(["readJournal", stream, after, limit]),
      remove: (stream) => run(["removeJournal", stream]),
    },
    timers: {
      set: (timers) => run(["timersSet", timers]),
      cancel: (group, ids) => run(["timersCancel", group, ids]),
      claimDue: (group, limit, visibilityMs) => run<readonly ClaimedTimer[]>(["timersClaim", group, limit, visibilityMs, clock.now()]),
      acknowledge: (tokens, effects) => withEffects(["timersAcknowledge", tokens, effects, clock.now()], effects),
    },
    leases: {
      acquire: (names, holder, durationMs) =>
        run<readonly (Lease | undefined)[]>(["leasesAcquire", names, holder, durationMs, clock.now()]),
      renew: (leases, durationMs) => run<readonly (Lease | undefined)[]>(["leasesRenew", leases, durationMs, clock.now()]),
      release: (leases) => run(["leasesRelease", leases]),
      fenced: (lease, effects) => withEffects(["fenced", lease, effects, clock.now()], effects),
    },
    capacity: {
      limit: (pool, amount) => run(["capacityLimit", pool, amount]),
      draw: (pool, want, durationMs) => run<Budget | undefined>(["capacityDraw", pool, want, durationMs, clock.now()]),
      giveBack: (budgets) => run(["capacityGiveBack", budgets]),
    },
    async close() {
      hints.close();
      await close();
    },
  };
}

function metaStore(run: RunCall, feed: ChangeFeed): MetaStore {
  return {
    get: <T>(keys: Parameters<MetaStore["get"]>[0]) => run<readonly (Entry<T> | undefined)[]>(["metaGet", keys]),
    list: <T>(range: Parameters<MetaStore["list"]>[0]) => run<readonly Entry<T>[]>(["metaList", range]),
    write: async (writes) => (await run<Written>(["metaWrite", writes], ({ changes }) => feed.publish(changes))).revisions,
    async follow(kinds, seen) {
      let follower: { stop(): void } | undefined;
      // Registered in the same step in which the snapshot is delivered: no change falls between the two.
      await run<readonly Change[]>(["metaAll", kinds], (present) => {
        seen(present);
        follower = feed.follow(kinds, seen);
      });
      return { stop: () => follower?.stop() };
    },
  };
}

function durableQueue(
  clock: Clock,
  run: RunCall,
  hints: Hints,
  withEffects: (call: TableCall, effects: Effects | undefined) => Promise<void>,
): DurableQueue {
  return {
    async enqueue(messages) {
      await run(["enqueue", messages, clock.now()]);
      hints.visible(messages);
    },
    claim: (queue, limit, visibilityMs) => run<readonly ClaimedMessage[]>(["claim", queue, limit, visibilityMs, clock.now()]),
    extend: (tokens, visibilityMs) => run<readonly boolean[]>(["extend", tokens, visibilityMs, clock.now()]),
    acknowledge: (tokens, effects) => withEffects(["acknowledge", tokens, effects, clock.now()], effects),
    release: (tokens, delayMs) => run(["release", tokens, delayMs, clock.now()]),
    depth: (queue) => run(["depth", queue, clock.now()]),
    onHint: (queue, wake) => hints.listen(queue, wake),
  };
}
