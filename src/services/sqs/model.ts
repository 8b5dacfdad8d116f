// Stored records of SQS, the names of queues, and what its operations share.
import type { Fault } from "../../aws/fault.ts";
import { parseArn } from "../../aws/arn.ts";
import type { Context } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Mailboxes } from "../../store/mailboxes.ts";
import type { Entry, Key, MetaStore } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import { invalidAddress, missingParameter, noSuchQueue } from "./faults.ts";

export const QUEUE_KIND = "sqs.queue";

export interface QueueRecord {
  /** Where its messages are: a name of its own, so that a queue made again does not see the messages of the one before. */
  readonly mailbox: string;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  /** Attributes that can be set, as text; those that were not have no entry. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly purgedAtMs?: number;
}

export interface SqsDeps {
  readonly meta: MetaStore;
  readonly mailboxes: Mailboxes;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SqsParts extends SqsDeps {
  readonly queues: View<QueueRecord>;
}

export interface QueueName {
  readonly account: string;
  readonly region: string;
  readonly name: string;
}

export interface Queue extends QueueName {
  readonly arn: string;
  readonly record: QueueRecord;
  readonly revision: number;
  readonly isFifo: boolean;
}

export const queueKey = ({ account, region, name }: QueueName): Key => ({ account, region, kind: QUEUE_KIND, id: name });
export const queueArn = ({ account, region, name }: QueueName): string => `arn:aws:sqs:${region}:${account}:${name}`;
export const queueUrl = (context: Context, { account, name }: QueueName): string => `${context.endpoint}/${account}/${name}`;

export function queueOf(arn: string): QueueName | undefined {
  const parsed = parseArn(arn);
  if (parsed?.service !== "sqs" || parsed.resource === "" || /[:/]/.test(parsed.resource)) return undefined;
  return { account: parsed.account, region: parsed.region, name: parsed.resource };
}

/** Account and name stand at the end of the path; hosts have had many forms (`sqs.REGION.…`, `REGION.queue.…`, the endpoint), none of them counts. */
const QUEUE_URL = /^(?:https?:\/\/[^/?#]+)?\/(?:queue\/[a-z0-9-]+\/)?(\d{12})\/([\w.-]{1,80})\/?$/;

export function queueOfUrl(region: string, url: string | undefined): QueueName | undefined {
  const [, account, name] = QUEUE_URL.exec(url ?? "") ?? [];
  return account === undefined || name === undefined ? undefined : { account, region, name };
}

const asQueue = (name: QueueName, { value, revision }: Entry<QueueRecord>): Queue => ({
  ...name,
  arn: queueArn(name),
  record: value,
  revision,
  isFifo: value.attributes["FifoQueue"] === "true",
});

export function findQueue({ queues }: SqsParts, name: QueueName | undefined): Queue | undefined {
  const entry = name === undefined ? undefined : queues.get(name.account, name.region, name.name);
  return name === undefined || entry === undefined ? undefined : asQueue(name, entry);
}

/** Throws QueueDoesNotExist, InvalidAddress, MissingParameter. */
export function existingQueue(parts: SqsParts, context: Context, url: string | undefined): Queue {
  if (url === undefined || url === "") throw missingParameter("QueueUrl");
  const name = queueOfUrl(context.region, url);
  if (name === undefined) throw invalidAddress(url);
  const found = findQueue(parts, name);
  if (found === undefined) throw noSuchQueue();
  return found;
}

/** Throws the fault if there is no queue with the ARN. */
export function queueWithArn(parts: SqsParts, arn: string, missing: () => Fault | Error): Queue {
  const found = findQueue(parts, queueOf(arn));
  if (found === undefined) throw missing();
  return found;
}

/** Changes what the queue is now, again if somebody else was faster. */
export async function changeQueue(parts: SqsParts, queue: QueueName, edit: (queue: Queue) => QueueRecord): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [entry] = await parts.meta.get<QueueRecord>([queueKey(queue)]);
    if (entry === undefined) throw noSuchQueue();
    const write = { key: queueKey(queue), value: edit(asQueue(queue, entry)), expect: entry.revision };
    if (await parts.meta.write([write]).then(() => true, wasConflict(attempt))) return;
  }
}

const ATTEMPTS_MAX = 10;

const wasConflict = (attempt: number) => (cause: unknown) => {
  if ((cause as { failure?: string }).failure === "Conflict" && attempt < ATTEMPTS_MAX) return false;
  throw cause;
};
