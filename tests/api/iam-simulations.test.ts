// What policies would allow, as IAM's simulator answers through its official client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { paginateSimulateCustomPolicy } from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, AWS_MANAGED, pagesOf, startIamApi, TRUST } from "./iam.fixture.ts";

const document = (...Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const ALLOW = { Effect: "Allow", Action: "s3:*", Resource: "arn:aws:s3:::b/*" };
const DENY = { Effect: "Deny", Action: "s3:DeleteObject", Resource: "*" };
const HOME = "arn:aws:s3:::b/x";
const userArn = `arn:aws:iam::${ACCOUNT}:user/ann`;

test("a user has its own policies, attached ones, those of its groups and those of the request", async (t) => {
  const { iam } = await startIamApi(t);
  await iam.createUser({ UserName: "ann" });
  await iam.createGroup({ GroupName: "g" });
  await iam.addUserToGroup({ GroupName: "g", UserName: "ann" });
  await iam.putUserPolicy({ UserName: "ann", PolicyName: "own", PolicyDocument: document(ALLOW) });
  await iam.putGroupPolicy({ GroupName: "g", PolicyName: "theirs", PolicyDocument: document(DENY) });
  const { EvaluationResults = [] } = await iam.simulatePrincipalPolicy({
    PolicySourceArn: userArn,
    ActionNames: ["s3:GetObject", "s3:DeleteObject", "lambda:InvokeFunction"],
    ResourceArns: [HOME],
  });
  assert.deepEqual(
    EvaluationResults.map(({ EvalActionName, EvalDecision, MatchedStatements = [] }) => [
      EvalActionName,
      EvalDecision,
      MatchedStatements.map(({ SourcePolicyId }) => SourcePolicyId),
    ]),
    [
      ["s3:GetObject", "allowed", ["own"]],
      ["s3:DeleteObject", "explicitDeny", ["own", "theirs"]],
      ["lambda:InvokeFunction", "implicitDeny", []],
    ],
  );
  await iam.attachUserPolicy({ UserName: "ann", PolicyArn: AWS_MANAGED });
  const more = await iam.simulatePrincipalPolicy({ PolicySourceArn: userArn, ActionNames: ["lambda:InvokeFunction"] });
  assert.deepEqual(
    more.EvaluationResults?.map(({ EvalDecision, EvalResourceName }) => [EvalDecision, EvalResourceName]),
    [["allowed", "*"]],
  );
  const group = await iam.simulatePrincipalPolicy({
    PolicySourceArn: `arn:aws:iam::${ACCOUNT}:group/g`,
    PolicyInputList: [document(ALLOW)],
    ActionNames: ["s3:GetObject"],
    ResourceArns: [HOME],
  });
  assert.equal(group.EvaluationResults?.[0]?.EvalDecision, "allowed");
});

test("a role; who is not there, or not named clearly, is refused", async (t) => {
  const { iam } = await startIamApi(t);
  await iam.createRole({ RoleName: "r", AssumeRolePolicyDocument: TRUST });
  const { Policy } = await iam.createPolicy({ PolicyName: "p", PolicyDocument: document(ALLOW) });
  await iam.attachRolePolicy({ RoleName: "r", PolicyArn: Policy?.Arn ?? "" });
  const PolicySourceArn = `arn:aws:iam::${ACCOUNT}:role/r`;
  const { EvaluationResults } = await iam.simulatePrincipalPolicy({ PolicySourceArn, ActionNames: ["s3:PutObject"], ResourceArns: [HOME] });
  assert.deepEqual(
    EvaluationResults?.map(({ EvalDecision, MatchedStatements }) => [EvalDecision, MatchedStatements?.[0]?.SourcePolicyId]),
    [["allowed", "p"]],
  );
  const ActionNames = ["s3:GetObject"];
  await assertRefused(iam.simulatePrincipalPolicy({ PolicySourceArn: `${PolicySourceArn}x`, ActionNames }), "NoSuchEntityException", 404);
  const elsewhere = "arn:aws:iam::111111111111:user/ann";
  await assertRefused(iam.simulatePrincipalPolicy({ PolicySourceArn: elsewhere, ActionNames }), "InvalidInputException", 400);
});

test("conditions, variables, resource policies and boundaries of a custom simulation", async (t) => {
  const { iam } = await startIamApi(t);
  const conditional = document({
    ...ALLOW,
    Resource: "arn:aws:s3:::b/${aws:username}",
    Condition: { StringEquals: { "s3:prefix": "a" } },
  });
  const asked = { PolicyInputList: [conditional], ActionNames: ["s3:GetObject"], ResourceArns: ["arn:aws:s3:::b/ann"], CallerArn: userArn };
  const first = async (input: Parameters<typeof iam.simulateCustomPolicy>[0]) =>
    (await iam.simulateCustomPolicy(input)).EvaluationResults?.[0];
  const without = await first(asked);
  assert.deepEqual([without?.EvalDecision, without?.MissingContextValues], ["implicitDeny", ["s3:prefix"]]);
  const ContextEntries = [{ ContextKeyName: "s3:prefix", ContextKeyValues: ["a"], ContextKeyType: "string" as const }];
  const withKey = await first({ ...asked, ContextEntries });
  assert.deepEqual([withKey?.EvalDecision, withKey?.MissingContextValues], ["allowed", []]);
  const bounded = await first({ ...asked, ContextEntries, PermissionsBoundaryPolicyInputList: [document(DENY)] });
  assert.deepEqual(
    [bounded?.EvalDecision, bounded?.PermissionsBoundaryDecisionDetail],
    ["implicitDeny", { AllowedByPermissionsBoundary: false }],
  );
  const ResourcePolicy = document({ Effect: "Allow", Principal: { AWS: userArn }, Action: "s3:GetObject", Resource: HOME });
  const shared = { PolicyInputList: [document(DENY)], ActionNames: ["s3:GetObject"], ResourceArns: [HOME], ResourcePolicy };
  assert.equal((await first({ ...shared, CallerArn: userArn }))?.EvalDecision, "allowed");
  await assertRefused(iam.simulateCustomPolicy(shared), "InvalidInputException", 400, /CallerArn is required/);
  await assertRefused(iam.simulateCustomPolicy({ ...asked, ResourceHandlingOption: "EC2-VPC" }), "InvalidInputException", 400);
  await assertRefused(
    iam.simulateCustomPolicy({ ...asked, OrderedOrganizationPolicyInputList: [{ ServiceControlPolicyInputList: [document(DENY)] }] }),
    "InvalidInputException",
    400,
  );
  const { ContextKeyNames } = await iam.getContextKeysForCustomPolicy({ PolicyInputList: [conditional] });
  assert.deepEqual(ContextKeyNames, ["aws:username", "s3:prefix"]);
});

test("the condition keys of a principal, and results in pages", async (t) => {
  const { iam } = await startIamApi(t);
  await iam.createUser({ UserName: "ann" });
  const keyed = document({ ...ALLOW, Condition: { Bool: { "aws:SecureTransport": "true" }, StringLike: { "s3:prefix": "a*" } } });
  await iam.putUserPolicy({ UserName: "ann", PolicyName: "p", PolicyDocument: keyed });
  const { ContextKeyNames } = await iam.getContextKeysForPrincipalPolicy({ PolicySourceArn: userArn, PolicyInputList: [document(DENY)] });
  assert.deepEqual(ContextKeyNames, ["aws:SecureTransport", "s3:prefix"]);
  await assertRefused(iam.getContextKeysForPrincipalPolicy({ PolicySourceArn: `${userArn}x` }), "NoSuchEntityException", 404);
  await assertRefused(
    iam.getContextKeysForCustomPolicy({ PolicyInputList: ["{"] }),
    "InvalidInputException",
    400,
    /^PolicyInputList\.member\.1: /,
  );
  const ActionNames = ["s3:A", "s3:B", "s3:C", "s3:D", "s3:E"];
  const pages = await pagesOf(
    paginateSimulateCustomPolicy({ client: iam, pageSize: 2 }, { PolicyInputList: [document(DENY)], ActionNames }),
    (page) => page.EvaluationResults,
  );
  assert.deepEqual(
    pages.map((results) => results.map(({ EvalActionName }) => EvalActionName)),
    [["s3:A", "s3:B"], ["s3:C", "s3:D"], ["s3:E"]],
  );
});
