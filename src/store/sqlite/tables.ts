// All calls of the store by name: synchronous, inside a transaction that the caller has begun. Times come from the caller.
import type { Budget, Key, Lease, ListRange, NewMessage, Timer } from "../storage.ts";
import type { NewMail, ReceiveOptions } from "../mailboxes.ts";
import type { StoredEffects, StoredWrite } from "../stored.ts";
import { drawBudget, giveBackBudgets, limitPool } from "./budgets.ts";
import { appendEvents, readEvents, removeEvents } from "./journals.ts";
import { acquireLeases, checkHeld, releaseLeases, renewLeases } from "./leases.ts";
import {
  countMail,
  expireMail,
  forgetMailbox,
  forwardMail,
  hideMail,
  mailboxNames,
  receiveMail,
  removeMail,
  sendMail,
} from "./mailboxes.ts";
import { claim, depth, enqueue, enqueueClaimed, extendClaims, releaseClaims, removeClaimed, waitingQueues } from "./queues.ts";
import { getRecords, listRecords, recordsOfKind, writeRecords } from "./records.ts";
import { closing, opening, setBack, type ClockOf } from "./set-back.ts";
import type { Statements } from "./statements.ts";
import { cancelTimers, claimTimers, removeFired, setTimers } from "./timers.ts";

type Effects = StoredEffects;
type Tokens = readonly string[];

/** Calls that only read: they go on when the disk is full. */
export const READS: ReadonlySet<keyof Tables> = new Set([
  "getRecords",
  "listRecords",
  "recordsOfKind",
  "depth",
  "waitingQueues",
  "readEvents",
  "countMail",
  "mailboxNames",
] as const);

/** Need not be on the disk when they are answered: a claim that is lost with the power leaves its message to be claimed again. */
export const UNSYNCED: ReadonlySet<keyof Tables> = new Set([...READS, "claim", "extendClaims", "claimTimers"] as const);

/** Those with effects answer with the revisions of the effects' writes. */
export function tables(sql: Statements) {
  const apply = (effects: Effects, nowMs: number): number[] => {
    enqueue(sql, effects.enqueue, nowMs);
    setTimers(sql, effects.timers);
    return effects.writes.length === 0 ? [] : writeRecords(sql, effects.writes);
  };
  return {
    getRecords: (keys: readonly Key[]) => getRecords(sql, keys),
    listRecords: (range: ListRange) => listRecords(sql, range),
    recordsOfKind: (kind: string, after: Key | undefined, limit: number) => recordsOfKind(sql, kind, after, limit),
    writeRecords(writes: readonly StoredWrite[], messages: readonly NewMessage[], nowMs: number) {
      const revisions = writeRecords(sql, writes);
      enqueue(sql, messages, nowMs);
      return revisions;
    },

    enqueue: (messages: readonly NewMessage[], nowMs: number) => enqueue(sql, messages, nowMs),
    enqueueClaimed: (message: NewMessage, visibilityMs: number, nowMs: number) => enqueueClaimed(sql, message, visibilityMs, nowMs),
    claim: (queue: string, limit: number, visibilityMs: number, nowMs: number) => claim(sql, queue, limit, visibilityMs, nowMs),
    extendClaims: (tokens: Tokens, visibilityMs: number, nowMs: number) => extendClaims(sql, tokens, visibilityMs, nowMs),
    releaseClaims: (tokens: Tokens, delayMs: number, nowMs: number) => releaseClaims(sql, tokens, delayMs, nowMs),
    depth: (queue: string, nowMs: number) => depth(sql, queue, nowMs),
    waitingQueues: (prefix: string, nowMs: number) => waitingQueues(sql, prefix, nowMs),
    acknowledge(tokens: Tokens, effects: Effects, nowMs: number) {
      removeClaimed(sql, tokens, nowMs);
      return apply(effects, nowMs);
    },

    sendMail: (mail: readonly NewMail[], nowMs: number) => sendMail(sql, mail, nowMs),
    receiveMail: (mailbox: string, options: ReceiveOptions, nowMs: number) => receiveMail(sql, mailbox, options, nowMs),
    removeMail: (mailbox: string, tokens: Tokens, nowMs: number) => removeMail(sql, mailbox, tokens, nowMs),
    hideMail: (mailbox: string, claims: readonly { token: string; visibilityMs: number }[], totalMs: number, nowMs: number) =>
      hideMail(sql, mailbox, claims, totalMs, nowMs),
    countMail: (mailbox: string, nowMs: number) => countMail(sql, mailbox, nowMs),
    expireMail: (mailbox: string, untilMs: number, limit: number, nowMs: number) => expireMail(sql, mailbox, untilMs, limit, nowMs),
    forwardMail: (mailbox: string, ids: readonly string[], to: string | Readonly<Record<string, string>>, nowMs: number) =>
      forwardMail(sql, mailbox, ids, to, nowMs),
    forgetMailbox: (mailbox: string) => forgetMailbox(sql, mailbox),
    mailboxNames: () => mailboxNames(sql),

    appendEvents(stream: string, expectedSequence: number, events: readonly Uint8Array[], effects: Effects, nowMs: number) {
      appendEvents(sql, stream, expectedSequence, events);
      return apply(effects, nowMs);
    },
    readEvents: (stream: string, afterSequence: number, limit: number) => readEvents(sql, stream, afterSequence, limit),
    removeEvents: (stream: string) => removeEvents(sql, stream),

    setTimers: (timers: readonly Timer[]) => setTimers(sql, timers),
    cancelTimers: (group: string, ids: readonly string[]) => cancelTimers(sql, group, ids),
    claimTimers: (group: string, limit: number, visibilityMs: number, nowMs: number) => claimTimers(sql, group, limit, visibilityMs, nowMs),
    acknowledgeTimers(tokens: Tokens, effects: Effects, nowMs: number) {
      removeFired(sql, tokens, nowMs);
      return apply(effects, nowMs);
    },

    acquireLeases: (names: readonly string[], holder: string, durationMs: number, nowMs: number) =>
      acquireLeases(sql, names, holder, durationMs, nowMs),
    renewLeases: (leases: readonly Lease[], durationMs: number, nowMs: number) => renewLeases(sql, leases, durationMs, nowMs),
    releaseLeases: (leases: readonly Lease[]) => releaseLeases(sql, leases),
    fenced(lease: Lease, effects: Effects, nowMs: number) {
      checkHeld(sql, lease, nowMs);
      return apply(effects, nowMs);
    },

    limitPool: (pool: string, amount: number) => limitPool(sql, pool, amount),
    drawBudget: (pool: string, want: number, durationMs: number, nowMs: number) => drawBudget(sql, pool, want, durationMs, nowMs),
    giveBackBudgets: (budgets: readonly Budget[]) => giveBackBudgets(sql, budgets),

    opening: (of: ClockOf, nowMs: number) => opening(sql, of, nowMs),
    setBack: (of: ClockOf, byMs: number, nowMs: number) => setBack(sql, of, byMs, nowMs),
    closing: (of: ClockOf, nowMs: number) => closing(sql, of, nowMs),
  };
}

export type Tables = ReturnType<typeof tables>;
/** The name of a call, with its arguments. */
export type TableCall = { [M in keyof Tables]: readonly [M, ...Parameters<Tables[M]>] }[keyof Tables];
