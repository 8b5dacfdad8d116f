// Delivers what one service has left for another: durable from the moment it is due, tried again by its rules, then a dead letter.
import type { Deliver, DeliveryContext, DeliveryOutcome, DeliverySender } from "./aws/deliver.ts";
import { backoffMs } from "./base/backoff.ts";
import type { Clock } from "./base/clock.ts";
import { decodeEnvelope, encodeEnvelope } from "./base/envelope.ts";
import type { Log } from "./base/log.ts";
import { QueueWorkers, type Disposition } from "./store/queue-workers.ts";
import type { ClaimedMessage, DurableQueue, NewMessage } from "./store/storage.ts";

export interface Delivery {
  /** ARN. */
  readonly target: string;
  readonly event: Uint8Array;
  readonly context: DeliveryContext;
  /** Wall time. Default: at once. */
  readonly dueAtMs?: number;
  /** Default: as often as there is time for in six hours. */
  readonly retry?: RetryRules;
  /** Absent: what can't be delivered is logged and gone. */
  readonly deadLetter?: DeadLetter;
}

export interface RetryRules {
  /** After the first attempt. */
  readonly retriesMax: number;
  readonly ageMaxMs: number;
}

export interface DeadLetter {
  /** ARN of a queue. */
  readonly target: string;
  readonly attributes?: DeliveryContext["attributes"];
  /** Default: who sent what could not be delivered. */
  readonly sender?: DeliverySender;
  /** Adds what EventBridge tells of a failure: ERROR_CODE, ERROR_MESSAGE, RETRY_ATTEMPTS, EXHAUSTED_RETRY_CONDITION. */
  readonly tellsFailure?: true;
}

export interface Deliveries {
  /** To be enqueued in the transaction that makes them due; then `wake`. */
  messagesOf(deliveries: readonly Delivery[]): NewMessage[];
  wake(messages: readonly NewMessage[]): void;
  /** Both in one, where there is no such transaction: resolves when they are durable. */
  send(deliveries: readonly Delivery[]): Promise<void>;
  /** With what is there; before that, what is sent only becomes durable. */
  begin(): void;
  /** Nothing more is begun. */
  pause(): void;
  /** Resolves when what was begun has ended, or is back in the queue. */
  stop(): Promise<void>;
}

interface Head extends Omit<Delivery, "event" | "dueAtMs"> {
  /** Wall time: its age counts from here. */
  readonly createdMs: number;
}

interface Deps {
  readonly queue: DurableQueue;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliver: Deliver;
}

const PREFIX = "delivery/";
const BACKOFF_MS = { first: 1000, max: 300_000 } as const;
const DEFAULT_RULES: RetryRules = { retriesMax: Infinity, ageMaxMs: 21_600_000 };
const CONCURRENCY_MAX = 32;

export function deliveries(deps: Deps): Deliveries {
  const { queue, clock, log } = deps;
  let workers: QueueWorkers | undefined;
  const wake = (messages: readonly NewMessage[]) => {
    for (const { queue: name } of messages) workers?.wake(name);
  };
  return {
    messagesOf: (made) => made.map((one) => messageOf(one, clock.now())),
    wake,
    async send(made) {
      const messages = made.map((one) => messageOf(one, clock.now()));
      await queue.enqueue(messages);
      wake(messages);
    },
    begin() {
      const concurrencyMax = CONCURRENCY_MAX;
      workers ??= new QueueWorkers({ queue, clock, log, prefix: PREFIX, concurrencyMax, work: (message) => work(deps, message, wake) });
    },
    pause: () => workers?.pause(),
    stop: async () => await workers?.stop(),
  };
}

function messageOf({ event, dueAtMs, ...rest }: Delivery, nowMs: number): NewMessage {
  const head: Head = { ...rest, createdMs: dueAtMs ?? nowMs };
  const delay = dueAtMs === undefined ? {} : { visibleAtMs: dueAtMs };
  return { queue: PREFIX + rest.target, id: rest.context.id, body: encodeEnvelope(head, event), ...delay };
}

/** Why there is no further attempt, in EventBridge's words. */
type Exhausted = "MaximumRetryAttempts" | "MaximumEventAgeInSeconds";

async function work({ deliver, clock, log }: Deps, { body, attempt }: ClaimedMessage, wake: Deliveries["wake"]): Promise<Disposition> {
  const { head, parts } = decodeEnvelope(body);
  const { target, context, createdMs, retry = DEFAULT_RULES, deadLetter } = head as Head;
  const [event] = parts;
  if (event === undefined) throw new RangeError("a delivery without an event");
  const outcome = await deliver(target, event, context);
  if (outcome.kind === "delivered") return { kind: "done" };
  const delayMs = backoffMs(attempt, BACKOFF_MS.first, BACKOFF_MS.max);
  const exhausted = exhaustedBy(retry, attempt, clock.now() + delayMs - createdMs);
  const facts = { target, source: context.sourceArn, id: context.id, reason: outcome.message };
  if (outcome.kind === "unavailable" && exhausted === undefined) {
    log.warn("a delivery has failed; it is tried again", { ...facts, delayMs });
    return { kind: "later", delayMs };
  }
  log.error("a delivery has failed for good", facts);
  if (deadLetter === undefined) return { kind: "done" };
  const failure = deadLetter.tellsFailure === true ? failureAttributes(outcome, attempt, exhausted) : {};
  const letter: Delivery = {
    target: deadLetter.target,
    event,
    context: { ...context, sender: deadLetter.sender ?? context.sender, attributes: { ...deadLetter.attributes, ...failure } },
  };
  const messages = [messageOf(letter, clock.now())];
  return { kind: "done", effects: { enqueue: messages }, settled: () => wake(messages) };
}

function exhaustedBy({ retriesMax, ageMaxMs }: RetryRules, attempts: number, ageMs: number): Exhausted | undefined {
  // JSON has no infinity: it comes back as null.
  if (attempts > (retriesMax ?? Infinity)) return "MaximumRetryAttempts";
  return ageMs > ageMaxMs ? "MaximumEventAgeInSeconds" : undefined;
}

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html */
function failureAttributes(
  { code, message }: Exclude<DeliveryOutcome, { kind: "delivered" }>,
  attempts: number,
  exhausted: Exhausted | undefined,
): NonNullable<DeliveryContext["attributes"]> {
  const text = (StringValue: string) => ({ DataType: "String", StringValue });
  return {
    ERROR_CODE: text(code),
    ERROR_MESSAGE: text(message),
    ...(exhausted === undefined
      ? {}
      : { RETRY_ATTEMPTS: { DataType: "Number", StringValue: String(attempts - 1) }, EXHAUSTED_RETRY_CONDITION: text(exhausted) }),
  };
}
