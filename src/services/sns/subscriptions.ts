// Subscriptions: subscribe, confirm, leave, list, describe, change.
import { randomBytes } from "node:crypto";
import { FilterPolicyLimitExceededException$ } from "@aws-sdk/client-sns";
import type * as client from "@aws-sdk/client-sns";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { checkEndpoint, ownerOf, protocolOf, shownEndpoint } from "./endpoints.ts";
import type { Delivery } from "../../deliveries.ts";
import { MANAGED_RETRY, webRules } from "./delivery-policy.ts";
import { contextFor, webContext } from "./fan-out.ts";
import { invalid, malformedToken, noSuchSubscription } from "./faults.ts";
import {
  changeSubscription,
  existingSubscription,
  existingTopic,
  findSubscription,
  findTopic,
  subscriptionFor,
  subscriptionPlace,
  subscriptionsOf,
  subscriptionWith,
  topicKey,
  topicOf,
  written,
  type Attributes,
  type SnsParts,
  type Subscription,
  type SubscriptionProtocol,
  type SubscriptionRecord,
  type Topic,
} from "./model.ts";
import { confirmation, webHeaders } from "./notifications.ts";
import { page } from "./page.ts";
import { describeSubscription, isWeb, withSubscriptionAttributes } from "./subscription-attributes.ts";

/** "The token is valid for 2 days." */
const TOKEN_MS = 2 * 86_400_000;
const TOKEN_BYTES = 64;
/** https://docs.aws.amazon.com/general/latest/gr/sns.html */
const FILTER_POLICIES_MAX = 200;

const PENDING = "pending confirmation";

const pendingOf = (nowMs: number) => ({ token: randomBytes(TOKEN_BYTES).toString("hex"), expiresMs: nowMs + TOKEN_MS });

function checkFilterPolicies(parts: SnsParts, topic: Topic, key: string): void {
  const others = subscriptionsOf(parts, topic).filter((one) => one.key.id !== key && one.record.attributes["FilterPolicy"] !== undefined);
  if (others.length >= FILTER_POLICIES_MAX)
    throw new Fault(FilterPolicyLimitExceededException$, `Filter policy limit exceeded: a topic has at most ${FILTER_POLICIES_MAX}`);
}

interface Wish {
  readonly protocol: SubscriptionProtocol;
  readonly endpoint: string;
  readonly attributes: Attributes;
}

function wishOf(topic: Topic, { Protocol = "", Endpoint: endpoint = "", Attributes: given = {} }: client.SubscribeCommandInput): Wish {
  const protocol = protocolOf(Protocol, topic.name);
  checkEndpoint(protocol, endpoint, topic.name);
  const attributes = withSubscriptionAttributes({}, given, { protocol, endpoint }, "Attributes Reason: ");
  return { protocol, endpoint, attributes };
}

function newRecord(parts: SnsParts, context: Context, topic: Topic, { protocol, endpoint, attributes }: Wish): SubscriptionRecord {
  const isOwn = (protocol === "sqs" || protocol === "lambda") && ownerOf(endpoint) === context.account;
  return {
    incarnation: topic.record.incarnation,
    protocol,
    endpoint,
    owner: context.account,
    principal: context.caller.arn,
    attributes,
    ...(isOwn ? {} : { pending: pendingOf(parts.clock.now()) }),
    isAuthenticated: isOwn,
    isLeftSigned: isOwn,
  };
}

const isSame = (given: Attributes, own: Attributes) =>
  Object.keys(given).every((name) => given[name] === (own[name] ?? (name === "RawMessageDelivery" ? "false" : undefined)));

/** One that is there already is answered again; one that is pending is asked again. */
async function subscribe(parts: SnsParts, context: Context, input: client.SubscribeCommandInput): Promise<Subscription> {
  for (let attempt = 1; ; attempt++) {
    const topic = existingTopic(parts, context, input.TopicArn);
    const wish = wishOf(topic, input);
    const key = subscriptionFor(topic, topic.record, wish.protocol, wish.endpoint);
    const present = findSubscription(parts, key);
    if (present !== undefined && present.record.pending === undefined) {
      if (isSame(wish.attributes, present.record.attributes)) return present;
      throw invalid("Attributes Reason: Subscription already exists with different attributes");
    }
    if (wish.attributes["FilterPolicy"] !== undefined) checkFilterPolicies(parts, topic, key.id);
    const record = newRecord(parts, context, topic, wish);
    const expect = parts.subscriptions.get(key.account, key.region, key.id)?.revision ?? "absent";
    const kept = { key: topicKey(topic), keep: true, expect: topic.revision } as const;
    if (!(await written(parts.meta, [{ key, value: record, expect }, kept], attempt))) continue;
    const made = findSubscription(parts, key);
    if (made === undefined) throw new Error("a subscription was made and is not there");
    if (record.pending !== undefined) await ask(parts, topic, made);
    return made;
  }
}

/** Sends the endpoint the link that confirms it, or the one that restores it. */
async function ask(parts: SnsParts, topic: Topic, subscription: Subscription): Promise<void> {
  const { protocol, endpoint, attributes, hasLeft = false } = subscription.record;
  const context = contextFor(parts, topic);
  const text = await confirmation(parts, topic, subscription, context.id);
  if (protocol.startsWith("email")) {
    const { SubscribeURL: link } = JSON.parse(text) as { SubscribeURL: string };
    const what = hasLeft ? "has ended: the link restores it" : "waits to be confirmed: visit the link";
    parts.log.info(`a subscription by e-mail ${what}`, { to: endpoint, topic: topic.arn, link });
    return;
  }
  const rules = isWeb(protocol) ? webRules(topic.record.attributes, attributes) : undefined;
  const about = hasLeft
    ? webHeaders("UnsubscribeConfirmation", context.id, topic, subscription)
    : webHeaders("SubscriptionConfirmation", context.id, topic);
  const headers = { ...about, "content-type": "text/plain; charset=UTF-8" };
  const asking: Delivery = {
    target: endpoint,
    event: Buffer.from(text),
    context: rules === undefined ? context : { ...context, ...webContext(subscription, headers) },
    retry: rules?.retry ?? MANAGED_RETRY,
  };
  await parts.deliveries.send([asking]);
}

async function confirm(parts: SnsParts, context: Context, input: client.ConfirmSubscriptionCommandInput): Promise<string> {
  const { TopicArn, Token = "", AuthenticateOnUnsubscribe: authenticate = "false" } = input;
  const topic = findTopic(parts, topicOf(context, TopicArn));
  if (topic === undefined) throw invalid("Token");
  if (!/^[0-9a-f]+$/.test(Token)) throw malformedToken();
  if (!/^(?:true|false)$/i.test(authenticate)) throw invalid("AuthenticateOnUnsubscribe");
  const found = subscriptionWith(parts, topic, Token);
  if (found === undefined) throw invalid("Token");
  const isSigned = context.caller.kind !== "anonymous";
  await changeSubscription(parts, found.key, ({ record }) => {
    if (record.pending?.token !== Token) return record;
    const { pending: _pending, hasLeft: _hasLeft, ...rest } = record;
    return { ...rest, confirmedWith: Token, isAuthenticated: isSigned, isLeftSigned: isSigned && authenticate.toLowerCase() === "true" };
  });
  return found.arn;
}

/** With its topic's count of those that are gone. Who owns it is not asked whether that was meant; anybody else's endpoint is. */
async function leave(parts: SnsParts, context: Context, arn: string | undefined): Promise<void> {
  const place = subscriptionPlace(context, arn);
  for (let attempt = 1; ; attempt++) {
    const found = findSubscription(parts, place);
    const topic = found === undefined ? undefined : findTopic(parts, found.topic);
    // One that is not there is no error.
    if (found === undefined || topic === undefined) return;
    if (found.record.isLeftSigned && context.caller.kind === "anonymous")
      throw new CommonFault("AccessDeniedException", "This subscription can only be ended with a signed request.", 403);
    const counted = { ...topic.record, subscriptionsDeleted: topic.record.subscriptionsDeleted + 1 };
    const isOwners = context.caller.kind !== "anonymous" && context.caller.account === found.record.owner;
    const { confirmedWith: _confirmedWith, ...rest } = found.record;
    const left = { ...rest, pending: pendingOf(parts.clock.now()), hasLeft: true } as const;
    const writes = [
      { key: found.key, expect: found.revision, ...(isOwners ? {} : { value: left }) },
      { key: topicKey(topic), value: counted, expect: topic.revision },
    ];
    if (!(await written(parts.meta, writes, attempt))) continue;
    return isOwners ? undefined : await ask(parts, topic, { ...found, record: left });
  }
}

function listed({ arn, topic, record }: Subscription): client.Subscription {
  return {
    SubscriptionArn: record.pending === undefined ? arn : "PendingConfirmation",
    Owner: record.owner,
    Protocol: record.protocol,
    Endpoint: shownEndpoint(record.endpoint),
    TopicArn: `arn:aws:sns:${topic.region}:${topic.account}:${topic.name}`,
  };
}

function topicFor(parts: SnsParts, { topic }: Subscription): Topic {
  const found = findTopic(parts, topic);
  if (found === undefined) throw noSuchSubscription();
  return found;
}

export function subscriptions(parts: SnsParts) {
  return {
    async Subscribe(context, input) {
      const { arn, record } = await subscribe(parts, context, input);
      return { SubscriptionArn: record.pending === undefined || input.ReturnSubscriptionArn === true ? arn : PENDING };
    },

    async ConfirmSubscription(context, input) {
      return { SubscriptionArn: await confirm(parts, context, input) };
    },

    async Unsubscribe(context, { SubscriptionArn }) {
      await leave(parts, context, SubscriptionArn);
      return {};
    },

    ListSubscriptions(context, { NextToken }) {
      const { account, region } = context;
      const found = (after: string, limit: number) => subscriptionsOf(parts, { account, region }, after, limit);
      const { shown, ...more } = page("subscriptions", NextToken, ({ key }) => key.id, found);
      return { Subscriptions: shown.map(listed), ...more };
    },

    ListSubscriptionsByTopic(context, { TopicArn, NextToken }) {
      const topic = existingTopic(parts, context, TopicArn);
      const found = (after: string, limit: number) => subscriptionsOf(parts, topic, after, limit);
      const { shown, ...more } = page(`subscriptions of ${topic.name}`, NextToken, ({ key }) => key.id, found);
      return { Subscriptions: shown.map(listed), ...more };
    },

    GetSubscriptionAttributes(context, { SubscriptionArn }) {
      const found = existingSubscription(parts, context, SubscriptionArn);
      return { Attributes: describeSubscription(found, topicFor(parts, found)) };
    },

    async SetSubscriptionAttributes(context, { SubscriptionArn, AttributeName: name = "", AttributeValue: value = "" }) {
      const found = existingSubscription(parts, context, SubscriptionArn);
      const topic = topicFor(parts, found);
      if (name === "FilterPolicy" && value !== "") checkFilterPolicies(parts, topic, found.key.id);
      await changeSubscription(parts, found.key, ({ record }) => {
        return { ...record, attributes: withSubscriptionAttributes(record.attributes, { [name]: value }, record, "") };
      });
      return {};
    },
  } satisfies Partial<Operations<typeof client>>;
}
