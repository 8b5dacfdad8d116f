// From one publication to what each subscriber gets of it, with the rules by which it is tried again.
import { timeOrderedId } from "../../base/id.ts";
import type { DeliveryContext } from "../../aws/deliver.ts";
import type { DeadLetter, Delivery } from "../../deliveries.ts";
import { MANAGED_RETRY, webRules } from "./delivery-policy.ts";
import { subscriptionsOf, type SnsParts, type Subscription, type Topic } from "./model.ts";
import { envelope, notificationEvent, notificationSignature, webHeaders, type Notification, type Signature } from "./notifications.ts";
import { deadLetterQueueOf, filterOf, isRaw, isWeb } from "./subscription-attributes.ts";
import type { Throttle } from "./throttle.ts";

/** What was published, before it is addressed to anybody. JSON. */
export interface Publication extends Notification {
  /** Texts for some protocols instead of the message. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly groupId?: string;
  readonly deduplicationId?: string;
  readonly traceHeader?: string;
}

const SNS_PRINCIPAL = "sns.amazonaws.com";

/** Signed once for each text; FIFO topics don't sign. */
type Sign = (notification: Notification) => Promise<Signature> | undefined;

function signer(parts: SnsParts, topic: Topic): Sign {
  const known = new Map<string, Promise<Signature>>();
  return (notification) => {
    if (topic.isFifo) return undefined;
    let signature = known.get(notification.message);
    if (signature === undefined) known.set(notification.message, (signature = notificationSignature(parts, topic, notification)));
    return signature;
  };
}

function notificationFor({ protocol }: Subscription["record"], publication: Publication): Notification {
  const { texts, ...rest } = publication;
  return { ...rest, message: texts?.[protocol] ?? publication.message };
}

export function contextFor(parts: SnsParts, topic: Topic, traceHeader?: string): DeliveryContext {
  return {
    id: timeOrderedId(parts.clock.now()),
    account: topic.account,
    region: topic.region,
    sourceArn: topic.arn,
    sender: { principal: SNS_PRINCIPAL },
    ...(traceHeader === undefined ? {} : { traceHeader }),
  };
}

/** A function signs with its role's credentials: through a subscription it must not reach what its sandbox keeps it from. */
export const webContext = ({ record }: Subscription, headers: NonNullable<DeliveryContext["headers"]>) => ({
  headers,
  publicOnly: record.principal.includes(":assumed-role/"),
});

/** Groups and deduplication are for queues. */
const orderOf = ({ groupId, deduplicationId }: Publication, isFifoQueue: boolean) => ({
  ...(groupId === undefined ? {} : { messageGroupId: groupId }),
  ...(deduplicationId === undefined || !isFifoQueue ? {} : { deduplicationId }),
});

/** What is left of a message that could not be delivered looks as a queue would have got it. */
function deadLetterOf(subscription: Subscription, body: string, notification: Notification): { deadLetter?: DeadLetter } {
  const target = deadLetterQueueOf(subscription);
  if (target === undefined) return {};
  const attributes = isRaw(subscription) ? { attributes: notification.attributes } : {};
  return { deadLetter: { target, event: Buffer.from(body), ...attributes } };
}

async function deliveryTo(
  parts: SnsParts,
  topic: Topic,
  subscription: Subscription,
  publication: Publication,
  sign: Sign,
): Promise<Delivery> {
  const { protocol, endpoint } = subscription.record;
  const notification = notificationFor(subscription.record, publication);
  const raw = isRaw(subscription);
  const body = raw ? notification.message : envelope(parts, topic, subscription, notification, await sign(notification));
  const context = contextFor(parts, topic, publication.traceHeader);
  const rest = { target: endpoint, ...deadLetterOf(subscription, body, notification) };
  if (protocol === "lambda") {
    const event = notificationEvent(parts, topic, subscription, notification, await sign(notification));
    return { ...rest, event: Buffer.from(event), context, retry: MANAGED_RETRY };
  }
  if (protocol === "sqs") {
    const attributes = raw ? { attributes: notification.attributes } : {};
    const order = orderOf(publication, endpoint.endsWith(".fifo"));
    return { ...rest, event: Buffer.from(body), context: { ...context, ...attributes, ...order }, retry: MANAGED_RETRY };
  }
  const { retry, contentType } = webRules(topic.record.attributes, subscription.record.attributes);
  const headers = {
    ...webHeaders("Notification", notification.id, topic, subscription),
    "content-type": contentType,
    ...(raw ? { "x-amz-sns-rawdelivery": "true" } : {}),
  };
  return { ...rest, event: Buffer.from(body), context: { ...context, ...webContext(subscription, headers) }, retry };
}

/** Lambent sends no mail: the log says what would be in it. */
function tellMail({ log }: SnsParts, { arn, record }: Subscription, notification: Notification): void {
  const { subject, message, id } = notification;
  log.info("a notification by e-mail, which is not sent", { to: record.endpoint, subject, message, messageId: id, subscription: arn });
}

/** Who gets it: confirmed, and let through by the filter policy. */
function audience(parts: SnsParts, topic: Topic, publication: Publication): Subscription[] {
  return subscriptionsOf(parts, topic).filter((one) => {
    if (one.record.pending !== undefined) return false;
    const { message, attributes } = notificationFor(one.record, publication);
    return filterOf(one)?.matches({ body: message, attributes }) ?? true;
  });
}

/** One by one: all of them may be more than memory should hold. */
export async function* deliveriesOf(parts: SnsParts, throttle: Throttle, topic: Topic, publication: Publication): AsyncGenerator<Delivery> {
  const sign = signer(parts, topic);
  for (const one of audience(parts, topic, publication)) {
    if (one.record.protocol.startsWith("email")) {
      tellMail(parts, one, notificationFor(one.record, publication));
      continue;
    }
    const delivery = await deliveryTo(parts, topic, one, publication, sign);
    const perSecond = isWeb(one.record.protocol) ? webRules(topic.record.attributes, one.record.attributes).perSecond : undefined;
    yield perSecond === undefined ? delivery : { ...delivery, dueAtMs: throttle.slot(one.arn, perSecond) };
  }
}
