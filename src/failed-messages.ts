// The two kinds of messages that fail, asynchronous invocations and deliveries: how they are kept, read and made new.
import { deliveredEvent, renewedDelivery, type FailedDelivery } from "./deliveries.ts";
import type { FailedEvents, MessageForms } from "./failed-events.ts";
import { renewedEvent } from "./pool/async.ts";
import { decodeAsyncEvent } from "./pool/async-event.ts";
import type { Write } from "./store/storage.ts";

export function keptDelivery(failures: FailedEvents, { delivery, outcome, attempts, createdMs, message }: FailedDelivery): Write[] {
  const { account, region, sourceArn, id: requestId } = delivery.context;
  const { code: reason, message: error } = outcome;
  const { target } = delivery;
  return failures.keep(
    { kind: "delivery", account, region, sourceArn, target, requestId, reason, error, attempts, acceptedMs: createdMs },
    message,
  );
}

/** `wake`: for messages that are in their queues again. */
export const messageForms = (wake: MessageForms["wake"]): MessageForms => ({
  payloadOf: (kind, body) => (kind === "invocation" ? decodeAsyncEvent(body).payload : deliveredEvent(body)),
  renewed: (kind, message, nowMs) => (kind === "invocation" ? renewedEvent(message, nowMs) : renewedDelivery(message, nowMs)),
  wake,
});
