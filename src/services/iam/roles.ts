// Roles: create, get, list, update, delete, their trust policies and tags.
import type * as client from "@aws-sdk/client-iam";
import { UnmodifiableEntityException$ } from "@aws-sdk/client-iam";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  alreadyExists,
  change,
  checkedPolicy,
  create,
  deleteConflict,
  encodedPolicy,
  iamKey,
  invalidInput,
  limitExceeded,
  noSuchEntity,
  pageOf,
  policyLength,
  ROLE_KIND,
  tagMember,
  tagPage,
  transact,
  uniqueId,
  withoutTags,
  withTags,
  type Iam,
  type RoleRecord,
} from "./model.ts";

const SESSION_SECONDS = 3600;
/** Of roles that belong to a service. */
export const SERVICE_ROLE_PATH = "/aws-service-role/";
/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const TRUST_LENGTH_MAX = 2_048;

type Names =
  | "CreateRole"
  | "GetRole"
  | "ListRoles"
  | "UpdateRole"
  | "UpdateRoleDescription"
  | "UpdateAssumeRolePolicy"
  | "DeleteRole"
  | "TagRole"
  | "UntagRole"
  | "ListRoleTags"
  | "ListInstanceProfilesForRole";

export const roleArn = (account: string, { path }: Pick<RoleRecord, "path">, name: string): string =>
  `arn:aws:iam::${account}:role${path}${name}`;

export function findRole(iam: Iam, context: Pick<Context, "account">, name: string): Entry<RoleRecord> {
  const entry = iam.roles.get(context.account, "", name);
  if (entry === undefined) throw noSuchEntity(`The role with name ${name} cannot be found.`);
  return entry;
}

export function describedRole({ key, value }: Pick<Entry<RoleRecord>, "key" | "value">): client.Role {
  return {
    Path: value.path,
    RoleName: key.id,
    RoleId: value.id,
    Arn: roleArn(key.account, value, key.id),
    CreateDate: new Date(value.createdAtMs),
    AssumeRolePolicyDocument: encodedPolicy(value.trust),
    ...(value.description === undefined ? {} : { Description: value.description }),
    MaxSessionDuration: value.sessionSecondsMax,
  };
}

const whole = (entry: Pick<Entry<RoleRecord>, "key" | "value">): client.Role => ({
  ...describedRole(entry),
  ...tagMember(entry.value.tags),
});

export const isServiceLinked = ({ path }: Pick<RoleRecord, "path">): boolean => path.startsWith(SERVICE_ROLE_PATH);

/** Throws UnmodifiableEntity. */
function refuseServiceLinked(record: RoleRecord, name: string): void {
  if (!isServiceLinked(record)) return;
  throw new Fault(
    UnmodifiableEntityException$,
    `Cannot perform the operation on the protected role '${name}' - this role is only modifiable by AWS`,
  );
}

/** A role that can be changed: none of a service's. */
export function findOwnRole(iam: Iam, context: Pick<Context, "account">, name: string): Entry<RoleRecord> {
  const found = findRole(iam, context, name);
  refuseServiceLinked(found.value, name);
  return found;
}

function checkTrust(text: string): void {
  checkedPolicy(text, "trust");
  if (policyLength(text) > TRUST_LENGTH_MAX) throw limitExceeded(`Cannot exceed quota for ACLSizePerRole: ${TRUST_LENGTH_MAX}`);
}

export function roles(iam: Iam) {
  const edit = (context: Context, name: string, apply: (record: RoleRecord) => RoleRecord) =>
    change(iam, () => findOwnRole(iam, context, name), apply);
  return {
    CreateRole: (context, input) => createRole(iam, context, input),
    GetRole: (context, { RoleName = "" }) => ({ Role: { ...whole(findRole(iam, context, RoleName)), RoleLastUsed: {} } }),
    // Without their tags, as AWS lists them.
    ListRoles(context, input) {
      const { found, more } = pageOf("ListRoles", iam.roles, context, input);
      return { Roles: found.map(describedRole), ...more };
    },
    async UpdateRole(context, { RoleName = "", Description, MaxSessionDuration }) {
      await edit(context, RoleName, (record) => ({
        ...record,
        ...(Description === undefined ? {} : { description: Description }),
        ...(MaxSessionDuration === undefined ? {} : { sessionSecondsMax: MaxSessionDuration }),
      }));
      return {};
    },
    async UpdateRoleDescription(context, { RoleName = "", Description = "" }) {
      const value = await edit(context, RoleName, (record) => ({ ...record, description: Description }));
      return { Role: whole({ key: iamKey(context, ROLE_KIND, RoleName), value }) };
    },
    async UpdateAssumeRolePolicy(context, { RoleName = "", PolicyDocument = "" }) {
      findOwnRole(iam, context, RoleName);
      checkTrust(PolicyDocument);
      await edit(context, RoleName, (record) => ({ ...record, trust: PolicyDocument }));
      return {};
    },
    DeleteRole: (context, { RoleName = "" }) =>
      transact(iam, () => {
        const { key, revision, value } = findOwnRole(iam, context, RoleName);
        if (value.attached.length > 0) throw deleteConflict("Cannot delete entity, must detach all policies first.");
        if (Object.keys(value.inline).length > 0) throw deleteConflict("Cannot delete entity, must delete policies first.");
        return { writes: [{ key, expect: revision }], result: {} };
      }),
    async TagRole(context, { RoleName = "", Tags }) {
      await edit(context, RoleName, (record) => ({ ...record, tags: withTags(record.tags, Tags) }));
      return {};
    },
    async UntagRole(context, { RoleName = "", TagKeys }) {
      await edit(context, RoleName, (record) => ({ ...record, tags: withoutTags(record.tags, TagKeys) }));
      return {};
    },
    ListRoleTags: (context, { RoleName = "", ...input }) =>
      tagPage("ListRoleTags", { tags: findRole(iam, context, RoleName).value.tags, ...input }),
    // Instance profiles belong to machines, which Lambent does not have; Terraform asks before it deletes a role.
    ListInstanceProfilesForRole(context, { RoleName = "" }) {
      findRole(iam, context, RoleName);
      return { InstanceProfiles: [], IsTruncated: false };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createRole(iam: Iam, context: Context, input: client.CreateRoleCommandInput) {
  const { RoleName = "", Path = "/", AssumeRolePolicyDocument = "", Description, Tags, PermissionsBoundary } = input;
  if (PermissionsBoundary !== undefined)
    throw invalidInput("Lambent does not evaluate permissions boundaries: leave out PermissionsBoundary.");
  checkTrust(AssumeRolePolicyDocument);
  const value: RoleRecord = {
    id: uniqueId("AROA", 17),
    path: Path,
    createdAtMs: iam.clock.now(),
    trust: AssumeRolePolicyDocument,
    sessionSecondsMax: input.MaxSessionDuration ?? SESSION_SECONDS,
    inline: {},
    attached: [],
    tags: withTags({}, Tags),
    ...(Description === undefined ? {} : { description: Description }),
  };
  const key = iamKey(context, ROLE_KIND, RoleName);
  await create(iam, iam.roles, key, value, () => alreadyExists(`Role with name ${RoleName} already exists.`));
  return { Role: whole({ key, value }) };
}
