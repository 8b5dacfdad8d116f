// Schedule groups and their tags. The one called default is always there.
import type * as client from "@aws-sdk/client-scheduler";
import { parseArn } from "../../aws/arn.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { conflict, noSuchGroup, notFound, quota, validation } from "./faults.ts";
import { apply, DEFAULT_GROUP, findGroup, groupArn, groupKey, page, type GroupRecord, type SchedulerParts } from "./model.ts";
import type { Forgotten } from "./forgotten.ts";

/** https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html */
const GROUPS_MAX = 500;
const TAGS_MAX = 200;

type Tags = GroupRecord["tags"];

const tagsOf = (given: readonly client.Tag[] = []): Tags => Object.fromEntries(given.map(({ Key = "", Value = "" }) => [Key, Value]));

function checkTags(tags: Tags): void {
  if (Object.keys(tags).length > TAGS_MAX) throw validation(`A schedule group has at most ${TAGS_MAX} tags.`);
  if (Object.keys(tags).some((key) => /^aws:/i.test(key))) throw validation("Tag keys must not start with aws:.");
}

const described = (context: Context, name: string, { createdAtMs, modifiedAtMs }: GroupRecord) => ({
  Arn: groupArn(context, name),
  Name: name,
  State: "ACTIVE" as const,
  CreationDate: new Date(createdAtMs),
  LastModificationDate: new Date(modifiedAtMs),
});

function existing(parts: SchedulerParts, context: Context, name: string): GroupRecord {
  const found = findGroup(parts, context, name);
  if (found === undefined) throw noSuchGroup(name);
  return found;
}

export function groups(parts: SchedulerParts, forgotten: Forgotten) {
  const { clock } = parts;
  const retag = async (context: Context, arn: string, edit: (before: Tags) => Tags) => {
    const name = groupNameOf(arn);
    const before = existing(parts, context, name);
    const tags = edit(before.tags);
    checkTags(tags);
    const expect = parts.groups.get(context.account, context.region, name)?.revision ?? ("absent" as const);
    await apply(parts, { writes: [{ key: groupKey(context, name), value: { ...before, tags }, expect }] }, `Schedule group ${name}`);
    return {};
  };
  return {
    async CreateScheduleGroup(context, { Name: name = "", Tags: given, ClientToken: clientToken }) {
      const tags = tagsOf(given);
      checkTags(tags);
      const found = findGroup(parts, context, name);
      const isSame = clientToken !== undefined && found?.clientToken === clientToken;
      if (found !== undefined && !isSame) throw conflict(`Schedule group ${name} already exists.`);
      if (isSame) return { ScheduleGroupArn: groupArn(context, name) };
      const { account, region } = context;
      if (parts.groups.list(account, region, { limit: GROUPS_MAX }).length >= GROUPS_MAX)
        throw quota("There are too many schedule groups.");
      const nowMs = clock.now();
      const value: GroupRecord = { createdAtMs: nowMs, modifiedAtMs: nowMs, tags, ...(clientToken === undefined ? {} : { clientToken }) };
      await apply(parts, { writes: [{ key: groupKey(context, name), value, expect: "absent" }] }, `Schedule group ${name}`);
      return { ScheduleGroupArn: groupArn(context, name) };
    },

    GetScheduleGroup: (context, { Name: name = "" }) => described(context, name, existing(parts, context, name)),

    ListScheduleGroups(context, input) {
      const { NamePrefix: prefix = "" } = input;
      const names = new Set([
        DEFAULT_GROUP,
        ...parts.groups.list(context.account, context.region, { limit: Infinity }).map(({ key }) => key.id),
      ]);
      const sorted = [...names]
        .filter((name) => name.startsWith(prefix))
        .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const { found, more } = page(`groups ${prefix}`, input, (name) => name, sorted);
      return { ScheduleGroups: found.map((name) => described(context, name, existing(parts, context, name))), ...more };
    },

    /** With all of its schedules, at once. */
    async DeleteScheduleGroup(context, { Name: name = "", ClientToken }) {
      if (forgotten.has(context, `group/${name}`, ClientToken)) return {};
      if (name === DEFAULT_GROUP) throw validation("The default schedule group cannot be deleted.");
      existing(parts, context, name);
      const schedules = () =>
        parts.schedules.list(context.account, context.region, { prefix: `${name}/`, limit: Infinity }).map(({ key }) => ({ key }));
      await apply(parts, { writes: [{ key: groupKey(context, name) }, ...schedules()] }, `Schedule group ${name}`);
      // Those that came into it at the same time; now that it is gone none can.
      await apply(parts, { writes: schedules() }, `Schedule group ${name}`);
      forgotten.add(context, `group/${name}`, ClientToken);
      return {};
    },

    ListTagsForResource: (context, { ResourceArn = "" }) => ({
      Tags: Object.entries(existing(parts, context, groupNameOf(ResourceArn)).tags).map(([Key, Value]) => ({ Key, Value })),
    }),
    TagResource: (context, { ResourceArn = "", Tags = [] }) => retag(context, ResourceArn, (before) => ({ ...before, ...tagsOf(Tags) })),
    UntagResource: (context, { ResourceArn = "", TagKeys = [] }) =>
      retag(context, ResourceArn, (before) => Object.fromEntries(Object.entries(before).filter(([key]) => !TagKeys.includes(key)))),
  } satisfies Pick<
    Operations<typeof client>,
    | "CreateScheduleGroup"
    | "GetScheduleGroup"
    | "ListScheduleGroups"
    | "DeleteScheduleGroup"
    | "ListTagsForResource"
    | "TagResource"
    | "UntagResource"
  >;
}

/** Only groups have tags. */
function groupNameOf(arn: string): string {
  const name = /^schedule-group\/(.+)$/.exec(parseArn(arn)?.resource ?? "")?.[1];
  if (name === undefined) throw notFound(`Resource ${arn} does not exist.`);
  return name;
}
