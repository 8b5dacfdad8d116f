// Stored records of SNS, the names of topics and subscriptions, and what its operations share.
import { createHash } from "node:crypto";
import { parseArn } from "../../aws/arn.ts";
import type { Deliver } from "../../aws/deliver.ts";
import type { Context } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Deliveries } from "../../deliveries.ts";
import type { Mailboxes } from "../../store/mailboxes.ts";
import { StorageError, type DurableQueue, type Entry, type Key, type MetaStore, type Write } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import { invalid, noSuchSubscription, noSuchTopic } from "./faults.ts";
import type { Signing } from "./signing.ts";

export const TOPIC_KIND = "sns.topic";
export const SUBSCRIPTION_KIND = "sns.subscription";

export type Attributes = Readonly<Record<string, string>>;

export interface TopicRecord {
  /** Tells a topic from one of the same name before it. */
  readonly incarnation: string;
  /** Attributes that can be set, as text; those that were not have no entry. */
  readonly attributes: Attributes;
  readonly tags: Readonly<Record<string, string>>;
  readonly subscriptionsDeleted: number;
}

export type SubscriptionProtocol = "lambda" | "sqs" | "http" | "https" | "email" | "email-json";

export interface SubscriptionRecord {
  /** Of its topic. */
  readonly incarnation: string;
  readonly protocol: SubscriptionProtocol;
  readonly endpoint: string;
  /** Account of who subscribed. */
  readonly owner: string;
  /** ARN of who subscribed. */
  readonly principal: string;
  readonly attributes: Attributes;
  /** While the endpoint has not said that it wants this. */
  readonly pending?: { readonly token: string; readonly expiresMs: number };
  /** It was ended without a signature, and is none any more; who has the token of `pending` can restore it. */
  readonly hasLeft?: true;
  /** The token that it was confirmed with: who does so twice is told the same. */
  readonly confirmedWith?: string;
  /** Who confirmed it has signed for it. */
  readonly isAuthenticated: boolean;
  /** Only who signs can end it. */
  readonly isLeftSigned: boolean;
}

export interface SnsDeps {
  readonly meta: MetaStore;
  readonly queue: DurableQueue;
  readonly mailboxes: Mailboxes;
  readonly deliveries: Deliveries;
  readonly deliver: Deliver;
  readonly clock: Clock;
  readonly log: Log;
  /** Under which the receivers of notifications reach the server, without a slash at the end. */
  readonly endpoint: () => string;
}

export interface SnsParts extends SnsDeps {
  readonly topics: View<TopicRecord>;
  readonly subscriptions: View<SubscriptionRecord>;
  readonly signing: Signing;
}

export interface TopicName {
  readonly account: string;
  readonly region: string;
  readonly name: string;
}

export interface Topic extends TopicName {
  readonly arn: string;
  readonly isFifo: boolean;
  readonly record: TopicRecord;
  readonly revision: number;
}

export interface Subscription {
  readonly arn: string;
  readonly topic: TopicName;
  readonly key: Key;
  readonly record: SubscriptionRecord;
  readonly revision: number;
}

export const topicArn = ({ account, region, name }: TopicName): string => `arn:aws:sns:${region}:${account}:${name}`;
export const topicKey = ({ account, region, name }: TopicName): Key => ({ account, region, kind: TOPIC_KIND, id: name });
export const isFifoName = (name: string) => name.endsWith(".fifo");

/** A topic's name has no colon. */
const subscriptionKey = ({ account, region, name }: TopicName, id: string): Key => ({
  account,
  region,
  kind: SUBSCRIPTION_KIND,
  id: `${name}:${id}`,
});

/** Links are followed without a signature, and so without a region of their own. */
const isElsewhere = ({ region, caller }: Context, named: string) => named !== region && caller.kind !== "anonymous";

/** The topic that the ARN names, there or not; throws InvalidParameter. */
export function topicOf(context: Context, arn: string | undefined, member = "TopicArn"): TopicName {
  const elements = (arn ?? "").split(":").length;
  if (elements < 6) throw invalid(`${member} Reason: An ARN must have at least 6 elements, not ${elements}`);
  const parsed = parseArn(arn ?? "");
  if (parsed?.service !== "sns" || isElsewhere(context, parsed.region) || !/^[\w.-]{1,256}$/.test(parsed.resource)) throw invalid(member);
  return { account: parsed.account, region: parsed.region, name: parsed.resource };
}

const asTopic = (name: TopicName, { value, revision }: Entry<TopicRecord>): Topic => ({
  ...name,
  arn: topicArn(name),
  isFifo: isFifoName(name.name),
  record: value,
  revision,
});

export function findTopic({ topics }: Pick<SnsParts, "topics">, name: TopicName | undefined): Topic | undefined {
  const entry = name === undefined ? undefined : topics.get(name.account, name.region, name.name);
  return name === undefined || entry === undefined ? undefined : asTopic(name, entry);
}

/** Throws NotFound, InvalidParameter. */
export function existingTopic(parts: SnsParts, context: Context, arn: string | undefined, member?: string): Topic {
  const found = findTopic(parts, topicOf(context, arn, member));
  if (found === undefined) throw noSuchTopic();
  return found;
}

function asSubscription({ key, value, revision }: Entry<SubscriptionRecord>): Subscription {
  const topic = { account: key.account, region: key.region, name: key.id.slice(0, key.id.indexOf(":")) };
  return { arn: `arn:aws:sns:${key.region}:${key.account}:${key.id}`, topic, key, record: value, revision };
}

/** Those of a topic that is no more, and those that nobody confirmed in time, are none and stay so. */
const isKept = ({ topics, clock }: SnsParts, { key, value }: Entry<SubscriptionRecord>): boolean => {
  const topic = topics.get(key.account, key.region, key.id.slice(0, key.id.indexOf(":")));
  return topic?.value.incarnation === value.incarnation && (value.pending === undefined || value.pending.expiresMs > clock.now());
};

const isAlive = (parts: SnsParts, entry: Entry<SubscriptionRecord>): boolean => entry.value.hasLeft !== true && isKept(parts, entry);

/** Removes the records of subscriptions that are none any more. */
export async function removeLeftovers(parts: SnsParts): Promise<void> {
  const keys = [...parts.subscriptions.all()].filter((entry) => !isKept(parts, entry)).map(({ key }) => key);
  await removeAll(parts, keys);
}

/** Of so many, that they are more than one write of the store. */
export async function removeAll({ meta }: SnsParts, keys: readonly Key[]): Promise<void> {
  for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) await meta.write(keys.slice(at, at + REMOVED_AT_ONCE).map((key) => ({ key })));
}

const REMOVED_AT_ONCE = 500;

/** In order of their ARNs; all of the region, or those of one topic. */
export function subscriptionsOf(
  parts: SnsParts,
  place: { account: string; region: string; name?: string },
  after = "",
  limit = Infinity,
  isWanted = isAlive,
) {
  const prefix = place.name === undefined ? "" : `${place.name}:`;
  const found: Subscription[] = [];
  let last = after;
  while (found.length < limit) {
    const page = parts.subscriptions.list(place.account, place.region, { prefix, limit: PAGE, ...(last === "" ? {} : { after: last }) });
    for (const entry of page) if (found.length < limit && isWanted(parts, entry)) found.push(asSubscription(entry));
    last = page.at(-1)?.key.id ?? "";
    if (page.length < PAGE) break;
  }
  return found;
}

const PAGE = 1000;

/** The one that waits to be confirmed or restored with the token, or was. */
export const subscriptionWith = (parts: SnsParts, topic: TopicName, token: string): Subscription | undefined =>
  subscriptionsOf(parts, topic, "", Infinity, isKept).find(
    ({ record }) => record.pending?.token === token || record.confirmedWith === token,
  );

/** One endpoint has one subscription to a topic. The id can't be guessed, because the incarnation of a topic is never told. */
export function subscriptionFor({ name, ...place }: TopicName, { incarnation }: TopicRecord, protocol: string, endpoint: string): Key {
  const hex = createHash("sha256").update(`${incarnation}\n${protocol}\n${endpoint}`).digest("hex");
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  return subscriptionKey({ ...place, name }, id);
}

export function findSubscription(
  parts: SnsParts,
  { account, region, id }: Pick<Key, "account" | "region" | "id">,
): Subscription | undefined {
  const entry = parts.subscriptions.get(account, region, id);
  return entry === undefined || !isAlive(parts, entry) ? undefined : asSubscription(entry);
}

/** Throws InvalidParameter for what is no subscription's ARN. */
export function subscriptionPlace(context: Context, arn: string | undefined): Pick<Key, "account" | "region" | "id"> {
  const elements = (arn ?? "").split(":").length;
  if (elements < 6) throw invalid(`SubscriptionArn Reason: An ARN must have at least 6 elements, not ${elements}`);
  const parsed = parseArn(arn ?? "");
  if (parsed?.service !== "sns" || isElsewhere(context, parsed.region)) throw invalid("SubscriptionArn");
  if (!/^[\w.-]{1,256}:[0-9a-f-]{36}$/.test(parsed.resource)) throw invalid("SubscriptionId");
  return { account: parsed.account, region: parsed.region, id: parsed.resource };
}

/** Throws NotFound, InvalidParameter. */
export function existingSubscription(parts: SnsParts, context: Context, arn: string | undefined): Subscription {
  const found = findSubscription(parts, subscriptionPlace(context, arn));
  if (found === undefined) throw noSuchSubscription();
  return found;
}

const ATTEMPTS_MAX = 10;

/** False when somebody else was faster. */
export async function written(meta: MetaStore, writes: readonly Write[], attempt: number): Promise<boolean> {
  try {
    await meta.write(writes);
    return true;
  } catch (cause) {
    if (cause instanceof StorageError && cause.failure === "Conflict" && attempt < ATTEMPTS_MAX) return false;
    throw cause;
  }
}

/** Changes what the topic is now, again if somebody else was faster. */
export async function changeTopic(parts: SnsParts, name: TopicName, edit: (topic: Topic) => TopicRecord): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [entry] = await parts.meta.get<TopicRecord>([topicKey(name)]);
    if (entry === undefined) throw noSuchTopic();
    const write = { key: topicKey(name), value: edit(asTopic(name, entry)), expect: entry.revision };
    if (await written(parts.meta, [write], attempt)) return;
  }
}

export async function changeSubscription(parts: SnsParts, key: Key, edit: (now: Subscription) => SubscriptionRecord): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [entry] = await parts.meta.get<SubscriptionRecord>([key]);
    if (entry === undefined) throw noSuchSubscription();
    if (await written(parts.meta, [{ key, value: edit(asSubscription(entry)), expect: entry.revision }], attempt)) return;
  }
}

/** Not JSON is one more thing that it may be instead of an object. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
