import assert from "node:assert/strict";
import { test } from "node:test";
import { policyText, refused, startIam, trustText } from "./iam.fixture.ts";

const ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess";
const ARN = "arn:aws:iam::000000000000:policy/app/p";

test("a managed policy from its creation to its end", async (t) => {
  const { call, clock } = await startIam(t);
  const created = await call("CreatePolicy", {
    PolicyName: "p",
    Path: "/app/",
    PolicyDocument: policyText(),
    Description: "d",
    Tags: [{ Key: "a", Value: "b" }],
  });
  const { PolicyId, ...rest } = created.Policy ?? {};
  assert.match(PolicyId ?? "", /^ANPA[A-Z2-7]{17}$/);
  const now = new Date(clock.now());
  assert.deepEqual(rest, {
    Arn: ARN,
    AttachmentCount: 0,
    PermissionsBoundaryUsageCount: 0,
    IsAttachable: true,
    PolicyName: "p",
    Path: "/app/",
    DefaultVersionId: "v1",
    CreateDate: now,
    UpdateDate: now,
    Description: "d",
    Tags: [{ Key: "a", Value: "b" }],
  });
  assert.deepEqual((await call("GetPolicy", { PolicyArn: ARN })).Policy, created.Policy);
  await call("TagPolicy", { PolicyArn: ARN, Tags: [{ Key: "c", Value: "d" }] });
  await call("UntagPolicy", { PolicyArn: ARN, TagKeys: ["a"] });
  assert.deepEqual((await call("ListPolicyTags", { PolicyArn: ARN })).Tags, [{ Key: "c", Value: "d" }]);
  await call("DeletePolicy", { PolicyArn: ARN });
  await refused(call("GetPolicy", { PolicyArn: ARN }), "NoSuchEntity", `Policy ${ARN} does not exist or is not attachable.`);
});

test("policies that are none, too long or taken", async (t) => {
  const { call } = await startIam(t);
  const create = (PolicyDocument: string) => call("CreatePolicy", { PolicyName: "p", PolicyDocument });
  await refused(create("no json"), "MalformedPolicyDocument", "This policy contains invalid Json");
  await refused(create("{}"), "MalformedPolicyDocument", "Syntax errors in policy.");
  await refused(create(trustText()), "MalformedPolicyDocument", /./);
  const long = (count: number) => policyText("s3:*", `arn:aws:s3:::${"b".repeat(count)}`);
  await refused(create(long(6_144)), "LimitExceeded", "Cannot exceed quota for PolicySize: 6144");
  await create(long(6_000) + " ".repeat(1_000));
  await refused(
    call("CreatePolicy", { PolicyName: "P", Path: "/other/", PolicyDocument: policyText() }),
    "EntityAlreadyExists",
    "A policy called P already exists. Duplicate names are not allowed.",
  );
});

test("AWS's policies are there, and are not changed", async (t) => {
  const { call } = await startIam(t);
  const { Policy } = await call("GetPolicy", { PolicyArn: "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole" });
  assert.deepEqual([Policy?.PolicyName, Policy?.Path, Policy?.DefaultVersionId], ["AWSLambdaBasicExecutionRole", "/service-role/", "v1"]);
  assert.match(Policy?.PolicyId ?? "", /^ANPA[A-Z2-7]{17}$/);
  const { PolicyVersion } = await call("GetPolicyVersion", { PolicyArn: ADMINISTRATOR, VersionId: "v1" });
  assert.match(decodeURIComponent(PolicyVersion?.Document ?? ""), /"Action":\["\*"\]/);
  await refused(call("GetPolicyVersion", { PolicyArn: ADMINISTRATOR, VersionId: "v2" }), "NoSuchEntity");
  assert.equal((await call("ListPolicyVersions", { PolicyArn: ADMINISTRATOR })).Versions?.length, 1);
  for (const name of [
    "ReadOnlyAccess",
    "service-role/AWSLambdaRole",
    "AWSLambda_FullAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "CloudWatchLogsFullAccess",
  ])
    assert.equal((await call("GetPolicy", { PolicyArn: `arn:aws:iam::aws:policy/${name}` })).Policy?.IsAttachable, true);
  await refused(call("GetPolicy", { PolicyArn: "arn:aws:iam::aws:policy/AWSLambdaRole" }), "NoSuchEntity");
  await refused(call("DeletePolicy", { PolicyArn: ADMINISTRATOR }), "InvalidInput");
  await refused(call("CreatePolicyVersion", { PolicyArn: ADMINISTRATOR, PolicyDocument: policyText() }), "InvalidInput");
  await refused(call("TagPolicy", { PolicyArn: ADMINISTRATOR, Tags: [] }), "InvalidInput");
});

test("versions: five at most, one counts", async (t) => {
  const { call } = await startIam(t);
  const PolicyArn = "arn:aws:iam::000000000000:policy/p";
  await call("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText("s3:Get*") });
  const second = await call("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText("s3:Put*"), SetAsDefault: true });
  assert.deepEqual([second.PolicyVersion?.VersionId, second.PolicyVersion?.IsDefaultVersion], ["v2", true]);
  for (let index = 3; index <= 5; index++) await call("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText() });
  await refused(call("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText() }), "LimitExceeded", /up to 5 versions/);
  await refused(call("CreatePolicyVersion", { PolicyArn, PolicyDocument: "[]" }), "MalformedPolicyDocument");
  const got = await call("GetPolicyVersion", { PolicyArn, VersionId: "v1" });
  assert.deepEqual(
    [decodeURIComponent(got.PolicyVersion?.Document ?? ""), got.PolicyVersion?.IsDefaultVersion],
    [policyText("s3:Get*"), false],
  );
  await refused(
    call("DeletePolicyVersion", { PolicyArn, VersionId: "v2" }),
    "DeleteConflict",
    "Cannot delete the default version of a policy.",
  );
  await call("SetDefaultPolicyVersion", { PolicyArn, VersionId: "v3" });
  await call("DeletePolicyVersion", { PolicyArn, VersionId: "v2" });
  for (const operation of ["GetPolicyVersion", "DeletePolicyVersion", "SetDefaultPolicyVersion"] as const)
    await refused(
      call(operation, { PolicyArn, VersionId: "v2" }),
      "NoSuchEntity",
      `Policy ${PolicyArn} version v2 does not exist or is not attachable.`,
    );
  const listed = await call("ListPolicyVersions", { PolicyArn, MaxItems: 3 });
  assert.deepEqual(
    listed.Versions?.map((one) => [one.VersionId, one.IsDefaultVersion]),
    [
      ["v1", false],
      ["v3", true],
      ["v4", false],
    ],
  );
  assert.equal((await call("ListPolicyVersions", { PolicyArn, Marker: listed.Marker })).Versions?.[0]?.VersionId, "v5");
  await refused(call("ListPolicyVersions", { PolicyArn: `${PolicyArn}x` }), "NoSuchEntity");
  await refused(call("DeletePolicy", { PolicyArn }), "DeleteConflict", /more than one version/);
});

test("attachments: counted, listed, and in the way of a deletion", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  await call("CreateUser", { UserName: "u", Path: "/team/" });
  await call("CreatePolicy", { PolicyName: "p", Path: "/app/", PolicyDocument: policyText() });
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn: ARN });
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn: ARN });
  await call("AttachUserPolicy", { UserName: "u", PolicyArn: ARN });
  assert.equal((await call("GetPolicy", { PolicyArn: ARN })).Policy?.AttachmentCount, 2);
  const entities = async (input: object) => {
    const { PolicyRoles = [], PolicyUsers = [] } = await call("ListEntitiesForPolicy", { PolicyArn: ARN, ...input });
    return [PolicyRoles.map(({ RoleName }) => RoleName), PolicyUsers.map(({ UserName }) => UserName)];
  };
  assert.deepEqual(await entities({}), [["r"], ["u"]]);
  assert.deepEqual(await entities({ EntityFilter: "User" }), [[], ["u"]]);
  assert.deepEqual(await entities({ PathPrefix: "/team/" }), [[], ["u"]]);
  assert.deepEqual(await entities({ PolicyUsageFilter: "PermissionsBoundary" }), [[], []]);
  const { Marker } = await call("ListEntitiesForPolicy", { PolicyArn: ARN, MaxItems: 1 });
  assert.deepEqual(await entities({ Marker }), [[], ["u"]]);
  await refused(call("DeletePolicy", { PolicyArn: ARN }), "DeleteConflict", "Cannot delete a policy attached to entities.");
  assert.deepEqual((await call("ListAttachedRolePolicies", { RoleName: "r" })).AttachedPolicies, [{ PolicyName: "p", PolicyArn: ARN }]);
  assert.deepEqual((await call("ListAttachedUserPolicies", { UserName: "u", PathPrefix: "/other/" })).AttachedPolicies, []);
  await call("DetachRolePolicy", { RoleName: "r", PolicyArn: ARN });
  await refused(call("DetachRolePolicy", { RoleName: "r", PolicyArn: ARN }), "NoSuchEntity", `Policy ${ARN} was not found.`);
  await call("DetachUserPolicy", { UserName: "u", PolicyArn: ARN });
  await refused(
    call("AttachRolePolicy", { RoleName: "r", PolicyArn: `${ARN}x` }),
    "NoSuchEntity",
    `Policy ${ARN}x does not exist or is not attachable.`,
  );
  await refused(call("AttachRolePolicy", { RoleName: "x", PolicyArn: ARN }), "NoSuchEntity", "The role with name x cannot be found.");
  await call("DeletePolicy", { PolicyArn: ARN });
});

test("a policy is attached or deleted, never both", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  for (let round = 0; round < 5; round++) {
    const { Policy } = await call("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText() });
    const PolicyArn = Policy?.Arn ?? "";
    const first = () => call("AttachRolePolicy", { RoleName: "r", PolicyArn });
    const second = () => call("DeletePolicy", { PolicyArn });
    const results = await Promise.allSettled(round % 2 === 0 ? [first(), second()] : [second(), first()]);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    const attached = (await call("ListAttachedRolePolicies", { RoleName: "r" })).AttachedPolicies ?? [];
    if (attached.length === 0) continue;
    await call("DetachRolePolicy", { RoleName: "r", PolicyArn });
    await call("DeletePolicy", { PolicyArn });
  }
});

test("ten managed policies at most", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  await call("CreateUser", { UserName: "u" });
  const { Policies = [] } = await call("ListPolicies", { Scope: "AWS" });
  const arns = Policies.map(({ Arn = "" }) => Arn);
  for (const PolicyArn of arns.slice(0, 10)) {
    await call("AttachRolePolicy", { RoleName: "r", PolicyArn });
    await call("AttachUserPolicy", { UserName: "u", PolicyArn });
  }
  await refused(
    call("AttachRolePolicy", { RoleName: "r", PolicyArn: arns[10] }),
    "LimitExceeded",
    "Cannot exceed quota for PoliciesPerRole: 10",
  );
  await refused(
    call("AttachUserPolicy", { UserName: "u", PolicyArn: arns[10] }),
    "LimitExceeded",
    "Cannot exceed quota for PoliciesPerUser: 10",
  );
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn: arns[0] });
  const page = await call("ListAttachedRolePolicies", { RoleName: "r", MaxItems: 4 });
  assert.deepEqual([page.AttachedPolicies?.length, page.IsTruncated], [4, true]);
});

test("policies are listed by scope, path and use, page by page", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  for (const PolicyName of ["b", "a"]) await call("CreatePolicy", { PolicyName, Path: "/app/", PolicyDocument: policyText() });
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn: "arn:aws:iam::000000000000:policy/app/a" });
  const names = async (input: object) => (await call("ListPolicies", input)).Policies?.map(({ PolicyName }) => PolicyName);
  assert.deepEqual(await names({ Scope: "Local" }), ["a", "b"]);
  assert.deepEqual(await names({ OnlyAttached: true }), ["a"]);
  assert.deepEqual(await names({ Scope: "Local", PathPrefix: "/other/" }), []);
  assert.deepEqual(await names({ PolicyUsageFilter: "PermissionsBoundary" }), []);
  assert.ok((await names({ PathPrefix: "/service-role/" }))?.includes("AWSLambdaRole"));
  const { Marker, Policies } = await call("ListPolicies", { Scope: "Local", MaxItems: 1 });
  assert.equal(Policies?.[0]?.PolicyName, "a");
  assert.deepEqual(await names({ Scope: "Local", Marker }), ["b"]);
  await refused(call("ListPolicies", { Marker: "x" }), "ValidationError");
});

test("inline policies of roles and users", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  await call("CreateUser", { UserName: "u" });
  const PolicyDocument = policyText();
  for (const PolicyName of ["__proto__", "constructor", "b"]) {
    await refused(
      call("GetRolePolicy", { RoleName: "r", PolicyName }),
      "NoSuchEntity",
      `The role policy with name ${PolicyName} cannot be found.`,
    );
    await call("PutRolePolicy", { RoleName: "r", PolicyName, PolicyDocument });
    const got = await call("GetRolePolicy", { RoleName: "r", PolicyName });
    assert.deepEqual(got, { RoleName: "r", PolicyName, PolicyDocument: encodeURIComponent(PolicyDocument).replaceAll("*", "%2A") });
  }
  assert.deepEqual((await call("ListRolePolicies", { RoleName: "r" })).PolicyNames, ["__proto__", "b", "constructor"]);
  const page = await call("ListRolePolicies", { RoleName: "r", MaxItems: 2 });
  assert.deepEqual((await call("ListRolePolicies", { RoleName: "r", Marker: page.Marker })).PolicyNames, ["constructor"]);
  await call("DeleteRolePolicy", { RoleName: "r", PolicyName: "__proto__" });
  await refused(call("DeleteRolePolicy", { RoleName: "r", PolicyName: "__proto__" }), "NoSuchEntity");
  await call("PutUserPolicy", { UserName: "u", PolicyName: "p", PolicyDocument });
  assert.equal((await call("GetUserPolicy", { UserName: "u", PolicyName: "p" })).UserName, "u");
  assert.deepEqual((await call("ListUserPolicies", { UserName: "u" })).PolicyNames, ["p"]);
  await call("DeleteUserPolicy", { UserName: "u", PolicyName: "p" });
  await refused(call("GetUserPolicy", { UserName: "u", PolicyName: "p" }), "NoSuchEntity", "The user policy with name p cannot be found.");
  await refused(call("PutRolePolicy", { RoleName: "r", PolicyName: "p", PolicyDocument: "{" }), "MalformedPolicyDocument");
  await refused(call("PutRolePolicy", { RoleName: "x", PolicyName: "p", PolicyDocument }), "NoSuchEntity");
  const long = policyText("s3:*", `arn:aws:s3:::${"b".repeat(2_048)}`);
  await refused(
    call("PutUserPolicy", { UserName: "u", PolicyName: "p", PolicyDocument: long }),
    "LimitExceeded",
    "Maximum policy size of 2048 bytes exceeded for user u",
  );
  for (let index = 0; index < 4; index++) await call("PutRolePolicy", { RoleName: "r", PolicyName: `long${index}`, PolicyDocument: long });
  await refused(
    call("PutRolePolicy", { RoleName: "r", PolicyName: "more", PolicyDocument: long }),
    "LimitExceeded",
    "Maximum policy size of 10240 bytes exceeded for role r",
  );
});
