// Whether a target can be one: its ARN, what it gets, what it needs.
import type { Target } from "@aws-sdk/client-eventbridge";
import { parseArn } from "../../aws/arn.ts";
import { parseJson } from "../../aws/json-document.ts";
import { Malformed } from "../../aws/scalar.ts";
import { invalidParameter, validation } from "./faults.ts";
import { parsePath } from "./input-path.ts";
import { isPredefined, piecesOf } from "./target-input.ts";

/** Members that belong to targets which Lambent does not have. */
const FOREIGN = [
  "AppSyncParameters",
  "BatchParameters",
  "EcsParameters",
  "HttpParameters",
  "KinesisParameters",
  "RedshiftDataParameters",
  "RunCommandParameters",
  "SageMakerPipelineParameters",
] as const satisfies readonly (keyof Target)[];

/** Throws ValidationException. */
export function checkTarget(target: Target, supportsTarget: (arn: string) => boolean): void {
  const { Arn: arn = "", Id: id = "", SqsParameters: sqs, DeadLetterConfig: letters } = target;
  const service = parseArn(arn)?.service;
  if (service === undefined) throw invalidParameter("Arn", `Provided Arn is not in correct format: ${arn.slice(0, 200)}`);
  if (!supportsTarget(arn) || service === "s3")
    throw invalidParameter("Arn", `Lambent cannot deliver to ${service}, so ${arn} can't be a target. See docs/compatibility.md.`);
  if (service === "logs" && !/:log-group:\/aws\/events\/[^:]+(?::\*)?$/.test(arn))
    throw invalidParameter("Arn", `The name of a log group that is a target begins with /aws/events/: ${arn}`);
  const foreign = FOREIGN.find((name) => target[name] !== undefined);
  if (foreign !== undefined) throw validation(`Parameter ${foreign} is not applicable to the target ${id}.`);
  if (service === "sqs" && arn.endsWith(".fifo") && sqs?.MessageGroupId === undefined)
    throw validation(`Parameter(s) SqsParameters must be specified for target: ${id}.`);
  if (letters?.Arn !== undefined && (parseArn(letters.Arn)?.service !== "sqs" || letters.Arn.endsWith(".fifo")))
    throw invalidParameter("DeadLetterConfig", `It must be the ARN of a standard queue of SQS: ${letters.Arn.slice(0, 200)}`);
  checkInput(target);
}

function checkInput({ Arn: arn = "", Id: id = "", Input: input, InputPath: path, InputTransformer: transformer }: Target): void {
  if ([input, path, transformer].filter((given) => given !== undefined).length > 1)
    throw validation(`Only one of Input, InputPath, or InputTransformer must be provided for target ${id}.`);
  // An event goes to another bus as it is.
  if (parseArn(arn)?.service === "events" && (input ?? path ?? transformer) !== undefined)
    throw validation(`Modifying the input for target ${id} is not supported.`);
  if (input !== undefined && !isJson(input)) throw validation(`JSON syntax error in Input for target ${id}.`);
  if (path !== undefined && parsePath(path) === undefined) throw validation(`Invalid InputPath for target ${id}.`);
  if (transformer === undefined) return;
  const { InputPathsMap: paths = {}, InputTemplate: template = "" } = transformer;
  const wrong = Object.entries(paths).find(([name, one]) => /^aws\./i.test(name) || parsePath(one) === undefined);
  if (wrong !== undefined) throw validation(`Invalid InputPathsMap for target ${id}: ${wrong[0]}.`);
  checkTemplate(id, template, (name) => isPredefined(name) || Object.hasOwn(paths, name));
}

function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch (cause) {
    if (cause instanceof Malformed) return false;
    throw cause;
  }
}

/** JSON once its placeholders are filled; or lines, each a JSON string. */
function checkTemplate(id: string, template: string, isKnown: (name: string) => boolean): void {
  const pieces = piecesOf(template);
  const unknown = pieces.find(({ placeholder }) => placeholder !== undefined && !isKnown(placeholder));
  if (unknown !== undefined) throw validation(`InputTemplate for target ${id} contains invalid placeholder ${unknown.placeholder}.`);
  const filled = pieces.map(({ text, placeholder, isQuoted }) => text + (placeholder === undefined ? "" : isQuoted ? "x" : "0")).join("");
  // A line break within a string is part of it.
  const escaped = filled.replaceAll(/"(?:[^"\\]|\\[\s\S])*"/g, (text) => text.replaceAll("\n", "\\n").replaceAll("\r", "\\r"));
  if (isJson(escaped)) return;
  const lines = escaped.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0 || !lines.every(isJson))
    throw validation(`Invalid InputTemplate for target ${id}: it must be JSON or quoted text.`);
}
