// Groups as IAM's official client sees them: their life, who is in them, and that their policies count.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { paginateGetGroup, paginateListGroups, paginateListGroupsForUser } from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, AWS_MANAGED, pagesOf, POLICY, startIamApi } from "./iam.fixture.ts";

const GroupName = "devs";
const UserName = "ann";
const NO_GROUP = "The group with name devs cannot be found.";
const READ = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "iam:GetUser", Resource: "*" }] });

async function startWithMember(t: TestContext) {
  const started = await startIamApi(t);
  await started.iam.createGroup({ GroupName });
  await started.iam.createUser({ UserName });
  await started.iam.addUserToGroup({ GroupName, UserName });
  return started;
}

test("a group from its creation to its end, under two names; its members move along", async (t) => {
  const { iam } = await startIamApi(t);
  const { Group } = await iam.createGroup({ GroupName, Path: "/teams/" });
  assert.equal(Group?.Arn, `arn:aws:iam::${ACCOUNT}:group/teams/devs`);
  assert.match(Group.GroupId ?? "", /^AGPA[A-Z2-7]{17}$/);
  await assertRefused(iam.createGroup({ GroupName: "Devs" }), "EntityAlreadyExistsException", 409, "Group with name Devs already exists.");
  await iam.createUser({ UserName });
  await iam.addUserToGroup({ GroupName, UserName });
  await iam.addUserToGroup({ GroupName, UserName });
  const { Users } = await iam.getGroup({ GroupName });
  assert.deepEqual(
    Users?.map((one) => one.UserName),
    [UserName],
  );
  await iam.createGroup({ GroupName: "ops" });
  await assertRefused(iam.updateGroup({ GroupName, NewGroupName: "ops" }), "EntityAlreadyExistsException", 409);
  await iam.updateGroup({ GroupName, NewGroupName: "builders", NewPath: "/" });
  const { Groups } = await iam.listGroupsForUser({ UserName });
  assert.deepEqual(Groups, [{ ...Group, GroupName: "builders", Path: "/", Arn: `arn:aws:iam::${ACCOUNT}:group/builders` }]);
  await assertRefused(iam.deleteGroup({ GroupName: "builders" }), "DeleteConflictException", 409, /remove users from group/);
  await assertRefused(iam.deleteUser({ UserName }), "DeleteConflictException", 409, /remove users from group/);
  await iam.removeUserFromGroup({ GroupName: "builders", UserName });
  await assertRefused(iam.removeUserFromGroup({ GroupName: "builders", UserName }), "NoSuchEntityException", 404);
  await iam.deleteGroup({ GroupName: "builders" });
  await assertRefused(iam.getGroup({ GroupName: "builders" }), "NoSuchEntityException", 404);
});

test("of a group that is not there, every operation says so", async (t) => {
  const { iam } = await startIamApi(t);
  await iam.createUser({ UserName });
  const policy = { GroupName, PolicyName: "p" };
  const attached = { GroupName, PolicyArn: AWS_MANAGED };
  for (const call of [
    () => iam.getGroup({ GroupName }),
    () => iam.updateGroup({ GroupName, NewPath: "/" }),
    () => iam.deleteGroup({ GroupName }),
    () => iam.addUserToGroup({ GroupName, UserName }),
    () => iam.removeUserFromGroup({ GroupName, UserName }),
    () => iam.putGroupPolicy({ ...policy, PolicyDocument: POLICY }),
    () => iam.getGroupPolicy(policy),
    () => iam.deleteGroupPolicy(policy),
    () => iam.listGroupPolicies({ GroupName }),
    () => iam.attachGroupPolicy(attached),
    () => iam.detachGroupPolicy(attached),
    () => iam.listAttachedGroupPolicies({ GroupName }),
  ])
    await assertRefused(call(), "NoSuchEntityException", 404, NO_GROUP);
  await iam.createGroup({ GroupName });
  await assertRefused(iam.addUserToGroup({ GroupName, UserName: "bob" }), "NoSuchEntityException", 404, /user with name bob/);
  await assertRefused(iam.listGroupsForUser({ UserName: "bob" }), "NoSuchEntityException", 404, /user with name bob/);
});

test("inline and attached policies of a group", async (t) => {
  const { iam } = await startWithMember(t);
  const policy = { GroupName, PolicyName: "p" };
  await assertRefused(iam.putGroupPolicy({ ...policy, PolicyDocument: "{" }), "MalformedPolicyDocumentException", 400);
  await iam.putGroupPolicy({ ...policy, PolicyDocument: POLICY });
  const { PolicyDocument = "", ...found } = await iam.getGroupPolicy(policy);
  assert.deepEqual([found.GroupName, found.PolicyName, decodeURIComponent(PolicyDocument)], [GroupName, "p", POLICY]);
  assert.deepEqual((await iam.listGroupPolicies({ GroupName })).PolicyNames, ["p"]);
  await iam.attachGroupPolicy({ GroupName, PolicyArn: AWS_MANAGED });
  const { AttachedPolicies } = await iam.listAttachedGroupPolicies({ GroupName });
  assert.deepEqual(AttachedPolicies, [{ PolicyName: "AdministratorAccess", PolicyArn: AWS_MANAGED }]);
  const { PolicyGroups } = await iam.listEntitiesForPolicy({ PolicyArn: AWS_MANAGED, EntityFilter: "Group" });
  assert.equal(PolicyGroups?.[0]?.GroupName, GroupName);
  await iam.removeUserFromGroup({ GroupName, UserName });
  await assertRefused(iam.deleteGroup({ GroupName }), "DeleteConflictException", 409, /detach all policies/);
  await iam.detachGroupPolicy({ GroupName, PolicyArn: AWS_MANAGED });
  await assertRefused(iam.deleteGroup({ GroupName }), "DeleteConflictException", 409, /delete policies first/);
  await iam.deleteGroupPolicy(policy);
  await iam.deleteGroup({ GroupName });
});

test("a member may what its groups may, from the moment it joins until it leaves, also after the group was renamed", async (t) => {
  const { iam, as } = await startIamApi(t);
  await iam.createGroup({ GroupName });
  await iam.putGroupPolicy({ GroupName, PolicyName: "p", PolicyDocument: READ });
  await iam.createUser({ UserName });
  const { AccessKey } = await iam.createAccessKey({ UserName });
  const ann = as({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  await assertRefused(ann.getUser({ UserName }), "AccessDenied", 403);
  await iam.addUserToGroup({ GroupName, UserName });
  assert.equal((await ann.getUser({ UserName })).User?.UserName, UserName);
  await iam.updateGroup({ GroupName, NewGroupName: "readers" });
  assert.equal((await ann.getUser({ UserName })).User?.UserName, UserName);
  await iam.updateUser({ UserName, NewUserName: "eve" });
  assert.equal((await ann.getUser({ UserName: "eve" })).User?.UserName, "eve");
  await iam.removeUserFromGroup({ GroupName: "readers", UserName: "eve" });
  await assertRefused(ann.getUser({ UserName: "eve" }), "AccessDenied", 403);
});

test("groups in pages; a user is in ten at most", async (t) => {
  const { iam } = await startIamApi(t);
  for (let at = 0; at < 11; at++) await iam.createGroup({ GroupName: `g${String(at).padStart(2, "0")}`, Path: at < 3 ? "/a/" : "/b/" });
  await iam.createUser({ UserName });
  await iam.createUser({ UserName: "bob" });
  for (let at = 0; at < 10; at++) await iam.addUserToGroup({ GroupName: `g0${at}`, UserName });
  await assertRefused(
    iam.addUserToGroup({ GroupName: "g10", UserName }),
    "LimitExceededException",
    409,
    "Cannot exceed quota for GroupsPerUser: 10",
  );
  const all = await pagesOf(paginateListGroups({ client: iam, pageSize: 4 }, {}), (page) => page.Groups);
  assert.deepEqual(
    all.map(({ length }) => length),
    [4, 4, 3],
  );
  assert.equal((await iam.listGroups({ PathPrefix: "/a/" })).Groups?.length, 3);
  const own = await pagesOf(paginateListGroupsForUser({ client: iam, pageSize: 6 }, { UserName }), (page) => page.Groups);
  assert.deepEqual(
    own.map(({ length }) => length),
    [6, 4],
  );
  await iam.addUserToGroup({ GroupName: "g00", UserName: "bob" });
  const members = await pagesOf(paginateGetGroup({ client: iam, pageSize: 1 }, { GroupName: "g00" }), (page) => page.Users);
  assert.deepEqual(
    members.flat().map((one) => one.UserName),
    ["ann", "bob"],
  );
});
