// Where the events go that a function could not work off: queues and topics only.
import type { DeadLetterConfig } from "@aws-sdk/client-lambda";
import { parseArn } from "../aws/arn.ts";
import { invalidParameter } from "./faults.ts";
import type { LambdaDeps } from "./model.ts";

/** An empty ARN says that there is none. */
export function checkDeadLetterConfig({ supportsTarget }: Pick<LambdaDeps, "supportsTarget">, given: DeadLetterConfig | undefined): void {
  const arn = given?.TargetArn ?? "";
  if (arn === "") return;
  const service = parseArn(arn)?.service ?? "";
  if (service !== "sqs" && service !== "sns")
    throw invalidParameter(`The dead letter target ${arn} is invalid: it must be an SQS queue or an SNS topic.`);
  if (!supportsTarget(arn))
    throw invalidParameter(`Lambent cannot deliver to ${service} yet: leave DeadLetterConfig out. See docs/compatibility.md.`);
}
