// AddPermission and RemovePermission: statements of the queue's policy, by label.
import type * as client from "@aws-sdk/client-sqs";
import type { Operations } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument, type PolicyStatement } from "../../aws/policy.ts";
import { withAttributes } from "./attributes.ts";
import { invalidValue, missingParameter } from "./faults.ts";
import { changeQueue, existingQueue, type Queue, type QueueRecord, type SqsParts } from "./model.ts";

const LABEL = /^[\w-]{1,80}$/;
const ACTIONS_MAX = 7;
const STATEMENTS_MAX = 20;
/** What AddPermission can give; the others are for the queue's own account. */
const ACTIONS: ReadonlySet<string> = new Set([
  "*",
  "ChangeMessageVisibility",
  "DeleteMessage",
  "GetQueueAttributes",
  "GetQueueUrl",
  "ListDeadLetterSourceQueues",
  "PurgeQueue",
  "ReceiveMessage",
  "SendMessage",
]);

const parsed = new WeakMap<QueueRecord, PolicyDocument>();

/** Parsed once for each state of the queue. */
export function policyOf({ record }: Pick<Queue, "record">): PolicyDocument | undefined {
  const text = record.attributes["Policy"];
  if (text === undefined) return undefined;
  const known = parsed.get(record);
  if (known !== undefined) return known;
  const policy = parsePolicy(text);
  if ("malformed" in policy) throw new Error(`a stored queue policy is malformed: ${policy.malformed}`);
  parsed.set(record, policy);
  return policy;
}

function statementsOf(queue: Queue): readonly PolicyStatement[] {
  const statements = policyOf(queue)?.Statement ?? [];
  return Array.isArray(statements) ? (statements as readonly PolicyStatement[]) : [statements as PolicyStatement];
}

/** A policy of one text where there is one, a list where there are more: as SQS writes it. */
const oneOrAll = <T>(all: readonly T[]) => (all.length === 1 && all[0] !== undefined ? all[0] : all);

function withStatements(queue: Queue, statements: readonly PolicyStatement[], nowMs: number): QueueRecord {
  const { Version = "2008-10-17", Id = `${queue.arn}/SQSDefaultPolicy` } = policyOf(queue) ?? {};
  const Policy = statements.length === 0 ? "" : JSON.stringify({ Version, Id, Statement: statements });
  return { ...queue.record, modifiedAtMs: nowMs, attributes: withAttributes(queue.record.attributes, { Policy }) };
}

function checkGrant(label: string, accounts: readonly string[], actions: readonly string[]): void {
  if (accounts.length === 0) throw missingParameter("AWSAccountIds");
  if (actions.length === 0) throw missingParameter("Actions");
  if (!LABEL.test(label))
    throw invalidValue(
      label.slice(0, 100),
      "Label",
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
    );
  const stranger = accounts.find((account) => !/^\d{12}$/.test(account));
  if (stranger !== undefined) throw invalidValue(stranger.slice(0, 100), "PrincipalId", "Unable to verify.");
  const wrong = actions.find((action) => !ACTIONS.has(action));
  if (wrong !== undefined)
    throw invalidValue(`SQS:${wrong.slice(0, 100)}`, "ActionName", "Please refer to the appropriate WSDL for a list of valid actions.");
  if (actions.length > ACTIONS_MAX) throw invalidValue(actions.length, "ActionName", `At most ${ACTIONS_MAX} actions are allowed.`);
}

export function permissions(parts: SqsParts) {
  return {
    async AddPermission(context, { QueueUrl, Label: label = "", AWSAccountIds: accounts = [], Actions: actions = [] }) {
      const queue = existingQueue(parts, context, QueueUrl);
      checkGrant(label, accounts, actions);
      const statement: PolicyStatement = {
        Sid: label,
        Effect: "Allow",
        Principal: { AWS: oneOrAll(accounts.map((account) => `arn:aws:iam::${account}:root`)) },
        Action: oneOrAll(actions.map((action) => `SQS:${action}`)),
        Resource: queue.arn,
      };
      await changeQueue(parts, queue, (now) => {
        const statements = statementsOf(now);
        if (statements.some(({ Sid }) => Sid === label)) throw invalidValue(label, "Label", "Already exists.");
        if (statements.length >= STATEMENTS_MAX) throw invalidValue(label, "Label", `A policy has at most ${STATEMENTS_MAX} statements.`);
        return withStatements(now, [...statements, statement], parts.clock.now());
      });
      return {};
    },

    async RemovePermission(context, { QueueUrl, Label: label = "" }) {
      const queue = existingQueue(parts, context, QueueUrl);
      await changeQueue(parts, queue, (now) => {
        const statements = statementsOf(now);
        const kept = statements.filter(({ Sid }) => Sid !== label);
        if (kept.length === statements.length) throw invalidValue(label.slice(0, 100), "Label", "can't find label.");
        return withStatements(now, kept, parts.clock.now());
      });
      return {};
    },
  } satisfies Pick<Operations<typeof client>, "AddPermission" | "RemovePermission">;
}
