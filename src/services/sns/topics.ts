// Topics: make, list, describe, change, delete.
import { randomUUID } from "node:crypto";
import type * as client from "@aws-sdk/client-sns";
import type { Context, Operations } from "../../aws/operations.ts";
import { invalid } from "./faults.ts";
import type { FifoTopics } from "./fifo-topics.ts";
import {
  changeTopic,
  existingTopic,
  findTopic,
  isFifoName,
  removeAll,
  subscriptionsOf,
  topicArn,
  topicKey,
  topicOf,
  written,
  type Attributes,
  type SnsParts,
  type Topic,
  type TopicName,
} from "./model.ts";
import { page } from "./page.ts";
import { tagsOf } from "./tags.ts";
import { checkTopicAttributes, describeTopic, withTopicAttributes } from "./topic-attributes.ts";

const NAME = /^[\w-]{1,256}$/;
const FIFO_NAME = /^(?=.{6,256}$)[\w-]+\.fifo$/;

function checkName(name: string, isFifo: boolean): void {
  if (isFifo && !FIFO_NAME.test(name))
    throw invalid(
      "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
    );
  if (!isFifo && !NAME.test(name)) throw invalid("Topic Name");
}

/** FifoTopic goes without saying: the name tells it. */
function settableOf(given: Attributes, isFifo: boolean): Attributes {
  const { FifoTopic: fifo, ...rest } = given;
  if (fifo !== undefined && fifo !== "true" && fifo !== "false")
    throw invalid(`Attributes Reason: FifoTopic: Invalid value [${fifo.slice(0, 100)}]. Must be true or false.`);
  checkTopicAttributes(rest, isFifo, "Attributes Reason: ");
  return rest;
}

/** A topic that is there is taken for the one to be made when it has what was asked for. */
function checkSame(present: Topic, attributes: Attributes, tags: Attributes | undefined): void {
  const told = describeTopic(present, { confirmed: 0, pending: 0 });
  if (Object.entries(attributes).some(([name, value]) => (told[name] ?? "") !== value))
    throw invalid("Attributes Reason: Topic already exists with different attributes");
  const { tags: own } = present.record;
  if (
    tags === undefined ||
    (Object.keys(tags).length === Object.keys(own).length && Object.keys(tags).every((key) => own[key] === tags[key]))
  )
    return;
  throw invalid("Tags Reason: Topic already exists with different tags");
}

async function create(parts: SnsParts, context: Context, input: client.CreateTopicCommandInput): Promise<TopicName> {
  const { Name: name = "", Attributes: given = {}, Tags, DataProtectionPolicy } = input;
  const isFifo = given["FifoTopic"] === "true";
  checkName(name, isFifo);
  if (DataProtectionPolicy !== undefined && DataProtectionPolicy !== "")
    throw invalid("DataProtectionPolicy Reason: Lambent does not look for personal data in messages: leave it out.");
  const attributes = settableOf(given, isFifo);
  const tags = tagsOf(Tags ?? []);
  const place = { account: context.account, region: context.region, name };
  for (let attempt = 1; ; attempt++) {
    const present = findTopic(parts, place);
    if (present !== undefined) {
      checkSame(present, attributes, Tags === undefined ? undefined : tags);
      return place;
    }
    const record = { incarnation: randomUUID(), attributes: withTopicAttributes({}, attributes), tags, subscriptionsDeleted: 0 };
    // Somebody made it at the same time: it is compared with theirs.
    if (await written(parts.meta, [{ key: topicKey(place), value: record, expect: "absent" }], attempt)) return place;
  }
}

async function remove(parts: SnsParts, fifo: FifoTopics, topic: Topic): Promise<void> {
  const keys = subscriptionsOf(parts, topic).map(({ key }) => key);
  // Without their topic the subscriptions are none, also those that are still there.
  await parts.meta.write([{ key: topicKey(topic) }]);
  await removeAll(parts, keys);
  if (topic.isFifo) await fifo.remove(topic);
}

export function topics(parts: SnsParts, fifo: FifoTopics) {
  return {
    async CreateTopic(context, input) {
      return { TopicArn: topicArn(await create(parts, context, input)) };
    },

    /** A topic that there is not is no error. */
    async DeleteTopic(context, { TopicArn }) {
      const topic = findTopic(parts, topicOf(context, TopicArn));
      if (topic !== undefined) await remove(parts, fifo, topic);
      return {};
    },

    ListTopics(context, { NextToken }) {
      const { account, region } = context;
      const names = (after: string, limit: number) =>
        parts.topics.list(account, region, { limit, ...(after === "" ? {} : { after }) }).map(({ key }) => key.id);
      const { shown, ...more } = page("topics", NextToken, (name) => name, names);
      return { Topics: shown.map((name) => ({ TopicArn: topicArn({ account, region, name }) })), ...more };
    },

    GetTopicAttributes(context, { TopicArn }) {
      const topic = existingTopic(parts, context, TopicArn);
      const all = subscriptionsOf(parts, topic);
      const pending = all.filter(({ record }) => record.pending !== undefined).length;
      return { Attributes: describeTopic(topic, { pending, confirmed: all.length - pending }) };
    },

    async SetTopicAttributes(context, { TopicArn, AttributeName: name = "", AttributeValue: value = "" }) {
      const topic = existingTopic(parts, context, TopicArn);
      checkTopicAttributes({ [name]: value }, isFifoName(topic.name), "");
      await changeTopic(parts, topic, ({ record }) => ({
        ...record,
        attributes: withTopicAttributes(record.attributes, { [name]: value }),
      }));
      return {};
    },
  } satisfies Partial<Operations<typeof client>>;
}
