// Delivers what functions have left for others: durable from the moment of the event's end, tried again until it is too old.
import type { Deliver, DeliveryContext } from "../aws/deliver.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { decodeEnvelope, encodeEnvelope } from "../base/envelope.ts";
import type { Log } from "../base/log.ts";
import { limits } from "../limits.ts";
import { QueueWorkers, type Disposition } from "../pool/queue-workers.ts";
import type { ClaimedMessage, DurableQueue, NewMessage } from "../store/storage.ts";

export interface Delivery {
  /** ARN. */
  readonly target: string;
  readonly event: Uint8Array;
  readonly context: DeliveryContext;
}

interface Head {
  readonly target: string;
  readonly context: DeliveryContext;
  /** Wall time. */
  readonly createdMs: number;
}

interface Deps {
  readonly queue: DurableQueue;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliver: Deliver;
}

export interface Deliveries {
  /** To be enqueued in the transaction that makes them due; then `wake`. */
  messagesOf(deliveries: readonly Delivery[]): NewMessage[];
  wake(messages: readonly NewMessage[]): void;
  pause(): void;
  stop(): Promise<void>;
}

const PREFIX = "lambda.delivery/";
const BACKOFF_MS = { first: 1000, max: 300_000 } as const;
const CONCURRENCY_MAX = 32;

export function deliveries(deps: Deps): Deliveries {
  const { queue, clock, log } = deps;
  const workers = new QueueWorkers({
    queue,
    clock,
    log,
    prefix: PREFIX,
    concurrencyMax: CONCURRENCY_MAX,
    work: (message) => work(deps, message),
  });
  return {
    messagesOf: (made) =>
      made.map(({ target, event, context }) => {
        const head: Head = { target, context, createdMs: clock.now() };
        return { queue: PREFIX + target, id: context.id, body: encodeEnvelope(head, event) };
      }),
    wake(messages) {
      for (const { queue: name } of messages) workers.wake(name);
    },
    pause: () => workers.pause(),
    stop: () => workers.stop(),
  };
}

async function work({ deliver, clock, log }: Deps, { body, attempt }: ClaimedMessage): Promise<Disposition> {
  const { head, parts } = decodeEnvelope(body);
  const { target, context, createdMs } = head as Head;
  const [event] = parts;
  if (event === undefined) throw new RangeError("a delivery without an event");
  const outcome = await deliver(target, event, context);
  if (outcome.kind === "delivered") return { kind: "done" };
  const delayMs = backoffMs(attempt, BACKOFF_MS.first, BACKOFF_MS.max);
  const isOver = outcome.kind === "refused" || clock.now() + delayMs > createdMs + limits.eventAgeSecondsMax * 1000;
  const facts = { target, source: context.sourceArn, id: context.id, reason: outcome.message };
  if (!isOver) {
    log.warn("a delivery has failed; it is tried again", { ...facts, delayMs });
    return { kind: "later", delayMs };
  }
  log.error("a delivery has failed for good", facts);
  return { kind: "done" };
}
