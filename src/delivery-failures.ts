// What a dead letter of EventBridge or of the Scheduler tells of its failure.
import type { DeliveryContext, DeliveryOutcome } from "./aws/deliver.ts";
import { messageText } from "./aws/message-text.ts";

export type Failure = Exclude<DeliveryOutcome, { kind: "delivered" }>;
export type Teller = "EventBridge" | "Scheduler";

/** Why there is no further attempt, in EventBridge's words. */
export type Exhausted = "MaximumRetryAttempts" | "MaximumEventAgeInSeconds";

export interface End {
  readonly outcome: Failure;
  readonly attempts: number;
  /** Absent: the target has refused it. */
  readonly exhausted: Exhausted | undefined;
}

/** https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html */
export function failureAttributes(teller: Teller, { outcome, attempts, exhausted }: End): NonNullable<DeliveryContext["attributes"]> {
  const text = (StringValue: string) => ({ DataType: "String", StringValue });
  const message = messageText(outcome.message.replace(`${outcome.code}: `, ""));
  return {
    ERROR_CODE: text(teller === "EventBridge" ? eventBridgeCode(outcome) : outcome.code),
    // An attribute can't be empty.
    ...(message === "" ? {} : { ERROR_MESSAGE: text(message) }),
    ...(exhausted === undefined
      ? {}
      : { RETRY_ATTEMPTS: { DataType: "Number", StringValue: String(attempts - 1) }, EXHAUSTED_RETRY_CONDITION: text(exhausted) }),
  };
}

/** Codes that are EventBridge's already. */
const OWN: ReadonlySet<string> = new Set(["FAILED_TO_ASSUME_ROLE", "THIRD_ACCOUNT_HOP_DETECTED"]);

/** By what is in the target's code; the first that fits. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/AccessDenied|AuthorizationError|NotAuthorized/, "NO_PERMISSIONS"],
  [/NotFound|DoesNotExist|NonExistent|NoSuch|NO_TARGET/, "NO_RESOURCE"],
  [/TooManyRequests|Throttl/, "THROTTLING"],
  [/InvalidRequestContent|Malformed/, "INVALID_JSON"],
  [/Invalid|Validation|Missing/, "INVALID_PARAMETER"],
];

function eventBridgeCode({ kind, code }: Failure): string {
  if (OWN.has(code)) return code;
  const [, found] = CODES.find(([pattern]) => pattern.test(code)) ?? [];
  return found ?? (kind === "unavailable" ? "INTERNAL_ERROR" : "ERROR_FROM_TARGET");
}
