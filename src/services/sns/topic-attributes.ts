// Attributes of topics: what may be set to what, and how they are told.
// https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
import { parsePolicy } from "../../aws/policy.ts";
import { deliveryPolicyProblem, effectiveTopicPolicy } from "./delivery-policy.ts";
import { invalid } from "./faults.ts";
import type { Attributes, Topic } from "./model.ts";
import { defaultPolicy } from "./permissions.ts";

const CHOICES: ReadonlyMap<string, readonly string[]> = new Map([
  ["SignatureVersion", ["1", "2"]],
  ["TracingConfig", ["PassThrough", "Active"]],
]);
const FIFO_CHOICES: ReadonlyMap<string, readonly string[]> = new Map([
  ["ContentBasedDeduplication", ["true", "false"]],
  ["FifoThroughputScope", ["Topic", "MessageGroup"]],
]);
/** Stored and told: without CloudWatch there is nobody to tell of single deliveries. */
const FEEDBACK = /^(?:HTTP|Firehose|Lambda|Application|SQS)(?:SuccessFeedbackRoleArn|FailureFeedbackRoleArn|SuccessFeedbackSampleRate)$/;
/** An empty text takes them away. */
const DOCUMENTS: ReadonlySet<string> = new Set(["Policy", "DeliveryPolicy", "KmsMasterKeyId", "ArchivePolicy"]);
const DISPLAY_NAME_CHARACTERS_MAX = 100;
const POLICY_BYTES_MAX = 30_720;

function feedbackProblem(name: string, value: string): string | undefined {
  if (!name.endsWith("SampleRate")) return undefined;
  return /^\d{1,3}$/.test(value) && Number(value) <= 100 ? undefined : "must be an integer between 0 and 100";
}

function policyProblem(text: string): string | undefined {
  if (text === "") return undefined;
  const policy = parsePolicy(text);
  if (Buffer.byteLength(text) > POLICY_BYTES_MAX) return "Policy length exceeds limit";
  return "malformed" in policy ? `Policy Error: ${policy.malformed}` : undefined;
}

function problemOf(name: string, value: string): string | undefined {
  const choices = CHOICES.get(name) ?? FIFO_CHOICES.get(name);
  if (choices !== undefined)
    return choices.includes(value) ? undefined : `Invalid value [${value.slice(0, 100)}]. Must be ${choices.join(" or ")}.`;
  if (name === "DisplayName")
    return value.length <= DISPLAY_NAME_CHARACTERS_MAX ? undefined : `must be at most ${DISPLAY_NAME_CHARACTERS_MAX} characters long`;
  if (name === "Policy") return policyProblem(value);
  if (name === "DeliveryPolicy") return deliveryPolicyProblem(value, "topic");
  // Whoever asks for a key of their own, or for an archive, is owed it.
  if (name === "KmsMasterKeyId") return value === "" ? undefined : "Lambent does not encrypt topics with keys of KMS: leave it out.";
  if (name === "ArchivePolicy") return value === "" || value === "{}" ? undefined : "Lambent does not archive messages: leave it out.";
  return feedbackProblem(name, value);
}

const isKnown = (name: string, isFifo: boolean) =>
  CHOICES.has(name) || DOCUMENTS.has(name) || name === "DisplayName" || FEEDBACK.test(name) || (isFifo && FIFO_CHOICES.has(name));

/** Throws InvalidParameter for what may not be set; `prefix` is what stands before the reason. */
export function checkTopicAttributes(given: Attributes, isFifo: boolean, prefix: string): void {
  for (const [name, value] of Object.entries(given)) {
    if (!isKnown(name, isFifo)) throw invalid(prefix === "" ? "AttributeName" : `${prefix}Unknown attribute ${name.slice(0, 100)}`);
    const problem = problemOf(name, value);
    if (problem !== undefined) throw invalid(`${prefix}${name}: ${problem}`);
  }
}

export function withTopicAttributes(before: Attributes, given: Attributes): Attributes {
  const all = Object.entries({ ...before, ...given });
  return Object.fromEntries(all.filter(([name, value]) => !(DOCUMENTS.has(name) && (value === "" || value === "{}"))));
}

export const isContentBased = ({ record }: Topic): boolean => record.attributes["ContentBasedDeduplication"] === "true";

export function describeTopic(topic: Topic, counts: { confirmed: number; pending: number }): Record<string, string> {
  const { record, isFifo, arn, account } = topic;
  return {
    TopicArn: arn,
    Owner: account,
    DisplayName: "",
    ...(isFifo ? { FifoTopic: "true", ContentBasedDeduplication: "false", FifoThroughputScope: "Topic" } : {}),
    Policy: JSON.stringify(defaultPolicy(topic)),
    EffectiveDeliveryPolicy: effectiveTopicPolicy(record.attributes),
    SubscriptionsConfirmed: String(counts.confirmed),
    SubscriptionsPending: String(counts.pending),
    SubscriptionsDeleted: String(record.subscriptionsDeleted),
    ...record.attributes,
  };
}
