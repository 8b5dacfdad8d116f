// What IAM checks for each operation, and what a bus's policy can open to others.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
import type { AccessNeed } from "../../aws/definition.ts";
import type { Context } from "../../aws/operations.ts";
import { policyOf } from "./bus-policies.ts";
import { archiveArn, busArn, busNameOf, findBus, replayArn, ruleArn, type EventsParts } from "./model.ts";

type Input = Readonly<Record<string, unknown>>;

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);
const listOf = (value: unknown): readonly Input[] =>
  Array.isArray(value) ? value.filter((one): one is Input => typeof one === "object" && one !== null) : [];

function resourceOf(operation: string, context: Context, input: Input): string {
  const bus = busNameOf(context, textOf(input["EventBusName"]));
  if (operation.endsWith("EventBus")) return busArn(busNameOf(context, textOf(input["Name"])));
  if (operation.endsWith("Archive")) return archiveArn(context, textOf(input["ArchiveName"]) ?? "");
  if (operation.endsWith("Replay")) return replayArn(context, textOf(input["ReplayName"]) ?? "");
  if (operation.endsWith("Permission")) return busArn(bus);
  const rule = textOf(input["Rule"]) ?? (operation.endsWith("Rule") ? textOf(input["Name"]) : undefined);
  if (rule !== undefined) return ruleArn({ ...bus, bus: bus.name, name: rule });
  return textOf(input["ResourceARN"]) ?? "*";
}

export function accessOf(parts: EventsParts) {
  const putNeeds = (context: Context, input: Input): AccessNeed[] =>
    listOf(input["Entries"]).map((entry) => {
      const bus = busNameOf(context, textOf(entry["EventBusName"]));
      const record = findBus(parts, bus);
      const policy = record === undefined ? undefined : policyOf(record);
      const [source, detailType] = [textOf(entry["Source"]), textOf(entry["DetailType"])];
      return {
        action: "events:PutEvents",
        resource: busArn(bus),
        ...(policy === undefined ? {} : { resourcePolicy: policy }),
        conditions: () => ({
          ...(source === undefined ? {} : { "events:source": source }),
          ...(detailType === undefined ? {} : { "events:detail-type": detailType }),
        }),
      };
    });

  return (operation: string, context: Context, input: Input): readonly AccessNeed[] => {
    if (operation === "PutEvents") return putNeeds(context, input);
    const need = { action: `events:${operation}`, resource: resourceOf(operation, context, input) };
    const roles = [textOf(input["RoleArn"]), ...listOf(input["Targets"]).map((target) => textOf(target["RoleArn"]))];
    const passed = roles.filter((role) => role !== undefined);
    return [
      need,
      ...passed.map((resource) => ({
        action: "iam:PassRole",
        resource,
        conditions: () => ({ "iam:PassedToService": "events.amazonaws.com" }),
      })),
    ];
  };
}
