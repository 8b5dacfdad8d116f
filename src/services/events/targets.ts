// Targets of rules: put, listed, removed.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Operations } from "../../aws/operations.ts";
import { noSuchRule, tooMany } from "./faults.ts";
import { changeRecord, existingRule, page, ruleKey, type EventsParts, type RuleRecord } from "./model.ts";
import { checkTarget } from "./target-checks.ts";

/** https://docs.aws.amazon.com/general/latest/gr/ev.html */
const TARGETS_MAX = 5;

/** Those with the id of one that is there take its place. */
function withTargets(before: readonly client.Target[], given: readonly client.Target[]): client.Target[] {
  const byId = new Map(before.map((target) => [target.Id, target]));
  for (const target of given) byId.set(target.Id, target);
  if (byId.size > TARGETS_MAX) throw tooMany();
  return [...byId.values()];
}

export function targets(parts: EventsParts) {
  return {
    async PutTargets(context, { Rule: name = "", EventBusName, Targets: given = [] }) {
      const rule = existingRule(parts, context, name, EventBusName);
      for (const target of given) checkTarget(target, parts.supportsTarget);
      await changeRecord<RuleRecord>(parts, ruleKey(rule), (record) => {
        if (record === undefined) throw noSuchRule(rule.name, rule.bus);
        return { ...record, targets: withTargets(record.targets, given) };
      });
      return { FailedEntryCount: 0, FailedEntries: [] };
    },

    ListTargetsByRule(context, input) {
      const rule = existingRule(parts, context, input.Rule ?? "", input.EventBusName);
      const idOf = ({ Id = "" }: client.Target) => Id;
      const inOrder = rule.record.targets.toSorted((a, b) => Buffer.compare(Buffer.from(idOf(a)), Buffer.from(idOf(b))));
      const { found, more } = page(`targets ${rule.arn}`, input, idOf, inOrder);
      return { Targets: [...found], ...more };
    },

    async RemoveTargets(context, { Rule: name = "", EventBusName, Ids = [] }) {
      const rule = existingRule(parts, context, name, EventBusName);
      const missing = Ids.filter((id) => !rule.record.targets.some(({ Id }) => Id === id));
      await changeRecord<RuleRecord>(parts, ruleKey(rule), (record) => {
        if (record === undefined) throw noSuchRule(rule.name, rule.bus);
        return { ...record, targets: record.targets.filter(({ Id = "" }) => !Ids.includes(Id)) };
      });
      const FailedEntries = missing.map((TargetId) => ({
        TargetId,
        ErrorCode: "ResourceNotFoundException",
        ErrorMessage: `Rule ${rule.name} does not have a target with the Id ${TargetId}.`,
      }));
      return { FailedEntryCount: missing.length, FailedEntries };
    },
  } satisfies Pick<Operations<typeof client>, "PutTargets" | "ListTargetsByRule" | "RemoveTargets">;
}
