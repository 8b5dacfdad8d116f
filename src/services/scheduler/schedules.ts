// Schedules: made, changed, shown, deleted, each change in one transaction with the timer of the next tick.
import type * as client from "@aws-sdk/client-scheduler";
import type { Context, Operations } from "../../aws/operations.ts";
import { requestId } from "../../base/id.ts";
import type { Entry } from "../../store/storage.ts";
import { conflict, noSuchGroup, noSuchSchedule } from "./faults.ts";
import { timersOf } from "./firing.ts";
import type { Forgotten } from "./forgotten.ts";
import {
  apply,
  DEFAULT_GROUP,
  findGroup,
  findSchedule,
  groupKey,
  page,
  scheduleArn,
  scheduleKey,
  scheduleNameOf,
  type ScheduleName,
  type ScheduleRecord,
  type SchedulerParts,
} from "./model.ts";
import { checkSchedule } from "./schedule-checks.ts";

type Given = client.CreateScheduleCommandInput;

const nameOf = ({ account, region }: Context, { GroupName: group = DEFAULT_GROUP, Name: name = "" }: Pick<Given, "GroupName" | "Name">) =>
  ({ account, region, group, name }) satisfies ScheduleName;

/** All of it is replaced; what is not given is as if it never had been. */
function recordOf(input: Given, before: ScheduleRecord | undefined, nowMs: number): ScheduleRecord {
  const { StartDate: start, EndDate: end, Description: description, ClientToken: clientToken } = input;
  const startMs = start?.getTime();
  const isSame = before !== undefined && before.expression === input.ScheduleExpression && before.startMs === startMs;
  return {
    expression: input.ScheduleExpression ?? "",
    zone: input.ScheduleExpressionTimezone ?? "UTC",
    ...(startMs === undefined ? {} : { startMs }),
    ...(end === undefined ? {} : { endMs: end.getTime() }),
    ...(description === undefined ? {} : { description }),
    state: input.State ?? "ENABLED",
    target: input.Target ?? { Arn: "", RoleArn: "" },
    window: input.FlexibleTimeWindow ?? { Mode: "OFF" },
    afterCompletion: input.ActionAfterCompletion ?? "NONE",
    createdAtMs: before?.createdAtMs ?? nowMs,
    modifiedAtMs: nowMs,
    anchorMs: startMs ?? (isSame ? before.anchorMs : nowMs),
    generation: requestId(),
    ...(clientToken === undefined ? {} : { clientToken }),
  };
}

const RETRY_DEFAULTS = { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 };

function described(name: ScheduleName, record: ScheduleRecord) {
  const { startMs, endMs, description, target } = record;
  return {
    ...summaryOf(name, record),
    ScheduleExpression: record.expression,
    ScheduleExpressionTimezone: record.zone,
    ...(startMs === undefined ? {} : { StartDate: new Date(startMs) }),
    ...(endMs === undefined ? {} : { EndDate: new Date(endMs) }),
    ...(description === undefined ? {} : { Description: description }),
    Target: { ...target, RetryPolicy: { ...RETRY_DEFAULTS, ...target.RetryPolicy } },
    FlexibleTimeWindow: record.window,
    ActionAfterCompletion: record.afterCompletion,
  };
}

const summaryOf = (name: ScheduleName, { state, createdAtMs, modifiedAtMs, target }: ScheduleRecord) => ({
  Arn: scheduleArn(name),
  Name: name.name,
  GroupName: name.group,
  State: state,
  CreationDate: new Date(createdAtMs),
  LastModificationDate: new Date(modifiedAtMs),
  Target: { Arn: target.Arn },
});

export function schedules(parts: SchedulerParts, forgotten: Forgotten) {
  return {
    async CreateSchedule(context, input) {
      const name = nameOf(context, input);
      checkSchedule(parts, name, input);
      checkGroup(parts, name);
      const found = findSchedule(parts, name)?.value;
      if (found !== undefined && (input.ClientToken === undefined || found.clientToken !== input.ClientToken))
        throw conflict(`Schedule ${name.name} already exists.`);
      if (found === undefined) await put(parts, name, recordOf(input, undefined, parts.clock.now()), undefined);
      return { ScheduleArn: scheduleArn(name) };
    },

    async UpdateSchedule(context, input) {
      const name = nameOf(context, input);
      checkSchedule(parts, name, input);
      checkGroup(parts, name);
      const entry = existing(parts, name);
      await put(parts, name, recordOf(input, entry.value, parts.clock.now()), entry);
      return { ScheduleArn: scheduleArn(name) };
    },

    GetSchedule(context, input) {
      const name = nameOf(context, input);
      checkGroup(parts, name);
      return described(name, existing(parts, name).value);
    },

    ListSchedules(context, input) {
      const { GroupName: group, NamePrefix: prefix = "", State: state } = input;
      if (group !== undefined) checkGroup(parts, { ...context, group });
      const all = parts.schedules
        .list(context.account, context.region, { ...(group === undefined ? {} : { prefix: `${group}/${prefix}` }), limit: Infinity })
        .filter(({ key, value }) => scheduleNameOf(key).name.startsWith(prefix) && (state === undefined || value.state === state));
      const { found, more } = page(`schedules ${group ?? ""} ${prefix} ${state ?? ""}`, input, ({ key }) => key.id, all);
      return { Schedules: found.map(({ key, value }) => summaryOf(scheduleNameOf(key), value)), ...more };
    },

    async DeleteSchedule(context, input) {
      const name = nameOf(context, input);
      const what = `${name.group}/${name.name}`;
      if (forgotten.has(context, what, input.ClientToken)) return {};
      checkGroup(parts, name);
      const { revision } = existing(parts, name);
      await apply(parts, { writes: [{ key: scheduleKey(name), expect: revision }] }, `Schedule ${name.name}`);
      forgotten.add(context, what, input.ClientToken);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, "CreateSchedule" | "UpdateSchedule" | "GetSchedule" | "ListSchedules" | "DeleteSchedule">;
}

function checkGroup(parts: SchedulerParts, name: Omit<ScheduleName, "name">): void {
  if (findGroup(parts, name, name.group) === undefined) throw noSuchGroup(name.group);
}

function existing(parts: SchedulerParts, name: ScheduleName): Entry<ScheduleRecord> {
  const found = findSchedule(parts, name);
  if (found === undefined) throw noSuchSchedule(name.name);
  return found;
}

/** Only while its group is there, so that none is left behind by one that is being deleted. */
async function put(
  parts: SchedulerParts,
  name: ScheduleName,
  record: ScheduleRecord,
  before: Entry<ScheduleRecord> | undefined,
): Promise<void> {
  const group = parts.groups.get(name.account, name.region, name.group);
  const guard = group === undefined ? [] : [{ key: groupKey(name, name.group), keep: true as const, expect: group.revision }];
  const writes = [{ key: scheduleKey(name), value: record, expect: before?.revision ?? ("absent" as const) }, ...guard];
  // The first tick of a rate without a start is now.
  const isFirst = before === undefined && record.expression.startsWith("rate(");
  const afterMs = isFirst ? record.createdAtMs - 1 : record.modifiedAtMs;
  await apply(parts, { writes, timers: timersOf(name, record, afterMs) }, `Schedule ${name.name}`);
}
