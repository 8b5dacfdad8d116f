// Managed policies of the account and their versions.
import type * as client from "@aws-sdk/client-iam";
import { DeleteConflictException$ } from "@aws-sdk/client-iam";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import { awsManagedPolicies, awsManagedPolicy, type AwsManagedPolicy } from "./aws-managed-policies.ts";
import {
  alreadyExists,
  change,
  checkedPolicy,
  create,
  encodedPolicy,
  iamKey,
  limitExceeded,
  noSuchEntity,
  POLICY_KIND,
  tagList,
  tagRecord,
  uniqueId,
  type Iam,
  type PolicyRecord,
} from "./model.ts";

const VERSIONS_MAX = 5;
/** AWS's managed policies have one version here. */
const AWS_VERSION = "v1";

type Names =
  | "CreatePolicy"
  | "GetPolicy"
  | "ListPolicies"
  | "DeletePolicy"
  | "CreatePolicyVersion"
  | "GetPolicyVersion"
  | "ListPolicyVersions"
  | "DeletePolicyVersion"
  | "SetDefaultPolicyVersion"
  | "ListEntitiesForPolicy"
  | "TagPolicy"
  | "UntagPolicy"
  | "ListPolicyTags";

const arnOf = ({ key, value }: Entry<PolicyRecord>) => `arn:aws:iam::${key.account}:policy${value.path}${key.id}`;

/** A policy of the account or one of AWS's; throws NoSuchEntity. */
export function findPolicy(iam: Iam, context: Pick<Context, "account">, arn: string): Entry<PolicyRecord> | AwsManagedPolicy {
  const found = awsManagedPolicy(arn) ?? iam.policies.get(context.account, "", arn.slice(arn.lastIndexOf("/") + 1));
  if (found === undefined || ("key" in found && arnOf(found) !== arn))
    throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
  return found;
}

function ownPolicy(iam: Iam, context: Context, arn: string): Entry<PolicyRecord> {
  const found = findPolicy(iam, context, arn);
  if (!("key" in found)) throw new Fault(DeleteConflictException$, "AWS managed policies cannot be changed.");
  return found;
}

function versionOf(value: PolicyRecord, id: string) {
  const version = value.versions.find((one) => one.id === id);
  if (version === undefined) throw noSuchEntity(`Policy version ${id} does not exist or is not attachable.`);
  return version;
}

function attachments(iam: Iam, context: Context, arn: string) {
  const names = (entries: readonly Entry<{ readonly attached: readonly string[]; readonly id: string }>[]) =>
    entries.filter((entry) => entry.value.attached.includes(arn));
  return {
    roles: names(iam.roles.list(context.account, "", { limit: Infinity })),
    users: names(iam.users.list(context.account, "", { limit: Infinity })),
  };
}

function describe(iam: Iam, context: Context, found: Entry<PolicyRecord> | AwsManagedPolicy): client.Policy {
  const arn = "key" in found ? arnOf(found) : found.arn;
  const { roles, users } = attachments(iam, context, arn);
  const common = { Arn: arn, AttachmentCount: roles.length + users.length, PermissionsBoundaryUsageCount: 0, IsAttachable: true };
  if (!("key" in found))
    return {
      ...common,
      PolicyName: found.name,
      PolicyId: `ANPA${found.name.toUpperCase().slice(0, 17)}`,
      Path: found.path,
      DefaultVersionId: AWS_VERSION,
    };
  const { key, value } = found;
  return {
    ...common,
    PolicyName: key.id,
    PolicyId: value.id,
    Path: value.path,
    DefaultVersionId: value.defaultVersion,
    CreateDate: new Date(value.createdAtMs),
    UpdateDate: new Date(value.updatedAtMs),
    ...(value.description === undefined ? {} : { Description: value.description }),
    ...(Object.keys(value.tags).length === 0 ? {} : { Tags: tagList(value.tags) }),
  };
}

export function policies(iam: Iam) {
  return { ...wholePolicies(iam), ...policyVersions(iam), ...policyTags(iam) } satisfies Pick<Operations<typeof client>, Names>;
}

function wholePolicies(iam: Iam) {
  return {
    async CreatePolicy(context, { PolicyName = "", Path = "/", PolicyDocument = "", Description, Tags }) {
      checkedPolicy(PolicyDocument);
      const nowMs = iam.clock.now();
      const value: PolicyRecord = {
        id: uniqueId("ANPA", 17),
        path: Path,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
        defaultVersion: "v1",
        nextVersion: 2,
        versions: [{ id: "v1", document: PolicyDocument, createdAtMs: nowMs }],
        tags: tagRecord(Tags),
        ...(Description === undefined ? {} : { description: Description }),
      };
      const key = iamKey(context, POLICY_KIND, PolicyName);
      await create(iam, key, value, () => alreadyExists(`A policy called ${PolicyName} already exists. Duplicate names are not allowed.`));
      return { Policy: describe(iam, context, { key, revision: 0, value }) };
    },
    GetPolicy: (context, { PolicyArn = "" }) => ({ Policy: describe(iam, context, findPolicy(iam, context, PolicyArn)) }),
    ListPolicies(context, { Scope = "All", OnlyAttached = false, PathPrefix = "/" }) {
      const own = Scope === "AWS" ? [] : iam.policies.list(context.account, "", { limit: Infinity });
      const found = [...own, ...(Scope === "Local" ? [] : awsManagedPolicies())].map((one) => describe(iam, context, one));
      return {
        Policies: found.filter((one) => one.Path?.startsWith(PathPrefix) === true && (!OnlyAttached || (one.AttachmentCount ?? 0) > 0)),
        IsTruncated: false,
      };
    },
    async DeletePolicy(context, { PolicyArn = "" }) {
      const { key, value } = ownPolicy(iam, context, PolicyArn);
      const { roles, users } = attachments(iam, context, PolicyArn);
      if (roles.length + users.length > 0) throw new Fault(DeleteConflictException$, "Cannot delete a policy attached to entities.");
      if (value.versions.length > 1)
        throw new Fault(
          DeleteConflictException$,
          "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        );
      await iam.meta.write([{ key }]);
      return {};
    },
    ListEntitiesForPolicy(context, { PolicyArn = "" }) {
      findPolicy(iam, context, PolicyArn);
      const { roles, users } = attachments(iam, context, PolicyArn);
      return {
        PolicyGroups: [],
        PolicyRoles: roles.map(({ key, value }) => ({ RoleName: key.id, RoleId: value.id })),
        PolicyUsers: users.map(({ key, value }) => ({ UserName: key.id, UserId: value.id })),
        IsTruncated: false,
      };
    },
  } satisfies Pick<Operations<typeof client>, "CreatePolicy" | "GetPolicy" | "ListPolicies" | "DeletePolicy" | "ListEntitiesForPolicy">;
}

function policyVersions(iam: Iam) {
  return {
    CreatePolicyVersion: (context, input) => createPolicyVersion(iam, context, input),
    GetPolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      const found = findPolicy(iam, context, PolicyArn);
      if (!("key" in found)) {
        if (VersionId !== AWS_VERSION) throw noSuchEntity(`Policy ${PolicyArn} version ${VersionId} does not exist or is not attachable.`);
        return { PolicyVersion: { Document: encodedPolicy(JSON.stringify(found.document)), VersionId, IsDefaultVersion: true } };
      }
      const { id, document, createdAtMs } = versionOf(found.value, VersionId);
      return {
        PolicyVersion: {
          Document: encodedPolicy(document),
          VersionId: id,
          IsDefaultVersion: id === found.value.defaultVersion,
          CreateDate: new Date(createdAtMs),
        },
      };
    },
    ListPolicyVersions(context, { PolicyArn = "" }) {
      const found = findPolicy(iam, context, PolicyArn);
      if (!("key" in found)) return { Versions: [{ VersionId: AWS_VERSION, IsDefaultVersion: true }], IsTruncated: false };
      const { versions, defaultVersion } = found.value;
      return {
        Versions: versions
          .toReversed()
          .map(({ id, createdAtMs }) => ({ VersionId: id, IsDefaultVersion: id === defaultVersion, CreateDate: new Date(createdAtMs) })),
        IsTruncated: false,
      };
    },
    async DeletePolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      await change(
        iam,
        () => ownPolicy(iam, context, PolicyArn),
        (record) => {
          versionOf(record, VersionId);
          if (VersionId === record.defaultVersion)
            throw new Fault(DeleteConflictException$, "Cannot delete the default version of a policy.");
          return { ...record, versions: record.versions.filter((one) => one.id !== VersionId) };
        },
      );
      return {};
    },
    async SetDefaultPolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      await change(
        iam,
        () => ownPolicy(iam, context, PolicyArn),
        (record) => ({ ...record, defaultVersion: versionOf(record, VersionId).id }),
      );
      return {};
    },
  } satisfies Pick<
    Operations<typeof client>,
    "CreatePolicyVersion" | "GetPolicyVersion" | "ListPolicyVersions" | "DeletePolicyVersion" | "SetDefaultPolicyVersion"
  >;
}

function policyTags(iam: Iam) {
  return {
    async TagPolicy(context, { PolicyArn = "", Tags }) {
      await change(
        iam,
        () => ownPolicy(iam, context, PolicyArn),
        (record) => ({ ...record, tags: { ...record.tags, ...tagRecord(Tags) } }),
      );
      return {};
    },
    async UntagPolicy(context, { PolicyArn = "", TagKeys = [] }) {
      const kept = (record: PolicyRecord) => Object.fromEntries(Object.entries(record.tags).filter(([name]) => !TagKeys.includes(name)));
      await change(
        iam,
        () => ownPolicy(iam, context, PolicyArn),
        (record) => ({ ...record, tags: kept(record) }),
      );
      return {};
    },
    ListPolicyTags: (context, { PolicyArn = "" }) => ({ Tags: tagList(ownPolicy(iam, context, PolicyArn).value.tags), IsTruncated: false }),
  } satisfies Pick<Operations<typeof client>, "TagPolicy" | "UntagPolicy" | "ListPolicyTags">;
}

async function createPolicyVersion(
  iam: Iam,
  context: Context,
  { PolicyArn = "", PolicyDocument = "", SetAsDefault = false }: client.CreatePolicyVersionCommandInput,
) {
  checkedPolicy(PolicyDocument);
  const nowMs = iam.clock.now();
  const value = await change(
    iam,
    () => ownPolicy(iam, context, PolicyArn),
    (record) => {
      if (record.versions.length >= VERSIONS_MAX)
        throw limitExceeded(
          "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
        );
      const id = `v${record.nextVersion}`;
      return {
        ...record,
        updatedAtMs: nowMs,
        nextVersion: record.nextVersion + 1,
        defaultVersion: SetAsDefault ? id : record.defaultVersion,
        versions: [...record.versions, { id, document: PolicyDocument, createdAtMs: nowMs }],
      };
    },
  );
  return { PolicyVersion: { VersionId: `v${value.nextVersion - 1}`, IsDefaultVersion: SetAsDefault, CreateDate: new Date(nowMs) } };
}
