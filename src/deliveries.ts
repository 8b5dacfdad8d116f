// Delivers what one service has left for another: durable from the moment it is due, tried again by its rules, then a dead letter.
import type { Deliver, DeliveryContext, DeliverySender } from "./aws/deliver.ts";
import { backoffMs } from "./base/backoff.ts";
import type { Clock } from "./base/clock.ts";
import { decodeEnvelope, encodeEnvelope } from "./base/envelope.ts";
import type { Log } from "./base/log.ts";
import { shownUrl } from "./base/outbound-http.ts";
import { pacedDelayMs, type RetryPace } from "./base/retry-pace.ts";
import { failureAttributes, type End, type Exhausted, type Failure, type Teller } from "./delivery-failures.ts";
import { QueueWorkers, type Disposition } from "./store/queue-workers.ts";
import type { ClaimedMessage, DurableQueue, NewMessage, Write } from "./store/storage.ts";

export interface Delivery {
  /** ARN, or a web address. */
  readonly target: string;
  readonly event: Uint8Array;
  /** Wall time. Default: at once. */
  readonly dueAtMs?: number;
  readonly context: DeliveryContext;
  /** What stands for the number of the attempt, which is 1 at first, in event, context and dead letter. */
  readonly attemptMark?: string;
  /** Known beforehand: it fails as if its target had refused it. */
  readonly refusal?: Omit<Failure, "kind">;
  /** For who counts failures: Lambda's results. */
  readonly purpose?: "destination" | "dead-letter";
  /** Default: as often as there is time for in six hours. */
  readonly retry?: RetryRules;
  /** Absent: what can't be delivered is logged and gone. */
  readonly deadLetter?: DeadLetter;
}

export interface RetryRules {
  /** After the first attempt. */
  readonly retriesMax: number;
  readonly ageMaxMs: number;
  /** Absent: a second, then twice as long each time, up to five minutes. */
  readonly pace?: RetryPace;
}

export interface DeadLetter {
  /** ARN of a queue. */
  readonly target: string;
  /** Where it is not the event itself that the queue gets. */
  readonly event?: Uint8Array;
  readonly attributes?: DeliveryContext["attributes"];
  /** Default: who sent what could not be delivered. */
  readonly sender?: DeliverySender;
  /** Adds what that service tells of a failure: ERROR_CODE, ERROR_MESSAGE, RETRY_ATTEMPTS, EXHAUSTED_RETRY_CONDITION. */
  readonly tellsFailure?: Teller;
}

export interface Deliveries {
  /** To be enqueued in the transaction that makes them due; then `wake`. */
  messagesOf(deliveries: readonly Delivery[]): NewMessage[];
  wake(messages: readonly NewMessage[]): void;
  /**
   * Both in one, where there is no such transaction: resolves when they are durable. Many or large ones take several transactions, the last
   * of which has the writes; they are asked for one by one, since all of them may be more than memory should hold.
   */
  send(deliveries: Iterable<Delivery> | AsyncIterable<Delivery>, writes?: readonly Write[]): Promise<void>;
  /** One that was attempted elsewhere and has failed for good ends as those here do; resolves when that is durable. `dueAtMs`: since when. */
  giveUp(delivery: Delivery, outcome: Failure, attempts: number): Promise<void>;
  /** With what is there; before that, what is sent only becomes durable. */
  begin(): void;
  /** Nothing more is begun. */
  pause(): void;
  /** Resolves when what was begun has ended, or is back in the queue. */
  stop(): Promise<void>;
}

interface Head extends Omit<Delivery, "event" | "deadLetter" | "dueAtMs"> {
  /** With its event, if it has one, as the second part of the envelope. */
  readonly deadLetter?: Omit<DeadLetter, "event">;
  /** Wall time: its age counts from here. */
  readonly createdMs: number;
}

interface Deps {
  readonly queue: DurableQueue;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliver: Deliver;
  /** Written together with the end of one that has failed for good and has no dead letter. */
  readonly failed?: (failed: FailedDelivery) => readonly Write[];
}

export interface FailedDelivery {
  readonly delivery: Omit<Delivery, "event">;
  readonly outcome: Failure;
  readonly attempts: number;
  readonly createdMs: number;
  /** To be enqueued when it is tried again: see `renewedDelivery`. */
  readonly message: NewMessage;
}

/** Web addresses have workers of their own: however slow they are, nothing else waits for them, nor for one of them the others. */
const PREFIXES = ["delivery/", "web-delivery/"] as const;
const isWebAddress = (target: string) => /^https?:/i.test(target);
const BACKOFF_MS = { first: 1000, max: 300_000 } as const;
const DEFAULT_RULES: RetryRules = { retriesMax: Infinity, ageMaxMs: 21_600_000 };
const CONCURRENCY_MAX = { "delivery/": 32, "web-delivery/": 256 } as const;
const PER_TARGET_MAX = 32;
/** What one transaction of `send` holds: others of the store wait for it. */
const SENT_AT_ONCE = { messages: 500, bytes: 8 * 2 ** 20 };

export function deliveries(deps: Deps): Deliveries {
  const { queue, clock, log } = deps;
  const workers = new Map<string, QueueWorkers>();
  const wake = (messages: readonly NewMessage[]) => {
    for (const { queue: name } of messages) workers.get(name.slice(0, name.indexOf("/") + 1))?.wake(name);
  };
  return {
    messagesOf: (made) => made.map((one) => messageOf(one, clock.now())),
    wake,
    async send(made, writes = []) {
      let [batch, bytes]: [NewMessage[], number] = [[], 0];
      const flush = async (last: readonly Write[]) => {
        const full = batch;
        [batch, bytes] = [[], 0];
        if (full.length + last.length > 0) await queue.acknowledge([], { enqueue: full, writes: last });
        wake(full);
      };
      for await (const one of made) {
        const message = messageOf(one, clock.now());
        const isFull = batch.length >= SENT_AT_ONCE.messages || bytes + message.body.byteLength > SENT_AT_ONCE.bytes;
        if (isFull && batch.length > 0) await flush([]);
        batch.push(message);
        bytes += message.body.byteLength;
      }
      await flush(writes);
    },
    async giveUp(one, outcome, attempts) {
      const effects = endOf(deps, messageOf(one, clock.now()), { outcome, attempts, exhausted: undefined });
      await queue.acknowledge([], effects);
      wake(effects.enqueue);
    },
    begin() {
      if (workers.size > 0) return;
      const shared = { queue, clock, log, perQueueMax: PER_TARGET_MAX, work: (message: ClaimedMessage) => work(deps, message, wake) };
      for (const prefix of PREFIXES) workers.set(prefix, new QueueWorkers({ ...shared, prefix, concurrencyMax: CONCURRENCY_MAX[prefix] }));
    },
    pause() {
      for (const one of workers.values()) one.pause();
    },
    async stop() {
      await Promise.all([...workers.values()].map((one) => one.stop()));
    },
  };
}

function messageOf({ event, deadLetter, dueAtMs, ...rest }: Delivery, nowMs: number): NewMessage {
  const { event: letterEvent, ...letter } = deadLetter ?? {};
  const head: Head = { ...rest, createdMs: dueAtMs ?? nowMs, ...(deadLetter === undefined ? {} : { deadLetter: letter as DeadLetter }) };
  return {
    queue: (isWebAddress(rest.target) ? PREFIXES[1] : PREFIXES[0]) + rest.target,
    id: rest.context.id,
    body: encodeEnvelope(head, event, ...(letterEvent === undefined ? [] : [letterEvent])),
    ...(dueAtMs === undefined ? {} : { visibleAtMs: dueAtMs }),
  };
}

/** As at its first attempt, now. */
export function renewedDelivery({ queue, id, body }: NewMessage, nowMs: number): NewMessage {
  const { head, parts } = decodeEnvelope(body);
  return { queue, id, body: encodeEnvelope({ ...(head as Head), createdMs: nowMs }, ...parts) };
}

export const deliveredEvent = (body: Uint8Array): Uint8Array => decodeEnvelope(body).parts[0] ?? new Uint8Array();

function numberedEvent({ attemptMark }: Head, event: Uint8Array, attempt: number): Uint8Array {
  return attemptMark === undefined ? event : Buffer.from(Buffer.from(event).toString().replaceAll(attemptMark, String(attempt)));
}

/** It is JSON. */
function numberedContext({ attemptMark, context }: Head, attempt: number): DeliveryContext {
  if (attemptMark === undefined) return context;
  return JSON.parse(JSON.stringify(context).replaceAll(attemptMark, String(attempt))) as DeliveryContext;
}

async function work(deps: Deps, claimed: ClaimedMessage, wake: Deliveries["wake"]): Promise<Disposition> {
  const { deliver, clock, log } = deps;
  const { body, attempt } = claimed;
  const { head, parts } = decodeEnvelope(body);
  const { target, createdMs, refusal, retry = DEFAULT_RULES } = head as Head;
  const [event] = parts;
  if (event === undefined) throw new RangeError("a delivery without an event");
  const outcome =
    refusal === undefined
      ? await deliver(target, numberedEvent(head as Head, event, attempt), numberedContext(head as Head, attempt)).catch(bugIn(deps))
      : { kind: "refused" as const, ...refusal };
  if (outcome.kind === "delivered") return { kind: "done" };
  const delayMs = retry.pace === undefined ? backoffMs(attempt, BACKOFF_MS.first, BACKOFF_MS.max) : pacedDelayMs(retry.pace, attempt);
  const exhausted = exhaustedBy(retry, attempt, clock.now() + delayMs - createdMs);
  if (outcome.kind === "unavailable" && exhausted === undefined) {
    log.warn("a delivery has failed; it is tried again", { ...factsOf(head as Head, outcome), delayMs });
    // An address that does not answer gets few requests at a time.
    return { kind: "later", delayMs, ...(isWebAddress(target) ? { isCongested: true } : {}) };
  }
  const effects = endOf(deps, claimed, { outcome, attempts: attempt, exhausted });
  return { kind: "done", effects, settled: () => wake(effects.enqueue) };
}

/** It ends by the rules like everything that can't be delivered: what met it once will meet it again. */
const bugIn =
  ({ log }: Deps) =>
  (cause: unknown): Failure => {
    log.error("a delivery has met a bug", { cause });
    return { kind: "unavailable", code: "InternalFailure", message: cause instanceof Error ? cause.message : String(cause) };
  };

const factsOf = ({ target, context }: Head, outcome: Failure) => ({
  target: isWebAddress(target) ? shownUrl(target) : target,
  source: context.sourceArn,
  id: context.id,
  reason: outcome.message,
});

/** What is written when it has failed for good: its dead letter, or an entry among the failed ones. */
function endOf(deps: Deps, { queue, id, body }: NewMessage, { outcome, attempts, exhausted }: End) {
  const { head, parts } = decodeEnvelope(body);
  const { createdMs, ...delivery } = head as Head;
  const { deadLetter } = delivery;
  const context = numberedContext(head as Head, attempts);
  const [event = new Uint8Array(), letterEvent] = parts;
  deps.log.error("a delivery has failed for good", factsOf(head as Head, outcome));
  if (deadLetter === undefined)
    return { writes: deps.failed?.({ delivery, outcome, attempts, createdMs, message: { queue, id, body } }) ?? [], enqueue: [] };
  const failure = deadLetter.tellsFailure === undefined ? {} : failureAttributes(deadLetter.tellsFailure, { outcome, attempts, exhausted });
  const letter: Delivery = {
    target: deadLetter.target,
    event: numberedEvent(head as Head, letterEvent ?? event, attempts),
    context: { ...context, sender: deadLetter.sender ?? context.sender, attributes: { ...deadLetter.attributes, ...failure } },
  };
  return { writes: [], enqueue: [messageOf(letter, deps.clock.now())] };
}

function exhaustedBy({ retriesMax, ageMaxMs }: RetryRules, attempts: number, ageMs: number): Exhausted | undefined {
  // JSON has no infinity: it comes back as null.
  if (attempts > (retriesMax ?? Infinity)) return "MaximumRetryAttempts";
  return ageMs > (ageMaxMs ?? Infinity) ? "MaximumEventAgeInSeconds" : undefined;
}
