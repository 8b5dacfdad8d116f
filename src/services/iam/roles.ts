// Roles: create, get, list, update, delete, their trust policies and tags.
import type * as client from "@aws-sdk/client-iam";
import { DeleteConflictException$ } from "@aws-sdk/client-iam";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  alreadyExists,
  change,
  checkedPolicy,
  create,
  encodedPolicy,
  iamKey,
  invalidInput,
  noSuchEntity,
  page,
  ROLE_KIND,
  tagList,
  tagRecord,
  uniqueId,
  type Iam,
  type RoleRecord,
} from "./model.ts";

const SESSION_SECONDS = 3600;

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

export const roleArn = (account: string, { path }: RoleRecord, name: string): string => `arn:aws:iam::${account}:role${path}${name}`;

export function findRole(iam: Iam, context: Pick<Context, "account">, name: string): Entry<RoleRecord> {
  const entry = iam.roles.get(context.account, "", name);
  if (entry === undefined) throw noSuchEntity(`The role with name ${name} cannot be found.`);
  return entry;
}

function describe({ key, value }: Entry<RoleRecord>): client.Role {
  return {
    Path: value.path,
    RoleName: key.id,
    RoleId: value.id,
    Arn: roleArn(key.account, value, key.id),
    CreateDate: new Date(value.createdAtMs),
    AssumeRolePolicyDocument: encodedPolicy(value.trust),
    MaxSessionDuration: value.sessionSecondsMax,
    ...(value.description === undefined ? {} : { Description: value.description }),
    ...(Object.keys(value.tags).length === 0 ? {} : { Tags: tagList(value.tags) }),
  };
}

export function roles(iam: Iam) {
  const edit = (context: Context, name: string, apply: (record: RoleRecord) => RoleRecord) =>
    change(iam, () => findRole(iam, context, name), apply);
  return {
    CreateRole: (context, input) => createRole(iam, context, input),
    GetRole: (context, { RoleName = "" }) => ({ Role: { ...describe(findRole(iam, context, RoleName)), RoleLastUsed: {} } }),
    ListRoles(context, input) {
      const { found, more } = page(iam.roles.list(context.account, "", { limit: Infinity }), input, (role) => role.path);
      return { Roles: found.map((entry) => ({ ...describe(entry), Tags: undefined })), ...more };
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
      await edit(context, RoleName, (record) => ({ ...record, description: Description }));
      return { Role: describe(findRole(iam, context, RoleName)) };
    },
    async UpdateAssumeRolePolicy(context, { RoleName = "", PolicyDocument = "" }) {
      checkedPolicy(PolicyDocument);
      await edit(context, RoleName, (record) => ({ ...record, trust: PolicyDocument }));
      return {};
    },
    async DeleteRole(context, { RoleName = "" }) {
      const { key, revision, value } = findRole(iam, context, RoleName);
      if (Object.keys(value.inline).length > 0)
        throw new Fault(DeleteConflictException$, "Cannot delete entity, must delete policies first.");
      if (value.attached.length > 0) throw new Fault(DeleteConflictException$, "Cannot delete entity, must detach all policies first.");
      await iam.meta.write([{ key, expect: revision }]);
      return {};
    },
    async TagRole(context, { RoleName = "", Tags }) {
      await edit(context, RoleName, (record) => ({ ...record, tags: { ...record.tags, ...tagRecord(Tags) } }));
      return {};
    },
    async UntagRole(context, { RoleName = "", TagKeys = [] }) {
      await edit(context, RoleName, (record) => ({
        ...record,
        tags: Object.fromEntries(Object.entries(record.tags).filter(([name]) => !TagKeys.includes(name))),
      }));
      return {};
    },
    ListRoleTags: (context, { RoleName = "" }) => ({ Tags: tagList(findRole(iam, context, RoleName).value.tags), IsTruncated: false }),
    // Instance profiles belong to machines, which Lambent does not have; Terraform asks before it deletes a role.
    ListInstanceProfilesForRole: (context, { RoleName = "" }) => (
      findRole(iam, context, RoleName),
      { InstanceProfiles: [], IsTruncated: false }
    ),
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createRole(iam: Iam, context: Context, input: client.CreateRoleCommandInput) {
  const {
    RoleName = "",
    Path = "/",
    AssumeRolePolicyDocument = "",
    Description,
    MaxSessionDuration = SESSION_SECONDS,
    Tags,
    PermissionsBoundary,
  } = input;
  if (PermissionsBoundary !== undefined)
    throw invalidInput("Lambent does not evaluate permissions boundaries: leave out PermissionsBoundary.");
  checkedPolicy(AssumeRolePolicyDocument);
  const record: RoleRecord = {
    id: uniqueId("AROA", 17),
    path: Path,
    createdAtMs: iam.clock.now(),
    trust: AssumeRolePolicyDocument,
    sessionSecondsMax: MaxSessionDuration,
    inline: {},
    attached: [],
    tags: tagRecord(Tags),
    ...(Description === undefined ? {} : { description: Description }),
  };
  const key = iamKey(context, ROLE_KIND, RoleName);
  await create(iam, key, record, () => alreadyExists(`Role with name ${RoleName} already exists.`));
  return { Role: describe({ key, revision: 0, value: record }) };
}
