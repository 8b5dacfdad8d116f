// What IAM checks for each operation, and which of them a queue's policy can open to other accounts.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
import type { AccessNeed } from "../../aws/definition.ts";
import type { Context } from "../../aws/operations.ts";
import { findQueue, queueArn, queueOf, queueOfUrl, type QueueName, type SqsParts } from "./model.ts";
import { policyOf } from "./permissions.ts";

type Input = Readonly<Record<string, unknown>>;

/** Batches need what their entries would need alone. */
const ACTIONS: Readonly<Record<string, string>> = {
  SendMessageBatch: "SendMessage",
  DeleteMessageBatch: "DeleteMessage",
  ChangeMessageVisibilityBatch: "ChangeMessageVisibility",
};

/** "Cross-account permissions don't apply to this action." */
const OWN_ACCOUNT_ONLY: ReadonlySet<string> = new Set([
  "AddPermission",
  "CancelMessageMoveTask",
  "CreateQueue",
  "DeleteQueue",
  "ListMessageMoveTasks",
  "ListQueues",
  "ListQueueTags",
  "RemovePermission",
  "SetQueueAttributes",
  "StartMessageMoveTask",
  "TagQueue",
  "UntagQueue",
]);

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

function sourceOfHandle(handle: string): string {
  try {
    return textOf((JSON.parse(Buffer.from(handle, "base64").toString()) as { sourceArn?: unknown } | null)?.sourceArn);
  } catch {
    // The operation says what is wrong with it.
    return "";
  }
}

function namedQueue(operation: string, context: Context, input: Input): QueueName | undefined {
  const { account, region } = context;
  if (operation === "CreateQueue") return { account, region, name: textOf(input["QueueName"]) };
  if (operation === "GetQueueUrl")
    return { account: textOf(input["QueueOwnerAWSAccountId"]) || account, region, name: textOf(input["QueueName"]) };
  if (operation === "StartMessageMoveTask" || operation === "ListMessageMoveTasks") return queueOf(textOf(input["SourceArn"]));
  if (operation === "CancelMessageMoveTask") return queueOf(sourceOfHandle(textOf(input["TaskHandle"])));
  return queueOfUrl(region, textOf(input["QueueUrl"]));
}

export function accessOf(parts: SqsParts) {
  const need = (action: string, { caller }: Context, name: QueueName | undefined): AccessNeed => {
    const queue = findQueue(parts, name);
    const isClosed = OWN_ACCOUNT_ONLY.has(action) && caller.account !== queue?.account;
    const policy = queue === undefined || isClosed ? undefined : policyOf(queue);
    return {
      action: `sqs:${action}`,
      resource: name === undefined ? "*" : queueArn(name),
      ...(policy === undefined ? {} : { resourcePolicy: policy }),
    };
  };

  /** A task receives, deletes and sends in the name of who begins it. */
  const moveNeeds = (context: Context, source: QueueName | undefined, input: Input): AccessNeed[] => {
    const destination = textOf(input["DestinationArn"]);
    return [
      ...["StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"].map((action) => need(action, context, source)),
      ...(destination === "" ? [] : [need("SendMessage", context, queueOf(destination))]),
    ];
  };

  return (operation: string, context: Context, input: Input): readonly AccessNeed[] => {
    if (operation === "ListQueues") return [{ action: "sqs:ListQueues", resource: "*" }];
    const name = namedQueue(operation, context, input);
    if (operation === "StartMessageMoveTask") return moveNeeds(context, name, input);
    const needs = [need(ACTIONS[operation] ?? operation, context, name)];
    if (operation === "CreateQueue" && Object.keys((input["tags"] as object | undefined) ?? {}).length > 0)
      needs.push(need("TagQueue", context, name));
    return needs;
  };
}
