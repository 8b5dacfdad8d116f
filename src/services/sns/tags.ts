// Tags of topics.
import type * as client from "@aws-sdk/client-sns";
import type { Tag } from "@aws-sdk/client-sns";
import type { Context, Operations } from "../../aws/operations.ts";
import { invalid, noSuchResource, tooManyTags } from "./faults.ts";
import { changeTopic, findTopic, topicOf, type SnsParts, type Topic } from "./model.ts";

/** https://docs.aws.amazon.com/sns/latest/dg/sns-tags.html */
const TAGS_MAX = 50;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** Throws InvalidParameter. */
export function tagsOf(given: readonly Tag[]): Record<string, string> {
  const read = new Map<string, string>();
  for (const { Key = "", Value = "" } of given) {
    if (read.has(Key)) throw invalid("Duplicated keys are not allowed.");
    if (!ALLOWED.test(Key) || /^aws:/i.test(Key)) throw invalid(`Tag key '${Key.slice(0, 200)}' is invalid.`);
    if (!ALLOWED.test(Value)) throw invalid(`The value of the tag '${Key}' is invalid.`);
    read.set(Key, Value);
  }
  if (read.size > TAGS_MAX) throw tooManyTags();
  return Object.fromEntries(read);
}

function taggedTopic(parts: SnsParts, context: Context, arn: string | undefined): Topic {
  const found = findTopic(parts, topicOf(context, arn, "ResourceArn"));
  if (found === undefined) throw noSuchResource();
  return found;
}

export function tags(parts: SnsParts) {
  return {
    async TagResource(context, { ResourceArn, Tags = [] }) {
      const topic = taggedTopic(parts, context, ResourceArn);
      const added = tagsOf(Tags);
      await changeTopic(parts, topic, ({ record }) => {
        const after = { ...record.tags, ...added };
        if (Object.keys(after).length > TAGS_MAX) throw tooManyTags();
        return { ...record, tags: after };
      });
      return {};
    },

    async UntagResource(context, { ResourceArn, TagKeys = [] }) {
      const topic = taggedTopic(parts, context, ResourceArn);
      const isKept = ([key]: [string, string]) => !TagKeys.includes(key);
      await changeTopic(parts, topic, ({ record }) => ({
        ...record,
        tags: Object.fromEntries(Object.entries(record.tags).filter(isKept)),
      }));
      return {};
    },

    ListTagsForResource(context, { ResourceArn }) {
      const { record } = taggedTopic(parts, context, ResourceArn);
      return { Tags: Object.entries(record.tags).map(([Key, Value]) => ({ Key, Value })) };
    },
  } satisfies Pick<Operations<typeof client>, "TagResource" | "UntagResource" | "ListTagsForResource">;
}
