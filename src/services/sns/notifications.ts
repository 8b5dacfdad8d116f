// What subscribers get: the envelope with its signature, for each protocol.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
import type { MessageAttribute } from "../../aws/deliver.ts";
import type { SnsParts, Subscription, Topic } from "./model.ts";
import type { SignatureVersion } from "./signing.ts";

/** A message as one subscriber is told of it. */
export interface Notification {
  readonly id: string;
  readonly subject?: string;
  readonly message: string;
  readonly attributes: Readonly<Record<string, MessageAttribute>>;
  readonly timeMs: number;
  /** FIFO topics. */
  readonly sequenceNumber?: string;
}

const NAME_FOR_LAMBDA: Readonly<Record<string, string>> = {
  SigningCertURL: "SigningCertUrl",
  UnsubscribeURL: "UnsubscribeUrl",
  SubscribeURL: "SubscribeUrl",
};

const SIGNED = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
  UnsubscribeConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
} as const;

type MessageType = keyof typeof SIGNED;

type Members = Readonly<Record<string, unknown>>;

/** ARNs and tokens stand there as they are. */
const linkTo = ({ endpoint }: SnsParts, action: string, values: Readonly<Record<string, string>>) =>
  `${endpoint()}/?${Object.entries({ Action: action, ...values })
    .map((pair) => pair.join("="))
    .join("&")}`;

const versionOf = ({ record }: Topic) => (record.attributes["SignatureVersion"] ?? "1") as SignatureVersion;

/** Each member that is there: its name and its value, in lines. */
function textToSign(type: MessageType, members: Members): string {
  const present = SIGNED[type].filter((name) => members[name] !== undefined);
  return present.map((name) => `${name}\n${String(members[name])}\n`).join("");
}

/** Notifications of FIFO topics have none. */
export interface Signature {
  readonly SignatureVersion: SignatureVersion;
  readonly Signature: string;
  readonly SigningCertURL: string;
}

async function signatureOf(parts: SnsParts, topic: Topic, type: MessageType, members: Members): Promise<Signature> {
  const SignatureVersion = versionOf(topic);
  const Signature = await parts.signing.sign(SignatureVersion, textToSign(type, members));
  return { SignatureVersion, Signature, SigningCertURL: parts.endpoint() + (await parts.signing.path()) };
}

function notificationMembers(topic: Topic, { id, subject, message, timeMs }: Notification) {
  return {
    Type: "Notification",
    MessageId: id,
    TopicArn: topic.arn,
    Subject: subject,
    Message: message,
    Timestamp: new Date(timeMs).toISOString(),
  };
}

/** Of a notification: the same for all who get the same text. */
export const notificationSignature = (parts: SnsParts, topic: Topic, notification: Notification): Promise<Signature> =>
  signatureOf(parts, topic, "Notification", notificationMembers(topic, notification));

function attributesOf({ attributes }: Notification) {
  const entries = Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
    name,
    { Type: DataType, Value: StringValue ?? BinaryValue },
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

/** The JSON that queues, web endpoints and dead letters get. */
export function envelope(
  parts: SnsParts,
  topic: Topic,
  subscription: Subscription,
  notification: Notification,
  signature?: Signature,
): string {
  const { Type, MessageId, ...rest } = notificationMembers(topic, notification);
  return JSON.stringify({
    Type,
    MessageId,
    ...(notification.sequenceNumber === undefined ? {} : { SequenceNumber: notification.sequenceNumber }),
    ...rest,
    ...signature,
    UnsubscribeURL: linkTo(parts, "Unsubscribe", { SubscriptionArn: subscription.arn }),
    ...(Object.keys(notification.attributes).length === 0 ? {} : { MessageAttributes: attributesOf(notification) }),
  });
}

/** One record in the event of a function, whose members are spelt a little differently. */
function lambdaEvent(subscription: Subscription, members: Members): string {
  const Sns = Object.fromEntries(Object.entries(members).map(([name, value]) => [NAME_FOR_LAMBDA[name] ?? name, value]));
  return JSON.stringify({ Records: [{ EventSource: "aws:sns", EventVersion: "1.0", EventSubscriptionArn: subscription.arn, Sns }] });
}

export function notificationEvent(
  parts: SnsParts,
  topic: Topic,
  subscription: Subscription,
  notification: Notification,
  signature?: Signature,
): string {
  const { Type, MessageId, TopicArn, Message, Timestamp } = notificationMembers(topic, notification);
  return lambdaEvent(subscription, {
    Type,
    MessageId,
    TopicArn,
    Subject: notification.subject ?? null,
    Message,
    Timestamp,
    ...signature,
    UnsubscribeURL: linkTo(parts, "Unsubscribe", { SubscriptionArn: subscription.arn }),
    MessageAttributes: attributesOf(notification),
  });
}

/** Asks whether the endpoint wants the subscription, or wants it back; `id` is that of the message. */
export async function confirmation(parts: SnsParts, topic: Topic, subscription: Subscription, id: string): Promise<string> {
  const { pending, hasLeft = false } = subscription.record;
  const Type = hasLeft ? "UnsubscribeConfirmation" : "SubscriptionConfirmation";
  const Token = pending?.token ?? "";
  const members = {
    Type,
    MessageId: id,
    Token,
    TopicArn: topic.arn,
    Message: hasLeft
      ? `You have chosen to deactivate subscription ${subscription.arn}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.`
      : `You have chosen to subscribe to the topic ${topic.arn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`,
    SubscribeURL: linkTo(parts, "ConfirmSubscription", { TopicArn: topic.arn, Token }),
    Timestamp: new Date(parts.clock.now()).toISOString(),
  };
  const signed = { ...members, ...(await signatureOf(parts, topic, Type, members)) };
  return subscription.record.protocol === "lambda" ? lambdaEvent(subscription, signed) : JSON.stringify(signed);
}

/** What a web endpoint can read before it reads the body. */
export function webHeaders(type: MessageType, id: string, topic: Topic, subscription?: Subscription) {
  return {
    "x-amz-sns-message-type": type,
    "x-amz-sns-message-id": id,
    "x-amz-sns-topic-arn": topic.arn,
    ...(subscription === undefined ? {} : { "x-amz-sns-subscription-arn": subscription.arn }),
    "user-agent": "Amazon Simple Notification Service Agent",
  };
}
