// Users and their access keys as IAM's official client sees them.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  paginateListAccessKeys,
  paginateListAttachedUserPolicies,
  paginateListUserPolicies,
  paginateListUsers,
  paginateListUserTags,
  type AccessKey,
} from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import type { Credentials } from "../support/api.ts";
import { ACCOUNT, AWS_MANAGED, pagesOf, POLICY, startIamApi, TRUST } from "./iam.fixture.ts";

const UserName = "ann";
const NO_USER = "The user with name ann cannot be found.";
const INVALID_TOKEN = ["InvalidClientTokenId", 403, "The security token included in the request is invalid."] as const;

const credentialsOf = (key: AccessKey | undefined): Credentials => ({
  accessKeyId: key?.AccessKeyId ?? "",
  secretAccessKey: key?.SecretAccessKey ?? "",
});

async function startWithUser(t: TestContext) {
  const started = await startIamApi(t);
  await started.iam.createUser({ UserName });
  return started;
}

test("a user from its creation to its end, under two names", async (t) => {
  const { iam } = await startIamApi(t);
  const Tags = [{ Key: "team", Value: "a" }];
  const { User } = await iam.createUser({ UserName, Path: "/people/", Tags });
  assert.equal(User?.Arn, `arn:aws:iam::${ACCOUNT}:user/people/ann`);
  assert.match(User.UserId ?? "", /^AIDA[A-Z2-7]{17}$/);
  assert.deepEqual((await iam.getUser({ UserName })).User, User);
  await assertRefused(iam.createUser({ UserName: "Ann" }), "EntityAlreadyExistsException", 409, "User with name Ann already exists.");
  await iam.createUser({ UserName: "bob" });
  await assertRefused(iam.updateUser({ UserName, NewUserName: "bob" }), "EntityAlreadyExistsException", 409);
  await iam.updateUser({ UserName, NewUserName: "eve", NewPath: "/" });
  const { User: moved } = await iam.getUser({ UserName: "eve" });
  assert.deepEqual([moved?.Arn, moved?.UserId, moved?.Tags], [`arn:aws:iam::${ACCOUNT}:user/eve`, User.UserId, Tags]);
  assert.deepEqual((await iam.listGroupsForUser({ UserName: "eve" })).Groups, []);
  await iam.deleteUser({ UserName: "eve" });
  await assertRefused(iam.getUser({ UserName: "eve" }), "NoSuchEntityException", 404, "The user with name eve cannot be found.");
  await assertRefused(iam.createUser({ UserName, PermissionsBoundary: AWS_MANAGED }), "InvalidInputException", 400);
  await assertRefused(iam.createUser({ UserName: "" }), "ValidationError", 400, /'userName'.*length greater than or equal to 1/);
});

test("without a name, the caller is meant; sessions of roles have none", async (t) => {
  const { iam, as } = await startWithUser(t);
  const { User: root } = await iam.getUser({});
  assert.deepEqual([root?.Arn, root?.UserId], [`arn:aws:iam::${ACCOUNT}:root`, ACCOUNT]);
  const { AccessKey: key } = await iam.createAccessKey({ UserName });
  await iam.putUserPolicy({ UserName, PolicyName: "p", PolicyDocument: POLICY.replace("s3:Get*", "iam:*").replace(/"arn:[^"]*"/, '"*"') });
  const ann = as(credentialsOf(key));
  assert.equal((await ann.getUser({})).User?.UserName, UserName);
  assert.deepEqual(
    (await ann.listAccessKeys({})).AccessKeyMetadata?.map(({ AccessKeyId }) => AccessKeyId),
    [key?.AccessKeyId],
  );
  assert.equal((await ann.createAccessKey({})).AccessKey?.UserName, UserName);
  const needed = "Must specify userName when calling with non-User credentials";
  await assertRefused(iam.createAccessKey({}), "InvalidInputException", 400, needed);
  await assertRefused(iam.listAccessKeys({}), "InvalidInputException", 400, needed);
});

test("of a user that is not there, every operation says so", async (t) => {
  const { iam } = await startIamApi(t);
  const policy = { UserName, PolicyName: "p" };
  const attached = { UserName, PolicyArn: AWS_MANAGED };
  const key = { UserName, AccessKeyId: "AKIAIOSFODNN7EXAMPLE" };
  for (const call of [
    () => iam.getUser({ UserName }),
    () => iam.updateUser({ UserName, NewPath: "/" }),
    () => iam.deleteUser({ UserName }),
    () => iam.tagUser({ UserName, Tags: [] }),
    () => iam.untagUser({ UserName, TagKeys: [] }),
    () => iam.listUserTags({ UserName }),
    () => iam.listGroupsForUser({ UserName }),
    () => iam.putUserPolicy({ ...policy, PolicyDocument: POLICY }),
    () => iam.getUserPolicy(policy),
    () => iam.deleteUserPolicy(policy),
    () => iam.listUserPolicies({ UserName }),
    () => iam.attachUserPolicy(attached),
    () => iam.detachUserPolicy(attached),
    () => iam.listAttachedUserPolicies({ UserName }),
    () => iam.createAccessKey({ UserName }),
    () => iam.listAccessKeys({ UserName }),
    () => iam.updateAccessKey({ ...key, Status: "Active" }),
    () => iam.deleteAccessKey(key),
  ])
    await assertRefused(call(), "NoSuchEntityException", 404, NO_USER);
});

test("access keys: two at most, switched off and on, deleted; each counts at once", async (t) => {
  const { iam, as } = await startWithUser(t);
  const { AccessKey: key } = await iam.createAccessKey({ UserName });
  assert.match(key?.AccessKeyId ?? "", /^AKIA[A-Z2-7]{16}$/);
  assert.match(key?.SecretAccessKey ?? "", /^[A-Za-z0-9+/]{40}$/);
  const { AccessKey: second } = await iam.createAccessKey({ UserName });
  await assertRefused(iam.createAccessKey({ UserName }), "LimitExceededException", 409, "Cannot exceed quota for AccessKeysPerUser: 2");
  const pages = await pagesOf(paginateListAccessKeys({ client: iam, pageSize: 1 }, { UserName }), ({ AccessKeyMetadata }) =>
    AccessKeyMetadata?.map((one) => [one.AccessKeyId, one.Status]),
  );
  const ids = [key?.AccessKeyId ?? "", second?.AccessKeyId ?? ""].toSorted();
  assert.deepEqual(
    pages,
    ids.map((id) => [[id, "Active"]]),
  );

  const ann = as(credentialsOf(key));
  const denied = () => assertRefused(ann.listUsers({}), "AccessDenied", 403, /user\/ann is not authorized to perform: iam:ListUsers/);
  const update = (Status: "Active" | "Inactive") => iam.updateAccessKey({ UserName, AccessKeyId: key?.AccessKeyId, Status });
  await denied();
  await update("Inactive");
  await assertRefused(ann.listUsers({}), ...INVALID_TOKEN);
  await update("Active");
  await denied();
  await assertRefused(update("Off" as "Active"), "ValidationError", 400, /'status'.*enum value set: \[/);
  await assertRefused(update("Expired" as "Active"), "InvalidInputException", 400);
  await assertRefused(iam.deleteUser({ UserName }), "DeleteConflictException", 409, "Cannot delete entity, must delete access keys first.");
  for (const AccessKeyId of ids) await iam.deleteAccessKey({ UserName, AccessKeyId });
  await assertRefused(ann.listUsers({}), ...INVALID_TOKEN);
  for (const call of [() => update("Active"), () => iam.deleteAccessKey({ UserName, AccessKeyId: key?.AccessKeyId })])
    await assertRefused(call(), "NoSuchEntityException", 404, `The Access Key with id ${key?.AccessKeyId} cannot be found.`);
  await iam.deleteUser({ UserName });
});

test("policies of a user: inline, got as they were put, and managed", async (t) => {
  const { iam } = await startWithUser(t);
  for (const PolicyName of ["b", "a"]) await iam.putUserPolicy({ UserName, PolicyName, PolicyDocument: POLICY });
  const got = await iam.getUserPolicy({ UserName, PolicyName: "a" });
  assert.deepEqual([got.UserName, got.PolicyName, decodeURIComponent(got.PolicyDocument ?? "")], [UserName, "a", POLICY]);
  const inline = await pagesOf(paginateListUserPolicies({ client: iam, pageSize: 1 }, { UserName }), ({ PolicyNames }) => PolicyNames);
  assert.deepEqual(inline, [["a"], ["b"]]);
  await assertRefused(iam.putUserPolicy({ UserName, PolicyName: "c", PolicyDocument: TRUST }), "MalformedPolicyDocumentException", 400);
  await assertRefused(iam.deleteUser({ UserName }), "DeleteConflictException", 409, "Cannot delete entity, must delete policies first.");
  for (const PolicyName of ["b", "a"]) await iam.deleteUserPolicy({ UserName, PolicyName });
  for (const call of [() => iam.getUserPolicy({ UserName, PolicyName: "a" }), () => iam.deleteUserPolicy({ UserName, PolicyName: "a" })])
    await assertRefused(call(), "NoSuchEntityException", 404, "The user policy with name a cannot be found.");
  await iam.attachUserPolicy({ UserName, PolicyArn: AWS_MANAGED });
  const attached = await pagesOf(paginateListAttachedUserPolicies({ client: iam }, { UserName }), (page) => page.AttachedPolicies);
  assert.deepEqual(attached, [[{ PolicyName: "AdministratorAccess", PolicyArn: AWS_MANAGED }]]);
  await assertRefused(
    iam.deleteUser({ UserName }),
    "DeleteConflictException",
    409,
    "Cannot delete entity, must detach all policies first.",
  );
  await iam.detachUserPolicy({ UserName, PolicyArn: AWS_MANAGED });
  await assertRefused(iam.detachUserPolicy({ UserName, PolicyArn: AWS_MANAGED }), "NoSuchEntityException", 404);
  await assertRefused(iam.attachUserPolicy({ UserName, PolicyArn: `${AWS_MANAGED}x` }), "NoSuchEntityException", 404);
});

test("tags and lists of users, in pages", async (t) => {
  const { iam } = await startWithUser(t);
  await iam.tagUser({ UserName, Tags: ["b", "a", "c"].map((Key) => ({ Key, Value: "1" })) });
  await iam.untagUser({ UserName, TagKeys: ["C"] });
  const tags = await pagesOf(paginateListUserTags({ client: iam, pageSize: 1 }, { UserName }), ({ Tags }) => Tags);
  assert.deepEqual(tags, [[{ Key: "a", Value: "1" }], [{ Key: "b", Value: "1" }]]);
  for (const name of ["d", "c"]) await iam.createUser({ UserName: name, Path: "/x/" });
  const list = (input: object) =>
    pagesOf(paginateListUsers({ client: iam, pageSize: 2 }, input), ({ Users }) => Users?.map((user) => user.UserName));
  assert.deepEqual(await list({}), [["ann", "c"], ["d"]]);
  assert.deepEqual(await list({ PathPrefix: "/x/" }), [["c", "d"]]);
  await assertRefused(iam.listUsers({ PathPrefix: "x" }), "ValidationError", 400, /'pathPrefix'/);
});
