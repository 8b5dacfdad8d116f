// Managed policies and their versions as IAM's official client sees them: the account's own, and AWS's.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  paginateListEntitiesForPolicy,
  paginateListPolicies,
  paginateListPolicyTags,
  paginateListPolicyVersions,
} from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, AWS_MANAGED, pagesOf, POLICY, startIamApi, TRUST } from "./iam.fixture.ts";

const PolicyName = "readers";
const PolicyArn = `arn:aws:iam::${ACCOUNT}:policy/team/readers`;
const OTHER = POLICY.replace("s3:Get*", "s3:List*");

async function startWithPolicy(t: TestContext) {
  const started = await startIamApi(t);
  await started.iam.createPolicy({ PolicyName, Path: "/team/", PolicyDocument: POLICY });
  return started;
}

test("a policy from its creation to its end", async (t) => {
  const { iam } = await startIamApi(t);
  const Tags = [{ Key: "team", Value: "a" }];
  const { Policy } = await iam.createPolicy({ PolicyName, Path: "/team/", PolicyDocument: POLICY, Description: "<reads>", Tags });
  assert.match(Policy?.PolicyId ?? "", /^ANPA[A-Z2-7]{17}$/);
  assert.deepEqual((await iam.getPolicy({ PolicyArn })).Policy, Policy);
  assert.deepEqual(
    [Policy?.Arn, Policy?.DefaultVersionId, Policy?.AttachmentCount, Policy?.IsAttachable, Policy?.Description, Policy?.Tags],
    [PolicyArn, "v1", 0, true, "<reads>", Tags],
  );
  await assertRefused(
    iam.createPolicy({ PolicyName, PolicyDocument: POLICY }),
    "EntityAlreadyExistsException",
    409,
    "A policy called readers already exists. Duplicate names are not allowed.",
  );
  const refusedText = (PolicyDocument: string, name: string, status: number) =>
    assertRefused(iam.createPolicy({ PolicyName: "other", PolicyDocument }), name, status);
  await refusedText("{", "MalformedPolicyDocumentException", 400);
  await refusedText(TRUST, "MalformedPolicyDocumentException", 400);
  await refusedText(POLICY.replace("it's", "x".repeat(6_144)), "LimitExceededException", 409);
  await refusedText(`${POLICY}\u{1f600}`, "ValidationError", 400);
  await iam.deletePolicy({ PolicyArn });
  await assertRefused(
    iam.getPolicy({ PolicyArn }),
    "NoSuchEntityException",
    404,
    `Policy ${PolicyArn} does not exist or is not attachable.`,
  );
});

test("of a policy that is not there, every operation says so; those of AWS are read only", async (t) => {
  const { iam } = await startWithPolicy(t);
  // The path is a part of the ARN.
  const none = `arn:aws:iam::${ACCOUNT}:policy/readers`;
  const changes = (arn: string) => [
    () => iam.deletePolicy({ PolicyArn: arn }),
    () => iam.tagPolicy({ PolicyArn: arn, Tags: [] }),
    () => iam.untagPolicy({ PolicyArn: arn, TagKeys: [] }),
    () => iam.createPolicyVersion({ PolicyArn: arn, PolicyDocument: POLICY }),
    () => iam.setDefaultPolicyVersion({ PolicyArn: arn, VersionId: "v1" }),
    () => iam.deletePolicyVersion({ PolicyArn: arn, VersionId: "v1" }),
  ];
  const reads = [
    () => iam.getPolicy({ PolicyArn: none }),
    () => iam.getPolicyVersion({ PolicyArn: none, VersionId: "v1" }),
    () => iam.listPolicyVersions({ PolicyArn: none }),
    () => iam.listPolicyTags({ PolicyArn: none }),
    () => iam.listEntitiesForPolicy({ PolicyArn: none }),
  ];
  for (const call of [...changes(none), ...reads])
    await assertRefused(call(), "NoSuchEntityException", 404, `Policy ${none} does not exist or is not attachable.`);
  for (const call of changes(AWS_MANAGED)) await assertRefused(call(), "InvalidInputException", 400);
  const { Policy } = await iam.getPolicy({ PolicyArn: AWS_MANAGED });
  const { PolicyVersion } = await iam.getPolicyVersion({ PolicyArn: AWS_MANAGED, VersionId: Policy?.DefaultVersionId });
  const document = JSON.parse(decodeURIComponent(PolicyVersion?.Document ?? "")) as { Statement: { Action: unknown }[] };
  assert.deepEqual(document.Statement[0]?.Action, ["*"]);
});

test("versions: five at most, one of which counts and can't be deleted", async (t) => {
  const { iam } = await startWithPolicy(t);
  const { PolicyVersion } = await iam.createPolicyVersion({ PolicyArn, PolicyDocument: OTHER });
  assert.deepEqual([PolicyVersion?.VersionId, PolicyVersion?.IsDefaultVersion], ["v2", false]);
  const textOf = async (VersionId: string) =>
    decodeURIComponent((await iam.getPolicyVersion({ PolicyArn, VersionId })).PolicyVersion?.Document ?? "");
  assert.deepEqual([await textOf("v1"), await textOf("v2")], [POLICY, OTHER]);
  for (let n = 3; n <= 5; n++) await iam.createPolicyVersion({ PolicyArn, PolicyDocument: OTHER, SetAsDefault: n === 5 });
  await assertRefused(iam.createPolicyVersion({ PolicyArn, PolicyDocument: OTHER }), "LimitExceededException", 409, /up to 5 versions/);
  await assertRefused(
    iam.deletePolicyVersion({ PolicyArn, VersionId: "v5" }),
    "DeleteConflictException",
    409,
    "Cannot delete the default version of a policy.",
  );
  await iam.setDefaultPolicyVersion({ PolicyArn, VersionId: "v2" });
  for (const VersionId of ["v5", "v1"]) await iam.deletePolicyVersion({ PolicyArn, VersionId });
  const pages = await pagesOf(paginateListPolicyVersions({ client: iam, pageSize: 2 }, { PolicyArn }), ({ Versions }) =>
    Versions?.map(({ VersionId, IsDefaultVersion }) => [VersionId, IsDefaultVersion]),
  );
  assert.deepEqual(pages, [
    [
      ["v2", true],
      ["v3", false],
    ],
    [["v4", false]],
  ]);
  assert.equal((await iam.createPolicyVersion({ PolicyArn, PolicyDocument: POLICY })).PolicyVersion?.VersionId, "v6");
  for (const call of [
    () => iam.getPolicyVersion({ PolicyArn, VersionId: "v1" }),
    () => iam.setDefaultPolicyVersion({ PolicyArn, VersionId: "v1" }),
    () => iam.deletePolicyVersion({ PolicyArn, VersionId: "v1" }),
  ])
    await assertRefused(call(), "NoSuchEntityException", 404, `Policy ${PolicyArn} version v1 does not exist or is not attachable.`);
  await assertRefused(iam.createPolicyVersion({ PolicyArn, PolicyDocument: "{" }), "MalformedPolicyDocumentException", 400);
  await assertRefused(iam.getPolicyVersion({ PolicyArn, VersionId: "one" }), "ValidationError", 400, /'versionId'/);
  await assertRefused(iam.deletePolicy({ PolicyArn }), "DeleteConflictException", 409, /^This policy has more than one version\./);
});

test("who has a policy is listed in pages, and keeps it from being deleted", async (t) => {
  const { iam } = await startWithPolicy(t);
  for (const name of ["b", "a"]) {
    await iam.createRole({ RoleName: name, AssumeRolePolicyDocument: TRUST });
    await iam.attachRolePolicy({ RoleName: name, PolicyArn });
  }
  await iam.createUser({ UserName: "u", Path: "/x/" });
  await iam.attachUserPolicy({ UserName: "u", PolicyArn });
  const list = async (input: object, pageSize = 100) =>
    await pagesOf(paginateListEntitiesForPolicy({ client: iam, pageSize }, { PolicyArn, ...input }), (page) => [
      ...(page.PolicyRoles ?? []).map((role) => role.RoleName),
      ...(page.PolicyUsers ?? []).map((user) => user.UserName),
    ]);
  assert.deepEqual(await list({}, 2), [["a", "b"], ["u"]]);
  assert.deepEqual(await list({ EntityFilter: "User" }), [["u"]]);
  assert.deepEqual(await list({ PathPrefix: "/x/" }), [["u"]]);
  assert.equal((await iam.getPolicy({ PolicyArn })).Policy?.AttachmentCount, 3);
  await assertRefused(iam.deletePolicy({ PolicyArn }), "DeleteConflictException", 409, "Cannot delete a policy attached to entities.");
  await assertRefused(
    iam.listEntitiesForPolicy({ PolicyArn, EntityFilter: "Machine" as "User" }),
    "ValidationError",
    400,
    /'entityFilter'/,
  );
});

test("policies are listed by owner, path and use; their tags in pages", async (t) => {
  const { iam } = await startWithPolicy(t);
  await iam.createPolicy({ PolicyName: "writers", PolicyDocument: POLICY });
  const list = async (input: object, pageSize = 100) =>
    await pagesOf(paginateListPolicies({ client: iam, pageSize }, input), ({ Policies }) => Policies?.map((one) => one.PolicyName));
  assert.deepEqual(await list({ Scope: "Local" }, 1), [["readers"], ["writers"]]);
  assert.deepEqual(await list({ PathPrefix: "/team/" }), [["readers"]]);
  assert.deepEqual(await list({ OnlyAttached: true }), [[]]);
  const all = (await list({}, 3)).flat();
  assert.ok(all.includes("readers") && all.includes("AdministratorAccess"));
  assert.equal(new Set(all).size, all.length);
  assert.equal((await list({ Scope: "AWS" })).flat().length, all.length - 2);
  await iam.tagPolicy({ PolicyArn, Tags: ["b", "a", "c"].map((Key) => ({ Key, Value: "1" })) });
  await iam.untagPolicy({ PolicyArn, TagKeys: ["c"] });
  const tags = await pagesOf(paginateListPolicyTags({ client: iam, pageSize: 1 }, { PolicyArn }), ({ Tags }) => Tags);
  assert.deepEqual(tags, [[{ Key: "a", Value: "1" }], [{ Key: "b", Value: "1" }]]);
});
