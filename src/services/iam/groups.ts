// Groups and who is in them; a user has the policies of all of its groups.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  alreadyExists,
  change,
  create,
  deleteConflict,
  GROUP_KIND,
  iamKey,
  limitExceeded,
  noSuchEntity,
  page,
  pageOf,
  touch,
  transact,
  uniqueId,
  type GroupRecord,
  type Iam,
  type UserRecord,
} from "./model.ts";
import { describedUser, findUser } from "./users.ts";

type Names =
  | "CreateGroup"
  | "GetGroup"
  | "ListGroups"
  | "UpdateGroup"
  | "DeleteGroup"
  | "AddUserToGroup"
  | "RemoveUserFromGroup"
  | "ListGroupsForUser";

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const GROUPS_PER_USER_MAX = 10;

export const groupArn = (account: string, { path }: Pick<GroupRecord, "path">, name: string): string =>
  `arn:aws:iam::${account}:group${path}${name}`;

export function findGroup(iam: Iam, context: Pick<Context, "account">, name: string): Entry<GroupRecord> {
  const entry = iam.groups.get(context.account, "", name);
  if (entry === undefined) throw noSuchEntity(`The group with name ${name} cannot be found.`);
  return entry;
}

function described({ key, value }: Pick<Entry<GroupRecord>, "key" | "value">): client.Group {
  return {
    Path: value.path,
    GroupName: key.id,
    GroupId: value.id,
    Arn: groupArn(key.account, value, key.id),
    CreateDate: new Date(value.createdAtMs),
  };
}

const membersOf = (iam: Iam, { account }: Pick<Context, "account">, group: string): Entry<UserRecord>[] =>
  iam.users.list(account, "", { limit: Infinity }).filter(({ value }) => value.groups?.includes(group) === true);

export function groups(iam: Iam) {
  return {
    async CreateGroup(context, { GroupName = "", Path = "/" }) {
      const value: GroupRecord = { id: uniqueId("AGPA", 17), path: Path, createdAtMs: iam.clock.now(), inline: {}, attached: [] };
      const key = iamKey(context, GROUP_KIND, GroupName);
      await create(iam, iam.groups, key, value, () => alreadyExists(`Group with name ${GroupName} already exists.`));
      return { Group: described({ key, value }) };
    },
    GetGroup(context, { GroupName = "", ...input }) {
      const Group = described(findGroup(iam, context, GroupName));
      const { found, more } = page("GetGroup", membersOf(iam, context, GroupName), ({ key }) => key.id, input);
      return { Group, Users: found.map(describedUser), ...more };
    },
    ListGroups(context, input) {
      const { found, more } = pageOf("ListGroups", iam.groups, context, input);
      return { Groups: found.map(described), ...more };
    },
    UpdateGroup: (context, input) => updateGroup(iam, context, input),
    DeleteGroup: (context, { GroupName = "" }) =>
      transact(iam, () => {
        const { key, revision, value } = findGroup(iam, context, GroupName);
        if (membersOf(iam, context, GroupName).length > 0)
          throw deleteConflict("Cannot delete entity, must remove users from group first.");
        if (value.attached.length > 0) throw deleteConflict("Cannot delete entity, must detach all policies first.");
        if (Object.keys(value.inline).length > 0) throw deleteConflict("Cannot delete entity, must delete policies first.");
        return { writes: [{ key, expect: revision }], result: {} };
      }),
    AddUserToGroup: (context, { GroupName = "", UserName = "" }) =>
      transact(iam, () => {
        const group = findGroup(iam, context, GroupName);
        const { key, revision, value } = findUser(iam, context, UserName);
        const joined = [...new Set([...(value.groups ?? []), GroupName])].toSorted();
        if (joined.length > GROUPS_PER_USER_MAX) throw limitExceeded(`Cannot exceed quota for GroupsPerUser: ${GROUPS_PER_USER_MAX}`);
        // The group too: it must not be deleted at the same moment.
        return { writes: [{ key, value: { ...value, groups: joined }, expect: revision }, touch(group)], result: {} };
      }),
    async RemoveUserFromGroup(context, { GroupName = "", UserName = "" }) {
      findGroup(iam, context, GroupName);
      const leave = (record: UserRecord): UserRecord => {
        if (record.groups?.includes(GroupName) !== true) throw noSuchEntity(`User ${UserName} is not in group ${GroupName}.`);
        return { ...record, groups: record.groups.filter((one) => one !== GroupName) };
      };
      await change(iam, () => findUser(iam, context, UserName), leave);
      return {};
    },
    ListGroupsForUser(context, { UserName = "", ...input }) {
      const names = findUser(iam, context, UserName).value.groups ?? [];
      const { found, more } = page("ListGroupsForUser", names, (name) => name, input);
      return { Groups: found.map((name) => described(findGroup(iam, context, name))), ...more };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** With a new name its members move along, in one transaction. */
async function updateGroup(
  iam: Iam,
  context: Context,
  { GroupName = "", NewGroupName = GroupName, NewPath }: client.UpdateGroupCommandInput,
) {
  const isTaken = (name: string) =>
    iam.groups.list(context.account, "", { limit: Infinity }).some(({ key }) => key.id !== GroupName && key.id.toLowerCase() === name);
  return await transact(iam, () => {
    const { key, value: old, revision } = findGroup(iam, context, GroupName);
    const value: GroupRecord = { ...old, path: NewPath ?? old.path };
    if (NewGroupName === GroupName) return { writes: [{ key, value, expect: revision }], result: {} };
    if (isTaken(NewGroupName.toLowerCase())) throw alreadyExists(`Group with name ${NewGroupName} already exists.`);
    const members = membersOf(iam, context, GroupName).map((member) => ({
      key: member.key,
      value: { ...member.value, groups: (member.value.groups ?? []).map((one) => (one === GroupName ? NewGroupName : one)).toSorted() },
      expect: member.revision,
    }));
    const moved = { key: iamKey(context, GROUP_KIND, NewGroupName), value, expect: "absent" as const };
    return { writes: [{ key, expect: revision }, moved, ...members], result: {} };
  });
}
