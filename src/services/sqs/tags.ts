// Tags of queues.
import type * as client from "@aws-sdk/client-sqs";
import type { Operations } from "../../aws/operations.ts";
import { invalidParameter, missingParameter } from "./faults.ts";
import { changeQueue, existingQueue, type SqsParts } from "./model.ts";

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html */
const TAGS_MAX = 50;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

type Tags = Readonly<Record<string, string>>;

export function checkTags(given: Tags): void {
  if (Object.keys(given).length > TAGS_MAX) throw invalidParameter(`Too many tags added for queue. Maximum number of tags is ${TAGS_MAX}.`);
  for (const [key, value] of Object.entries(given)) {
    if (key === "" || key.length > 128 || !ALLOWED.test(key) || /^aws:/i.test(key))
      throw invalidParameter(`Tag key '${key.slice(0, 200)}' is invalid.`);
    if (value.length > 256 || !ALLOWED.test(value)) throw invalidParameter(`The value of the tag '${key}' is invalid.`);
  }
}

export function tags(parts: SqsParts) {
  return {
    async TagQueue(context, { QueueUrl, Tags = {} }) {
      const queue = existingQueue(parts, context, QueueUrl);
      if (Object.keys(Tags).length === 0) throw missingParameter("Tags");
      await changeQueue(parts, queue, ({ record }) => {
        const after = { ...record.tags, ...Tags };
        checkTags(after);
        return { ...record, tags: after };
      });
      return {};
    },

    async UntagQueue(context, { QueueUrl, TagKeys = [] }) {
      const queue = existingQueue(parts, context, QueueUrl);
      if (TagKeys.length === 0) throw missingParameter("TagKeys");
      const kept = ([key]: [string, string]) => !TagKeys.includes(key);
      await changeQueue(parts, queue, ({ record }) => ({ ...record, tags: Object.fromEntries(Object.entries(record.tags).filter(kept)) }));
      return {};
    },

    ListQueueTags(context, { QueueUrl }) {
      const { record } = existingQueue(parts, context, QueueUrl);
      return Object.keys(record.tags).length === 0 ? {} : { Tags: { ...record.tags } };
    },
  } satisfies Pick<Operations<typeof client>, "TagQueue" | "UntagQueue" | "ListQueueTags">;
}
