// Users and their access keys.
import { randomBytes } from "node:crypto";
import type * as client from "@aws-sdk/client-iam";
import { DeleteConflictException$ } from "@aws-sdk/client-iam";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  ACCESS_KEY_KIND,
  alreadyExists,
  change,
  create,
  iamKey,
  invalidInput,
  limitExceeded,
  noSuchEntity,
  page,
  tagList,
  tagRecord,
  uniqueId,
  USER_KIND,
  type AccessKeyRecord,
  type Iam,
  type UserRecord,
} from "./model.ts";

const KEYS_PER_USER_MAX = 2;

type UserNames = "CreateUser" | "GetUser" | "ListUsers" | "DeleteUser" | "TagUser" | "UntagUser" | "ListUserTags";
type AccessKeyNames = "CreateAccessKey" | "ListAccessKeys" | "UpdateAccessKey" | "DeleteAccessKey";

export const userArn = (account: string, { path }: UserRecord, name: string): string => `arn:aws:iam::${account}:user${path}${name}`;

export function findUser(iam: Iam, context: Pick<Context, "account">, name: string): Entry<UserRecord> {
  const entry = iam.users.get(context.account, "", name);
  if (entry === undefined) throw noSuchEntity(`The user with name ${name} cannot be found.`);
  return entry;
}

/** The user that a request without a name means: the caller. */
function namedUser(context: Context, name: string | undefined): string {
  if (name !== undefined) return name;
  if (context.caller.kind !== "user") throw invalidInput("Must specify userName when calling with non-User credentials");
  return context.caller.arn.slice(context.caller.arn.lastIndexOf("/") + 1);
}

function describe({ key, value }: Entry<UserRecord>): client.User {
  return {
    Path: value.path,
    UserName: key.id,
    UserId: value.id,
    Arn: userArn(key.account, value, key.id),
    CreateDate: new Date(value.createdAtMs),
    ...(Object.keys(value.tags).length === 0 ? {} : { Tags: tagList(value.tags) }),
  };
}

const keysOf = (iam: Iam, account: string, user: string) =>
  iam.accessKeys.list(account, "", { limit: Infinity }).filter((entry) => entry.value.user === user);

export const users = (iam: Iam) => ({ ...userOperations(iam), ...accessKeyOperations(iam) });

function userOperations(iam: Iam) {
  return {
    async CreateUser(context, { UserName = "", Path = "/", Tags }) {
      const value: UserRecord = {
        id: uniqueId("AIDA", 17),
        path: Path,
        createdAtMs: iam.clock.now(),
        inline: {},
        attached: [],
        tags: tagRecord(Tags),
      };
      const key = iamKey(context, USER_KIND, UserName);
      await create(iam, key, value, () => alreadyExists(`User with name ${UserName} already exists.`));
      return { User: describe({ key, revision: 0, value }) };
    },
    GetUser(context, { UserName }) {
      // Asked without a name by the account's root, AWS describes the root.
      if (UserName === undefined && context.caller.kind === "root")
        return { User: { Path: "/", UserName: "root", UserId: context.account, Arn: context.caller.arn, CreateDate: new Date(0) } };
      return { User: describe(findUser(iam, context, namedUser(context, UserName))) };
    },
    ListUsers(context, input) {
      const { found, more } = page(iam.users.list(context.account, "", { limit: Infinity }), input, (user) => user.path);
      return { Users: found.map((entry) => ({ ...describe(entry), Tags: undefined })), ...more };
    },
    async DeleteUser(context, { UserName = "" }) {
      const { key, revision, value } = findUser(iam, context, UserName);
      if (keysOf(iam, context.account, UserName).length > 0)
        throw new Fault(DeleteConflictException$, "Cannot delete entity, must delete access keys first.");
      if (Object.keys(value.inline).length > 0)
        throw new Fault(DeleteConflictException$, "Cannot delete entity, must delete policies first.");
      if (value.attached.length > 0) throw new Fault(DeleteConflictException$, "Cannot delete entity, must detach all policies first.");
      await iam.meta.write([{ key, expect: revision }]);
      return {};
    },
    async TagUser(context, { UserName = "", Tags }) {
      await change(
        iam,
        () => findUser(iam, context, UserName),
        (record) => ({ ...record, tags: { ...record.tags, ...tagRecord(Tags) } }),
      );
      return {};
    },
    async UntagUser(context, { UserName = "", TagKeys = [] }) {
      const kept = (record: UserRecord) => Object.fromEntries(Object.entries(record.tags).filter(([name]) => !TagKeys.includes(name)));
      await change(
        iam,
        () => findUser(iam, context, UserName),
        (record) => ({ ...record, tags: kept(record) }),
      );
      return {};
    },
    ListUserTags: (context, { UserName = "" }) => ({ Tags: tagList(findUser(iam, context, UserName).value.tags), IsTruncated: false }),
  } satisfies Pick<Operations<typeof client>, UserNames>;
}

function accessKeyOperations(iam: Iam) {
  const findKey = (context: Context, user: string, id: string): Entry<AccessKeyRecord> => {
    const entry = iam.accessKeys.get(context.account, "", id);
    if (entry === undefined || entry.value.user !== user) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`);
    return entry;
  };
  return {
    async CreateAccessKey(context, input) {
      const UserName = namedUser(context, input.UserName);
      findUser(iam, context, UserName);
      if (keysOf(iam, context.account, UserName).length >= KEYS_PER_USER_MAX)
        throw limitExceeded(`Cannot exceed quota for AccessKeysPerUser: ${KEYS_PER_USER_MAX}`);
      const AccessKeyId = uniqueId("AKIA", 16);
      const SecretAccessKey = randomBytes(30).toString("base64");
      const value: AccessKeyRecord = { user: UserName, secretAccessKey: SecretAccessKey, isActive: true, createdAtMs: iam.clock.now() };
      await create(iam, iamKey(context, ACCESS_KEY_KIND, AccessKeyId), value, () => alreadyExists("The access key already exists."));
      return { AccessKey: { UserName, AccessKeyId, Status: "Active", SecretAccessKey, CreateDate: new Date(value.createdAtMs) } };
    },
    ListAccessKeys(context, input) {
      const UserName = namedUser(context, input.UserName);
      findUser(iam, context, UserName);
      const AccessKeyMetadata = keysOf(iam, context.account, UserName).map(({ key, value }) => ({
        UserName,
        AccessKeyId: key.id,
        Status: value.isActive ? ("Active" as const) : ("Inactive" as const),
        CreateDate: new Date(value.createdAtMs),
      }));
      return { AccessKeyMetadata, IsTruncated: false };
    },
    async UpdateAccessKey(context, { UserName, AccessKeyId = "", Status }) {
      await change(
        iam,
        () => findKey(context, namedUser(context, UserName), AccessKeyId),
        (record) => ({ ...record, isActive: Status === "Active" }),
      );
      return {};
    },
    async DeleteAccessKey(context, { UserName, AccessKeyId = "" }) {
      const { key } = findKey(context, namedUser(context, UserName), AccessKeyId);
      await iam.meta.write([{ key }]);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, AccessKeyNames>;
}
