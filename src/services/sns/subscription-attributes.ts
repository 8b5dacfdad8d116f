// Attributes of subscriptions: what may be set to what, and how they are told.
// https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html
import { parseArn } from "../../aws/arn.ts";
import { filterPolicy, FilterPolicyError, type FilterPolicy, type FilterPolicyScope } from "../../aws/filter-policy.ts";
import { deliveryPolicyProblem, effectiveSubscriptionPolicy } from "./delivery-policy.ts";
import { shownEndpoint } from "./endpoints.ts";
import { invalid } from "./faults.ts";
import { isFifoName, jsonObject, type Attributes, type Subscription, type SubscriptionRecord, type Topic } from "./model.ts";

const SCOPES: readonly string[] = ["MessageAttributes", "MessageBody"] satisfies FilterPolicyScope[];
const RAW_PROTOCOLS: ReadonlySet<string> = new Set(["sqs", "http", "https"]);
const NAMES: ReadonlySet<string> = new Set(["DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy"]);

export const isWeb = (protocol: string) => protocol === "http" || protocol === "https";

const scopeOf = (attributes: Attributes) => (attributes["FilterPolicyScope"] ?? "MessageAttributes") as FilterPolicyScope;

type Subscriber = Pick<SubscriptionRecord, "protocol" | "endpoint">;

function filterProblem(attributes: Attributes): string | undefined {
  const text = attributes["FilterPolicy"] ?? "";
  if (text === "") return undefined;
  try {
    filterPolicy(text, scopeOf(attributes));
    return undefined;
  } catch (cause) {
    if (cause instanceof FilterPolicyError) return cause.message;
    throw cause;
  }
}

function redriveProblem(text: string, endpoint: string): string | undefined {
  if (text === "") return undefined;
  const fields = jsonObject(text);
  if (fields === undefined) return "failed to parse JSON.";
  const { deadLetterTargetArn: arn } = fields;
  const target = typeof arn === "string" ? parseArn(arn) : undefined;
  if (target === undefined) return "deadLetterTargetArn is an invalid arn";
  if (target.service !== "sqs") return "deadLetterTargetArn must be the ARN of an SQS queue";
  if (isFifoName(endpoint) && !isFifoName(target.resource)) return "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.";
  return isFifoName(endpoint) === isFifoName(target.resource) ? undefined : "must not use a FIFO queue as DLQ for a standard Subscription.";
}

function problemOf(name: string, value: string, { protocol, endpoint }: Subscriber): string | undefined {
  if (name === "FilterPolicyScope" && !SCOPES.includes(value))
    return `Invalid value [${value.slice(0, 100)}]. Please use either MessageBody or MessageAttributes`;
  if (name === "RawMessageDelivery" && !/^(?:true|false)$/i.test(value))
    return `Invalid value [${value.slice(0, 100)}]. Must be true or false.`;
  if (name === "RedrivePolicy") return redriveProblem(value, endpoint);
  if (name === "DeliveryPolicy")
    return isWeb(protocol) ? deliveryPolicyProblem(value, "subscription") : "only for http and https endpoints";
  return undefined;
}

/** All that are there when the given ones are set. Throws InvalidParameter; `prefix` is what stands before the reason. */
export function withSubscriptionAttributes(before: Attributes, given: Attributes, subscriber: Subscriber, prefix: string): Attributes {
  for (const [name, value] of Object.entries(given)) {
    if (!NAMES.has(name)) throw invalid(prefix === "" ? "AttributeName" : `${prefix}Unknown attribute ${name.slice(0, 100)}`);
    const problem = problemOf(name, value, subscriber);
    if (problem !== undefined) throw invalid(`${prefix}${name}: ${problem}`);
  }
  const { protocol } = subscriber;
  const isRaw = given["RawMessageDelivery"]?.toLowerCase() === "true";
  if (isRaw && !RAW_PROTOCOLS.has(protocol))
    throw invalid(`${prefix}Delivery protocol [${protocol}] does not support raw message delivery.`);
  const all = Object.entries({ ...before, ...given }).filter(([, value]) => value !== "");
  const after = Object.fromEntries(all.map(([name, value]) => [name, name === "RawMessageDelivery" ? value.toLowerCase() : value]));
  const problem = filterProblem(after);
  // Of all complaints about a policy only this one names it itself.
  if (problem !== undefined) throw invalid(`${prefix}${problem.startsWith("Filter policy scope") ? "" : "FilterPolicy: "}${problem}`);
  return after;
}

export const isRaw = ({ record }: Subscription): boolean => record.attributes["RawMessageDelivery"] === "true";

/** ARN of a queue. */
export function deadLetterQueueOf({ record }: Subscription): string | undefined {
  const arn = jsonObject(record.attributes["RedrivePolicy"] ?? "")?.["deadLetterTargetArn"];
  return typeof arn === "string" ? arn : undefined;
}

const compiled = new WeakMap<SubscriptionRecord, FilterPolicy>();

/** Compiled once for each state of the subscription. */
export function filterOf({ record }: Subscription): FilterPolicy | undefined {
  const text = record.attributes["FilterPolicy"];
  if (text === undefined) return undefined;
  let filter = compiled.get(record);
  if (filter === undefined) compiled.set(record, (filter = filterPolicy(text, scopeOf(record.attributes))));
  return filter;
}

export function describeSubscription({ arn, record }: Subscription, topic: Topic): Record<string, string> {
  const { protocol, endpoint, owner, principal, pending, isAuthenticated } = record;
  const { FilterPolicyScope = "MessageAttributes", ...attributes } = record.attributes;
  return {
    SubscriptionArn: arn,
    TopicArn: topic.arn,
    Protocol: protocol,
    Endpoint: shownEndpoint(endpoint),
    Owner: owner,
    SubscriptionPrincipal: principal,
    ConfirmationWasAuthenticated: String(isAuthenticated),
    PendingConfirmation: String(pending !== undefined),
    RawMessageDelivery: "false",
    ...(attributes["FilterPolicy"] === undefined ? {} : { FilterPolicyScope }),
    ...(isWeb(protocol) ? { EffectiveDeliveryPolicy: effectiveSubscriptionPolicy(topic.record.attributes, attributes) } : {}),
    ...attributes,
  };
}
