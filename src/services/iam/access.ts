// What IAM itself must allow for each of its operations.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
import type { AccessNeed } from "../../aws/definition.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { groupArn } from "./groups.ts";
import type { Iam } from "./model.ts";
import { roleArn } from "./roles.ts";
import { userArn } from "./users.ts";

type Input = Readonly<Record<string, unknown>>;

interface Target {
  readonly resource: string;
  /** Of the resource as it is. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

const textOf = (input: Input, name: string): string | undefined => (typeof input[name] === "string" ? input[name] : undefined);
const listOf = (input: Input, name: string): readonly unknown[] => (Array.isArray(input[name]) ? (input[name] as unknown[]) : []);

function tagConditions(input: Input, tags: Target["tags"]): Record<string, string | string[]> {
  const conditions: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  const keys = listOf(input, "TagKeys").filter((one) => typeof one === "string");
  for (const tag of listOf(input, "Tags")) {
    const { Key, Value } = tag as { readonly Key?: unknown; readonly Value?: unknown };
    if (typeof Key !== "string") continue;
    keys.push(Key);
    conditions[`aws:RequestTag/${Key}`] = typeof Value === "string" ? Value : "";
  }
  if (keys.length > 0) conditions["aws:TagKeys"] = keys;
  for (const [name, value] of Object.entries(tags ?? {})) {
    conditions[`aws:ResourceTag/${name}`] = value;
    conditions[`iam:ResourceTag/${name}`] = value;
  }
  return conditions;
}

/** Whoever moves a group must be allowed to have it in both places. */
function groupTargets(iam: Iam, operation: string, account: string, input: Input, name: string): readonly Target[] {
  const path = iam.groups.get(account, "", name)?.value.path ?? textOf(input, "Path") ?? "/";
  const named = { resource: groupArn(account, { path }, name) };
  if (operation !== "UpdateGroup") return [named];
  return [named, { resource: groupArn(account, { path: textOf(input, "NewPath") ?? path }, textOf(input, "NewGroupName") ?? name) }];
}

/** The path is not part of a name, so that of the stored role or user counts; a new one has that of the request. */
function targetsOf(iam: Iam, operation: string, { account, caller }: Context, input: Input): readonly Target[] {
  const [path, prefix] = [textOf(input, "Path") ?? "/", textOf(input, "PathPrefix") ?? "/"];
  const [role, user, group] = ["RoleName", "UserName", "GroupName"].map((name) => textOf(input, name));
  const [policyArn, policy] = ["PolicyArn", "PolicyName"].map((name) => textOf(input, name));
  if (operation === "ListGroups") return [{ resource: `arn:aws:iam::${account}:group${prefix}` }];
  if (operation === "ListRoles") return [{ resource: `arn:aws:iam::${account}:role${prefix}` }];
  if (operation === "ListUsers") return [{ resource: `arn:aws:iam::${account}:user${prefix}` }];
  if (operation === "ListPolicies") return [{ resource: `policy path ${prefix}` }];
  if (group !== undefined) return groupTargets(iam, operation, account, input, group);
  if (role !== undefined) {
    const record = iam.roles.get(account, "", role)?.value;
    return [{ resource: roleArn(account, record ?? { path }, role), tags: record?.tags }];
  }
  if (user !== undefined) {
    const record = iam.users.get(account, "", user)?.value;
    const named = { resource: userArn(account, record ?? { path }, user), tags: record?.tags };
    if (operation !== "UpdateUser") return [named];
    // Whoever moves a user must be allowed to have it in both places.
    const moved = { path: textOf(input, "NewPath") ?? record?.path ?? "/" };
    return [named, { resource: userArn(account, moved, textOf(input, "NewUserName") ?? user), tags: record?.tags }];
  }
  if (policyArn !== undefined) {
    const record = iam.policies.get(account, "", policyArn.slice(policyArn.lastIndexOf("/") + 1))?.value;
    return [{ resource: policyArn, tags: record?.tags }];
  }
  if (policy !== undefined) return [{ resource: `arn:aws:iam::${account}:policy${path}${policy}` }];
  return [{ resource: caller.kind === "user" ? caller.arn : "*" }];
}

/**
 * Sessions that a user or the root made for itself may not call IAM; AWS lets them in with MFA, which Lambent does not have.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
 */
function checkCredentials({ caller }: Context): void {
  if (caller.session !== undefined && caller.kind !== "assumed-role")
    throw new CommonFault("UnrecognizedClientException", "The security token included in the request is invalid", 403);
}

export function accessOf(iam: Iam) {
  return (operation: string, context: Context, input: Input): readonly AccessNeed[] => {
    checkCredentials(context);
    const policyArn = /^(?:Attach|Detach)/.test(operation) ? textOf(input, "PolicyArn") : undefined;
    const attached = policyArn === undefined ? {} : { "iam:PolicyARN": policyArn };
    return targetsOf(iam, operation, context, input).map(({ resource, tags }) => ({
      action: `iam:${operation}`,
      resource,
      conditions: () => ({ ...tagConditions(input, tags), ...attached }),
    }));
  };
}
