// Asynchronous invocations of functions: what the queue's rules need to know of them, and what follows from an event's end.
import { Fault } from "../aws/fault.ts";
import { asyncInvocations, asyncMessage, type AsyncDeps, type AsyncInvocations, type Ending } from "../pool/async.ts";
import type { AsyncEvent } from "../pool/async-event.ts";
import { isStoppedAgain } from "../pool/recursion.ts";
import type { FailedEvent } from "../failed-events.ts";
import type { DurableQueue, NewMessage } from "../store/storage.ts";
import { reservedOf } from "./concurrency-records.ts";
import { deliveriesOf, errorMessageOf, type Sender } from "./destinations.ts";
import { asyncSettingsOf, eventInvokeOf } from "./event-invoke.ts";
import type { Lambda, ReadyDeployment } from "./model.ts";
import { functionArn, readFunctionName, type FunctionReference } from "./names.ts";
import { findVersion, type FoundVersion } from "./records.ts";
import { isStopped } from "./recursion.ts";

type Deps = Omit<Lambda, "events" | "ready" | "provisioning"> & { readonly queue: DurableQueue };

const NOWHERE = { account: "", region: "" };
const NOTHING_FOLLOWS: ReturnType<AsyncDeps["ended"]> = { effects: {}, settled() {} };

/** Begins with what is in the queue. */
export function startAsyncInvocations(lambda: Deps, ready: ReadyDeployment): AsyncInvocations {
  const { queue, pace: clock, log, invoker, deliveries, metrics } = lambda;
  const ended: AsyncDeps["ended"] = (ending) => {
    const isSuccess = ending.condition === "Success";
    if (isSuccess && eventInvokeOf(lambda, referenceOf(ending.event))?.value.onSuccess === undefined) return NOTHING_FOLLOWS;
    const writes = isSuccess ? [] : lambda.keepFailed(...failedOf(ending));
    if (!isSuccess) metrics.event("AsyncEventsDropped", ending.event.invokedArn, 1);
    const sender = isToldAlready(lambda, ending) ? undefined : senderOf(lambda, ending);
    const messages = sender === undefined ? [] : deliveries.messagesOf(deliveriesOf(ending, sender, clock.now()));
    return { effects: { writes, enqueue: messages }, settled: () => deliveries.wake(messages) };
  };
  return asyncInvocations({
    queue,
    invoker,
    clock,
    log,
    concurrencyMax: lambda.asyncConcurrency,
    settingsOf(event) {
      const reference = referenceOf(event);
      if (foundOf(lambda, reference) === undefined) return undefined;
      return { ...asyncSettingsOf(eventInvokeOf(lambda, reference)?.value), isSwitchedOff: reservedOf(lambda, reference) === 0 };
    },
    watcher: {
      received: ({ invokedArn }) => metrics.event("AsyncEventsReceived", invokedArn, 1),
      attempted: ({ invokedArn }, ageMs) => metrics.event("AsyncEventAge", invokedArn, ageMs),
      recursionStopped: ({ invokedArn }) => metrics.event("RecursiveInvocationsDropped", invokedArn, 1),
    },
    isStopped: (event) => isStopped(lambda, referenceOf(event), event.traceHeader),
    deploymentOf: (event) => ready(referenceOf(event), event.tenantId),
    ended,
  });
}

/** What is kept of it, and the message that would run it again. */
function failedOf({ condition, event, runs, response, problem }: Ending): [FailedEvent, NewMessage] {
  const { account, region, name } = referenceOf(event);
  const failed: FailedEvent = {
    kind: "invocation",
    account,
    region,
    sourceArn: event.invokedArn,
    requestId: event.requestId,
    reason: condition,
    error: problem?.message ?? errorMessageOf(response?.payload),
    attempts: runs,
    acceptedMs: event.acceptedMs,
  };
  return [failed, asyncMessage(functionArn({ account, region, name }), event)];
}

const referenceOf = ({ invokedArn }: AsyncEvent): FunctionReference => readFunctionName(NOWHERE, invokedArn);

function foundOf(lambda: Deps, reference: FunctionReference): FoundVersion | undefined {
  try {
    return findVersion(lambda, reference, reference.name, reference.qualifier);
  } catch (cause) {
    if (cause instanceof Fault && cause.name === "ResourceNotFoundException") return undefined;
    throw cause;
  }
}

/** Of a loop one stop is told: what leads back into the loop would be stopped, and told, without end. */
function isToldAlready(lambda: Deps, { event: { invokedArn, traceHeader } }: Ending): boolean {
  const { account, region, name } = readFunctionName(NOWHERE, invokedArn);
  const isAgain = isStoppedAgain(traceHeader, functionArn({ account, region, name }));
  return isAgain && isStopped(lambda, { account, region, name }, traceHeader);
}

/** Undefined: the function is gone, and with it who wants to be told. */
function senderOf(lambda: Deps, { event }: Ending): Sender | undefined {
  const reference = referenceOf(event);
  const found = foundOf(lambda, reference);
  const running = found?.version?.value.deployed ?? found?.entry.value.running;
  if (running === undefined) return undefined;
  const { Role, DeadLetterTargetArn } = running.configuration;
  const { onSuccess, onFailure } = eventInvokeOf(lambda, reference)?.value ?? {};
  return {
    reference,
    roleArn: Role,
    ...(onSuccess === undefined ? {} : { onSuccess }),
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(DeadLetterTargetArn === undefined ? {} : { deadLetter: DeadLetterTargetArn }),
  };
}
