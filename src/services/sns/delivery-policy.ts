// Delivery policies: how often a web endpoint is tried again, how many requests it gets in a second, and as what content.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html#creating-delivery-policy
import type { BackoffCurve, RetryPace } from "../../base/retry-pace.ts";
import type { RetryRules } from "../../deliveries.ts";
import { jsonObject, type Attributes } from "./model.ts";

interface RetryPolicy {
  readonly minDelayTarget: number;
  readonly maxDelayTarget: number;
  readonly numRetries: number;
  readonly numMaxDelayRetries: number;
  readonly numNoDelayRetries: number;
  readonly numMinDelayRetries: number;
  readonly backoffFunction: BackoffCurve;
}

type Fields = Readonly<Record<string, unknown>>;

/** What holds for one subscription. */
interface WebRules {
  readonly retry: RetryRules;
  /** Requests in a second; absent: as they come. */
  readonly perSecond?: number;
  readonly contentType: string;
}

const DEFAULT_RETRY: RetryPolicy = {
  minDelayTarget: 20,
  maxDelayTarget: 20,
  numRetries: 3,
  numMaxDelayRetries: 0,
  numNoDelayRetries: 0,
  numMinDelayRetries: 0,
  backoffFunction: "linear",
};
const DEFAULT_CONTENT_TYPE = "text/plain; charset=UTF-8";
const CURVES: readonly unknown[] = ["linear", "arithmetic", "geometric", "exponential"] satisfies BackoffCurve[];
const DELAY_SECONDS_MAX = 3600;
const RETRIES_MAX = 100;
/** "This is a hard limit and cannot be increased." */
const TOTAL_SECONDS_MAX = 3600;

/** Of the AWS-managed endpoints: "100,015 times, over 23 days". */
export const MANAGED_RETRY: RetryRules = {
  retriesMax: 100_014,
  ageMaxMs: 23 * 86_400_000,
  pace: { noDelay: 3, minDelay: 2, backoff: 10, minMs: 1000, maxMs: 20_000, curve: "exponential" },
};

/** The members of a policy on a topic, by those of one on a subscription. */
const ON_TOPIC = {
  healthyRetryPolicy: "defaultHealthyRetryPolicy",
  throttlePolicy: "defaultThrottlePolicy",
  requestPolicy: "defaultRequestPolicy",
} as const;
const SUBSCRIPTION_MEMBERS: ReadonlySet<string> = new Set([...Object.keys(ON_TOPIC), "sicklyRetryPolicy", "guaranteed"]);
const TOPIC_MEMBERS: ReadonlySet<string> = new Set([
  ...Object.values(ON_TOPIC),
  "defaultSicklyRetryPolicy",
  "disableSubscriptionOverrides",
]);

const invalidValue = (value: unknown) => `Invalid value [${(JSON.stringify(value) ?? "").slice(0, 100)}]`;

const isWhole = (value: unknown, min: number, max: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;

function numberProblem(value: unknown, name: string, min: number, max: number): string | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) return `${name} must be an integer`;
  if (value < min) return `${name} must be greater than or equal to ${min}`;
  return value > max ? `${name} must be less than or equal to ${max}` : undefined;
}

function retryProblem(given: unknown, path: string): string | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given !== "object") return `${path} must be an object`;
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(DEFAULT_RETRY, name));
  if (unknown !== undefined) return `Unexpected JSON member: ${unknown}`;
  const policy = { ...DEFAULT_RETRY, ...given };
  const { minDelayTarget, maxDelayTarget, numRetries, backoffFunction } = policy;
  const problem =
    numberProblem(minDelayTarget, `${path}.minDelayTarget`, 1, DELAY_SECONDS_MAX) ??
    numberProblem(maxDelayTarget, `${path}.maxDelayTarget`, minDelayTarget, DELAY_SECONDS_MAX) ??
    numberProblem(numRetries, `${path}.numRetries`, 0, RETRIES_MAX) ??
    (["numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries"] as const)
      .map((name) => numberProblem(policy[name], `${path}.${name}`, 0, numRetries))
      .find((one) => one !== undefined);
  if (problem !== undefined) return problem;
  if (!CURVES.includes(backoffFunction)) return `${path}.backoffFunction: ${invalidValue(backoffFunction)}`;
  const { numNoDelayRetries, numMinDelayRetries, numMaxDelayRetries } = policy;
  if (numNoDelayRetries + numMinDelayRetries + numMaxDelayRetries > numRetries)
    return `${path}.numRetries must be greater than or equal to the sum of the retries of its phases`;
  const seconds = numMinDelayRetries * minDelayTarget + (numRetries - numNoDelayRetries - numMinDelayRetries) * maxDelayTarget;
  return seconds > TOTAL_SECONDS_MAX ? `${path}: the total retry time must not exceed ${TOTAL_SECONDS_MAX} seconds` : undefined;
}

function throttleProblem(given: unknown, path: string): string | undefined {
  if (given === undefined || given === null) return undefined;
  const { maxReceivesPerSecond: rate } = given as Fields;
  return rate === undefined || rate === null ? undefined : numberProblem(rate, `${path}.maxReceivesPerSecond`, 1, Number.MAX_SAFE_INTEGER);
}

function requestProblem(given: unknown, path: string): string | undefined {
  if (given === undefined || given === null) return undefined;
  const { headerContentType: type } = given as Fields;
  const isType = type === undefined || (typeof type === "string" && /^[\w.+-]{1,64}\/[\w.+-]{1,64}(?:; ?charset=[\w-]{1,32})?$/.test(type));
  return isType ? undefined : `${path}.headerContentType: ${invalidValue(type)}`;
}

function membersProblem(fields: Fields, known: ReadonlySet<string>, names: Readonly<Record<keyof typeof ON_TOPIC, string>>, path: string) {
  const unknown = Object.keys(fields).find((name) => !known.has(name));
  if (unknown !== undefined) return `Unexpected JSON member: ${unknown}`;
  const { healthyRetryPolicy, throttlePolicy, requestPolicy } = names;
  return (
    retryProblem(fields[healthyRetryPolicy], path + healthyRetryPolicy) ??
    throttleProblem(fields[throttlePolicy], path + throttlePolicy) ??
    requestProblem(fields[requestPolicy], path + requestPolicy)
  );
}

const OWN_NAMES = { healthyRetryPolicy: "healthyRetryPolicy", throttlePolicy: "throttlePolicy", requestPolicy: "requestPolicy" };

/** What is wrong with a DeliveryPolicy, in a few words; an empty text takes it away. */
export function deliveryPolicyProblem(text: string, of: "topic" | "subscription"): string | undefined {
  if (text === "") return undefined;
  const fields = jsonObject(text);
  if (fields === undefined) return "failed to parse JSON.";
  if (of === "subscription") return membersProblem(fields, SUBSCRIPTION_MEMBERS, OWN_NAMES, "");
  const unknown = Object.keys(fields).find((name) => name !== "http");
  if (unknown !== undefined) return `Unexpected JSON member: ${unknown}`;
  const { http = {} } = fields;
  if (typeof http !== "object" || http === null) return "http must be an object";
  return membersProblem(http as Fields, TOPIC_MEMBERS, ON_TOPIC, "http.");
}

const webPart = (attributes: Attributes): Fields => (jsonObject(attributes["DeliveryPolicy"] ?? "")?.["http"] ?? {}) as Fields;

/** GetTopicAttributes' EffectiveDeliveryPolicy. */
export function effectiveTopicPolicy(attributes: Attributes): string {
  const given = webPart(attributes);
  const http = {
    defaultHealthyRetryPolicy: { ...DEFAULT_RETRY, ...(given["defaultHealthyRetryPolicy"] as Fields | undefined) },
    disableSubscriptionOverrides: given["disableSubscriptionOverrides"] === true,
    ...(given["defaultThrottlePolicy"] === undefined ? {} : { defaultThrottlePolicy: given["defaultThrottlePolicy"] }),
    defaultRequestPolicy: { headerContentType: DEFAULT_CONTENT_TYPE, ...(given["defaultRequestPolicy"] as Fields | undefined) },
  };
  return JSON.stringify({ http });
}

/** Of a subscription: its own members before those of its topic, unless the topic forbids it. */
function effective(topic: Attributes, own: Attributes) {
  const given = webPart(topic);
  const mine = given["disableSubscriptionOverrides"] === true ? {} : (jsonObject(own["DeliveryPolicy"] ?? "") ?? {});
  const part = (name: keyof typeof ON_TOPIC) => (mine[name] ?? given[ON_TOPIC[name]] ?? undefined) as Fields | undefined;
  return {
    healthyRetryPolicy: { ...DEFAULT_RETRY, ...part("healthyRetryPolicy") },
    throttlePolicy: part("throttlePolicy") ?? null,
    requestPolicy: { headerContentType: DEFAULT_CONTENT_TYPE, ...part("requestPolicy") },
  };
}

/** GetSubscriptionAttributes' EffectiveDeliveryPolicy. */
export function effectiveSubscriptionPolicy(topic: Attributes, own: Attributes): string {
  return JSON.stringify({ ...effective(topic, own), sicklyRetryPolicy: null, guaranteed: false });
}

export function webRules(topic: Attributes, own: Attributes): WebRules {
  const { healthyRetryPolicy: retry, throttlePolicy, requestPolicy } = effective(topic, own);
  const { numRetries, numNoDelayRetries: noDelay, numMinDelayRetries: minDelay, numMaxDelayRetries } = retry;
  const pace: RetryPace = {
    noDelay,
    minDelay,
    backoff: numRetries - noDelay - minDelay - numMaxDelayRetries,
    minMs: retry.minDelayTarget * 1000,
    maxMs: retry.maxDelayTarget * 1000,
    curve: retry.backoffFunction,
  };
  const perSecond = throttlePolicy?.["maxReceivesPerSecond"];
  return {
    retry: { retriesMax: numRetries, ageMaxMs: Infinity, pace },
    ...(isWhole(perSecond, 1, Number.MAX_SAFE_INTEGER) ? { perSecond } : {}),
    contentType: requestPolicy.headerContentType,
  };
}
