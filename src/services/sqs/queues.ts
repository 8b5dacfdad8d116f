// Queues: make, find, list, describe, change, empty, delete.
import { PurgeQueueInProgress$, QueueNameExists$ } from "@aws-sdk/client-sqs";
import type * as client from "@aws-sdk/client-sqs";
import { timeOrderedId } from "../../base/id.ts";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { StorageError } from "../../store/storage.ts";
import { checkAttributes, describeAttributes, differingAttribute, withAttributes } from "./attributes.ts";
import { invalidAttribute, invalidParameter, missingParameter, noSuchQueue, unknownAttribute } from "./faults.ts";
import { emptyMailbox, type Leftovers } from "./leftovers.ts";
import type { LongPolls } from "./long-polls.ts";
import {
  changeQueue,
  existingQueue,
  findQueue,
  queueArn,
  queueKey,
  queueUrl,
  type QueueName,
  type QueueRecord,
  type SqsParts,
} from "./model.ts";
import { checkAllowPolicy, checkRedrivePolicy, sourcesOf } from "./redrive.ts";
import { checkTags } from "./tags.ts";

const NAME = /^[\w-]{1,80}$/;
const FIFO_NAME = /^[\w-]{1,75}\.fifo$/;
const PAGE_MAX = 1000;
const PURGE_INTERVAL_MS = 60_000;

type Attributes = Readonly<Record<string, string>>;

function checkName(name: string, isFifo: boolean): void {
  if (name === "") throw missingParameter("QueueName");
  if (isFifo && !FIFO_NAME.test(name))
    throw invalidParameter(
      "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length",
    );
  if (!isFifo && !NAME.test(name))
    throw invalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
}

function checkGiven(parts: SqsParts, queue: QueueName, isFifo: boolean, given: Attributes): void {
  checkAttributes(given, isFifo);
  const { RedrivePolicy: redrive = "", RedriveAllowPolicy: allow = "" } = given;
  if (allow !== "") checkAllowPolicy(allow);
  if (redrive !== "") checkRedrivePolicy(parts, { ...queue, arn: queueArn(queue), isFifo }, redrive);
}

/** Ids behind a marker, at most as many as a page has; without MaxResults there is one page and no marker. */
function page(list: string, names: (after: string | undefined, limit: number) => string[], token?: string, max?: number) {
  if (max !== undefined && (max < 1 || max > PAGE_MAX))
    throw invalidParameter(`Value for parameter MaxResults is invalid. Reason: Must be between 1 and ${PAGE_MAX}, if provided.`);
  const after = token === undefined ? undefined : decodeMarker(list, token);
  if (token !== undefined && after === undefined) throw invalidParameter("Invalid or expired next token.");
  const found = names(after, (max ?? PAGE_MAX) + 1);
  const shown = found.slice(0, max ?? PAGE_MAX);
  const last = shown.at(-1);
  const hasMore = max !== undefined && found.length > shown.length && last !== undefined;
  return { shown, ...(hasMore ? { NextToken: encodeMarker(list, last) } : {}) };
}

async function create(parts: SqsParts, context: Context, name: QueueName, input: client.CreateQueueCommandInput): Promise<void> {
  const { Attributes: given = {}, tags = {} } = input as { Attributes?: Attributes; tags?: Readonly<Record<string, string>> };
  const isFifo = given["FifoQueue"] === "true";
  // A standard queue is one without the attribute.
  if (given["FifoQueue"] !== undefined && !isFifo) throw unknownAttribute("FifoQueue");
  checkName(name.name, isFifo);
  const present = findQueue(parts, name);
  if (present !== undefined) {
    const differing = differingAttribute(present, given);
    if (differing === undefined) return;
    throw new Fault(QueueNameExists$, `A queue already exists with the same name and a different value for attribute ${differing}`);
  }
  checkGiven(parts, name, isFifo, given);
  checkTags(tags);
  const nowMs = parts.clock.now();
  const record: QueueRecord = {
    mailbox: timeOrderedId(nowMs),
    createdAtMs: nowMs,
    modifiedAtMs: nowMs,
    attributes: withAttributes({}, given),
    tags,
  };
  try {
    await parts.meta.write([{ key: queueKey(name), value: record, expect: "absent" }]);
  } catch (cause) {
    if (!(cause instanceof StorageError) || cause.failure !== "Conflict") throw cause;
    // Somebody made it at the same time: it is compared with theirs.
    await create(parts, context, name, input);
  }
}

export function queues(parts: SqsParts, leftovers: Leftovers, polls: LongPolls) {
  const { meta, mailboxes, clock } = parts;
  return {
    async CreateQueue(context, input) {
      const name = { account: context.account, region: context.region, name: input.QueueName ?? "" };
      await create(parts, context, name, input);
      return { QueueUrl: queueUrl(context, name) };
    },

    GetQueueUrl(context, { QueueName: name = "", QueueOwnerAWSAccountId: account = context.account }) {
      if (name === "") throw missingParameter("QueueName");
      const found = findQueue(parts, { account, region: context.region, name });
      if (found === undefined) throw noSuchQueue();
      return { QueueUrl: queueUrl(context, found) };
    },

    ListQueues(context, { QueueNamePrefix: prefix = "", NextToken: token, MaxResults: max }) {
      const { account, region } = context;
      const names = (after: string | undefined, limit: number) =>
        parts.queues.list(account, region, { prefix, limit, ...(after === undefined ? {} : { after }) }).map(({ key }) => key.id);
      const { shown, ...more } = page(`queues ${prefix}`, names, token, max);
      return { ...(shown.length === 0 ? {} : { QueueUrls: shown.map((name) => queueUrl(context, { account, region, name })) }), ...more };
    },

    ListDeadLetterSourceQueues(context, { QueueUrl, NextToken: token, MaxResults: max }) {
      const queue = existingQueue(parts, context, QueueUrl);
      const sources = sourcesOf(parts, queue);
      const names = (after: string | undefined, limit: number) =>
        sources.slice(after === undefined ? 0 : sources.findIndex((name) => name === after) + 1).slice(0, limit);
      const { shown, ...more } = page(`sources ${queue.name}`, names, token, max);
      return { queueUrls: shown.map((name) => queueUrl(context, { ...queue, name })), ...more };
    },

    async GetQueueAttributes(context, { QueueUrl, AttributeNames = [] }) {
      const queue = existingQueue(parts, context, QueueUrl);
      await leftovers.expire(queue);
      const Attributes = await describeAttributes(queue, AttributeNames, () => mailboxes.counts(queue.record.mailbox));
      return Attributes === undefined ? {} : { Attributes };
    },

    async SetQueueAttributes(context, { QueueUrl, Attributes = {} }) {
      const queue = existingQueue(parts, context, QueueUrl);
      const given = Attributes as Attributes;
      if (Object.keys(given).length === 0) throw missingParameter("Attribute.Name");
      if (queue.isFifo && given["FifoQueue"] !== undefined && given["FifoQueue"] !== "true")
        throw invalidAttribute("FifoQueue", "Modifying queue type is not supported.");
      checkGiven(parts, queue, queue.isFifo, given);
      await changeQueue(parts, queue, ({ record }) => ({
        ...record,
        modifiedAtMs: clock.now(),
        attributes: withAttributes(record.attributes, given),
      }));
      return {};
    },

    async PurgeQueue(context, { QueueUrl }) {
      const queue = existingQueue(parts, context, QueueUrl);
      const nowMs = clock.now();
      await changeQueue(parts, queue, ({ record }) => {
        const sinceMs = nowMs - (record.purgedAtMs ?? -Infinity);
        // Less than none: the clock was set back.
        if (sinceMs >= 0 && sinceMs < PURGE_INTERVAL_MS)
          throw new Fault(PurgeQueueInProgress$, `Only one PurgeQueue operation on ${queue.name} is allowed every 60 seconds.`);
        return { ...record, purgedAtMs: nowMs };
      });
      await emptyMailbox(mailboxes, queue.record.mailbox, nowMs);
      return {};
    },

    async DeleteQueue(context, { QueueUrl }) {
      const queue = existingQueue(parts, context, QueueUrl);
      await meta.write([{ key: queueKey(queue) }]);
      leftovers.remove(queue.record.mailbox);
      polls.wake(queue.record.mailbox);
      return {};
    },
  } satisfies Partial<Operations<typeof client>>;
}
