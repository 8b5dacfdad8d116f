// What IAM checks for each operation.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
import type { AccessNeed } from "../../aws/definition.ts";
import type { Context } from "../../aws/operations.ts";
import { DEFAULT_GROUP, groupArn, scheduleArn } from "./model.ts";

type Input = Readonly<Record<string, unknown>>;

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);

function resourceOf(operation: string, context: Context, input: Input): string {
  const { account, region } = context;
  const name = textOf(input["Name"]) ?? "";
  if (operation.endsWith("ScheduleGroup")) return groupArn(context, name);
  if (operation.endsWith("Schedule")) return scheduleArn({ account, region, group: textOf(input["GroupName"]) ?? DEFAULT_GROUP, name });
  return textOf(input["ResourceArn"]) ?? "*";
}

export function access(operation: string, context: Context, input: Input): readonly AccessNeed[] {
  const { Target: target } = input as { readonly Target?: { readonly RoleArn?: unknown } | null };
  const role = textOf(target?.RoleArn);
  return [
    { action: `scheduler:${operation}`, resource: resourceOf(operation, context, input) },
    ...(role === undefined
      ? []
      : [{ action: "iam:PassRole", resource: role, conditions: () => ({ "iam:PassedToService": "scheduler.amazonaws.com" }) }]),
  ];
}
