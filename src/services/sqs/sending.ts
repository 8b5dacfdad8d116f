// SendMessage and SendMessageBatch: acknowledged when every message is on the disk.
import { createHash, randomUUID } from "node:crypto";
import {
  BatchRequestTooLong$,
  InvalidMessageContents$,
  type BatchResultErrorEntry,
  type SendMessageBatchRequestEntry,
  type SendMessageBatchResultEntry,
} from "@aws-sdk/client-sqs";
import type * as client from "@aws-sdk/client-sqs";
import { Fault } from "../../aws/fault.ts";
import { hasForbiddenCharacters } from "../../aws/message-text.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { NewMail, SentMail } from "../../store/mailboxes.ts";
import { numberOf } from "./attributes.ts";
import { attempted, checkEntries } from "./batch.ts";
import { invalidParameter, invalidValue, missingParameter, NOT_OF_THIS_TYPE } from "./faults.ts";
import {
  attributesBytes,
  md5Of,
  md5OfAttributes,
  storedAttributes,
  storedTraceHeader,
  type StoredAttribute,
  type StoredAttributes,
} from "./message-attributes.ts";
import { existingQueue, type Queue, type SqsParts } from "./model.ts";
import { encodeMessage, sequenceNumber, type StoredMessage } from "./stored-message.ts";

/** SQS drops what has been sent before for five minutes. */
const DEDUPLICATION_MS = 300_000;
const BATCH_BYTES_MAX = 1_048_576;
const DELAY_SECONDS_MAX = 900;
const ID_CHARACTERS = /^[\w!"#$%&'()*+,\-./:;<=>?@[\\\]^`{|}~]{1,128}$/;

const NO_DEDUPLICATION = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
const isContentBased = ({ record }: Queue) => record.attributes["ContentBasedDeduplication"] === "true";

type Given = Omit<SendMessageBatchRequestEntry, "Id">;

interface Outgoing {
  readonly mail: NewMail;
  readonly message: StoredMessage;
}

function checkId(value: string | undefined, parameter: "MessageGroupId" | "MessageDeduplicationId"): void {
  if (value !== undefined && !ID_CHARACTERS.test(value))
    throw invalidValue(
      value.slice(0, 300),
      parameter,
      `${parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.`,
    );
}

function checkBody(body: string | undefined): string {
  if (body === undefined || body === "") throw missingParameter("MessageBody");
  if (hasForbiddenCharacters(body))
    throw new Fault(
      InvalidMessageContents$,
      "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
    );
  return body;
}

function deduplication(queue: Queue, given: Given, body: string): { id?: string; key?: string } {
  const { MessageDeduplicationId: id, MessageGroupId: group = "" } = given;
  checkId(id, "MessageDeduplicationId");
  if (!queue.isFifo) {
    if (id !== undefined) throw invalidValue(id, "MessageDeduplicationId", NOT_OF_THIS_TYPE);
    return {};
  }
  const { attributes } = queue.record;
  if (id === undefined && !isContentBased(queue)) throw invalidParameter(NO_DEDUPLICATION);
  const used = id ?? createHash("sha256").update(body).digest("hex");
  return { id: used, key: attributes["DeduplicationScope"] === "messageGroup" ? `${group}\n${used}` : used };
}

function delayMs(queue: Queue, seconds: number | undefined): number {
  if (seconds === undefined || (queue.isFifo && seconds === 0)) return numberOf(queue, "DelaySeconds") * 1000;
  if (queue.isFifo) throw invalidValue(seconds, "DelaySeconds", NOT_OF_THIS_TYPE);
  if (seconds < 0 || seconds > DELAY_SECONDS_MAX)
    throw invalidValue(seconds, "DelaySeconds", `DelaySeconds must be >= 0 and <= ${DELAY_SECONDS_MAX}.`);
  return seconds * 1000;
}

const weightOf = (body: string, attributes: StoredAttributes) => Buffer.byteLength(body) + attributesBytes(attributes);

function outgoing(parts: SqsParts, context: Context, queue: Queue, given: Given): Outgoing {
  const { MessageGroupId: groupId } = given;
  const body = checkBody(given.MessageBody);
  if (queue.isFifo && groupId === undefined) throw missingParameter("MessageGroupId");
  checkId(groupId, "MessageGroupId");
  const attributes = storedAttributes(given.MessageAttributes);
  const traceHeader = storedTraceHeader(given.MessageSystemAttributes) ?? context.traceHeader;
  const bytesMax = numberOf(queue, "MaximumMessageSize");
  if (weightOf(body, attributes) > bytesMax)
    throw invalidParameter(`One or more parameters are invalid. Reason: Message must be shorter than ${bytesMax} bytes.`);
  const { id: deduplicationId, key } = deduplication(queue, given, body);
  const delay = delayMs(queue, given.DelaySeconds);
  const message: StoredMessage = {
    body,
    attributes,
    senderId: context.caller.userId,
    ...(traceHeader === undefined ? {} : { traceHeader }),
    ...(deduplicationId === undefined ? {} : { deduplicationId }),
    ...(groupId === undefined ? {} : { groupId }),
  };
  const mail: NewMail = {
    mailbox: queue.record.mailbox,
    id: randomUUID(),
    body: encodeMessage(message),
    ...(queue.isFifo && groupId !== undefined ? { group: groupId } : {}),
    ...(delay > 0 ? { dueAtMs: parts.clock.now() + delay } : {}),
    ...(key === undefined ? {} : { once: { key, forMs: DEDUPLICATION_MS } }),
  };
  return { mail, message };
}

function described(queue: Queue, { message }: Outgoing, { id, sequence }: SentMail) {
  const { traceHeader } = message;
  const system: Record<string, StoredAttribute> =
    traceHeader === undefined ? {} : { AWSTraceHeader: { type: "String", text: traceHeader } };
  const ofAttributes = md5OfAttributes(message.attributes);
  const ofSystem = md5OfAttributes(system);
  return {
    MessageId: id,
    MD5OfMessageBody: md5Of(message.body),
    ...(ofAttributes === undefined ? {} : { MD5OfMessageAttributes: ofAttributes }),
    ...(ofSystem === undefined ? {} : { MD5OfMessageSystemAttributes: ofSystem }),
    ...(queue.isFifo ? { SequenceNumber: sequenceNumber(sequence) } : {}),
  };
}

/** What makes the whole batch fail, although it stands in one entry. */
function checkBatch(queue: Queue, entries: readonly SendMessageBatchRequestEntry[]): void {
  checkEntries(entries, "SendMessageBatchRequestEntry");
  if (queue.isFifo && entries.some(({ MessageGroupId }) => MessageGroupId === undefined))
    throw invalidParameter("The request must contain the parameter MessageGroupId.");
  if (queue.isFifo && !isContentBased(queue) && entries.some(({ MessageDeduplicationId }) => MessageDeduplicationId === undefined))
    throw invalidParameter(NO_DEDUPLICATION);
  const bytes = entries.reduce((sum, { MessageBody = "", MessageAttributes = {} }) => sum + givenBytes(MessageBody, MessageAttributes), 0);
  if (bytes > BATCH_BYTES_MAX)
    throw new Fault(BatchRequestTooLong$, `Batch requests cannot be longer than ${BATCH_BYTES_MAX} bytes. You have sent ${bytes} bytes.`);
}

function givenBytes(body: string, attributes: NonNullable<Given["MessageAttributes"]>): number {
  let bytes = Buffer.byteLength(body);
  for (const [name, { DataType = "", StringValue = "", BinaryValue }] of Object.entries(attributes))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(DataType) + (BinaryValue?.length ?? Buffer.byteLength(StringValue));
  return bytes;
}

export function sending(parts: SqsParts) {
  return {
    async SendMessage(context, input) {
      const queue = existingQueue(parts, context, input.QueueUrl);
      const one = outgoing(parts, context, queue, input);
      const [sent] = await parts.mailboxes.send([one.mail]);
      if (sent === undefined) throw new Error("a message was sent and has no answer");
      return described(queue, one, sent);
    },

    async SendMessageBatch(context, { QueueUrl, Entries = [] }) {
      const queue = existingQueue(parts, context, QueueUrl);
      checkBatch(queue, Entries);
      const made = Entries.map((entry) => ({
        id: entry.Id ?? "",
        ...attempted(entry.Id ?? "", () => outgoing(parts, context, queue, entry)),
      }));
      const good = made.filter((one) => "value" in one);
      const Failed: BatchResultErrorEntry[] = made.flatMap((one) => ("failure" in one ? [one.failure] : []));
      const sent = good.length === 0 ? [] : await parts.mailboxes.send(good.map(({ value }) => value.mail));
      const Successful = good.map(({ id, value }, index): SendMessageBatchResultEntry => {
        const answer = sent[index];
        if (answer === undefined) throw new Error("a message was sent and has no answer");
        return { Id: id, ...described(queue, value, answer) };
      });
      return { Successful, Failed: Failed.length === 0 ? undefined : Failed };
    },
  } satisfies Pick<Operations<typeof client>, "SendMessage" | "SendMessageBatch">;
}
