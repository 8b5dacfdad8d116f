// Rules: put, shown, switched on and off, deleted.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Context, Operations } from "../../aws/operations.ts";
import { parseSchedule } from "../../aws/schedule-expression.ts";
import { noSuchRule, tooMany, validation } from "./faults.ts";
import {
  changeRecord,
  DEFAULT_BUS,
  existingBus,
  existingRule,
  findRule,
  page,
  ruleArn,
  ruleKey,
  rulesOf,
  type EventsParts,
  type Rule,
  type RuleName,
  type RuleRecord,
  type RuleState,
} from "./model.ts";
import { readPattern } from "./patterns.ts";
import { timerOf } from "./rule-schedules.ts";
import { checkTags, tagsOf } from "./tags.ts";

/** https://docs.aws.amazon.com/general/latest/gr/ev.html */
const RULES_MAX = 300;

function checkGiven(bus: string, { EventPattern: pattern = "", ScheduleExpression: schedule = "" }: client.PutRuleCommandInput): void {
  if (pattern === "" && schedule === "") throw validation("Parameter(s) EventPattern or ScheduleExpression must be specified.");
  if (pattern !== "") readPattern(pattern);
  if (schedule === "") return;
  if (bus !== DEFAULT_BUS) throw validation("ScheduleExpression is supported only on the default event bus.");
  const parsed = parseSchedule(schedule, { isStrict: true });
  if (parsed === undefined || parsed.kind === "at") throw validation("Parameter ScheduleExpression is not valid.");
}

/** Everything but targets and tags is replaced. */
function replaced(before: RuleRecord | undefined, input: client.PutRuleCommandInput, nowMs: number): RuleRecord {
  const { EventPattern: pattern = "", ScheduleExpression: schedule = "", Description: description, RoleArn: roleArn } = input;
  const state: RuleState = input.State ?? "ENABLED";
  const goesOn = before !== undefined && before.schedule === schedule && before.state !== "DISABLED";
  return {
    createdAtMs: before?.createdAtMs ?? nowMs,
    anchorMs: goesOn ? before.anchorMs : nowMs,
    state,
    ...(pattern === "" ? {} : { pattern }),
    ...(schedule === "" ? {} : { schedule }),
    ...(description === undefined ? {} : { description }),
    ...(roleArn === undefined ? {} : { roleArn }),
    tags: before?.tags ?? tagsOf(input.Tags),
    targets: before?.targets ?? [],
  };
}

const summaryOf = ({ name, bus, arn, record }: Rule) => ({
  Name: name,
  Arn: arn,
  ...(record.pattern === undefined ? {} : { EventPattern: record.pattern }),
  ...(record.schedule === undefined ? {} : { ScheduleExpression: record.schedule }),
  State: record.state,
  ...(record.description === undefined ? {} : { Description: record.description }),
  ...(record.roleArn === undefined ? {} : { RoleArn: record.roleArn }),
  EventBusName: bus,
});

export function rules(parts: EventsParts) {
  return {
    PutRule: (context, input) => putRule(parts, context, input),

    DescribeRule(context, { Name = "", EventBusName }) {
      const rule = existingRule(parts, context, Name, EventBusName);
      return { ...summaryOf(rule), CreatedBy: rule.account };
    },

    ListRules(context, input) {
      const bus = existingBus(parts, context, input.EventBusName);
      const { NamePrefix: prefix = "" } = input;
      const all = rulesOf(parts, bus).filter(({ name }) => name.startsWith(prefix));
      const { found, more } = page(`rules ${bus.name} ${prefix}`, input, ({ name }) => name, all);
      return { Rules: found.map(summaryOf), ...more };
    },

    ListRuleNamesByTarget(context, input) {
      const bus = existingBus(parts, context, input.EventBusName);
      const names = rulesOf(parts, bus)
        .filter(({ record }) => record.targets.some(({ Arn }) => Arn === input.TargetArn))
        .map(({ name }) => name);
      const { found, more } = page(`rules of ${bus.name} to ${input.TargetArn}`, input, (name) => name, names);
      return { RuleNames: [...found], ...more };
    },

    EnableRule: (context, { Name = "", EventBusName }) => switchRule(parts, context, Name, EventBusName, "ENABLED"),
    DisableRule: (context, { Name = "", EventBusName }) => switchRule(parts, context, Name, EventBusName, "DISABLED"),

    /** One that is not there is as good as deleted. */
    async DeleteRule(context, { Name = "", EventBusName }) {
      const bus = existingBus(parts, context, EventBusName);
      const name: RuleName = { account: bus.account, region: bus.region, bus: bus.name, name: Name };
      await changeRecord<RuleRecord>(parts, ruleKey(name), (record) => {
        if (record !== undefined && record.targets.length > 0) throw validation("Rule can't be deleted since it has targets.");
        return undefined;
      });
      return {};
    },
  } satisfies Pick<
    Operations<typeof client>,
    "PutRule" | "DescribeRule" | "ListRules" | "ListRuleNamesByTarget" | "EnableRule" | "DisableRule" | "DeleteRule"
  >;
}

async function putRule(parts: EventsParts, context: Context, input: client.PutRuleCommandInput) {
  const bus = existingBus(parts, context, input.EventBusName);
  checkGiven(bus.name, input);
  checkTags(tagsOf(input.Tags));
  const name: RuleName = { account: bus.account, region: bus.region, bus: bus.name, name: input.Name ?? "" };
  if (findRule(parts, name) === undefined && rulesOf(parts, bus).length >= RULES_MAX) throw tooMany();
  await changeRule(parts, name, (before) => replaced(before, input, parts.clock.now()));
  return { RuleArn: ruleArn(name) };
}

async function switchRule(parts: EventsParts, context: Context, name: string, bus: string | undefined, state: RuleState) {
  const rule = existingRule(parts, context, name, bus);
  await changeRule(parts, rule, (before) => {
    if (before === undefined) throw noSuchRule(rule.name, rule.bus);
    return before.state === state ? before : { ...before, state, anchorMs: parts.clock.now() };
  });
  return {};
}

/** A timer of what the rule was before finds that out when it fires. */
async function changeRule(parts: EventsParts, name: RuleName, edit: (before: RuleRecord | undefined) => RuleRecord): Promise<void> {
  await changeRecord<RuleRecord>(parts, ruleKey(name), edit, (record) => {
    const timer = timerOf({ ...name, arn: ruleArn(name), record }, parts.clock.now());
    return timer === undefined ? [] : [timer];
  });
}
