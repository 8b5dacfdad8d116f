// What a tick of a schedule sends: one delivery, or one for each entry of a universal PutEvents.
import { parseArn } from "../../aws/arn.ts";
import type { DeliveryContext } from "../../aws/deliver.ts";
import { requestId } from "../../base/id.ts";
import type { DeadLetter, Delivery } from "../../deliveries.ts";
import { scheduleArn, type ScheduleName, type ScheduleRecord } from "./model.ts";
import { isUniversal, requestsOf, type Request } from "./universal-targets.ts";

const PRINCIPAL = "scheduler.amazonaws.com";
const RETRY = { attempts: 185, ageSeconds: 86_400 } as const;
const ATTEMPT_NUMBER = "<aws.scheduler.attempt-number>";

interface Execution {
  readonly id: string;
  readonly scheduledTime: string;
}

export function deliveriesOf(name: ScheduleName, record: ScheduleRecord, tickMs: number, nowMs: number): Delivery[] {
  const { target } = record;
  const execution: Execution = { id: requestId(), scheduledTime: `${new Date(tickMs).toISOString().slice(0, 19)}Z` };
  const retry = {
    retriesMax: target.RetryPolicy?.MaximumRetryAttempts ?? RETRY.attempts,
    ageMaxMs: (target.RetryPolicy?.MaximumEventAgeInSeconds ?? RETRY.ageSeconds) * 1000,
  };
  const letters = target.DeadLetterConfig?.Arn;
  return requests(name, record, execution).map((request) => ({
    target: request.target,
    event: Buffer.from(request.event),
    context: { ...contextOf(name, record), ...request.context },
    dueAtMs: nowMs,
    retry,
    attemptMark: ATTEMPT_NUMBER,
    ...(letters === undefined ? {} : { deadLetter: { target: letters, ...letterOf(name, record, execution), tellsFailure: "Scheduler" } }),
  }));
}

const contextOf = (name: ScheduleName, { target }: ScheduleRecord): DeliveryContext => ({
  id: requestId(),
  account: name.account,
  region: name.region,
  sourceArn: scheduleArn(name),
  sender: { principal: PRINCIPAL, role: { arn: target.RoleArn ?? "", sessionName: name.name } },
});

function requests(name: ScheduleName, { target }: ScheduleRecord, execution: Execution): readonly Request[] {
  const { Arn: arn = "", Input: given, SqsParameters: sqs, EventBridgeParameters: bus } = target;
  const input = given === undefined ? undefined : withTokens(given, scheduleArn(name), execution);
  if (isUniversal(arn)) return requestsOf(target, name, input);
  if (parseArn(arn)?.service === "events") {
    const busEntry = { source: bus?.Source ?? "", detailType: bus?.DetailType ?? "", resources: [scheduleArn(name)] };
    return [{ target: arn, event: input ?? "{}", context: { busEntry } }];
  }
  const context = sqs?.MessageGroupId === undefined ? {} : { messageGroupId: sqs.MessageGroupId };
  return [{ target: arn, event: input ?? defaultEvent(name, execution), context }];
}

/** Of these tokens the number of the attempt is known by who delivers. https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html */
function withTokens(input: string, arn: string, { id, scheduledTime }: Execution): string {
  return input
    .replaceAll("<aws.scheduler.schedule-arn>", arn)
    .replaceAll("<aws.scheduler.scheduled-time>", scheduledTime)
    .replaceAll("<aws.scheduler.execution-id>", id);
}

function defaultEvent(name: ScheduleName, { id, scheduledTime }: Execution): string {
  const { account, region } = name;
  const fixed = { "detail-type": "Scheduled Event", source: "aws.scheduler" };
  return JSON.stringify({ version: "0", id, ...fixed, account, time: scheduledTime, region, resources: [scheduleArn(name)], detail: "{}" });
}

/** A universal target's letter is the request that was made. https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html */
function letterOf(name: ScheduleName, { target }: ScheduleRecord, execution: Execution): Pick<DeadLetter, "event" | "attributes"> {
  const { Arn: arn = "", Input: input } = target;
  const facts = {
    SCHEDULE_ARN: scheduleArn(name),
    TARGET_ARN: arn,
    SCHEDULED_TIME: execution.scheduledTime,
    EXECUTION_ID: execution.id,
    IS_PAYLOAD_TRUNCATED: "false",
  };
  const attributes = Object.fromEntries(Object.entries(facts).map(([key, StringValue]) => [key, { DataType: "String", StringValue }]));
  const isRequest = isUniversal(arn) && input !== undefined;
  return { attributes, ...(isRequest ? { event: Buffer.from(withTokens(input, scheduleArn(name), execution)) } : {}) };
}
