import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "../../aws/identity.ts";
import { ACCOUNT, policyText, refused, startIam, type Started } from "./iam.fixture.ts";

const callerOf = async ({ call }: Started, UserName: string): Promise<Caller> => {
  const { User } = await call("GetUser", { UserName });
  return { kind: "user", account: ACCOUNT, arn: User?.Arn ?? "", userId: User?.UserId ?? "", accessKeyId: "AKIA" };
};

test("a user from its creation to its end", async (t) => {
  const started = await startIam(t);
  const { call, clock } = started;
  const { User } = await call("CreateUser", { UserName: "ann", Path: "/team/", Tags: [{ Key: "a", Value: "b" }] });
  const { UserId, ...rest } = User ?? {};
  assert.match(UserId ?? "", /^AIDA[A-Z2-7]{17}$/);
  assert.deepEqual(rest, {
    Path: "/team/",
    UserName: "ann",
    Arn: "arn:aws:iam::000000000000:user/team/ann",
    CreateDate: new Date(clock.now()),
    Tags: [{ Key: "a", Value: "b" }],
  });
  assert.equal((await call("GetUser", {}, await callerOf(started, "ann"))).User?.UserName, "ann");
  assert.equal((await call("GetUser", {})).User?.Arn, "arn:aws:iam::000000000000:root");
  assert.deepEqual(
    (await call("ListUsers", { PathPrefix: "/team/" })).Users?.map(({ UserName }) => UserName),
    ["ann"],
  );
  await call("TagUser", { UserName: "ann", Tags: [{ Key: "c", Value: "d" }] });
  await call("UntagUser", { UserName: "ann", TagKeys: ["a"] });
  assert.deepEqual((await call("ListUserTags", { UserName: "ann" })).Tags, [{ Key: "c", Value: "d" }]);
  assert.deepEqual((await call("ListGroupsForUser", { UserName: "ann" })).Groups, []);
  await call("DeleteUser", { UserName: "ann" });
  await refused(call("GetUser", { UserName: "ann" }), "NoSuchEntity", "The user with name ann cannot be found.");
});

test("what is missing or taken is named", async (t) => {
  const { call } = await startIam(t);
  const UserName = "x";
  const missing = "The user with name x cannot be found.";
  await refused(call("UpdateUser", { UserName }), "NoSuchEntity", missing);
  await refused(call("DeleteUser", { UserName }), "NoSuchEntity", missing);
  await refused(call("TagUser", { UserName, Tags: [] }), "NoSuchEntity", missing);
  await refused(call("UntagUser", { UserName, TagKeys: [] }), "NoSuchEntity", missing);
  await refused(call("ListUserTags", { UserName }), "NoSuchEntity", missing);
  await refused(call("ListGroupsForUser", { UserName }), "NoSuchEntity", missing);
  for (const operation of ["CreateAccessKey", "ListAccessKeys"] as const)
    await refused(call(operation, { UserName }), "NoSuchEntity", missing);
  await refused(call("UpdateAccessKey", { UserName, AccessKeyId: "AKIA", Status: "Active" }), "NoSuchEntity", missing);
  await refused(call("DeleteAccessKey", { UserName, AccessKeyId: "AKIA" }), "NoSuchEntity", missing);
  await refused(call("CreateAccessKey", {}), "InvalidInput", "Must specify userName when calling with non-User credentials");
  await call("CreateUser", { UserName });
  await refused(call("CreateUser", { UserName: "X" }), "EntityAlreadyExists", "User with name X already exists.");
  await refused(call("CreateUser", { UserName: "y", PermissionsBoundary: "arn:aws:iam::aws:policy/AdministratorAccess" }), "InvalidInput");
});

test("access keys: made, listed, switched off, deleted", async (t) => {
  const started = await startIam(t);
  const { call, iam } = started;
  await call("CreateUser", { UserName: "ann" });
  await call("CreateUser", { UserName: "bob" });
  const { AccessKey } = await call("CreateAccessKey", { UserName: "ann" });
  const { AccessKeyId = "", SecretAccessKey = "" } = AccessKey ?? {};
  assert.match(AccessKeyId, /^AKIA[A-Z2-7]{16}$/);
  assert.match(SecretAccessKey, /^[A-Za-z0-9+/]{40}$/);
  const credential = () => iam.identities.credential(AccessKeyId, undefined);
  const found = credential();
  assert.ok(typeof found === "object");
  assert.deepEqual([found.secretAccessKey, found.caller.arn], [SecretAccessKey, "arn:aws:iam::000000000000:user/ann"]);
  const own = await call("CreateAccessKey", {}, await callerOf(started, "ann"));
  await refused(call("CreateAccessKey", { UserName: "ann" }), "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2");
  const listed = await call("ListAccessKeys", { UserName: "ann", MaxItems: 1 });
  assert.deepEqual([listed.AccessKeyMetadata?.length, listed.IsTruncated], [1, true]);
  assert.doesNotMatch(
    JSON.stringify(await call("ListAccessKeys", { UserName: "ann" })),
    new RegExp(SecretAccessKey.slice(0, 10).replaceAll("+", "\\+")),
  );
  await call("UpdateAccessKey", { UserName: "ann", AccessKeyId, Status: "Inactive" });
  assert.equal(credential(), "unknown-key");
  await call("UpdateAccessKey", { UserName: "ann", AccessKeyId, Status: "Active" });
  assert.equal(typeof credential(), "object");
  await refused(call("UpdateAccessKey", { UserName: "ann", AccessKeyId, Status: "Expired" }), "InvalidInput");
  await refused(
    call("UpdateAccessKey", { UserName: "bob", AccessKeyId, Status: "Inactive" }),
    "NoSuchEntity",
    `The Access Key with id ${AccessKeyId} cannot be found.`,
  );
  await refused(call("DeleteAccessKey", { UserName: "bob", AccessKeyId }), "NoSuchEntity");
  await refused(call("DeleteUser", { UserName: "ann" }), "DeleteConflict", "Cannot delete entity, must delete access keys first.");
  for (const id of [AccessKeyId, own.AccessKey?.AccessKeyId ?? ""]) await call("DeleteAccessKey", { UserName: "ann", AccessKeyId: id });
  assert.equal(credential(), "unknown-key");
  await call("DeleteUser", { UserName: "ann" });
});

test("a user never gets a third key, nor a key while it is being deleted", async (t) => {
  const { call, iam } = await startIam(t);
  await call("CreateUser", { UserName: "ann" });
  const made = await Promise.allSettled(Array.from({ length: 6 }, () => call("CreateAccessKey", { UserName: "ann" })));
  assert.equal(made.filter(({ status }) => status === "fulfilled").length, 2);
  await call("CreateUser", { UserName: "bob" });
  const [deleted, key] = await Promise.allSettled([call("DeleteUser", { UserName: "bob" }), call("CreateAccessKey", { UserName: "bob" })]);
  assert.notEqual(deleted.status, key.status);
  if (key.status === "rejected") await call("CreateUser", { UserName: "bob" });
  const count = (await call("ListAccessKeys", { UserName: "bob" })).AccessKeyMetadata?.length;
  assert.equal(count, key.status === "fulfilled" ? 1 : 0);
  assert.equal(iam.identities.credential("AKIANONE", undefined), "unknown-key");
});

test("a renamed user keeps its id, keys and policies", async (t) => {
  const { call, iam } = await startIam(t);
  const { User } = await call("CreateUser", { UserName: "ann" });
  const { AccessKey } = await call("CreateAccessKey", { UserName: "ann" });
  await call("PutUserPolicy", { UserName: "ann", PolicyName: "p", PolicyDocument: policyText() });
  await call("CreateUser", { UserName: "bob" });
  await refused(call("UpdateUser", { UserName: "ann", NewUserName: "BOB" }), "EntityAlreadyExists", "User with name BOB already exists.");
  await call("UpdateUser", { UserName: "ann", NewUserName: "Ann", NewPath: "/x/" });
  await refused(call("GetUser", { UserName: "ann" }), "NoSuchEntity");
  const renamed = (await call("GetUser", { UserName: "Ann" })).User;
  assert.deepEqual([renamed?.UserId, renamed?.Arn], [User?.UserId, "arn:aws:iam::000000000000:user/x/Ann"]);
  const found = iam.identities.credential(AccessKey?.AccessKeyId ?? "", undefined);
  assert.ok(typeof found === "object");
  assert.equal(found.caller.arn, "arn:aws:iam::000000000000:user/x/Ann");
  assert.equal(iam.identities.policies(found.caller).identity.length, 1);
  await call("UpdateUser", { UserName: "Ann", NewPath: "/" });
  assert.equal((await call("GetUser", { UserName: "Ann" })).User?.Path, "/");
});

test("a user with policies is not deleted", async (t) => {
  const { call } = await startIam(t);
  await call("CreateUser", { UserName: "ann" });
  await call("PutUserPolicy", { UserName: "ann", PolicyName: "p", PolicyDocument: policyText() });
  await refused(call("DeleteUser", { UserName: "ann" }), "DeleteConflict", "Cannot delete entity, must delete policies first.");
  await call("DeleteUserPolicy", { UserName: "ann", PolicyName: "p" });
  await call("AttachUserPolicy", { UserName: "ann", PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess" });
  await refused(call("DeleteUser", { UserName: "ann" }), "DeleteConflict", "Cannot delete entity, must detach all policies first.");
});
