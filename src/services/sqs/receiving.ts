// ReceiveMessage: at once, or as soon as there is something, for at most 20 seconds.
import { OverLimit$, type Message, type MessageSystemAttributeName } from "@aws-sdk/client-sqs";
import type * as client from "@aws-sdk/client-sqs";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Received, ReceivedMail, ReceiveOptions } from "../../store/mailboxes.ts";
import { isQueueAttribute, numberOf } from "./attributes.ts";
import { invalidValue, noSuchQueue, NOT_OF_THIS_TYPE, unknownAttribute } from "./faults.ts";
import type { LongPolls } from "./long-polls.ts";
import { askedAttributes, describedAttributes, md5Of, md5OfAttributes } from "./message-attributes.ts";
import { existingQueue, findQueue, type Queue, type SqsParts } from "./model.ts";
import { handleOf } from "./receipt-handle.ts";
import { deadLetterOf } from "./redrive.ts";
import { decodeMessage, sequenceNumber, type StoredMessage } from "./stored-message.ts";

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html; since 2024 FIFO queues have the same. */
const IN_FLIGHT_MAX = { standard: 120_000, fifo: 120_000 };
const MESSAGES_MAX = 10;
const WAIT_SECONDS_MAX = 20;
export const VISIBILITY_SECONDS_MAX = 43_200;
/** A receive request attempt can be repeated for five minutes. */
const ATTEMPT_MS = 300_000;
const ATTEMPT_ID = /^[\w!"#$%&'()*+,\-./:;<=>?@[\\\]^`{|}~]{1,128}$/;

type Input = client.ReceiveMessageCommandInput;

export function checkVisibility(seconds: number): void {
  if (seconds < 0 || seconds > VISIBILITY_SECONDS_MAX)
    throw invalidValue(seconds, "VisibilityTimeout", `VisibilityTimeout must be an integer between 0 and ${VISIBILITY_SECONDS_MAX}.`);
}

function checkInput(queue: Queue, input: Input): void {
  const {
    MaxNumberOfMessages: count = 1,
    WaitTimeSeconds: wait = 0,
    VisibilityTimeout: visibility,
    ReceiveRequestAttemptId: attempt,
  } = input;
  if (count < 1 || count > MESSAGES_MAX)
    throw invalidValue(count, "MaxNumberOfMessages", `Must be between 1 and ${MESSAGES_MAX}, if provided.`);
  if (wait < 0 || wait > WAIT_SECONDS_MAX)
    throw invalidValue(wait, "WaitTimeSeconds", `Must be >= 0 and <= ${WAIT_SECONDS_MAX}, if provided.`);
  if (visibility !== undefined) checkVisibility(visibility);
  if (attempt === undefined) return;
  if (!queue.isFifo) throw invalidValue(attempt.slice(0, 300), "ReceiveRequestAttemptId", NOT_OF_THIS_TYPE);
  if (!ATTEMPT_ID.test(attempt))
    throw invalidValue(
      attempt.slice(0, 300),
      "ReceiveRequestAttemptId",
      "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
    );
}

function optionsOf(parts: SqsParts, queue: Queue, input: Input): ReceiveOptions {
  const deadLetter = deadLetterOf(parts, queue);
  const { ReceiveRequestAttemptId: key } = input;
  return {
    limit: input.MaxNumberOfMessages ?? 1,
    visibilityMs: (input.VisibilityTimeout ?? numberOf(queue, "VisibilityTimeout")) * 1000,
    keptMs: numberOf(queue, "MessageRetentionPeriod") * 1000,
    claimedMax: IN_FLIGHT_MAX[queue.isFifo ? "fifo" : "standard"],
    ...(key === undefined ? {} : { attempt: { key, forMs: ATTEMPT_MS } }),
    ...(deadLetter === undefined
      ? {}
      : {
          deadLetter: {
            mailbox: deadLetter.target.record.mailbox,
            receives: deadLetter.receives,
            source: queue.arn,
            // Of a standard queue, the age of a message goes on in the dead-letter queue.
            renewsAge: queue.isFifo,
          },
        }),
  };
}

const SYSTEM_ATTRIBUTES: Readonly<
  Record<Exclude<MessageSystemAttributeName, "All">, (mail: ReceivedMail, message: StoredMessage, isFifo: boolean) => string | undefined>
> = {
  SenderId: (_mail, { senderId }) => senderId,
  SentTimestamp: ({ sentAtMs }) => String(sentAtMs),
  ApproximateReceiveCount: ({ receives }) => String(receives),
  ApproximateFirstReceiveTimestamp: ({ firstReceivedAtMs }) => String(firstReceivedAtMs),
  SequenceNumber: ({ sequence }, _message, isFifo) => (isFifo ? sequenceNumber(sequence) : undefined),
  MessageDeduplicationId: (_mail, { deduplicationId }) => deduplicationId,
  MessageGroupId: (_mail, { groupId }) => groupId,
  AWSTraceHeader: (_mail, { traceHeader }) => traceHeader,
  DeadLetterQueueSourceArn: ({ source }) => source,
};

/** ReceiveMessage takes the names of queues' attributes in AttributeNames as well, and says nothing about them. */
function askedNames({ AttributeNames = [], MessageSystemAttributeNames = [] }: Input): ReadonlySet<string> {
  const isKnown = (name: string) => name === "All" || Object.hasOwn(SYSTEM_ATTRIBUTES, name);
  const unknown =
    MessageSystemAttributeNames.find((name) => !isKnown(name)) ?? AttributeNames.find((name) => !isKnown(name) && !isQueueAttribute(name));
  if (unknown !== undefined) throw unknownAttribute(unknown.slice(0, 100));
  return new Set([...AttributeNames, ...MessageSystemAttributeNames]);
}

function described(queue: Queue, mail: ReceivedMail, input: Input, names: ReadonlySet<string>): Message {
  const message = decodeMessage(mail.body);
  const system: Record<string, string> = {};
  for (const [name, read] of Object.entries(SYSTEM_ATTRIBUTES)) {
    const value = names.has(name) || names.has("All") ? read(mail, message, queue.isFifo) : undefined;
    if (value !== undefined) system[name] = value;
  }
  const attributes = askedAttributes(message.attributes, input.MessageAttributeNames);
  const ofAttributes = md5OfAttributes(attributes);
  return {
    MessageId: mail.id,
    ReceiptHandle: handleOf(queue.record.mailbox, mail.token),
    MD5OfBody: md5Of(message.body),
    Body: message.body,
    ...(Object.keys(system).length === 0 ? {} : { Attributes: system }),
    ...(ofAttributes === undefined ? {} : { MD5OfMessageAttributes: ofAttributes, MessageAttributes: describedAttributes(attributes) }),
  };
}

export function receiving(parts: SqsParts, polls: LongPolls) {
  const ask = async (queue: Queue, input: Input): Promise<Received> => {
    // Its attributes, and whether it is there, may have changed while somebody waited.
    const now = findQueue(parts, queue);
    if (now?.record.mailbox !== queue.record.mailbox) throw noSuchQueue();
    const received = await parts.mailboxes.receive(now.record.mailbox, optionsOf(parts, now, input));
    if (received.isAttemptOver === true)
      throw invalidValue(
        input.ReceiveRequestAttemptId,
        "ReceiveRequestAttemptId",
        "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.",
      );
    return received;
  };

  const receive = async ({ signal }: Context, queue: Queue, input: Input): Promise<Received> => {
    const waitMs = (input.WaitTimeSeconds ?? numberOf(queue, "ReceiveMessageWaitTimeSeconds")) * 1000;
    if (waitMs > 0) return await polls.receive(queue.record.mailbox, waitMs, signal, () => ask(queue, input));
    let received = await ask(queue, input);
    while (received.isCut && received.mail.length === 0) received = await ask(queue, input);
    if (received.isFull && !queue.isFifo) throw new Fault(OverLimit$, "Too many messages in flight.");
    return received;
  };

  return {
    async ReceiveMessage(context, input) {
      const queue = existingQueue(parts, context, input.QueueUrl);
      checkInput(queue, input);
      const names = askedNames(input);
      const { mail } = await receive(context, queue, input);
      return mail.length === 0 ? {} : { Messages: mail.map((one) => described(queue, one, input, names)) };
    },
  } satisfies Pick<Operations<typeof client>, "ReceiveMessage">;
}
