// Tags of buses and rules.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Context, Operations } from "../../aws/operations.ts";
import { noSuchRule, notFound, tooMany, validation } from "./faults.ts";
import {
  busKey,
  busNameOf,
  changeRecord,
  existingBus,
  findRule,
  present,
  ruleKey,
  ruleNameOfArn,
  type BusRecord,
  type EventsParts,
  type RuleRecord,
  type Tags,
} from "./model.ts";

const TAGS_MAX = 50;

export const tagsOf = (given: readonly client.Tag[] = []): Tags =>
  Object.fromEntries(given.map(({ Key = "", Value = "" }) => [Key, Value]));

export function checkTags(all: Tags): void {
  if (Object.keys(all).length > TAGS_MAX) throw tooMany();
  if (Object.keys(all).some((key) => /^aws:/i.test(key))) throw validation("Tag keys must not start with 'aws:'.");
}

export function tags(parts: EventsParts) {
  const read = (context: Context, arn: string): Tags => {
    const rule = ruleNameOfArn(arn);
    if (rule !== undefined) {
      const found = findRule(parts, rule);
      if (found === undefined) throw noSuchRule(rule.name, rule.bus);
      return found.record.tags;
    }
    if (!arn.includes(":event-bus/")) throw notFound(`Resource ${arn} does not exist.`);
    return existingBus(parts, context, arn).record.tags;
  };
  const change = async (context: Context, arn: string, edit: (before: Tags) => Tags) => {
    checkTags(edit(read(context, arn)));
    const rule = ruleNameOfArn(arn);
    if (rule !== undefined)
      await changeRecord<RuleRecord>(parts, ruleKey(rule), (record) => {
        if (record === undefined) throw noSuchRule(rule.name, rule.bus);
        return { ...record, tags: edit(record.tags) };
      });
    else {
      const bus = busNameOf(context, arn);
      await changeRecord<BusRecord>(parts, busKey(bus), (record) => {
        const before = present(parts, bus, record);
        return { ...before, tags: edit(before.tags) };
      });
    }
    return {};
  };
  return {
    ListTagsForResource: (context, { ResourceARN = "" }) => ({
      Tags: Object.entries(read(context, ResourceARN)).map(([Key, Value]) => ({ Key, Value })),
    }),
    TagResource: (context, { ResourceARN = "", Tags: given = [] }) =>
      change(context, ResourceARN, (before) => ({ ...before, ...tagsOf(given) })),
    UntagResource: (context, { ResourceARN = "", TagKeys = [] }) =>
      change(context, ResourceARN, (before) => Object.fromEntries(Object.entries(before).filter(([key]) => !TagKeys.includes(key)))),
  } satisfies Pick<Operations<typeof client>, "ListTagsForResource" | "TagResource" | "UntagResource">;
}
