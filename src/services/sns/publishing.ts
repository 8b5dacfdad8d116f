// Publish and PublishBatch: acknowledged when the message, or every delivery that it makes, is on the disk.
import { createHash, randomUUID } from "node:crypto";
import type { PublishBatchRequestEntry, PublishBatchResultEntry } from "@aws-sdk/client-sns";
import type * as client from "@aws-sdk/client-sns";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Delivery } from "../../deliveries.ts";
import { deliveriesOf, type Publication } from "./fan-out.ts";
import { batchTooLong, emptyBatch, invalid, invalidEntryId, sameEntryIds, tooManyEntries } from "./faults.ts";
import type { FifoTopics, Sent } from "./fifo-topics.ts";
import { attributesBytes, messageAttributes } from "./message-attributes.ts";
import { existingTopic, jsonObject, type SnsParts, type Topic } from "./model.ts";
import type { Throttle } from "./throttle.ts";
import { isContentBased } from "./topic-attributes.ts";

const MESSAGE_BYTES_MAX = 262_144;
const ENTRIES_MAX = 10;
const SUBJECT = /^[^\p{Cc}]{1,100}$/u;
const ID_CHARACTERS = /^[\w!"#$%&'()*+,\-./:;<=>?@[\\\]^`{|}~]{1,128}$/;
const ENTRY_ID = /^[\w-]{1,80}$/;

type Given = Omit<PublishBatchRequestEntry, "Id">;

/** `MessageStructure=json`: a text for each protocol, and one for all others. */
function textsOf(message: string): Pick<Publication, "message" | "texts"> {
  const fields = jsonObject(message);
  if (fields === undefined) throw invalid("Message Structure - JSON message body failed to parse");
  const { default: fallback, ...others } = fields;
  if (typeof fallback !== "string") throw invalid("Message Structure - No default entry in JSON message body");
  return {
    message: fallback,
    texts: Object.fromEntries(Object.entries(others).filter((one): one is [string, string] => typeof one[1] === "string")),
  };
}

function checkOrdering(topic: Topic, { MessageGroupId: group, MessageDeduplicationId: id }: Given): void {
  const invalidId = (name: string) =>
    invalid(`${name} Reason: ${name} can only include alphanumeric and punctuation characters. 1 to 128 in length.`);
  if (topic.isFifo && (group === undefined || group === "")) throw invalid("The MessageGroupId parameter is required for FIFO topics");
  if (group !== undefined && !ID_CHARACTERS.test(group)) throw invalidId("MessageGroupId");
  if (!topic.isFifo && id !== undefined)
    throw invalid(
      "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
    );
  if (topic.isFifo && id === undefined && !isContentBased(topic))
    throw invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly");
  if (id !== undefined && !ID_CHARACTERS.test(id)) throw invalidId("MessageDeduplicationId");
}

/** Throws InvalidParameter, InvalidParameterValue. */
function publicationOf(parts: SnsParts, context: Context, topic: Topic, given: Given): Publication {
  const { Message: message = "", Subject: subject, MessageStructure: structure, MessageGroupId: groupId } = given;
  if (message === "") throw invalid("Empty message");
  if (subject !== undefined && !SUBJECT.test(subject)) throw invalid("Subject");
  if (structure !== undefined && structure !== "json" && structure !== "") throw invalid("MessageStructure");
  const attributes = messageAttributes(given.MessageAttributes);
  if (Buffer.byteLength(message) + attributesBytes(attributes) > MESSAGE_BYTES_MAX) throw invalid("Message too long");
  checkOrdering(topic, given);
  const deduplicationId = given.MessageDeduplicationId ?? (topic.isFifo ? createHash("sha256").update(message).digest("hex") : undefined);
  return {
    id: randomUUID(),
    ...(subject === undefined ? {} : { subject }),
    ...(structure === "json" ? textsOf(message) : { message }),
    attributes,
    timeMs: parts.clock.now(),
    ...(groupId === undefined ? {} : { groupId }),
    ...(deduplicationId === undefined ? {} : { deduplicationId }),
    ...(context.traceHeader === undefined ? {} : { traceHeader: context.traceHeader }),
  };
}

/** What is wrong with the entries together. */
function checkBatch(topic: Topic, entries: readonly PublishBatchRequestEntry[]): void {
  if (entries.length === 0) throw emptyBatch();
  if (entries.length > ENTRIES_MAX) throw tooManyEntries();
  if (entries.some(({ Id = "" }) => !ENTRY_ID.test(Id))) throw invalidEntryId();
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length) throw sameEntryIds();
  if (topic.isFifo && entries.some(({ MessageGroupId }) => MessageGroupId === undefined))
    throw invalid("The MessageGroupId parameter is required for FIFO topics");
  if (entries.reduce((sum, one) => sum + givenBytes(one), 0) > MESSAGE_BYTES_MAX) throw batchTooLong();
}

function givenBytes({ Message = "", MessageAttributes = {} }: Given): number {
  let bytes = Buffer.byteLength(Message);
  for (const [name, { DataType = "", StringValue = "", BinaryValue }] of Object.entries(MessageAttributes))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(DataType) + (BinaryValue?.length ?? Buffer.byteLength(StringValue));
  return bytes;
}

/** One of the two; a phone gets nothing from Lambent. */
function targetOf({ TopicArn: topic, TargetArn: target, PhoneNumber: phone }: client.PublishCommandInput): [arn: string, member: string] {
  if (phone !== undefined) throw invalid("PhoneNumber Reason: Lambent sends no SMS: see docs/compatibility.md");
  if (topic !== undefined && target !== undefined) throw invalid("TopicArn or TargetArn Reason: only one of them can be given");
  if (topic !== undefined) return [topic, "TopicArn"];
  if (target?.includes(":endpoint/") === true) throw invalid("TargetArn Reason: No endpoint found for the target arn specified");
  if (target === undefined) throw invalid("TopicArn or TargetArn Reason: no value for required parameter");
  return [target, "TargetArn"];
}

export function publishing(parts: SnsParts, fifo: FifoTopics, throttle: Throttle) {
  async function* deliveriesOfAll(topic: Topic, publications: readonly Publication[]): AsyncGenerator<Delivery> {
    for (const one of publications) yield* deliveriesOf(parts, throttle, topic, one);
  }

  const publish = async (topic: Topic, publications: readonly Publication[]): Promise<readonly (Pick<Sent, "id"> & Partial<Sent>)[]> => {
    if (topic.isFifo) return await fifo.send(topic, publications);
    await parts.deliveries.send(deliveriesOfAll(topic, publications));
    return publications.map(({ id }) => ({ id }));
  };

  const described = ({ id, sequenceNumber }: Pick<Sent, "id"> & Partial<Sent>) => ({
    MessageId: id,
    ...(sequenceNumber === undefined ? {} : { SequenceNumber: sequenceNumber }),
  });

  return {
    async Publish(context, input) {
      const topic = existingTopic(parts, context, ...targetOf(input));
      const [sent] = await publish(topic, [publicationOf(parts, context, topic, input)]);
      if (sent === undefined) throw new Error("a message was published and has no answer");
      return described(sent);
    },

    async PublishBatch(context, { TopicArn, PublishBatchRequestEntries: entries = [] }) {
      const topic = existingTopic(parts, context, TopicArn);
      checkBatch(topic, entries);
      // One entry that is wrong makes the whole batch fail, as it does on AWS: none is left to fail by itself.
      const sent = await publish(
        topic,
        entries.map((one) => publicationOf(parts, context, topic, one)),
      );
      const Successful = entries.map(({ Id }, index): PublishBatchResultEntry => {
        const answer = sent[index];
        if (answer === undefined) throw new Error("a message was published and has no answer");
        return { Id, ...described(answer) };
      });
      return { Successful, Failed: [] };
    },
  } satisfies Pick<Operations<typeof client>, "Publish" | "PublishBatch">;
}
