// From an event on a bus to what must be durable of it: a delivery for each target of each rule that it matches, a copy in each archive.
import type { Target } from "@aws-sdk/client-eventbridge";
import { parseArn } from "../../aws/arn.ts";
import type { DeliverySender } from "../../aws/deliver.ts";
import { requestId } from "../../base/id.ts";
import type { Delivery } from "../../deliveries.ts";
import type { NewMessage, Write } from "../../store/storage.ts";
import type { Archives } from "./archived-events.ts";
import { isReplayed, type BusEvent } from "./bus-event.ts";
import { rulesOf, type BusName, type EventsParts, type Rule } from "./model.ts";
import { patternOf } from "./patterns.ts";
import { inputOf } from "./target-input.ts";

const PRINCIPAL = "events.amazonaws.com";
/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html */
const RETRY = { attempts: 185, ageSeconds: 86_400 } as const;

export interface Consequences {
  /** Once, each made when it is asked for: those of a large event are more than memory should hold. */
  readonly deliveries: Iterable<Delivery>;
  readonly writes: readonly Write[];
}

/** `isMeant` leaves out rules of a replay that is not for all of them. */
export function consequencesOf(
  parts: EventsParts & { readonly archives: Archives },
  bus: BusName,
  event: BusEvent,
  isMeant: (rule: Rule) => boolean = () => true,
): Consequences {
  const isFor = (rule: Rule) => rule.record.state !== "DISABLED" && patternOf(rule.record)?.matches(event.value) === true && isMeant(rule);
  const matching = rulesOf(parts, bus).filter(isFor);
  return {
    deliveries: matching.values().flatMap((rule) => deliveriesOf(rule, event)),
    writes: isReplayed(event) ? [] : parts.archives.copiesOf(bus, event),
  };
}

/** What a transaction of somebody else must do; then the messages are to be woken. */
export interface Effects {
  readonly messages: readonly NewMessage[];
  readonly writes: readonly Write[];
}

export const effectsOf = ({ deliveries }: EventsParts, all: readonly Consequences[]): Effects => ({
  messages: deliveries.messagesOf(all.flatMap((one) => [...one.deliveries])),
  writes: all.flatMap((one) => one.writes),
});

/** Resolves when all is durable. */
export async function settle(parts: EventsParts, all: readonly Consequences[]): Promise<void> {
  await parts.deliveries.send(
    all.values().flatMap((one) => one.deliveries),
    all.flatMap((one) => one.writes),
  );
}

export const deliveriesOf = (rule: Rule, event: BusEvent): Delivery[] =>
  rule.record.targets.map((target) => ({
    ...deliveryTo(rule, target, event),
    ...(event.isForwarded === true && isBus(target) ? { refusal: THIRD_HOP } : {}),
  }));

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-bus-to-bus.html */
const THIRD_HOP = {
  code: "THIRD_ACCOUNT_HOP_DETECTED",
  message: "An event that came from another event bus can't be sent to a third one.",
} as const;

const isBus = ({ Arn = "" }: Target) => parseArn(Arn)?.service === "events";

function deliveryTo(rule: Rule, target: Target, event: BusEvent): Delivery {
  const { Arn: arn = "", Id: id = "", RoleArn: role, RetryPolicy: retry, SqsParameters: sqs, DeadLetterConfig: letters } = target;
  const own: DeliverySender = { principal: PRINCIPAL };
  // Session names are as long as they may be.
  const sender = role === undefined ? own : { ...own, role: { arn: role, sessionName: rule.name.slice(0, 64) } };
  const attributes = Object.fromEntries(
    Object.entries({ RULE_ARN: rule.arn, TARGET_ARN: arn, TARGET_ID: id }).map(([name, StringValue]) => [
      name,
      { DataType: "String", StringValue },
    ]),
  );
  return {
    target: arn,
    event: Buffer.from(inputOf(target, event, rule)),
    context: {
      id: requestId(),
      account: rule.account,
      region: rule.region,
      sourceArn: rule.arn,
      sender,
      ...(event.traceHeader === undefined ? {} : { traceHeader: event.traceHeader }),
      // Without an id for deduplication: as with AWS, the queue makes it from the content or refuses the message.
      ...(sqs?.MessageGroupId === undefined ? {} : { messageGroupId: sqs.MessageGroupId }),
    },
    retry: {
      retriesMax: retry?.MaximumRetryAttempts ?? RETRY.attempts,
      ageMaxMs: (retry?.MaximumEventAgeInSeconds ?? RETRY.ageSeconds) * 1000,
    },
    ...(letters?.Arn === undefined ? {} : { deadLetter: { target: letters.Arn, sender: own, attributes, tellsFailure: "EventBridge" } }),
  };
}
