// Asynchronous invocation: events are durable before they are accepted, and are run, tried again and ended by AWS's rules.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { QueueWorkers, type Disposition } from "../store/queue-workers.ts";
import type { ClaimedMessage, DurableQueue, Effects, NewMessage } from "../store/storage.ts";
import { decodeAsyncEvent, encodeAsyncEvent, type AsyncEvent, type AsyncResponse } from "./async-event.ts";
import type { Deployment, Invoker, Outcome } from "./invocation.ts";

/** Of the qualifier that was invoked. */
export interface AsyncSettings {
  /** After the first attempt: 0 to 2. */
  readonly retriesMax: number;
  readonly ageMaxMs: number;
  /** Nothing may run at once: a reserved concurrency of 0. */
  readonly isSwitchedOff?: boolean;
}

/** Why an event is not run (again), in AWS's words; there are none for a function that is gone, since AWS tells nobody of it. */
export type AsyncCondition = "Success" | "RetriesExhausted" | "EventAgeExceeded" | "ZeroReservedConcurrency" | "FunctionNotFound";

/** What has become of an event. */
export interface Ending {
  readonly condition: AsyncCondition;
  readonly event: AsyncEvent;
  /** How often the function was run. */
  readonly runs: number;
  /** Of the last run; absent when there was none. */
  readonly response?: AsyncResponse;
  /** Why the last attempt did not reach the function: an HTTP status and a sentence. */
  readonly problem?: Problem;
}

export interface Problem {
  readonly status: number;
  readonly message: string;
}

export interface AsyncDeps {
  readonly watcher: AsyncWatcher;
  readonly queue: DurableQueue;
  readonly invoker: Pick<Invoker, "invoke">;
  readonly clock: Clock;
  readonly log: Log;
  /** Events that run at once; synchronous invocations have the rest of the machine. */
  readonly concurrencyMax: number;
  /** Undefined: the function, version or alias is gone. */
  readonly settingsOf: (event: AsyncEvent) => AsyncSettings | undefined;
  /** The function has been run too often in this chain of requests: see recursion.ts. */
  readonly isStopped: (event: AsyncEvent) => boolean;
  /** What runs now under the name that was invoked; what it throws counts as an error of the system, and the event is tried again. */
  readonly deploymentOf: (event: AsyncEvent) => Promise<Deployment>;
  /** What is written together with the event's end; `settled` is called when that is durable. */
  readonly ended: (ending: Ending) => { readonly effects: Effects; readonly settled: () => void };
}

/** For who counts. */
export interface AsyncWatcher {
  received(event: Pick<AsyncEvent, "invokedArn">): void;
  /** `ageMs`: since it was accepted. */
  attempted(event: AsyncEvent, ageMs: number): void;
  recursionStopped(event: AsyncEvent): void;
}

export interface AsyncInvocations {
  /** Resolves when the event is durable: from then on it is run, or reported. `queue`: whose turn it takes, one for each function. */
  accept(queue: string, event: Omit<AsyncEvent, "acceptedMs" | "failures">): Promise<void>;
  /** Messages of events that somebody else has made durable. */
  wake(messages: readonly NewMessage[]): void;
  /** Nothing more is begun. */
  pause(): void;
  /** Resolves when what was begun has ended, or is back in the queue. */
  stop(): Promise<void>;
}

const PREFIX = "lambda.async/";
/** Before the second and the third attempt after errors of the function. */
const RETRY_MS = [60_000, 120_000] as const;
const BACKOFF_MS = { first: 1000, max: 300_000 } as const;

/** The event in the line of its function; `queue` as in `accept`. */
export const asyncMessage = (queue: string, event: AsyncEvent): NewMessage => ({
  queue: PREFIX + queue,
  id: event.requestId,
  body: encodeAsyncEvent(event),
});

/** As it was when it was accepted, accepted now; without the lineage for which it may have been stopped. */
export function renewedEvent({ queue, id, body }: NewMessage, nowMs: number): NewMessage {
  const { response: _response, traceHeader, ...event } = decodeAsyncEvent(body);
  const trace = traceHeader === undefined ? {} : { traceHeader: traceHeader.replace(/;?Lineage=[^;]*/, "") };
  return { queue, id, body: encodeAsyncEvent({ ...event, ...trace, acceptedMs: nowMs, failures: 0 }) };
}

export function asyncInvocations(deps: AsyncDeps): AsyncInvocations {
  const { queue, clock, log, concurrencyMax } = deps;
  const workers = new QueueWorkers({ queue, clock, log, concurrencyMax, prefix: PREFIX, work: (message) => work(deps, message) });
  return {
    async accept(name, event) {
      await workers.add(asyncMessage(name, { ...event, acceptedMs: clock.now(), failures: 0 }));
      deps.watcher.received(event);
    },
    wake(messages) {
      for (const { queue: name } of messages) workers.wake(name);
    },
    pause: () => workers.pause(),
    stop: () => workers.stop(),
  };
}

/** It waited in its line until it was too old: the dead letter's 200 would say that the function had failed. */
const NO_ROOM: Problem = { status: 429, message: "The event was too old before the function had room for it." };

/** An event in one attempt. */
interface Attempt {
  readonly event: AsyncEvent;
  readonly settings: AsyncSettings;
  /** Attempts since the function was last run. */
  readonly tries: number;
}

async function work(deps: AsyncDeps, { body, attempt }: ClaimedMessage): Promise<Disposition> {
  const event = decodeAsyncEvent(body);
  const settings = deps.settingsOf(event);
  if (settings === undefined)
    return end(deps, event, "FunctionNotFound", { status: 404, message: `Function not found: ${event.invokedArn}` });
  if (deps.clock.now() > event.acceptedMs + settings.ageMaxMs)
    return end(deps, event, "EventAgeExceeded", event.response === undefined ? NO_ROOM : undefined);
  return await tryOnce(deps, { event, settings, tries: attempt });
}

async function tryOnce(deps: AsyncDeps, attempt: Attempt): Promise<Disposition> {
  const { event } = attempt;
  const { requestId, payload, invokedArn, traceHeader } = event;
  try {
    const deployment = await deps.deploymentOf(event);
    if (attempt.settings.isSwitchedOff === true)
      return end(deps, event, "ZeroReservedConcurrency", { status: 429, message: "Rate Exceeded." });
    if (deps.isStopped(event)) {
      deps.watcher.recursionStopped(event);
      deps.log.warn("an event is dropped: its function calls itself without end", { requestId, function: invokedArn });
      return end(deps, event, "RetriesExhausted", { status: 400, message: "Recursive invocation detected." });
    }
    deps.watcher.attempted(event, deps.clock.now() - event.acceptedMs);
    const trace = traceHeader === undefined ? {} : { traceHeader };
    const outcome = await deps.invoker.invoke(deployment, { requestId, payload, invokedArn, isEvent: true, wantsLogTail: false, ...trace });
    return dispositionOf(deps, attempt, outcome, deployment.version);
  } catch (cause) {
    deps.log.warn("an event could not be run; it is tried again", { requestId, function: invokedArn, cause });
    return tryLater(deps, attempt, { status: 500, message: cause instanceof Error ? cause.message : String(cause) });
  }
}

function dispositionOf(deps: AsyncDeps, attempt: Attempt, outcome: Outcome, executedVersion: string): Disposition {
  const { event } = attempt;
  switch (outcome.kind) {
    case "returned": {
      const response = { executedVersion, payload: outcome.payload };
      return { kind: "done", ...deps.ended({ condition: "Success", event, runs: event.failures + 1, response }) };
    }
    case "failed":
      return afterFailure(deps, attempt, { executedVersion, payload: outcome.payload });
    case "throttled":
      return congested(tryLater(deps, attempt, { status: 429, message: "Rate Exceeded." }));
    case "unavailable":
      // It counts for nothing: the next server begins with it.
      if (outcome.code === "stopping") return { kind: "later", delayMs: BACKOFF_MS.first };
      return congested(tryLater(deps, attempt, { status: 500, message: outcome.message }));
  }
}

const congested = (disposition: Disposition): Disposition =>
  disposition.kind === "later" ? { ...disposition, isCongested: true } : disposition;

/** The function's fault: a second and a third attempt after one and two minutes. */
function afterFailure(deps: AsyncDeps, { event, settings }: Attempt, response: AsyncResponse): Disposition {
  const failed: AsyncEvent = { ...event, failures: event.failures + 1, response };
  const delayMs = RETRY_MS[failed.failures - 1];
  if (failed.failures > settings.retriesMax || delayMs === undefined) return end(deps, failed, "RetriesExhausted");
  // AWS looks ahead: what would come too late is over now.
  if (deps.clock.now() + delayMs > event.acceptedMs + settings.ageMaxMs) return end(deps, failed, "EventAgeExceeded");
  return { kind: "later", delayMs, body: encodeAsyncEvent(failed) };
}

/** Throttles and errors of the system take no attempt away; they go on until the event is too old. */
function tryLater(deps: AsyncDeps, { event, settings, tries }: Attempt, problem: Problem): Disposition {
  const delayMs = backoffMs(tries, BACKOFF_MS.first, BACKOFF_MS.max);
  if (deps.clock.now() + delayMs > event.acceptedMs + settings.ageMaxMs) return end(deps, event, "EventAgeExceeded", problem);
  return { kind: "later", delayMs };
}

function end(deps: AsyncDeps, event: AsyncEvent, condition: AsyncCondition, problem?: Problem): Disposition {
  const { failures: runs, response, requestId, invokedArn } = event;
  deps.log.info("an event has failed", { requestId, function: invokedArn, condition, runs });
  const ending: Ending = {
    condition,
    event,
    runs,
    ...(response === undefined ? {} : { response }),
    ...(problem === undefined ? {} : { problem }),
  };
  return { kind: "done", ...deps.ended(ending) };
}
