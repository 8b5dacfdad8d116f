// Whether the execution role may send to a destination or a dead-letter target: AWS asks when it is configured, and not when it is too late.
import { parseArn } from "../aws/arn.ts";
import { requestId } from "../base/id.ts";
import { invalidParameter } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";

interface Sender {
  readonly reference: FunctionReference;
  readonly roleArn: string;
}

/** By the service in the target's ARN, as IAM names them. */
const CALLS: Readonly<Record<string, string>> = {
  lambda: "InvokeFunction",
  sqs: "SendMessage",
  sns: "Publish",
  events: "PutEvents",
  s3: "PutObject",
};

/** An empty ARN is none. Throws InvalidParameterValueException. */
export async function checkMaySendTo(lambda: Pick<Lambda, "mayDeliver">, sender: Sender, destination: string): Promise<void> {
  if (destination !== "" && !(await maySend(lambda, sender, destination)))
    throw invalidParameter(`The function's execution role does not have permissions to call ${callOf(destination)} on ${destination}`);
}

/** The same for dead letters, which have a sentence of their own. */
export async function checkMaySendLetters(lambda: Pick<Lambda, "mayDeliver">, sender: Sender, target: string): Promise<void> {
  if (target === "" || (await maySend(lambda, sender, target))) return;
  const service = (parseArn(target)?.service ?? "").toUpperCase();
  throw invalidParameter(`The provided execution role does not have permissions to call ${callOf(target)} on ${service}`);
}

const callOf = (target: string) => CALLS[parseArn(target)?.service ?? ""] ?? "";

/** Only a lack of rights counts: that a queue is not there yet is no obstacle. */
async function maySend({ mayDeliver }: Pick<Lambda, "mayDeliver">, { reference, roleArn }: Sender, target: string): Promise<boolean> {
  const { account, region, name } = reference;
  const outcome = await mayDeliver(target, Buffer.from("{}"), {
    id: requestId(),
    account,
    region,
    sourceArn: functionArn(reference),
    sender: { principal: "lambda.amazonaws.com", role: { arn: roleArn, sessionName: name } },
    busEntry: { source: "lambda", detailType: "", resources: [] },
    objectKey: `aws/lambda/async/${name}/`,
  });
  return outcome.kind !== "refused" || outcome.code !== "AccessDeniedException";
}
