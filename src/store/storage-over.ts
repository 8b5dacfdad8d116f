// A Storage over something that runs the calls of sqlite/tables.ts: adds time, JSON, the change feed and hints. Shared by the drivers.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { ChangeFeed } from "./change-feed.ts";
import { watched } from "./clock-steps.ts";
import { Hints } from "./hints.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { ClockOf } from "./sqlite/set-back.ts";
import type { Tables } from "./sqlite/tables.ts";
import {
  StorageError,
  type Change,
  type DurableQueue,
  type Effects,
  type Entry,
  type Journal,
  type Leases,
  type MetaStore,
  type NewMessage,
  type Storage,
  type Timers,
  type Write,
} from "./storage.ts";
import type { StoredEffects, StoredEntry, StoredWrite } from "./stored.ts";

export interface Driver {
  /**
   * Runs one call in a transaction of its own (or its own part of one), and resolves when that is durable. `settled` is called with the
   * result before the promise resolves, in the order in which the calls were made.
   */
  run<M extends keyof Tables>(
    name: M,
    words: Parameters<Tables[M]>,
    settled?: (result: ReturnType<Tables[M]>) => void,
  ): Promise<ReturnType<Tables[M]>>;
  /** A copy that the caller can't change any more. */
  copy(body: Uint8Array): Uint8Array;
  close(): Promise<void>;
}

function textOf(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`a record can't hold a ${typeof value}`);
  return text;
}

/** Records that are on their way from the database at a time: a follower may want very many. */
const PAGE = 1000;

const storedWrite = ({ key, value, expect, keep, add }: Write): StoredWrite => ({
  key,
  ...(value === undefined || keep === true ? {} : { text: textOf(value) }),
  ...(expect === undefined ? {} : { expect }),
  ...(keep === undefined ? {} : { keep }),
  ...(add === undefined ? {} : { add }),
});

const entryOf = <T>({ key, revision, text }: StoredEntry): Entry<T> => ({ key, revision, value: JSON.parse(text) as T });

function checkLimit(limit: number): number {
  if (!Number.isSafeInteger(limit) || limit < 0) throw new RangeError(`a limit of ${limit}`);
  return limit;
}

/** Callers may use their buffers again as soon as the call has returned. */
const kept = <T extends { readonly body: Uint8Array }>(driver: Driver, items: readonly T[]): T[] =>
  items.map((item) => ({ ...item, body: driver.copy(item.body) }));

/** Runs a call with effects; followers and listeners learn of them. */
type WithEffects = (
  effects: Effects | undefined,
  call: (stored: StoredEffects, settled: (revisions: readonly number[]) => void) => Promise<unknown>,
) => Promise<void>;

function withEffectsOver(driver: Driver, feed: ChangeFeed, hints: Hints): WithEffects {
  return async ({ writes = [], enqueue = [], timers = [] } = {}, call) => {
    const stored = { writes: writes.map(storedWrite), enqueue: kept(driver, enqueue), timers: kept(driver, timers) };
    await call(stored, (revisions) => feed.publish(stored.writes, revisions));
    hints.enqueued(enqueue);
  };
}

interface Clocks {
  readonly clock: Clock;
  /** Of the durable queue and of timers, where it runs faster. */
  readonly pace?: Clock | undefined;
  readonly log: Log;
}

/** The clock of a store's calls: the call that first meets a step back comes behind what follows from it. */
function clockOver(of: ClockOf, clock: Clock, driver: Driver, log: Log): Clock {
  return watched(clock, async (byMs, nowMs) => {
    await driver.run("setBack", [of, byMs, nowMs]);
    tellSetBack(log, of, byMs);
  });
}

const tellSetBack = (log: Log, of: ClockOf, byMs: number) =>
  log.warn("the clock was set back: what waits for a time waits no longer for it", { of, byMs });

/** To be called before `storageOver` when there was a server before this one. */
export async function reopen(driver: Driver, { clock, pace = clock, log }: Clocks): Promise<void> {
  const reopenFor = async (of: ClockOf, nowMs: number) => {
    const byMs = await driver.run("opening", [of, nowMs]);
    if (byMs > 0) tellSetBack(log, of, byMs);
  };
  try {
    await Promise.all([reopenFor("mail", clock.now()), reopenFor("queue", pace.now())]);
  } catch (cause) {
    // The disk is full: what there is can be read all the same.
    if (!(cause instanceof StorageError)) throw cause;
    log.warn("whether the clock was set back since the last server stopped can't be looked up", { cause });
  }
}

export function storageOver(driver: Driver, { clock: real, pace: fast = real, log }: Clocks): Storage {
  const clock = clockOver("mail", real, driver, log);
  const pace = clockOver("queue", fast, driver, log);
  const feed = new ChangeFeed();
  const hints = new Hints(clock);
  const queueHints = new Hints(pace);
  const withEffects = withEffectsOver(driver, feed, queueHints);
  return {
    meta: metaStore(pace, driver, feed, queueHints),
    queue: durableQueue(pace, driver, queueHints, withEffects),
    mailboxes: mailboxes(clock, driver, hints),
    journal: journal(pace, driver, withEffects),
    timers: timersOf(pace, driver, withEffects),
    leases: leases(clock, driver, withEffects),
    capacity: {
      limit: (pool, amount) => driver.run("limitPool", [pool, amount]),
      draw: (pool, want, durationMs) => driver.run("drawBudget", [pool, want, durationMs, clock.now()]),
      giveBack: (budgets) => driver.run("giveBackBudgets", [budgets]),
    },
    async close() {
      hints.close();
      queueHints.close();
      // Without it the next server can't know of a clock that was set back: no reason not to stop.
      driver.run("closing", ["mail", real.now()]).catch(() => undefined);
      driver.run("closing", ["queue", fast.now()]).catch(() => undefined);
      await driver.close();
    },
  };
}

function metaStore(clock: Clock, driver: Driver, feed: ChangeFeed, hints: Hints): MetaStore {
  return {
    async get<T>(keys: Parameters<MetaStore["get"]>[0]) {
      const found = await driver.run("getRecords", [keys]);
      return found.map((entry) => (entry === undefined ? undefined : entryOf<T>(entry)));
    },
    async list<T>(range: Parameters<MetaStore["list"]>[0]) {
      checkLimit(range.limit);
      return (await driver.run("listRecords", [range])).map((entry) => entryOf<T>(entry));
    },
    async write(writes, enqueue = []) {
      const stored = writes.map(storedWrite);
      const messages = kept<NewMessage>(driver, enqueue);
      const revisions = await driver.run("writeRecords", [stored, messages, clock.now()], (made) => feed.publish(stored, made));
      hints.enqueued(enqueue);
      return revisions;
    },
    async follow(kinds, seen) {
      let follower: { stop(): void } | undefined;
      let firstChange = Infinity;
      const changed = (changes: readonly Change[]) => {
        firstChange = Math.min(firstChange, changes[0]?.revision ?? Infinity);
        seen(changes);
      };
      const tell = (page: readonly StoredEntry[]) => {
        // What has changed since the first page was told when it did.
        const present = page.filter(({ revision }) => revision < firstChange);
        if (present.length > 0) seen(present.map((entry) => entryOf(entry)));
        // In the step that delivers the first page: no change falls between the two.
        follower ??= feed.follow(kinds, changed);
      };
      for (const kind of kinds) {
        let page: readonly StoredEntry[] = [];
        do page = await driver.run("recordsOfKind", [kind, page.at(-1)?.key, PAGE], tell);
        while (page.length === PAGE);
      }
      return { stop: () => follower?.stop() };
    },
  };
}

function durableQueue(clock: Clock, driver: Driver, hints: Hints, withEffects: WithEffects): DurableQueue {
  return {
    async enqueue(messages) {
      await driver.run("enqueue", [kept<NewMessage>(driver, messages), clock.now()]);
      hints.enqueued(messages);
    },
    async enqueueClaimed({ queue, id, body }, visibilityMs) {
      return await driver.run("enqueueClaimed", [{ queue, id, body: driver.copy(body) }, visibilityMs, clock.now()]);
    },
    claim: async (queue, limit, visibilityMs) => driver.run("claim", [queue, checkLimit(limit), visibilityMs, clock.now()]),
    extend: (tokens, visibilityMs) => driver.run("extendClaims", [tokens, visibilityMs, clock.now()]),
    acknowledge: (tokens, effects) =>
      withEffects(effects, (stored, settled) => driver.run("acknowledge", [tokens, stored, clock.now()], settled)),
    async release(tokens, delayMs) {
      const visibleAtMs = clock.now() + delayMs;
      for (const queue of await driver.run("releaseClaims", [tokens, delayMs, clock.now()])) hints.visible(queue, visibleAtMs);
    },
    depth: (queue) => driver.run("depth", [queue, clock.now()]),
    waiting: (prefix) => driver.run("waitingQueues", [prefix, clock.now()]),
    onHint: (queue, wake) => hints.listen(queue, wake),
  };
}

function mailboxes(clock: Clock, driver: Driver, hints: Hints): Mailboxes {
  /** No queue has such a name. */
  const hintOf = (mailbox: string) => `mailbox\0${mailbox}`;
  return {
    async send(mail) {
      const sent = await driver.run("sendMail", [kept(driver, mail), clock.now()]);
      for (const { mailbox, dueAtMs = 0 } of mail) hints.visible(hintOf(mailbox), dueAtMs);
      return sent;
    },
    async receive(mailbox, options) {
      checkLimit(options.limit);
      const received = await driver.run("receiveMail", [mailbox, options, clock.now()]);
      if (options.deadLetter !== undefined && received.deadLetters > 0) hints.visible(hintOf(options.deadLetter.mailbox), 0);
      return received;
    },
    async remove(mailbox, tokens) {
      const { removals, isFreed } = await driver.run("removeMail", [mailbox, tokens, clock.now()]);
      if (isFreed) hints.visible(hintOf(mailbox), 0);
      return removals;
    },
    async hide(mailbox, claims, totalMs) {
      const answers = await driver.run("hideMail", [mailbox, claims, totalMs, clock.now()]);
      for (const { visibilityMs } of claims) hints.visible(hintOf(mailbox), clock.now() + visibilityMs);
      return answers;
    },
    counts: (mailbox) => driver.run("countMail", [mailbox, clock.now()]),
    async expire(mailbox, untilMs, limit) {
      const removed = await driver.run("expireMail", [mailbox, untilMs, checkLimit(limit), clock.now()]);
      if (removed > 0) hints.visible(hintOf(mailbox), 0);
      return removed;
    },
    async forward(mailbox, ids, to) {
      const answer = await driver.run("forwardMail", [mailbox, ids, to, clock.now()]);
      for (const target of typeof to === "string" ? [to] : Object.values(to)) hints.visible(hintOf(target), 0);
      return answer;
    },
    forget: (mailbox) => driver.run("forgetMailbox", [mailbox]),
    names: () => driver.run("mailboxNames", []),
    onHint: (mailbox, wake) => hints.listen(hintOf(mailbox), wake),
  };
}

function journal(clock: Clock, driver: Driver, withEffects: WithEffects): Journal {
  return {
    append(stream, expectedSequence, events, effects) {
      const bodies = events.map((body) => driver.copy(body));
      return withEffects(effects, (stored, settled) =>
        driver.run("appendEvents", [stream, expectedSequence, bodies, stored, clock.now()], settled),
      );
    },
    read: async (stream, afterSequence, limit) => driver.run("readEvents", [stream, afterSequence, checkLimit(limit)]),
    remove: (stream) => driver.run("removeEvents", [stream]),
  };
}

function timersOf(clock: Clock, driver: Driver, withEffects: WithEffects): Timers {
  return {
    set: async (timers) => driver.run("setTimers", [kept(driver, timers)]),
    cancel: (group, ids) => driver.run("cancelTimers", [group, ids]),
    claimDue: async (group, limit, visibilityMs) => driver.run("claimTimers", [group, checkLimit(limit), visibilityMs, clock.now()]),
    acknowledge: (tokens, effects) =>
      withEffects(effects, (stored, settled) => driver.run("acknowledgeTimers", [tokens, stored, clock.now()], settled)),
  };
}

function leases(clock: Clock, driver: Driver, withEffects: WithEffects): Leases {
  return {
    acquire: (names, holder, durationMs) => driver.run("acquireLeases", [names, holder, durationMs, clock.now()]),
    renew: (held, durationMs) => driver.run("renewLeases", [held, durationMs, clock.now()]),
    release: (held) => driver.run("releaseLeases", [held]),
    fenced: (lease, effects) => withEffects(effects, (stored, settled) => driver.run("fenced", [lease, stored, clock.now()], settled)),
  };
}
