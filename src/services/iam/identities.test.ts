import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "../../aws/identity.ts";
import { sealSession, type Session } from "../../aws/sealed-session.ts";
import { ACCOUNT, policyText, ROOT_KEY, SEALING_KEY, startIam, trustText } from "./iam.fixture.ts";

const PLAIN = { issuedMs: 0, policies: [], policyArns: [], tags: {}, transitiveTagKeys: [] };
const sealed = (more: Partial<Session> = {}): [id: string, token: string] => {
  const session: Session = { accessKeyId: "ASIAS", secretAccessKey: "s", account: ACCOUNT, expiresMs: 5, session: PLAIN, ...more };
  return [session.accessKeyId, sealSession(session, SEALING_KEY)];
};

test("the install's own key is the root of its account", async (t) => {
  const { iam } = await startIam(t);
  const found = iam.identities.credential(ROOT_KEY.accessKeyId, undefined);
  assert.deepEqual(found, {
    secretAccessKey: ROOT_KEY.secretAccessKey,
    caller: { kind: "root", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:root`, userId: ACCOUNT, accessKeyId: ROOT_KEY.accessKeyId },
  });
});

test("keys that nobody has", async (t) => {
  const { iam } = await startIam(t);
  const find = (id: string, token?: string) => iam.identities.credential(id, token);
  for (const id of ["", "AKIANONE", "__proto__", "constructor"]) assert.equal(find(id), "unknown-key");
  assert.equal(find("ASIANONE"), "token-missing");
  assert.equal(find(ROOT_KEY.accessKeyId, ""), "token-invalid");
  assert.equal(find(ROOT_KEY.accessKeyId, "junk"), "token-invalid");
  const [id, token] = sealed();
  assert.equal(typeof find(id, token), "object");
  assert.equal(find(id), "token-missing");
  assert.equal(find("ASIAOTHER", token), "token-invalid");
  assert.equal(find(ROOT_KEY.accessKeyId, token), "token-invalid");
});

test("sessions of roles, of users and of the root", async (t) => {
  const { iam } = await startIam(t);
  const callerOf = (more: Partial<Session>): Caller => {
    const found = iam.identities.credential(...sealed(more));
    assert.ok(typeof found === "object");
    assert.equal(found.expiresMs, 5);
    return found.caller;
  };
  const role = callerOf({ role: { arn: `arn:aws:iam::${ACCOUNT}:role/path/r`, name: "r", id: "AROAX", sessionName: "s" } });
  assert.deepEqual([role.kind, role.arn, role.userId], ["assumed-role", `arn:aws:sts::${ACCOUNT}:assumed-role/r/s`, "AROAX:s"]);
  const user = callerOf({ user: { arn: `arn:aws:iam::${ACCOUNT}:user/u`, id: "AIDAX" } });
  assert.deepEqual([user.kind, user.userId], ["user", "AIDAX"]);
  assert.equal(callerOf({}).kind, "root");
});

test("sessions outlive a restart, and nothing of them is stored", async (t) => {
  const first = await startIam(t);
  const [id, token] = sealed();
  assert.equal(typeof first.iam.identities.credential(id, token), "object");
  const second = await startIam(t, first.storage);
  assert.equal(typeof second.iam.identities.credential(id, token), "object");
});

test("a role's policies count for its sessions as they are now", async (t) => {
  const { call, iam } = await startIam(t);
  const { Role } = await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText(), Tags: [{ Key: "team", Value: "a" }] });
  const session = { ...PLAIN, tags: { team: "b" } };
  const found = iam.identities.credential(
    ...sealed({ role: { arn: Role?.Arn ?? "", name: "r", id: Role?.RoleId ?? "", sessionName: "s" }, session }),
  );
  assert.ok(typeof found === "object");
  const actions = () => iam.identities.policies(found.caller).identity.map((one) => [one.Statement].flat()[0]?.Action);
  assert.deepEqual(actions(), []);
  await call("PutRolePolicy", { RoleName: "r", PolicyName: "p", PolicyDocument: policyText("s3:Get*") });
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" });
  const { Policy } = await call("CreatePolicy", { PolicyName: "own", PolicyDocument: policyText("s3:Put*") });
  const PolicyArn = Policy?.Arn ?? "";
  await call("AttachRolePolicy", { RoleName: "r", PolicyArn });
  assert.deepEqual(actions(), ["s3:Get*", ["*"], "s3:Put*"]);
  await call("CreatePolicyVersion", { PolicyArn, PolicyDocument: policyText("s3:List*"), SetAsDefault: true });
  assert.deepEqual(actions(), ["s3:Get*", ["*"], "s3:List*"]);
  assert.deepEqual(iam.identities.policies(found.caller).tags, { team: "b" });
  await call("DeleteRolePolicy", { RoleName: "r", PolicyName: "p" });
  for (const arn of ["arn:aws:iam::aws:policy/AdministratorAccess", PolicyArn])
    await call("DetachRolePolicy", { RoleName: "r", PolicyArn: arn });
  assert.deepEqual(actions(), []);
  await call("DeleteRole", { RoleName: "r" });
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: trustText() });
  await call("PutRolePolicy", { RoleName: "r", PolicyName: "p", PolicyDocument: policyText("*") });
  assert.deepEqual(actions(), [], "another role of the same name is another role");
});

test("a user of the same name that was made later is another user", async (t) => {
  const { call, iam } = await startIam(t);
  const { User } = await call("CreateUser", { UserName: "u" });
  const found = iam.identities.credential(...sealed({ user: { arn: User?.Arn ?? "", id: User?.UserId ?? "" } }));
  assert.ok(typeof found === "object");
  await call("PutUserPolicy", { UserName: "u", PolicyName: "p", PolicyDocument: policyText() });
  assert.equal(iam.identities.policies(found.caller).identity.length, 1);
  await call("DeleteUserPolicy", { UserName: "u", PolicyName: "p" });
  await call("DeleteUser", { UserName: "u" });
  await call("CreateUser", { UserName: "u" });
  await call("PutUserPolicy", { UserName: "u", PolicyName: "p", PolicyDocument: policyText() });
  assert.deepEqual(iam.identities.policies(found.caller).identity, []);
});

test("session policies bound, also when the managed one is gone", async (t) => {
  const { call, iam } = await startIam(t);
  const { Policy } = await call("CreatePolicy", { PolicyName: "own", PolicyDocument: policyText("s3:Get*") });
  const session = {
    ...PLAIN,
    policies: [{ Statement: [] }],
    policyArns: [Policy?.Arn ?? "", "arn:aws:iam::aws:policy/AdministratorAccess"],
  };
  const found = iam.identities.credential(...sealed({ session }));
  assert.ok(typeof found === "object");
  const bounds = () => iam.identities.policies(found.caller).session.map((one) => [one.Statement].flat()[0]?.Action);
  assert.deepEqual(bounds(), [undefined, "s3:Get*", ["*"]]);
  await call("DeletePolicy", { PolicyArn: Policy?.Arn });
  assert.deepEqual(bounds(), [undefined, undefined, ["*"]]);
});

test("a role is found by its own ARN alone", async (t) => {
  const { call, iam } = await startIam(t);
  const { Role } = await call("CreateRole", {
    RoleName: "r",
    Path: "/a/",
    AssumeRolePolicyDocument: trustText(),
    MaxSessionDuration: 7200,
  });
  const found = iam.roles.role(`arn:aws:iam::${ACCOUNT}:role/a/r`);
  assert.deepEqual([found?.name, found?.id, found?.sessionSecondsMax], ["r", Role?.RoleId, 7200]);
  for (const arn of [
    "",
    "r",
    "arn",
    `arn:aws:iam::${ACCOUNT}:role/r`,
    `arn:aws:iam::111111111111:role/a/r`,
    `arn:aws:iam::${ACCOUNT}:user/a/r`,
  ])
    assert.equal(iam.roles.role(arn), undefined, arn);
  await call("CreatePolicy", { PolicyName: "p", Path: "/a/", PolicyDocument: policyText() });
  assert.ok(iam.roles.managedPolicy(ACCOUNT, `arn:aws:iam::${ACCOUNT}:policy/a/p`));
  assert.equal(iam.roles.managedPolicy(ACCOUNT, `arn:aws:iam::${ACCOUNT}:policy/p`), undefined);
  assert.equal(iam.roles.managedPolicy("111111111111", `arn:aws:iam::${ACCOUNT}:policy/a/p`), undefined);
});
