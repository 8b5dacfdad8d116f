// What IAM checks for each operation, and which of them a topic's policy can open to others.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
import type { AccessNeed } from "../../aws/definition.ts";
import { Fault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { findSubscription, findTopic, subscriptionPlace, topicArn, topicOf, type SnsParts, type TopicName } from "./model.ts";
import { policyOf } from "./permissions.ts";

type Input = Readonly<Record<string, unknown>>;

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

/** What is malformed is the operation's to refuse. */
function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Fault) return undefined;
    throw cause;
  }
}

/** A batch needs what its entries would need alone. */
const ACTIONS: Readonly<Record<string, string>> = { PublishBatch: "Publish" };
const OF_SUBSCRIPTIONS: ReadonlySet<string> = new Set(["GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"]);
/** They come as links in notifications: the token and the ARN that nobody can guess stand for a signature. */
export const LINKS: ReadonlySet<string> = new Set(["ConfirmSubscription", "Unsubscribe"]);

function namedTopic(operation: string, context: Context, input: Input): TopicName | undefined {
  if (operation === "CreateTopic") return { account: context.account, region: context.region, name: textOf(input["Name"]) };
  const arn = textOf(input["TopicArn"]) || textOf(input["TargetArn"]) || textOf(input["ResourceArn"]);
  return unlessMalformed(() => topicOf(context, arn));
}

export function accessOf(parts: SnsParts) {
  /** These name no topic; who neither subscribed nor owns the topic is a stranger. */
  const subscriptionNeed = (action: string, context: Context, input: Input): AccessNeed => {
    const place = unlessMalformed(() => subscriptionPlace(context, textOf(input["SubscriptionArn"])));
    const found = place === undefined ? undefined : findSubscription(parts, place);
    const isOwn = found === undefined || [found.record.owner, found.topic.account].includes(context.caller.account);
    return { action, resource: "*", ...(isOwn ? {} : { owner: found.record.owner }) };
  };

  const topicNeed = (action: string, name: TopicName | undefined, input: Input): AccessNeed => {
    const topic = findTopic(parts, name);
    const [protocol, endpoint] = [textOf(input["Protocol"]), textOf(input["Endpoint"])];
    return {
      action,
      resource: name === undefined ? "*" : topicArn(name),
      ...(topic === undefined ? {} : { resourcePolicy: policyOf(topic) }),
      ...(action === "SNS:Subscribe" ? { conditions: () => ({ "sns:Protocol": protocol, "sns:Endpoint": endpoint }) } : {}),
    };
  };

  return (operation: string, context: Context, input: Input): readonly AccessNeed[] => {
    const action = `SNS:${ACTIONS[operation] ?? operation}`;
    if (context.caller.kind === "anonymous" && LINKS.has(operation)) return [];
    if (OF_SUBSCRIPTIONS.has(operation)) return [subscriptionNeed(action, context, input)];
    const name = namedTopic(operation, context, input);
    const needs = [topicNeed(action, name, input)];
    const hasTags = Array.isArray(input["Tags"]) && input["Tags"].length > 0;
    return operation === "CreateTopic" && hasTags ? [...needs, topicNeed("SNS:TagResource", name, input)] : needs;
  };
}
