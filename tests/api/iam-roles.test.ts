// Roles as IAM's official client sees them: their life, trust policies, inline and attached policies, tags, pages.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { paginateListAttachedRolePolicies, paginateListRolePolicies, paginateListRoles, paginateListRoleTags } from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, AWS_MANAGED, pagesOf, POLICY, startIamApi, TRUST } from "./iam.fixture.ts";

const RoleName = "runner";
const NO_ROLE = "The role with name runner cannot be found.";

async function startWithRole(t: TestContext) {
  const started = await startIamApi(t);
  await started.iam.createRole({ RoleName, AssumeRolePolicyDocument: TRUST });
  return started;
}

test("a role from its creation to its end", async (t) => {
  const { iam } = await startIamApi(t);
  const beforeMs = Math.floor(Date.now() / 1000) * 1000;
  const Tags = [{ Key: "team", Value: "a = é b" }];
  const { Role } = await iam.createRole({
    RoleName,
    Path: "/apps/",
    AssumeRolePolicyDocument: TRUST,
    Description: "<runs> & 'waits'",
    MaxSessionDuration: 7200,
    Tags,
  });
  assert.equal(Role?.Arn, `arn:aws:iam::${ACCOUNT}:role/apps/runner`);
  assert.match(Role.RoleId ?? "", /^AROA[A-Z2-7]{17}$/);
  assert.ok(Role.CreateDate instanceof Date && Role.CreateDate.getTime() >= beforeMs && Role.CreateDate.getTime() <= Date.now());
  const { Role: got } = await iam.getRole({ RoleName });
  assert.deepEqual({ ...got, RoleLastUsed: undefined }, { ...Role, RoleLastUsed: undefined });
  assert.deepEqual([got?.Description, got?.MaxSessionDuration, got?.Tags, got?.RoleLastUsed], ["<runs> & 'waits'", 7200, Tags, {}]);
  await iam.updateRole({ RoleName, Description: "two", MaxSessionDuration: 3600 });
  const { Role: renamed } = await iam.updateRoleDescription({ RoleName, Description: "three" });
  assert.deepEqual([renamed?.Description, renamed?.MaxSessionDuration, renamed?.RoleId], ["three", 3600, Role.RoleId]);
  assert.deepEqual((await iam.listInstanceProfilesForRole({ RoleName })).InstanceProfiles, []);
  await iam.deleteRole({ RoleName });
  await assertRefused(iam.getRole({ RoleName }), "NoSuchEntityException", 404, NO_ROLE);
});

test("a trust policy is given as JSON and got percent-encoded, as RFC 3986 has it", async (t) => {
  const { iam } = await startIamApi(t);
  const trust = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: "sts:AssumeRole",
        Condition: { StringLike: { "sts:ExternalId": "it's (a b+c)~!*é&=%41" } },
      },
    ],
  });
  const { Role } = await iam.createRole({ RoleName, AssumeRolePolicyDocument: trust });
  assert.doesNotMatch(Role?.AssumeRolePolicyDocument ?? "", /[^A-Za-z0-9%._~-]/);
  assert.equal(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? ""), trust);
  await iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: TRUST });
  const [page] = await pagesOf(paginateListRoles({ client: iam }, {}), ({ Roles }) => Roles);
  assert.deepEqual(
    page?.map((role) => decodeURIComponent(role.AssumeRolePolicyDocument ?? "")),
    [TRUST],
  );
});

test("a role that can't be made, changed or deleted is told why, and stays as it is", async (t) => {
  const { iam } = await startWithRole(t);
  const made = { RoleName, AssumeRolePolicyDocument: TRUST };
  await assertRefused(iam.createRole(made), "EntityAlreadyExistsException", 409, "Role with name runner already exists.");
  const other = { ...made, RoleName: "other" };
  await assertRefused(
    iam.createRole({ ...other, AssumeRolePolicyDocument: "{" }),
    "MalformedPolicyDocumentException",
    400,
    "This policy contains invalid Json",
  );
  await assertRefused(iam.createRole({ ...other, AssumeRolePolicyDocument: POLICY }), "MalformedPolicyDocumentException", 400);
  const Principal = { Service: Array.from({ length: 100 }, (_, n) => `service-number-${n}.amazonaws.com`) };
  const long = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal }] });
  await assertRefused(iam.createRole({ ...other, AssumeRolePolicyDocument: long }), "LimitExceededException", 409);
  await assertRefused(iam.createRole({ ...other, PermissionsBoundary: AWS_MANAGED }), "InvalidInputException", 400);
  await assertRefused(
    iam.createRole({ ...other, RoleName: "a b" }),
    "ValidationError",
    400,
    "1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+",
  );
  await assertRefused(iam.updateRole({ RoleName, MaxSessionDuration: 3599 }), "ValidationError", 400, /'maxSessionDuration'/);
  await assertRefused(iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: "[]" }), "MalformedPolicyDocumentException", 400);
  await iam.putRolePolicy({ RoleName, PolicyName: "p", PolicyDocument: POLICY });
  await assertRefused(iam.deleteRole({ RoleName }), "DeleteConflictException", 409, "Cannot delete entity, must delete policies first.");
  await iam.deleteRolePolicy({ RoleName, PolicyName: "p" });
  await iam.attachRolePolicy({ RoleName, PolicyArn: AWS_MANAGED });
  await assertRefused(
    iam.deleteRole({ RoleName }),
    "DeleteConflictException",
    409,
    "Cannot delete entity, must detach all policies first.",
  );
  const { Roles } = await iam.listRoles({});
  assert.deepEqual(
    Roles?.map((role) => [role.RoleName, role.MaxSessionDuration]),
    [[RoleName, 3600]],
  );
  assert.equal(decodeURIComponent(Roles?.[0]?.AssumeRolePolicyDocument ?? ""), TRUST);
});

test("of a role that is not there, every operation says so", async (t) => {
  const { iam } = await startIamApi(t);
  const policy = { RoleName, PolicyName: "p" };
  const attached = { RoleName, PolicyArn: AWS_MANAGED };
  for (const call of [
    () => iam.updateRole({ RoleName }),
    () => iam.updateRoleDescription({ RoleName, Description: "" }),
    () => iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: TRUST }),
    () => iam.deleteRole({ RoleName }),
    () => iam.tagRole({ RoleName, Tags: [] }),
    () => iam.untagRole({ RoleName, TagKeys: [] }),
    () => iam.listRoleTags({ RoleName }),
    () => iam.listInstanceProfilesForRole({ RoleName }),
    () => iam.putRolePolicy({ ...policy, PolicyDocument: POLICY }),
    () => iam.getRolePolicy(policy),
    () => iam.deleteRolePolicy(policy),
    () => iam.listRolePolicies({ RoleName }),
    () => iam.attachRolePolicy(attached),
    () => iam.detachRolePolicy(attached),
    () => iam.listAttachedRolePolicies({ RoleName }),
  ])
    await assertRefused(call(), "NoSuchEntityException", 404, NO_ROLE);
});

test("inline policies: put, got as they were put, listed in pages, deleted", async (t) => {
  const { iam } = await startWithRole(t);
  for (const PolicyName of ["c", "a", "b"]) await iam.putRolePolicy({ RoleName, PolicyName, PolicyDocument: POLICY });
  const got = await iam.getRolePolicy({ RoleName, PolicyName: "a" });
  assert.deepEqual([got.RoleName, got.PolicyName, decodeURIComponent(got.PolicyDocument ?? "")], [RoleName, "a", POLICY]);
  const pages = await pagesOf(paginateListRolePolicies({ client: iam, pageSize: 2 }, { RoleName }), ({ PolicyNames }) => PolicyNames);
  assert.deepEqual(pages, [["a", "b"], ["c"]]);
  await iam.deleteRolePolicy({ RoleName, PolicyName: "a" });
  for (const call of [() => iam.getRolePolicy({ RoleName, PolicyName: "a" }), () => iam.deleteRolePolicy({ RoleName, PolicyName: "a" })])
    await assertRefused(call(), "NoSuchEntityException", 404, "The role policy with name a cannot be found.");
  const put = (PolicyDocument: string) => iam.putRolePolicy({ RoleName, PolicyName: "b", PolicyDocument });
  await assertRefused(put("no json"), "MalformedPolicyDocumentException", 400);
  await assertRefused(put(TRUST), "MalformedPolicyDocumentException", 400);
  const large = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "x".repeat(10_240) }] });
  await assertRefused(put(large.replace("xxx", "arn:aws:s3:::xxx")), "LimitExceededException", 409, /^Maximum policy size of 10240 bytes/);
  const kept = await iam.getRolePolicy({ RoleName, PolicyName: "b" });
  assert.equal(decodeURIComponent(kept.PolicyDocument ?? ""), POLICY);
});

test("managed policies: attached once, listed in pages and by path, detached once", async (t) => {
  const { iam } = await startWithRole(t);
  const service = "arn:aws:iam::aws:policy/service-role/AWSLambdaRole";
  for (const PolicyArn of [service, AWS_MANAGED, AWS_MANAGED]) await iam.attachRolePolicy({ RoleName, PolicyArn });
  const list = (input: object, pageSize = 100) =>
    pagesOf(paginateListAttachedRolePolicies({ client: iam, pageSize }, { RoleName, ...input }), ({ AttachedPolicies }) =>
      AttachedPolicies?.map(({ PolicyName }) => PolicyName),
    );
  assert.deepEqual(await list({}, 1), [["AdministratorAccess"], ["AWSLambdaRole"]]);
  assert.deepEqual(await list({ PathPrefix: "/service-role/" }), [["AWSLambdaRole"]]);
  await iam.detachRolePolicy({ RoleName, PolicyArn: AWS_MANAGED });
  await assertRefused(
    iam.detachRolePolicy({ RoleName, PolicyArn: AWS_MANAGED }),
    "NoSuchEntityException",
    404,
    `Policy ${AWS_MANAGED} was not found.`,
  );
  const none = `arn:aws:iam::${ACCOUNT}:policy/none`;
  await assertRefused(
    iam.attachRolePolicy({ RoleName, PolicyArn: none }),
    "NoSuchEntityException",
    404,
    `Policy ${none} does not exist or is not attachable.`,
  );
  for (let n = 0; n < 9; n++) {
    const { Policy } = await iam.createPolicy({ PolicyName: `p${n}`, PolicyDocument: POLICY });
    await iam.attachRolePolicy({ RoleName, PolicyArn: Policy?.Arn });
  }
  await assertRefused(
    iam.attachRolePolicy({ RoleName, PolicyArn: AWS_MANAGED }),
    "LimitExceededException",
    409,
    "Cannot exceed quota for PoliciesPerRole: 10",
  );
});

test("tags: put, listed in pages, taken away, at most 50, none of AWS's own", async (t) => {
  const { iam } = await startWithRole(t);
  await iam.tagRole({ RoleName, Tags: ["c", "a", "b"].map((Key) => ({ Key, Value: "1" })) });
  await iam.tagRole({ RoleName, Tags: [{ Key: "A", Value: "" }] });
  await iam.untagRole({ RoleName, TagKeys: ["c", "none"] });
  const pages = await pagesOf(paginateListRoleTags({ client: iam, pageSize: 1 }, { RoleName }), ({ Tags }) => Tags);
  assert.deepEqual(pages, [[{ Key: "A", Value: "" }], [{ Key: "b", Value: "1" }]]);
  const put = (...keys: string[]) => iam.tagRole({ RoleName, Tags: keys.map((Key) => ({ Key, Value: "x" })) });
  await assertRefused(put("x", "X"), "InvalidInputException", 400, /Duplicate tag keys found/);
  await assertRefused(put("aws:x"), "InvalidInputException", 400, /reserved for AWS/);
  await assertRefused(put(...Array.from({ length: 49 }, (_, n) => `t${n}`)), "LimitExceededException", 409);
  assert.equal((await iam.listRoleTags({ RoleName })).Tags?.length, 2);
});

test("a list of roles is cut into pages, each with the place of the next, and narrowed by path", async (t) => {
  const { iam } = await startIamApi(t);
  for (const name of ["c", "a", "d", "b"])
    await iam.createRole({ RoleName: name, Path: name === "d" ? "/other/" : "/app/", AssumeRolePolicyDocument: TRUST });
  const names = await pagesOf(paginateListRoles({ client: iam, pageSize: 2 }, { PathPrefix: "/app/" }), ({ Roles }) =>
    Roles?.map((role) => role.RoleName),
  );
  assert.deepEqual(names, [["a", "b"], ["c"]]);
  const { IsTruncated, Marker } = await iam.listRoles({ MaxItems: 3 });
  assert.deepEqual([IsTruncated, typeof Marker], [true, "string"]);
  await assertRefused(iam.listRoles({ Marker: "junk" }), "ValidationError", 400, "Invalid Marker.");
  // A place in one list is none in another.
  await assertRefused(iam.listUsers({ Marker }), "ValidationError", 400, "Invalid Marker.");
  await assertRefused(iam.listRoles({ MaxItems: 0 }), "ValidationError", 400, /'maxItems'.*greater than or equal to 1/);
});
