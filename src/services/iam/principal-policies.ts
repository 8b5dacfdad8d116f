// Policies that are part of a role, a user or a group, and managed ones attached to them.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry, Write } from "../../store/storage.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import { findGroup } from "./groups.ts";
import {
  checkedPolicy,
  change,
  encodedPolicy,
  limitExceeded,
  noSuchEntity,
  page,
  policyLength,
  touch,
  transact,
  type Iam,
  type PolicyHolder,
} from "./model.ts";
import { findPolicy } from "./policies.ts";
import { findOwnRole, findRole } from "./roles.ts";
import { findUser } from "./users.ts";

type Verbs = "Put" | "Get" | "Delete";
type Holder = "Role" | "User" | "Group";
type Names =
  | `${Verbs}${Holder}Policy`
  | `List${Holder}Policies`
  | `${"Attach" | "Detach"}${Holder}Policy`
  | `ListAttached${Holder}Policies`;

interface Kind {
  readonly word: "role" | "user" | "group";
  /** Of all inline policies together, without white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
  readonly inlineLengthMax: number;
  readonly quota: string;
  find(context: Context, name: string): Entry<PolicyHolder>;
  /** Throws for what may not be changed. */
  findToChange(context: Context, name: string): Entry<PolicyHolder>;
}

const ATTACHED_MAX = 10;
const ROLE = { word: "role", inlineLengthMax: 10_240, quota: "PoliciesPerRole" } as const;
const GROUP = { word: "group", inlineLengthMax: 5_120, quota: "PoliciesPerGroup" } as const;
const USER = { word: "user", inlineLengthMax: 2_048, quota: "PoliciesPerUser" } as const;

function without<T>(record: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([one]) => one !== name));
}

function inlineOf(kind: Kind, record: PolicyHolder, policy: string): string {
  const text = Object.hasOwn(record.inline, policy) ? record.inline[policy] : undefined;
  if (text === undefined) throw noSuchEntity(`The ${kind.word} policy with name ${policy} cannot be found.`);
  return text;
}

function inline(iam: Iam, kind: Kind) {
  return {
    async put(context: Context, owner: string, policy: string, text: string) {
      kind.findToChange(context, owner);
      checkedPolicy(text, "identity");
      await change(
        iam,
        () => kind.findToChange(context, owner),
        (record) => {
          const texts = { ...record.inline, [policy]: text };
          const length = Object.values(texts).reduce((sum, one) => sum + policyLength(one), 0);
          if (length > kind.inlineLengthMax)
            throw limitExceeded(`Maximum policy size of ${kind.inlineLengthMax} bytes exceeded for ${kind.word} ${owner}`);
          return { ...record, inline: texts };
        },
      );
      return {};
    },
    get: (context: Context, owner: string, policy: string) => ({
      PolicyName: policy,
      PolicyDocument: encodedPolicy(inlineOf(kind, kind.find(context, owner).value, policy)),
    }),
    async remove(context: Context, owner: string, policy: string) {
      await change(
        iam,
        () => kind.findToChange(context, owner),
        (record) => {
          inlineOf(kind, record, policy);
          return { ...record, inline: without(record.inline, policy) };
        },
      );
      return {};
    },
    list(context: Context, list: string, owner: string, input: Pick<client.ListRolePoliciesCommandInput, "Marker" | "MaxItems">) {
      const names = Object.keys(kind.find(context, owner).value.inline).toSorted();
      const { found, more } = page(list, names, (name) => name, input);
      return { PolicyNames: found, ...more };
    },
  };
}

interface AttachedInput {
  readonly PathPrefix?: string | undefined;
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

/** `/service-role/` of `arn:aws:iam::aws:policy/service-role/AWSLambdaRole`. */
const pathOf = (arn: string) => arn.slice(arn.indexOf("/"), arn.lastIndexOf("/") + 1);

function managed(iam: Iam, kind: Kind) {
  return {
    attach: (context: Context, owner: string, arn: string) =>
      transact(iam, () => {
        const { key, value, revision } = kind.findToChange(context, owner);
        const policy = findPolicy(iam, context, arn);
        const attached = value.attached.includes(arn) ? value.attached : [...value.attached, arn];
        if (attached.length > ATTACHED_MAX) throw limitExceeded(`Cannot exceed quota for ${kind.quota}: ${ATTACHED_MAX}`);
        const writes: Write[] = [{ key, value: { ...value, attached }, expect: revision }];
        // The policy too: it must not be deleted at the same moment.
        if ("key" in policy) writes.push(touch(policy));
        return { writes, result: {} };
      }),
    async detach(context: Context, owner: string, arn: string) {
      await change(
        iam,
        () => kind.findToChange(context, owner),
        (record) => {
          if (!record.attached.includes(arn)) throw noSuchEntity(`Policy ${arn} was not found.`);
          return { ...record, attached: record.attached.filter((one) => one !== arn) };
        },
      );
      return {};
    },
    list(context: Context, list: string, owner: string, input: AttachedInput) {
      const arns = kind.find(context, owner).value.attached.filter((arn) => pathOf(arn).startsWith(input.PathPrefix ?? "/"));
      const { found, more } = page(list, arns.toSorted(), (arn) => arn, input);
      const AttachedPolicies = found.map((PolicyArn) => ({
        PolicyName: awsManagedPolicy(PolicyArn)?.name ?? PolicyArn.slice(PolicyArn.lastIndexOf("/") + 1),
        PolicyArn,
      }));
      return { AttachedPolicies, ...more };
    },
  };
}

function rolePolicies(iam: Iam) {
  const kind: Kind = {
    ...ROLE,
    find: (context, name) => findRole(iam, context, name),
    findToChange: (context, name) => findOwnRole(iam, context, name),
  };
  const own = inline(iam, kind);
  const attached = managed(iam, kind);
  return {
    PutRolePolicy: (context, { RoleName = "", PolicyName = "", PolicyDocument = "" }) =>
      own.put(context, RoleName, PolicyName, PolicyDocument),
    GetRolePolicy: (context, { RoleName = "", PolicyName = "" }) => ({ RoleName, ...own.get(context, RoleName, PolicyName) }),
    DeleteRolePolicy: (context, { RoleName = "", PolicyName = "" }) => own.remove(context, RoleName, PolicyName),
    ListRolePolicies: (context, input) => own.list(context, "ListRolePolicies", input.RoleName ?? "", input),
    AttachRolePolicy: (context, { RoleName = "", PolicyArn = "" }) => attached.attach(context, RoleName, PolicyArn),
    DetachRolePolicy: (context, { RoleName = "", PolicyArn = "" }) => attached.detach(context, RoleName, PolicyArn),
    ListAttachedRolePolicies: (context, input) => attached.list(context, "ListAttachedRolePolicies", input.RoleName ?? "", input),
  } satisfies Pick<Operations<typeof client>, Extract<Names, `${string}Role${string}`>>;
}

function userPolicies(iam: Iam) {
  const find: Kind["find"] = (context, name) => findUser(iam, context, name);
  const kind: Kind = { ...USER, find, findToChange: find };
  const own = inline(iam, kind);
  const attached = managed(iam, kind);
  return {
    PutUserPolicy: (context, { UserName = "", PolicyName = "", PolicyDocument = "" }) =>
      own.put(context, UserName, PolicyName, PolicyDocument),
    GetUserPolicy: (context, { UserName = "", PolicyName = "" }) => ({ UserName, ...own.get(context, UserName, PolicyName) }),
    DeleteUserPolicy: (context, { UserName = "", PolicyName = "" }) => own.remove(context, UserName, PolicyName),
    ListUserPolicies: (context, input) => own.list(context, "ListUserPolicies", input.UserName ?? "", input),
    AttachUserPolicy: (context, { UserName = "", PolicyArn = "" }) => attached.attach(context, UserName, PolicyArn),
    DetachUserPolicy: (context, { UserName = "", PolicyArn = "" }) => attached.detach(context, UserName, PolicyArn),
    ListAttachedUserPolicies: (context, input) => attached.list(context, "ListAttachedUserPolicies", input.UserName ?? "", input),
  } satisfies Pick<Operations<typeof client>, Extract<Names, `${string}User${string}`>>;
}

function groupPolicies(iam: Iam) {
  const find: Kind["find"] = (context, name) => findGroup(iam, context, name);
  const kind: Kind = { ...GROUP, find, findToChange: find };
  const own = inline(iam, kind);
  const attached = managed(iam, kind);
  return {
    PutGroupPolicy: (context, { GroupName = "", PolicyName = "", PolicyDocument = "" }) =>
      own.put(context, GroupName, PolicyName, PolicyDocument),
    GetGroupPolicy: (context, { GroupName = "", PolicyName = "" }) => ({ GroupName, ...own.get(context, GroupName, PolicyName) }),
    DeleteGroupPolicy: (context, { GroupName = "", PolicyName = "" }) => own.remove(context, GroupName, PolicyName),
    ListGroupPolicies: (context, input) => own.list(context, "ListGroupPolicies", input.GroupName ?? "", input),
    AttachGroupPolicy: (context, { GroupName = "", PolicyArn = "" }) => attached.attach(context, GroupName, PolicyArn),
    DetachGroupPolicy: (context, { GroupName = "", PolicyArn = "" }) => attached.detach(context, GroupName, PolicyArn),
    ListAttachedGroupPolicies: (context, input) => attached.list(context, "ListAttachedGroupPolicies", input.GroupName ?? "", input),
  } satisfies Pick<Operations<typeof client>, Extract<Names, `${string}Group${string}`>>;
}

export const principalPolicies = (iam: Iam) => ({ ...rolePolicies(iam), ...userPolicies(iam), ...groupPolicies(iam) });
