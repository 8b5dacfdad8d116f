// A topic's policy, and AddPermission and RemovePermission: its statements, by label.
import type * as client from "@aws-sdk/client-sns";
import type { Operations } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument, type PolicyStatement } from "../../aws/policy.ts";
import { invalid } from "./faults.ts";
import { changeTopic, existingTopic, type SnsParts, type Topic, type TopicRecord } from "./model.ts";

const LABEL = /^[\w-]{1,80}$/;
/** What AddPermission can give. */
const ACTIONS: ReadonlySet<string> = new Set([
  "AddPermission",
  "DeleteTopic",
  "GetDataProtectionPolicy",
  "GetTopicAttributes",
  "ListSubscriptionsByTopic",
  "ListTagsForResource",
  "Publish",
  "PutDataProtectionPolicy",
  "RemovePermission",
  "SetTopicAttributes",
  "Subscribe",
]);
const STATEMENTS_MAX = 20;

/** Of every topic whose policy nobody has set: its own account, where IAM allows it. */
export const defaultPolicy = ({ arn, account }: Pick<Topic, "arn" | "account">): PolicyDocument => ({
  Version: "2008-10-17",
  Id: "__default_policy_ID",
  Statement: [
    {
      Sid: "__default_statement_ID",
      Effect: "Allow",
      Principal: { AWS: "*" },
      Action: [
        "SNS:GetTopicAttributes",
        "SNS:SetTopicAttributes",
        "SNS:AddPermission",
        "SNS:RemovePermission",
        "SNS:DeleteTopic",
        "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic",
        "SNS:Publish",
      ],
      Resource: arn,
      Condition: { StringEquals: { "AWS:SourceOwner": account } },
    },
  ],
});

const parsed = new WeakMap<TopicRecord, PolicyDocument>();

/** Parsed once for each state of the topic. */
export function policyOf(topic: Topic): PolicyDocument {
  const text = topic.record.attributes["Policy"];
  if (text === undefined) return defaultPolicy(topic);
  const known = parsed.get(topic.record);
  if (known !== undefined) return known;
  const policy = parsePolicy(text);
  if ("malformed" in policy) throw new Error(`a stored topic policy is malformed: ${policy.malformed}`);
  parsed.set(topic.record, policy);
  return policy;
}

const listOf = (one: PolicyDocument["Statement"]): readonly PolicyStatement[] =>
  Array.isArray(one) ? (one as readonly PolicyStatement[]) : [one as PolicyStatement];

/** One text where there is one, a list where there are more: as SNS writes it. */
const oneOrAll = <T>(all: readonly T[]) => (all.length === 1 && all[0] !== undefined ? all[0] : all);

function withStatements(topic: Topic, statements: readonly PolicyStatement[]): TopicRecord {
  const Policy = JSON.stringify({ ...policyOf(topic), Statement: statements });
  return { ...topic.record, attributes: { ...topic.record.attributes, Policy } };
}

function checkGrant(label: string, accounts: readonly string[], actions: readonly string[]): void {
  if (!LABEL.test(label)) throw invalid("Label");
  if (accounts.length === 0 || accounts.some((account) => !/^\d{12}$/.test(account))) throw invalid("AWSAccountId");
  if (actions.length === 0) throw invalid("ActionName");
  if (actions.some((action) => !ACTIONS.has(action))) throw invalid("Policy statement action out of service scope!");
}

export function permissions(parts: SnsParts) {
  return {
    async AddPermission(context, { TopicArn, Label: label = "", AWSAccountId: accounts = [], ActionName: actions = [] }) {
      const topic = existingTopic(parts, context, TopicArn);
      checkGrant(label, accounts, actions);
      const statement: PolicyStatement = {
        Sid: label,
        Effect: "Allow",
        Principal: { AWS: oneOrAll(accounts.map((account) => `arn:aws:iam::${account}:root`)) },
        Action: oneOrAll(actions.map((action) => `SNS:${action}`)),
        Resource: topic.arn,
      };
      await changeTopic(parts, topic, (now) => {
        const statements = listOf(policyOf(now).Statement);
        if (statements.some(({ Sid }) => Sid === label)) throw invalid("Statement already exists");
        if (statements.length >= STATEMENTS_MAX) throw invalid(`A policy has at most ${STATEMENTS_MAX} statements.`);
        return withStatements(now, [...statements, statement]);
      });
      return {};
    },

    /** A label that there is not is no error. */
    async RemovePermission(context, { TopicArn, Label: label = "" }) {
      const topic = existingTopic(parts, context, TopicArn);
      await changeTopic(parts, topic, (now) => {
        const statements = listOf(policyOf(now).Statement);
        const kept = statements.filter(({ Sid }) => Sid !== label);
        return kept.length === statements.length ? now.record : withStatements(now, kept);
      });
      return {};
    },
  } satisfies Pick<Operations<typeof client>, "AddPermission" | "RemovePermission">;
}
