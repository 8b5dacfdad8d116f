// Users and their tags.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  alreadyExists,
  change,
  create,
  deleteConflict,
  iamKey,
  invalidInput,
  noSuchEntity,
  pageOf,
  tagMember,
  tagPage,
  transact,
  uniqueId,
  USER_KIND,
  withoutTags,
  withTags,
  type AccessKeyRecord,
  type Iam,
  type UserRecord,
} from "./model.ts";

type Names = "CreateUser" | "GetUser" | "ListUsers" | "UpdateUser" | "DeleteUser" | "TagUser" | "UntagUser" | "ListUserTags";

export const userArn = (account: string, { path }: Pick<UserRecord, "path">, name: string): string =>
  `arn:aws:iam::${account}:user${path}${name}`;

export function findUser(iam: Iam, context: Pick<Context, "account">, name: string): Entry<UserRecord> {
  const entry = iam.users.get(context.account, "", name);
  if (entry === undefined) throw noSuchEntity(`The user with name ${name} cannot be found.`);
  return entry;
}

/** The user that a request without a name means: the caller. */
export function namedUser(context: Context, name: string | undefined): string {
  if (name !== undefined) return name;
  if (context.caller.kind !== "user") throw invalidInput("Must specify userName when calling with non-User credentials");
  return context.caller.arn.slice(context.caller.arn.lastIndexOf("/") + 1);
}

export const keysOf = (iam: Iam, account: string, user: string): Entry<AccessKeyRecord>[] =>
  iam.accessKeys.list(account, "", { limit: Infinity }).filter((entry) => entry.value.user === user);

export function describedUser({ key, value }: Pick<Entry<UserRecord>, "key" | "value">): client.User {
  return {
    Path: value.path,
    UserName: key.id,
    UserId: value.id,
    Arn: userArn(key.account, value, key.id),
    CreateDate: new Date(value.createdAtMs),
  };
}

const whole = (entry: Pick<Entry<UserRecord>, "key" | "value">): client.User => ({
  ...describedUser(entry),
  ...tagMember(entry.value.tags),
});

export function users(iam: Iam) {
  const edit = (context: Context, name: string, apply: (record: UserRecord) => UserRecord) =>
    change(iam, () => findUser(iam, context, name), apply);
  return {
    CreateUser: (context, input) => createUser(iam, context, input),
    GetUser(context, { UserName }) {
      // Asked without a name by the account's root, AWS describes the root.
      if (UserName === undefined && context.caller.kind === "root")
        return { User: { Path: "/", UserName: "root", UserId: context.account, Arn: context.caller.arn, CreateDate: new Date(0) } };
      return { User: whole(findUser(iam, context, namedUser(context, UserName))) };
    },
    // Without their tags, as AWS lists them.
    ListUsers(context, input) {
      const { found, more } = pageOf("ListUsers", iam.users, context, input);
      return { Users: found.map(describedUser), ...more };
    },
    UpdateUser: (context, input) => updateUser(iam, context, input),
    DeleteUser: (context, { UserName = "" }) =>
      transact(iam, () => {
        const { key, revision, value } = findUser(iam, context, UserName);
        if (keysOf(iam, context.account, UserName).length > 0) throw deleteConflict("Cannot delete entity, must delete access keys first.");
        if ((value.groups ?? []).length > 0) throw deleteConflict("Cannot delete entity, must remove users from group first.");
        if (value.attached.length > 0) throw deleteConflict("Cannot delete entity, must detach all policies first.");
        if (Object.keys(value.inline).length > 0) throw deleteConflict("Cannot delete entity, must delete policies first.");
        return { writes: [{ key, expect: revision }], result: {} };
      }),
    async TagUser(context, { UserName = "", Tags }) {
      await edit(context, UserName, (record) => ({ ...record, tags: withTags(record.tags, Tags) }));
      return {};
    },
    async UntagUser(context, { UserName = "", TagKeys }) {
      await edit(context, UserName, (record) => ({ ...record, tags: withoutTags(record.tags, TagKeys) }));
      return {};
    },
    ListUserTags: (context, { UserName = "", ...input }) =>
      tagPage("ListUserTags", { tags: findUser(iam, context, UserName).value.tags, ...input }),
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createUser(iam: Iam, context: Context, input: client.CreateUserCommandInput) {
  const { UserName = "", Path = "/", Tags, PermissionsBoundary } = input;
  if (PermissionsBoundary !== undefined)
    throw invalidInput("Lambent does not evaluate permissions boundaries: leave out PermissionsBoundary.");
  const createdAtMs = iam.clock.now();
  const value: UserRecord = { id: uniqueId("AIDA", 17), path: Path, createdAtMs, inline: {}, attached: [], tags: withTags({}, Tags) };
  const key = iamKey(context, USER_KIND, UserName);
  await create(iam, iam.users, key, value, () => alreadyExists(`User with name ${UserName} already exists.`));
  return { User: whole({ key, value }) };
}

/** A new name takes the user's keys along; who they are stays the same. */
async function updateUser(iam: Iam, context: Context, { UserName = "", NewUserName = UserName, NewPath }: client.UpdateUserCommandInput) {
  const isTaken = (name: string) =>
    iam.users.list(context.account, "", { limit: Infinity }).some(({ key }) => key.id !== UserName && key.id.toLowerCase() === name);
  return await transact(iam, () => {
    const { key, value: old, revision } = findUser(iam, context, UserName);
    const value: UserRecord = { ...old, path: NewPath ?? old.path };
    if (NewUserName === UserName) return { writes: [{ key, value, expect: revision }], result: {} };
    if (isTaken(NewUserName.toLowerCase())) throw alreadyExists(`User with name ${NewUserName} already exists.`);
    const keys = keysOf(iam, context.account, UserName).map((entry) => ({
      key: entry.key,
      value: { ...entry.value, user: NewUserName },
      expect: entry.revision,
    }));
    const moved = { key: iamKey(context, USER_KIND, NewUserName), value, expect: "absent" as const };
    return { writes: [{ key, expect: revision }, moved, ...keys], result: {} };
  });
}
