// Dead-letter queues: which queue sends where after how many receives, and which queues a dead-letter queue takes messages from.
import { invalidValue } from "./faults.ts";
import { findQueue, queueOf, type Queue, type QueueName, type SqsParts } from "./model.ts";

interface RedrivePolicy {
  readonly deadLetterTargetArn: string;
  /** 1 to 1000. */
  readonly maxReceiveCount: number;
}

interface RedriveAllowPolicy {
  readonly redrivePermission: "allowAll" | "denyAll" | "byQueue";
  readonly sourceQueueArns: readonly string[];
}

const SOURCES_MAX = 10;

function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Not JSON is one more thing that it may be instead of an object.
    return undefined;
  }
}

/** Throws InvalidParameterValue with SQS's reason. */
function parseRedrivePolicy(text: string): RedrivePolicy {
  const invalid = (reason: string) => invalidValue(text, "RedrivePolicy", reason);
  const fields = fieldsOf(text);
  if (fields === undefined) throw invalid("Redrive policy is not a valid JSON map.");
  const { deadLetterTargetArn, maxReceiveCount } = fields;
  for (const name of ["deadLetterTargetArn", "maxReceiveCount"])
    if (fields[name] === undefined) throw invalid(`Redrive policy does not contain mandatory attribute: ${name}.`);
  const count = typeof maxReceiveCount === "string" && /^\d{1,4}$/.test(maxReceiveCount) ? Number(maxReceiveCount) : maxReceiveCount;
  if (typeof deadLetterTargetArn !== "string" || queueOf(deadLetterTargetArn) === undefined)
    throw invalid("Invalid value for deadLetterTargetArn.");
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > 1000)
    throw invalid(`Invalid value for maxReceiveCount: ${String(maxReceiveCount)}, valid values are from 1 to 1000 both inclusive.`);
  return { deadLetterTargetArn, maxReceiveCount: count };
}

function redrivePolicyOf({ record }: Pick<Queue, "record">): RedrivePolicy | undefined {
  const text = record.attributes["RedrivePolicy"];
  return text === undefined ? undefined : parseRedrivePolicy(text);
}

function parseAllowPolicy(text: string): RedriveAllowPolicy {
  const invalid = (reason: string) => invalidValue(text, "RedriveAllowPolicy", reason);
  const fields = fieldsOf(text);
  if (fields === undefined) throw invalid("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.");
  const { redrivePermission: permission, sourceQueueArns: sources = [] } = fields;
  if (permission !== "allowAll" && permission !== "denyAll" && permission !== "byQueue")
    throw invalid("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.");
  const isList = Array.isArray(sources) && sources.every((one) => typeof one === "string" && queueOf(one) !== undefined);
  if (!isList || sources.length > SOURCES_MAX) throw invalid(`sourceQueueArns must be a list of at most ${SOURCES_MAX} ARNs of queues.`);
  if ((permission === "byQueue") !== sources.length > 0)
    throw invalid("sourceQueueArns is needed with redrivePermission byQueue, and is not allowed with the others.");
  return { redrivePermission: permission, sourceQueueArns: sources as string[] };
}

export const checkAllowPolicy = (text: string): void => void parseAllowPolicy(text);

/** Throws InvalidParameterValue when the queue may not send its dead letters there. */
export function checkRedrivePolicy(parts: SqsParts, source: QueueName & { arn: string; isFifo: boolean }, text: string): void {
  const invalid = (reason: string) => invalidValue(text, "RedrivePolicy", reason);
  const name = queueOf(parseRedrivePolicy(text).deadLetterTargetArn);
  if (name?.account !== source.account || name.region !== source.region)
    throw invalid("Dead-letter target owner should be same as the source.");
  const target = findQueue(parts, name);
  if (target === undefined) throw invalid("Dead letter target does not exist.");
  if (target.arn === source.arn) throw invalid("Dead letter target can not be the queue itself.");
  if (target.isFifo !== source.isFifo) throw invalid("Dead-letter queue must be same type of queue as the source queue.");
  if (!isTaken(target, source.arn)) throw invalid(`Queue ${target.arn} does not take dead letters from this queue (RedriveAllowPolicy).`);
}

function isTaken({ record }: Queue, sourceArn: string): boolean {
  const text = record.attributes["RedriveAllowPolicy"];
  if (text === undefined) return true;
  const { redrivePermission, sourceQueueArns } = parseAllowPolicy(text);
  return redrivePermission === "allowAll" || (redrivePermission === "byQueue" && sourceQueueArns.includes(sourceArn));
}

/** Where its messages go and when; nothing while there is no such queue. */
export function deadLetterOf(parts: SqsParts, queue: Queue): { target: Queue; receives: number } | undefined {
  const policy = redrivePolicyOf(queue);
  const target = policy === undefined ? undefined : findQueue(parts, queueOf(policy.deadLetterTargetArn));
  return policy === undefined || target === undefined ? undefined : { target, receives: policy.maxReceiveCount };
}

/** Names of the queues whose dead letters go to this one, in order. */
export function sourcesOf({ queues }: SqsParts, { account, region, arn }: Queue): string[] {
  return queues
    .list(account, region, { limit: Number.MAX_SAFE_INTEGER })
    .filter(({ value }) => redrivePolicyOf({ record: value })?.deadLetterTargetArn === arn)
    .map(({ key }) => key.id);
}
