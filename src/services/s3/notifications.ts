// Which events of a bucket go to which functions, queues and topics.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
import { Event as EVENTS } from "@aws-sdk/client-s3";
import type * as client from "@aws-sdk/client-s3";
import { parseArn } from "../../aws/arn.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { requestId } from "../../base/id.ts";
import { existingBucket, type NamedBucket } from "./bucket-lookup.ts";
import { changeBucket } from "./buckets.ts";
import { invalidArgument } from "./faults.ts";
import type { Notification, S3Store } from "./model.ts";
import { covers, deliveryContext } from "./object-events.ts";
import { hostId } from "../../aws/rest-xml.ts";

type Client = typeof client;

const SERVICES = { lambda: "CloudFunction", sqs: "Queue", sns: "Topic" } as const;
type Service = keyof typeof SERVICES;

const NAMES_MAX = 100;
const RULE_BYTES_MAX = 1024;
const KNOWN_EVENTS: ReadonlySet<string> = new Set(Object.values(EVENTS));

interface Given {
  readonly Id?: string | undefined;
  readonly Events?: readonly string[] | undefined;
  readonly Filter?: client.NotificationConfigurationFilter | undefined;
}

export function notifications(store: S3Store) {
  return {
    GetBucketNotificationConfiguration(
      _context: Context,
      input: Input<Client, "GetBucketNotificationConfiguration">,
    ): Output<Client, "GetBucketNotificationConfiguration"> {
      return shown(existingBucket(store, input).value.notifications ?? []);
    },
    async PutBucketNotificationConfiguration(context: Context, input: Input<Client, "PutBucketNotificationConfiguration">) {
      const bucket = existingBucket(store, input);
      const made = notificationsOf(bucket, input.NotificationConfiguration ?? {});
      checkOverlaps(made);
      for (const one of made) checkSupported(store, one);
      if (input.SkipDestinationValidation !== true) await checkTargets(store, context, bucket, made);
      await changeBucket(store, bucket.name, ({ notifications: _before, ...rest }) =>
        made.length === 0 ? rest : { ...rest, notifications: made },
      );
      return {};
    },
  };
}

const serviceOf = (target: string): string => parseArn(target)?.service ?? "";

function notificationsOf(bucket: NamedBucket, given: client.NotificationConfiguration): readonly Notification[] {
  if (given.EventBridgeConfiguration !== undefined)
    throw new CommonFault("NotImplemented", "Lambent has no event buses for EventBridgeConfiguration yet.", 501);
  const { LambdaFunctionConfigurations = [], QueueConfigurations = [], TopicConfigurations = [] } = given;
  const made = [
    ...LambdaFunctionConfigurations.map((one) => notificationOf(bucket, "lambda", one.LambdaFunctionArn, one)),
    ...QueueConfigurations.map((one) => notificationOf(bucket, "sqs", one.QueueArn, one)),
    ...TopicConfigurations.map((one) => notificationOf(bucket, "sns", one.TopicArn, one)),
  ];
  if (made.length > NAMES_MAX)
    throw invalidArgument(`There are more than ${NAMES_MAX} notification configurations`, "NotificationConfiguration", made.length);
  if (new Set(made.map(({ id }) => id)).size < made.length)
    throw invalidArgument("Same ID used for multiple configurations. IDs must be unique", "Id", "");
  return made;
}

function notificationOf({ value }: NamedBucket, service: Service, target = "", { Id, Events = [], Filter }: Given): Notification {
  const arn = parseArn(target);
  if (arn === undefined || arn.service !== service || arn.resource === "")
    throw invalidArgument("The ARN could not be parsed", SERVICES[service], target);
  if (arn.region !== value.region)
    throw invalidArgument(
      "The notification destination service region is not valid for the bucket location constraint",
      SERVICES[service],
      target,
    );
  if (service !== "lambda" && arn.resource.endsWith(".fifo"))
    throw invalidArgument("FIFO queues and topics are not supported as destinations", SERVICES[service], target);
  for (const event of Events)
    if (!KNOWN_EVENTS.has(event)) throw invalidArgument("The event is not supported for notifications", "Event", event);
  if (Events.length === 0) throw invalidArgument("A configuration needs at least one event", "Event", "");
  if (Id !== undefined && Id.length > 255) throw invalidArgument("The ID of a configuration can be at most 255 characters long", "Id", Id);
  return { id: Id ?? requestId(), target, events: [...Events], ...rulesOf(Filter?.Key?.FilterRules ?? []) };
}

function rulesOf(rules: readonly client.FilterRule[]): Pick<Notification, "prefix" | "suffix"> {
  const found: { prefix?: string; suffix?: string } = {};
  for (const { Name = "", Value = "" } of rules) {
    const name = Name.toLowerCase();
    if (name !== "prefix" && name !== "suffix")
      throw invalidArgument("filter rule name must be either prefix or suffix", "FilterRule.Name", Name);
    if (found[name] !== undefined) throw invalidArgument(`Cannot specify more than one ${name} rule in a filter.`, "FilterRule.Name", Name);
    if (Buffer.byteLength(Value) > RULE_BYTES_MAX)
      throw invalidArgument("Size of filter rule value cannot exceed 1024 bytes in UTF-8 encoding", "FilterRule.Value", Value);
    found[name] = Value;
  }
  return found;
}

/** No event may have two places to go to. */
function checkOverlaps(all: readonly Notification[]): void {
  for (const [index, one] of all.entries())
    for (const other of all.slice(index + 1)) {
      const shared = one.events.find((a) => other.events.some((b) => covers(a, b) || covers(b, a)));
      if (shared === undefined || !filtersOverlap(one, other)) continue;
      const isFiltered = [one, other].every(({ prefix, suffix }) => prefix !== undefined || suffix !== undefined);
      throw invalidArgument(
        isFiltered
          ? "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type."
          : "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
        "Event",
        shared,
      );
    }
}

function filtersOverlap(a: Notification, b: Notification): boolean {
  const [prefixA, prefixB, suffixA, suffixB] = [a.prefix ?? "", b.prefix ?? "", a.suffix ?? "", b.suffix ?? ""];
  const doPrefixes = prefixA.startsWith(prefixB) || prefixB.startsWith(prefixA);
  return doPrefixes && (suffixA.endsWith(suffixB) || suffixB.endsWith(suffixA));
}

function checkSupported({ targets }: S3Store, { target }: Notification): void {
  if (!targets.supports(target)) throw new CommonFault("NotImplemented", `Lambent has no way to ${serviceOf(target)} yet: ${target}`, 501);
}

/** Functions are asked whether they may be invoked, queues and topics get a test message. */
async function checkTargets(store: S3Store, context: Context, bucket: NamedBucket, all: readonly Notification[]): Promise<void> {
  const problems = new Map<string, string>();
  for (const { target } of all) {
    const isFunction = serviceOf(target) === "lambda";
    const send = isFunction ? store.targets.mayDeliver : store.targets.deliver;
    const outcome = await send(target, testEvent(store, context, bucket), deliveryContext(context, bucket));
    if (outcome.kind === "delivered") continue;
    problems.set(
      target,
      isFunction
        ? `Not authorized to invoke function [${target}]`
        : `Permissions on the destination ${serviceOf(target) === "sqs" ? "queue" : "topic"} do not allow S3 to publish notifications from this bucket`,
    );
  }
  if (problems.size === 0) return;
  const members = [...problems].flatMap(([target, problem], index) => [
    [`ArgumentName${index + 1}`, `${target}, null`] as const,
    [`ArgumentValue${index + 1}`, problem] as const,
  ]);
  throw new CommonFault("InvalidArgument", "Unable to validate the following destination configurations", 400, Object.fromEntries(members));
}

function testEvent({ clock }: S3Store, context: Context, { name }: NamedBucket): Uint8Array {
  const Time = new Date(clock.now()).toISOString();
  const { requestId: RequestId } = context;
  return Buffer.from(
    JSON.stringify({ Service: "Amazon S3", Event: "s3:TestEvent", Time, Bucket: name, RequestId, HostId: hostId(RequestId) }),
  );
}

function shown(all: readonly Notification[]): Output<Client, "GetBucketNotificationConfiguration"> {
  const of = (service: Service) => all.filter(({ target }) => serviceOf(target) === service);
  const common = ({ id, events, prefix, suffix }: Notification) => {
    const FilterRules: client.FilterRule[] = [
      ...(prefix === undefined ? [] : [{ Name: "Prefix" as "prefix", Value: prefix }]),
      ...(suffix === undefined ? [] : [{ Name: "Suffix" as "suffix", Value: suffix }]),
    ];
    return { Id: id, Events: events as client.Event[], ...(FilterRules.length === 0 ? {} : { Filter: { Key: { FilterRules } } }) };
  };
  const [functions, queues, topics] = [of("lambda"), of("sqs"), of("sns")];
  return {
    ...(functions.length === 0
      ? {}
      : { LambdaFunctionConfigurations: functions.map((one) => ({ ...common(one), LambdaFunctionArn: one.target })) }),
    ...(queues.length === 0 ? {} : { QueueConfigurations: queues.map((one) => ({ ...common(one), QueueArn: one.target })) }),
    ...(topics.length === 0 ? {} : { TopicConfigurations: topics.map((one) => ({ ...common(one), TopicArn: one.target })) }),
  };
}
