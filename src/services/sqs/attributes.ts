// Attributes of queues: what may be set to what, what holds when nothing is set, and how they are told.
import { InvalidAttributeValue$ } from "@aws-sdk/client-sqs";
import { Fault } from "../../aws/fault.ts";
import { parsePolicy } from "../../aws/policy.ts";
import { invalidAttribute, unknownAttribute, unsupported } from "./faults.ts";
import type { Queue } from "./model.ts";

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html */
const NUMBERS: ReadonlyMap<string, readonly [min: number, max: number, byDefault: number]> = new Map([
  ["VisibilityTimeout", [0, 43_200, 30]],
  ["MaximumMessageSize", [1024, 1_048_576, 1_048_576]],
  ["MessageRetentionPeriod", [60, 1_209_600, 345_600]],
  ["DelaySeconds", [0, 900, 0]],
  ["ReceiveMessageWaitTimeSeconds", [0, 20, 0]],
]);
const CHOICES: ReadonlyMap<string, readonly string[]> = new Map([
  ["SqsManagedSseEnabled", ["true", "false"]],
  ["ContentBasedDeduplication", ["true", "false"]],
  ["DeduplicationScope", ["queue", "messageGroup"]],
  ["FifoThroughputLimit", ["perQueue", "perMessageGroupId"]],
]);
const FIFO_DEFAULTS: Readonly<Record<string, string>> = {
  FifoQueue: "true",
  ContentBasedDeduplication: "false",
  DeduplicationScope: "queue",
  FifoThroughputLimit: "perQueue",
};
const FIFO_ONLY: ReadonlySet<string> = new Set(Object.keys(FIFO_DEFAULTS));
/** An empty text takes them away. */
const DOCUMENTS: ReadonlySet<string> = new Set(["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"]);
const POLICY_BYTES_MAX = 8192;
const KMS_REUSE_SECONDS = { min: 60, max: 86_400 };

type NumberAttribute =
  | "VisibilityTimeout"
  | "MaximumMessageSize"
  | "MessageRetentionPeriod"
  | "DelaySeconds"
  | "ReceiveMessageWaitTimeSeconds";

export const numberOf = ({ record }: Pick<Queue, "record">, name: NumberAttribute): number =>
  Number(record.attributes[name] ?? NUMBERS.get(name)?.[2]);

const isWhole = (text: string, min: number, max: number) => /^\d{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max;

function checkPolicy(text: string): void {
  const policy = parsePolicy(text);
  if (Buffer.byteLength(text) > POLICY_BYTES_MAX || "malformed" in policy) throw invalidAttribute("Policy");
}

function checkOne(name: string, value: string, isFifo: boolean): void {
  const range = NUMBERS.get(name);
  if (range !== undefined) {
    if (!isWhole(value, range[0], range[1])) throw invalidAttribute(name);
    return;
  }
  if (FIFO_ONLY.has(name) && !isFifo) throw unknownAttribute(name);
  const choices = CHOICES.get(name);
  if (choices !== undefined) {
    if (!choices.includes(value)) throw invalidAttribute(name);
  } else if (name === "Policy" && value !== "") checkPolicy(value);
  else if (name === "KmsMasterKeyId") {
    // Whoever asks for a key of their own is owed its protection.
    if (value !== "") throw unsupported("Lambent does not encrypt queues with keys of KMS: leave out KmsMasterKeyId.");
  } else if (name === "KmsDataKeyReusePeriodSeconds") {
    if (!isWhole(value, KMS_REUSE_SECONDS.min, KMS_REUSE_SECONDS.max)) throw invalidAttribute(name);
  } else if (!DOCUMENTS.has(name) && name !== "FifoQueue") throw unknownAttribute(name);
}

/** Throws for what may not be set; redrive policies are checked against other queues elsewhere. */
export function checkAttributes(given: Readonly<Record<string, string>>, isFifo: boolean): void {
  for (const [name, value] of Object.entries(given)) checkOne(name, value, isFifo);
}

/** What is there after the given ones are set, and whether they go together. */
export function withAttributes(
  before: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const all = Object.entries({ ...before, ...given }).filter(([name, value]) => !(DOCUMENTS.has(name) && value === ""));
  const after = Object.fromEntries(all.map(([name, value]) => [name, NUMBERS.has(name) ? String(Number(value)) : value]));
  const perGroup = after["FifoThroughputLimit"] === "perMessageGroupId";
  if (perGroup && after["DeduplicationScope"] !== "messageGroup")
    throw new Fault(
      InvalidAttributeValue$,
      "The perMessageGroupId value for FifoThroughputLimit is allowed only when the value for DeduplicationScope is messageGroup.",
    );
  return after;
}

/** A queue that is there is taken for the one to be made when it has what was asked for. */
export function differingAttribute(queue: Queue, given: Readonly<Record<string, string>>): string | undefined {
  const told = { ...Object.fromEntries(settable(queue)), Policy: "", RedrivePolicy: "", RedriveAllowPolicy: "", KmsMasterKeyId: "" };
  const present: Readonly<Record<string, string>> = { ...told, ...queue.record.attributes };
  return Object.keys(given).find((name) => {
    const [asked, is] = [given[name] ?? "", present[name] ?? ""];
    return NUMBERS.has(name) ? Number(asked) !== Number(is) : asked !== is;
  });
}

function settable({ record, isFifo }: Queue): [string, string][] {
  const defaults = [...NUMBERS].map(([name, [, , byDefault]]): [string, string] => [name, String(byDefault)]);
  const all = new Map([...defaults, ["SqsManagedSseEnabled", "false"], ...(isFifo ? Object.entries(FIFO_DEFAULTS) : [])] as [
    string,
    string,
  ][]);
  for (const [name, value] of Object.entries(record.attributes)) all.set(name, value);
  return [...all];
}

const seconds = (ms: number) => String(Math.floor(ms / 1000));

const COUNTS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"] as const;
const KNOWN: ReadonlySet<string> = new Set([
  "All",
  "QueueArn",
  "CreatedTimestamp",
  "LastModifiedTimestamp",
  "KmsDataKeyReusePeriodSeconds",
  ...COUNTS,
  ...NUMBERS.keys(),
  ...CHOICES.keys(),
  ...FIFO_ONLY,
  ...DOCUMENTS,
]);

export const isQueueAttribute = (name: string): boolean => KNOWN.has(name);

/** `undefined` when nothing was asked for. Throws InvalidAttributeName. */
export async function describeAttributes(
  queue: Queue,
  names: readonly string[],
  counts: () => Promise<{ visible: number; claimed: number; delayed: number }>,
): Promise<Record<string, string> | undefined> {
  const unknown = names.find((name) => !isQueueAttribute(name));
  if (unknown !== undefined) throw unknownAttribute(unknown.slice(0, 100));
  const isAsked = (name: string) => names.includes(name) || names.includes("All");
  const all: [string, string][] = [
    ...settable(queue),
    ["QueueArn", queue.arn],
    ["CreatedTimestamp", seconds(queue.record.createdAtMs)],
    ["LastModifiedTimestamp", seconds(queue.record.modifiedAtMs)],
  ];
  if (COUNTS.some(isAsked)) {
    const { visible, claimed, delayed } = await counts();
    for (const [index, count] of [visible, claimed, delayed].entries()) all.push([COUNTS[index] ?? "", String(count)]);
  }
  const asked = all.filter(([name]) => isAsked(name));
  return asked.length === 0 ? undefined : Object.fromEntries(asked);
}
