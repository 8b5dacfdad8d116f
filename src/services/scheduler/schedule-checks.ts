// Whether a schedule can be one: its expression, its times, its target.
import type { CreateScheduleCommandInput, Target } from "@aws-sdk/client-scheduler";
import { parseArn } from "../../aws/arn.ts";
import { parseSchedule } from "../../aws/schedule-expression.ts";
import { isTimeZone } from "../../base/time-zone.ts";
import { validation } from "./faults.ts";
import type { Place, SchedulerParts } from "./model.ts";
import { isUniversal, requestsOf } from "./universal-targets.ts";

type Given = CreateScheduleCommandInput;

const START_PAST_MS_MAX = 300_000;

/** Throws ValidationException. */
export function checkSchedule(parts: SchedulerParts, place: Place, input: Given): void {
  const { KmsKeyArn: key, ScheduleExpression: expression = "", ScheduleExpressionTimezone: zone = "UTC" } = input;
  if (key !== undefined) throw validation("Lambent does not encrypt with keys of KMS: leave KmsKeyArn out. See docs/compatibility.md.");
  if (!isTimeZone(zone)) throw validation(`Invalid Schedule Expression Timezone ${zone}.`);
  if (parseSchedule(expression, { zone }) === undefined) throw validation(`Invalid Schedule Expression ${expression}.`);
  checkWindow(input);
  checkDates(input, parts.clock.now());
  if (input.Target !== undefined) checkTarget(parts, place, input.Target);
}

function checkWindow({ FlexibleTimeWindow: window }: Given): void {
  const isGiven = window?.MaximumWindowInMinutes !== undefined;
  if (window?.Mode === "FLEXIBLE" && !isGiven)
    throw validation("MaximumWindowInMinutes must be provided when FlexibleTimeWindow Mode is FLEXIBLE.");
  if (window?.Mode === "OFF" && isGiven)
    throw validation("MaximumWindowInMinutes must not be provided when FlexibleTimeWindow Mode is OFF.");
}

function checkDates({ StartDate: start, EndDate: end }: Given, nowMs: number): void {
  if (start !== undefined && start.getTime() < nowMs - START_PAST_MS_MAX)
    throw validation("The StartDate you specify cannot be earlier than 5 minutes ago.");
  if (end !== undefined && end.getTime() <= nowMs) throw validation("The EndDate you specify cannot be in the past.");
  if (start !== undefined && end !== undefined && start >= end)
    throw validation("The StartDate you specify must come before the EndDate you specify.");
}

/** Members that belong to targets which Lambent does not have. */
const FOREIGN = [
  "EcsParameters",
  "EventBridgePutEventsV2Parameters",
  "EventBridgePutRawEventsParameters",
  "KinesisParameters",
  "SageMakerPipelineParameters",
] as const satisfies readonly (keyof Target)[];

/** Each kind of parameters and the service that its targets are of. */
const OWN = [
  ["EventBridgeParameters", "events"],
  ["SqsParameters", "sqs"],
] as const satisfies readonly (readonly [keyof Target, string])[];

function checkTarget(parts: SchedulerParts, place: Place, target: Target): void {
  const { Arn: arn = "", RoleArn: role = "" } = target;
  const service = isUniversal(arn) ? "aws-sdk" : parseArn(arn)?.service;
  if (service === undefined) throw validation("Provided Arn is not in correct format.");
  const foreign =
    FOREIGN.find((name) => target[name] !== undefined) ?? OWN.find(([name, of]) => target[name] !== undefined && of !== service)?.[0];
  if (foreign !== undefined) throw validation(`${foreign} is not applicable to the target ${arn}.`);
  if (service === "events" && target.EventBridgeParameters === undefined)
    throw validation("EventBridgeParameters must be provided for a target that is an event bus.");
  if (service === "sqs" && arn.endsWith(".fifo") && target.SqsParameters?.MessageGroupId === undefined)
    throw validation("MessageGroupId must be provided for a target that is a FIFO queue.");
  const arns = service === "aws-sdk" ? requestsOf(target, place).map((request) => request.target) : [arn];
  for (const one of arns) checkReachable(parts, one);
  checkLetters(target);
  if (!parts.canAssume(role)) throw validation("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.");
}

const TEMPLATED: ReadonlySet<string> = new Set(["events", "lambda", "sns", "sqs"]);

function checkReachable({ supportsTarget }: SchedulerParts, arn: string): void {
  const service = parseArn(arn)?.service ?? "";
  if (!TEMPLATED.has(service) || !supportsTarget(arn))
    throw validation(`Lambent cannot deliver to ${service}, so ${arn} can't be a target. See docs/compatibility.md.`);
}

/** The model's pattern leaves FIFO queues out. */
function checkLetters({ DeadLetterConfig: letters }: Target): void {
  if (letters?.Arn !== undefined && parseArn(letters.Arn)?.service !== "sqs")
    throw validation("DeadLetterConfig must be the ARN of a standard queue of SQS.");
}
