// Policies that are part of a role or a user, and managed ones attached to them.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import { change, checkedPolicy, encodedPolicy, noSuchEntity, type Iam, type PrincipalRecord } from "./model.ts";
import { findPolicy } from "./policies.ts";
import { findRole } from "./roles.ts";
import { findUser } from "./users.ts";

type Verbs = "Put" | "Get" | "Delete";
type Names =
  | `${Verbs}RolePolicy`
  | `${Verbs}UserPolicy`
  | "ListRolePolicies"
  | "ListUserPolicies"
  | `${"Attach" | "Detach"}${"Role" | "User"}Policy`
  | "ListAttachedRolePolicies"
  | "ListAttachedUserPolicies";

type Find = (name: string) => Entry<PrincipalRecord>;

function without<T>(record: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([one]) => one !== name));
}

/** The same operations for every kind of principal that `find` finds. */
function onPrincipal(iam: Iam, kind: "role" | "user") {
  const documentOf = (record: PrincipalRecord, owner: string, policy: string) => {
    const text = Object.hasOwn(record.inline, policy) ? record.inline[policy] : undefined;
    if (text === undefined) throw noSuchEntity(`The ${kind} policy with name ${policy} cannot be found.`);
    return { PolicyName: policy, PolicyDocument: encodedPolicy(text), owner };
  };
  return {
    async put(find: Find, owner: string, policy: string, text: string) {
      checkedPolicy(text);
      await change(
        iam,
        () => find(owner),
        (record) => ({ ...record, inline: { ...record.inline, [policy]: text } }),
      );
      return {};
    },
    get: (find: Find, owner: string, policy: string) => documentOf(find(owner).value, owner, policy),
    async remove(find: Find, owner: string, policy: string) {
      documentOf(find(owner).value, owner, policy);
      await change(
        iam,
        () => find(owner),
        (record) => ({ ...record, inline: without(record.inline, policy) }),
      );
      return {};
    },
    list: (find: Find, owner: string) => ({ PolicyNames: Object.keys(find(owner).value.inline).toSorted(), IsTruncated: false }),
    async attach(find: Find, context: Context, owner: string, arn: string) {
      find(owner);
      findPolicy(iam, context, arn);
      await change(
        iam,
        () => find(owner),
        (record) => (record.attached.includes(arn) ? record : { ...record, attached: [...record.attached, arn] }),
      );
      return {};
    },
    async detach(find: Find, owner: string, arn: string) {
      if (!find(owner).value.attached.includes(arn)) throw noSuchEntity(`Policy ${arn} was not found.`);
      await change(
        iam,
        () => find(owner),
        (record) => ({ ...record, attached: record.attached.filter((one) => one !== arn) }),
      );
      return {};
    },
    attached: (find: Find, owner: string) => ({
      AttachedPolicies: find(owner).value.attached.map((PolicyArn) => ({
        PolicyName: awsManagedPolicy(PolicyArn)?.name ?? PolicyArn.slice(PolicyArn.lastIndexOf("/") + 1),
        PolicyArn,
      })),
      IsTruncated: false,
    }),
  };
}

export function inlinePolicies(iam: Iam) {
  const roles = onPrincipal(iam, "role");
  const users = onPrincipal(iam, "user");
  // A record is changed as a whole, so what a role has beyond a principal is kept.
  const role =
    (context: Context): Find =>
    (name) =>
      findRole(iam, context, name);
  const user =
    (context: Context): Find =>
    (name) =>
      findUser(iam, context, name);
  return {
    PutRolePolicy: (context, { RoleName = "", PolicyName = "", PolicyDocument = "" }) =>
      roles.put(role(context), RoleName, PolicyName, PolicyDocument),
    GetRolePolicy(context, { RoleName = "", PolicyName = "" }) {
      const { owner, ...found } = roles.get(role(context), RoleName, PolicyName);
      return { RoleName: owner, ...found };
    },
    DeleteRolePolicy: (context, { RoleName = "", PolicyName = "" }) => roles.remove(role(context), RoleName, PolicyName),
    ListRolePolicies: (context, { RoleName = "" }) => roles.list(role(context), RoleName),
    PutUserPolicy: (context, { UserName = "", PolicyName = "", PolicyDocument = "" }) =>
      users.put(user(context), UserName, PolicyName, PolicyDocument),
    GetUserPolicy(context, { UserName = "", PolicyName = "" }) {
      const { owner, ...found } = users.get(user(context), UserName, PolicyName);
      return { UserName: owner, ...found };
    },
    DeleteUserPolicy: (context, { UserName = "", PolicyName = "" }) => users.remove(user(context), UserName, PolicyName),
    ListUserPolicies: (context, { UserName = "" }) => users.list(user(context), UserName),
    AttachRolePolicy: (context, { RoleName = "", PolicyArn = "" }) => roles.attach(role(context), context, RoleName, PolicyArn),
    DetachRolePolicy: (context, { RoleName = "", PolicyArn = "" }) => roles.detach(role(context), RoleName, PolicyArn),
    ListAttachedRolePolicies: (context, { RoleName = "" }) => roles.attached(role(context), RoleName),
    AttachUserPolicy: (context, { UserName = "", PolicyArn = "" }) => users.attach(user(context), context, UserName, PolicyArn),
    DetachUserPolicy: (context, { UserName = "", PolicyArn = "" }) => users.detach(user(context), UserName, PolicyArn),
    ListAttachedUserPolicies: (context, { UserName = "" }) => users.attached(user(context), UserName),
  } satisfies Pick<Operations<typeof client>, Names>;
}
