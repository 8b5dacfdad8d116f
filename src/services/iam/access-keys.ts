// The access keys of users.
import { randomBytes } from "node:crypto";
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import type { Entry } from "../../store/storage.ts";
import {
  ACCESS_KEY_KIND,
  change,
  iamKey,
  invalidInput,
  limitExceeded,
  noSuchEntity,
  page,
  touch,
  transact,
  uniqueId,
  type AccessKeyRecord,
  type Iam,
} from "./model.ts";
import { findUser, keysOf, namedUser } from "./users.ts";

const KEYS_PER_USER_MAX = 2;

type Names = "CreateAccessKey" | "ListAccessKeys" | "UpdateAccessKey" | "DeleteAccessKey";

function findKey(iam: Iam, context: Context, user: string, id: string): Entry<AccessKeyRecord> {
  findUser(iam, context, user);
  const entry = iam.accessKeys.get(context.account, "", id);
  if (entry === undefined || entry.value.user !== user) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`);
  return entry;
}

export function accessKeys(iam: Iam) {
  return {
    CreateAccessKey: (context, input) => createAccessKey(iam, context, namedUser(context, input.UserName)),
    ListAccessKeys(context, input) {
      const UserName = namedUser(context, input.UserName);
      findUser(iam, context, UserName);
      const { found, more } = page("ListAccessKeys", keysOf(iam, context.account, UserName), ({ key }) => key.id, input);
      const AccessKeyMetadata = found.map(({ key, value }): client.AccessKeyMetadata => ({
        UserName,
        AccessKeyId: key.id,
        Status: value.isActive ? "Active" : "Inactive",
        CreateDate: new Date(value.createdAtMs),
      }));
      return { AccessKeyMetadata, ...more };
    },
    async UpdateAccessKey(context, { UserName, AccessKeyId = "", Status }) {
      if (Status !== "Active" && Status !== "Inactive") throw invalidInput("The status of an access key is Active or Inactive.");
      const user = namedUser(context, UserName);
      await change(
        iam,
        () => findKey(iam, context, user, AccessKeyId),
        (record) => ({ ...record, isActive: Status === "Active" }),
      );
      return {};
    },
    DeleteAccessKey(context, { UserName, AccessKeyId = "" }) {
      const user = namedUser(context, UserName);
      return transact(iam, () => {
        const { key, revision } = findKey(iam, context, user, AccessKeyId);
        return { writes: [{ key, expect: revision }], result: {} };
      });
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createAccessKey(iam: Iam, context: Context, UserName: string) {
  const AccessKeyId = uniqueId("AKIA", 16);
  const SecretAccessKey = randomBytes(30).toString("base64");
  const createdAtMs = iam.clock.now();
  const value: AccessKeyRecord = { user: UserName, secretAccessKey: SecretAccessKey, isActive: true, createdAtMs };
  return await transact(iam, () => {
    const user = findUser(iam, context, UserName);
    if (keysOf(iam, context.account, UserName).length >= KEYS_PER_USER_MAX)
      throw limitExceeded(`Cannot exceed quota for AccessKeysPerUser: ${KEYS_PER_USER_MAX}`);
    const AccessKey = { UserName, AccessKeyId, Status: "Active" as const, SecretAccessKey, CreateDate: new Date(createdAtMs) };
    // The user too: it must not be deleted, nor get a third key, at the same moment.
    return {
      writes: [{ key: iamKey(context, ACCESS_KEY_KIND, AccessKeyId), value, expect: "absent" }, touch(user)],
      result: { AccessKey },
    };
  });
}
