// Managed policies of the account, and AWS's beside them.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import { awsManagedPolicies, awsManagedPolicy, AWS_VERSION, type AwsManagedPolicy } from "./aws-managed-policies.ts";
import {
  alreadyExists,
  change,
  checkedPolicy,
  create,
  deleteConflict,
  iamKey,
  invalidInput,
  limitExceeded,
  noSuchEntity,
  page,
  policyLength,
  POLICY_KIND,
  tagMember,
  tagPage,
  transact,
  uniqueId,
  withoutTags,
  withTags,
  type Iam,
  type PolicyHolder,
  type PolicyRecord,
} from "./model.ts";

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const POLICY_LENGTH_MAX = 6_144;

type Names =
  | "CreatePolicy"
  | "GetPolicy"
  | "ListPolicies"
  | "DeletePolicy"
  | "ListEntitiesForPolicy"
  | "TagPolicy"
  | "UntagPolicy"
  | "ListPolicyTags";

type Found = Entry<PolicyRecord> | AwsManagedPolicy;

const arnOf = (found: Found) => ("key" in found ? `arn:aws:iam::${found.key.account}:policy${found.value.path}${found.key.id}` : found.arn);

/** A policy of the account or one of AWS's; throws NoSuchEntity. */
export function findPolicy(iam: Iam, context: Pick<Context, "account">, arn: string): Found {
  const found = awsManagedPolicy(arn) ?? iam.policies.get(context.account, "", arn.slice(arn.lastIndexOf("/") + 1));
  if (found === undefined || arnOf(found) !== arn) throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
  return found;
}

/** Throws InvalidInput for a policy of AWS's. */
export function ownPolicy(iam: Iam, context: Context, arn: string): Entry<PolicyRecord> {
  const found = findPolicy(iam, context, arn);
  if (!("key" in found)) throw invalidInput("Cannot change a policy that AWS manages.");
  return found;
}

export function checkManaged(text: string): void {
  checkedPolicy(text, "identity");
  if (policyLength(text) > POLICY_LENGTH_MAX) throw limitExceeded(`Cannot exceed quota for PolicySize: ${POLICY_LENGTH_MAX}`);
}

function attachments(iam: Iam, context: Context, arn: string) {
  const having = <T extends PolicyHolder>(entries: readonly Entry<T>[]) => entries.filter(({ value }) => value.attached.includes(arn));
  return {
    roles: having(iam.roles.list(context.account, "", { limit: Infinity })),
    users: having(iam.users.list(context.account, "", { limit: Infinity })),
    groups: having(iam.groups.list(context.account, "", { limit: Infinity })),
  };
}

function described(iam: Iam, context: Context, found: Found): client.Policy {
  const arn = arnOf(found);
  const { roles, users, groups } = attachments(iam, context, arn);
  const common = {
    Arn: arn,
    AttachmentCount: roles.length + users.length + groups.length,
    PermissionsBoundaryUsageCount: 0,
    IsAttachable: true,
  };
  if (!("key" in found)) {
    const { name: PolicyName, id: PolicyId, path: Path } = found;
    return { ...common, PolicyName, PolicyId, Path, DefaultVersionId: AWS_VERSION };
  }
  const { key, value } = found;
  return {
    ...common,
    PolicyName: key.id,
    PolicyId: value.id,
    Path: value.path,
    DefaultVersionId: value.defaultVersion,
    CreateDate: new Date(value.createdAtMs),
    UpdateDate: new Date(value.updatedAtMs),
  };
}

function whole(iam: Iam, context: Context, found: Found): client.Policy {
  if (!("key" in found)) return described(iam, context, found);
  const { description, tags } = found.value;
  return {
    ...described(iam, context, found),
    ...(description === undefined ? {} : { Description: description }),
    ...tagMember(tags),
  };
}

export function policies(iam: Iam) {
  const edit = (context: Context, arn: string, apply: (record: PolicyRecord) => PolicyRecord) =>
    change(iam, () => ownPolicy(iam, context, arn), apply);
  return {
    CreatePolicy: (context, input) => createPolicy(iam, context, input),
    GetPolicy: (context, { PolicyArn = "" }) => ({ Policy: whole(iam, context, findPolicy(iam, context, PolicyArn)) }),
    ListPolicies: (context, input) => listPolicies(iam, context, input),
    DeletePolicy: (context, { PolicyArn = "" }) =>
      transact(iam, () => {
        const { key, value, revision } = ownPolicy(iam, context, PolicyArn);
        const { roles, users, groups } = attachments(iam, context, PolicyArn);
        if (roles.length + users.length + groups.length > 0) throw deleteConflict("Cannot delete a policy attached to entities.");
        if (value.versions.length > 1)
          throw deleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
          );
        return { writes: [{ key, expect: revision }], result: {} };
      }),
    ListEntitiesForPolicy: (context, input) => listEntities(iam, context, input),
    async TagPolicy(context, { PolicyArn = "", Tags }) {
      await edit(context, PolicyArn, (record) => ({ ...record, tags: withTags(record.tags, Tags) }));
      return {};
    },
    async UntagPolicy(context, { PolicyArn = "", TagKeys }) {
      await edit(context, PolicyArn, (record) => ({ ...record, tags: withoutTags(record.tags, TagKeys) }));
      return {};
    },
    ListPolicyTags: (context, { PolicyArn = "", ...input }) =>
      tagPage("ListPolicyTags", { tags: ownPolicy(iam, context, PolicyArn).value.tags, ...input }),
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createPolicy(iam: Iam, context: Context, input: client.CreatePolicyCommandInput) {
  const { PolicyName = "", Path = "/", PolicyDocument = "", Description, Tags } = input;
  checkManaged(PolicyDocument);
  const nowMs = iam.clock.now();
  const value: PolicyRecord = {
    id: uniqueId("ANPA", 17),
    path: Path,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    defaultVersion: "v1",
    nextVersion: 2,
    versions: [{ id: "v1", document: PolicyDocument, createdAtMs: nowMs }],
    tags: withTags({}, Tags),
    ...(Description === undefined ? {} : { description: Description }),
  };
  const key = iamKey(context, POLICY_KIND, PolicyName);
  const exists = () => alreadyExists(`A policy called ${PolicyName} already exists. Duplicate names are not allowed.`);
  await create(iam, iam.policies, key, value, exists);
  return { Policy: whole(iam, context, { key, revision: 0, value }) };
}

function listPolicies(iam: Iam, context: Context, input: client.ListPoliciesCommandInput) {
  const { Scope = "All", OnlyAttached = false, PathPrefix = "/", PolicyUsageFilter } = input;
  // Permissions boundaries are not built, so no policy is used as one.
  if (PolicyUsageFilter === "PermissionsBoundary") return { Policies: [], IsTruncated: false };
  const own = Scope === "AWS" ? [] : iam.policies.list(context.account, "", { limit: Infinity });
  const all = [...own, ...(Scope === "Local" ? [] : awsManagedPolicies())]
    .map((one) => described(iam, context, one))
    .filter((one) => one.Path?.startsWith(PathPrefix) === true && (!OnlyAttached || (one.AttachmentCount ?? 0) > 0))
    .toSorted((a, b) => ((a.Arn ?? "") < (b.Arn ?? "") ? -1 : 1));
  const { found, more } = page("ListPolicies", all, (one) => one.Arn ?? "", input);
  return { Policies: found, ...more };
}

function listEntities(iam: Iam, context: Context, input: client.ListEntitiesForPolicyCommandInput) {
  const { PolicyArn = "", EntityFilter, PathPrefix = "/", PolicyUsageFilter } = input;
  findPolicy(iam, context, PolicyArn);
  const { roles, users, groups } = attachments(iam, context, PolicyArn);
  const wanted = (kind: "Role" | "User" | "Group", entries: readonly Entry<PolicyHolder>[]) =>
    entries
      .filter(
        ({ value }) => PolicyUsageFilter !== "PermissionsBoundary" && (EntityFilter ?? kind) === kind && value.path.startsWith(PathPrefix),
      )
      .map(({ key, value }) => ({ sortedBy: `${kind}/${key.id}`, kind, name: key.id, id: value.id }));
  const entities = [...wanted("Group", groups), ...wanted("Role", roles), ...wanted("User", users)];
  const { found, more } = page("ListEntitiesForPolicy", entities, ({ sortedBy }) => sortedBy, input);
  const ofKind = (kind: string) => found.filter((one) => one.kind === kind);
  return {
    PolicyGroups: ofKind("Group").map(({ name, id }) => ({ GroupName: name, GroupId: id })),
    PolicyRoles: ofKind("Role").map(({ name, id }) => ({ RoleName: name, RoleId: id })),
    PolicyUsers: ofKind("User").map(({ name, id }) => ({ UserName: name, UserId: id })),
    ...more,
  };
}
