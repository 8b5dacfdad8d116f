import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessNeed } from "../../aws/definition.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Caller } from "../../aws/identity.ts";
import { ACCOUNT, contextOf, policyText, ROOT, startIam, trustText } from "./iam.fixture.ts";

const user: Caller = { kind: "user", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/x/me`, userId: "AIDA", accessKeyId: "AKIA" };

test("each operation needs its own action on what it names", async (t) => {
  const { call, iam } = await startIam(t);
  await call("CreateRole", { RoleName: "r", Path: "/app/", AssumeRolePolicyDocument: trustText() });
  await call("CreateUser", { UserName: "u", Path: "/team/" });
  const PolicyArn = `arn:aws:iam::${ACCOUNT}:policy/p`;
  const rows: readonly [operation: string, input: Readonly<Record<string, unknown>>, ...resources: string[]][] = [
    ["CreateRole", { RoleName: "new", Path: "/x/" }, `arn:aws:iam::${ACCOUNT}:role/x/new`],
    ["GetRole", { RoleName: "r" }, `arn:aws:iam::${ACCOUNT}:role/app/r`],
    ["PutRolePolicy", { RoleName: "r", PolicyName: "p" }, `arn:aws:iam::${ACCOUNT}:role/app/r`],
    ["AttachRolePolicy", { RoleName: "r", PolicyArn }, `arn:aws:iam::${ACCOUNT}:role/app/r`],
    ["DeleteRole", { RoleName: "none" }, `arn:aws:iam::${ACCOUNT}:role/none`],
    ["CreateUser", { UserName: "new" }, `arn:aws:iam::${ACCOUNT}:user/new`],
    ["GetUser", { UserName: "u" }, `arn:aws:iam::${ACCOUNT}:user/team/u`],
    ["GetUser", {}, user.arn],
    ["CreateAccessKey", {}, user.arn],
    ["UpdateUser", { UserName: "u", NewUserName: "v" }, `arn:aws:iam::${ACCOUNT}:user/team/u`, `arn:aws:iam::${ACCOUNT}:user/team/v`],
    ["UpdateUser", { UserName: "u", NewPath: "/b/" }, `arn:aws:iam::${ACCOUNT}:user/team/u`, `arn:aws:iam::${ACCOUNT}:user/b/u`],
    ["CreatePolicy", { PolicyName: "p", Path: "/x/" }, `arn:aws:iam::${ACCOUNT}:policy/x/p`],
    ["GetPolicy", { PolicyArn }, PolicyArn],
    ["GetPolicy", { PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess" }, "arn:aws:iam::aws:policy/ReadOnlyAccess"],
    ["ListRoles", { PathPrefix: "/app/" }, `arn:aws:iam::${ACCOUNT}:role/app/`],
    ["ListUsers", {}, `arn:aws:iam::${ACCOUNT}:user/`],
    ["ListPolicies", {}, "policy path /"],
  ];
  for (const [operation, input, ...resources] of rows) {
    const needs = (await iam.definition.access(operation, contextOf(user), input)) as AccessNeed[];
    assert.deepEqual(
      needs.map(({ action, resource }) => [action, resource]),
      resources.map((resource) => [`iam:${operation}`, resource]),
    );
  }
});

test("what is attached and which tags there are can be a condition", async (t) => {
  const { call, iam } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText(), Tags: [{ Key: "team", Value: "a" }] });
  const conditions = async (operation: string, input: object) =>
    ((await iam.definition.access(operation, contextOf(), input as Readonly<Record<string, unknown>>)) as AccessNeed[])[0]?.conditions?.();
  const attached = await conditions("AttachRolePolicy", { RoleName: "r", PolicyArn: "arn:aws:iam::aws:policy/x" });
  assert.deepEqual(attached, { "aws:ResourceTag/team": "a", "iam:ResourceTag/team": "a", "iam:PolicyARN": "arn:aws:iam::aws:policy/x" });
  const tagged = await conditions("CreateRole", { RoleName: "n", Tags: [{ Key: "k", Value: "v" }, { Key: 1 }, {}] });
  assert.deepEqual(tagged, { "aws:RequestTag/k": "v", "aws:TagKeys": ["k"] });
  assert.deepEqual(await conditions("UntagRole", { RoleName: "n", TagKeys: ["a", "b"] }), { "aws:TagKeys": ["a", "b"] });
  await call("CreatePolicy", { PolicyName: "p", PolicyDocument: policyText(), Tags: [{ Key: "a", Value: "b" }] });
  assert.deepEqual(await conditions("GetPolicy", { PolicyArn: `arn:aws:iam::${ACCOUNT}:policy/p` }), {
    "aws:ResourceTag/a": "b",
    "iam:ResourceTag/a": "b",
  });
});

test("a user's or the root's own session may not call IAM", async (t) => {
  const { iam } = await startIam(t);
  const session = { issuedMs: 0, policies: [], policyArns: [], tags: {}, transitiveTagKeys: [] };
  for (const caller of [user, ROOT])
    assert.throws(() => iam.definition.access("ListRoles", contextOf({ ...caller, session }), {}), CommonFault);
  const role: Caller = { ...user, kind: "assumed-role", session };
  assert.equal(((await iam.definition.access("ListRoles", contextOf(role), {})) as AccessNeed[]).length, 1);
});
