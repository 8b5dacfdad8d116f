// What Lambda may know of the event sources of this server: whether they are there, and whether a function's role may read them.
import { parseArn } from "./aws/arn.ts";
import { authorise } from "./aws/authorise.ts";
import type { Context } from "./aws/operations.ts";
import { knownFault } from "./aws/wire-fault.ts";
import type { DelivererDeps } from "./deliver.ts";
import type { EventSources } from "./lambda/event-sources.ts";

/** What a poller of a queue does with it. */
const QUEUE_OPERATIONS = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] as const;

export function eventSources(deps: DelivererDeps): EventSources {
  return {
    // Pollers are not built yet: mappings say so.
    polls: () => false,
    problem: async (context, arn, reader) =>
      parseArn(arn)?.service === "sqs" ? await queueProblem(deps, context, arn, reader) : undefined,
  };
}

type Reader = Parameters<EventSources["problem"]>[2];

async function queueProblem(deps: DelivererDeps, context: Context, arn: string, reader: Reader): Promise<string | undefined> {
  const { account, region, resource } = parseArn(arn) ?? {};
  if (region !== context.region) return `The queue ${arn} is not in the region of the function (${context.region}).`;
  const load = deps.services.get("sqs");
  if (load === undefined) return undefined;
  const sqs = await load();
  const input = { QueueUrl: `${context.endpoint}/${account}/${resource}`, AttributeNames: ["VisibilityTimeout"] };
  const caller = deps.assume(reader.roleArn, reader.functionName, "lambda.amazonaws.com");
  if (caller === undefined) return "The role defined for the function cannot be assumed by Lambda.";
  const as: Context = { ...context, caller };
  for (const operation of QUEUE_OPERATIONS)
    try {
      authorise(undefined, as, await sqs.access(operation, as, input), deps);
    } catch (cause) {
      faultOf(cause);
      return `The function execution role does not have permissions to call ${operation} on SQS`;
    }
  return await timeoutProblem(sqs.operations["GetQueueAttributes"], as, input, reader);
}

type GetQueueAttributes = (context: Context, input: object) => Promise<{ readonly Attributes?: Readonly<Record<string, string>> }>;

async function timeoutProblem(operation: unknown, as: Context, input: object, { timeoutSeconds }: Reader): Promise<string | undefined> {
  try {
    const { Attributes } = await (operation as GetQueueAttributes)(as, input);
    const visible = Number(Attributes?.["VisibilityTimeout"]);
    return visible < timeoutSeconds
      ? `Queue visibility timeout: ${visible} seconds is less than Function timeout: ${timeoutSeconds} seconds`
      : undefined;
  } catch (cause) {
    const { message } = faultOf(cause);
    return `Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: ${message}`;
  }
}

/** Throws what is no fault. */
function faultOf(cause: unknown) {
  const fault = knownFault(cause);
  if (fault === undefined) throw cause;
  return fault;
}
