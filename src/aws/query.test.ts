// awsQuery as the official clients of IAM and STS see it.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as iam from "@aws-sdk/client-iam";
import * as sts from "@aws-sdk/client-sts";
import type { ServiceDefinition } from "./definition.ts";
import { assertRefused, FAKE_ACCOUNT, FAKE_ROOT, fakeDoor, fakeService } from "./fake-service.ts";
import { Fault } from "./fault.ts";

const role = `arn:aws:iam::${FAKE_ACCOUNT}:role/x`;

async function start(t: TestContext, services: readonly ServiceDefinition[]) {
  const fake = await fakeDoor(services);
  t.after(() => fake.door.close());
  return fake;
}

test("IAM and STS: forms in, XML out, query codes", async (t) => {
  const seen: unknown[] = [];
  const { settings } = await start(t, [
    fakeService("iam", iam, "IAMClient", {
      CreateRole(_context, input) {
        seen.push(input);
        return {
          Role: { Path: "/", RoleName: input.RoleName, RoleId: "A", Arn: role, CreateDate: new Date(1_700_000_000_000), Tags: input.Tags },
        };
      },
      DeleteRole: () => ({}),
      GetRole(_context, input) {
        throw new Fault(iam.NoSuchEntityException$, `The role with name ${input.RoleName} cannot be found.`);
      },
      GetAccountSummary: () => ({ SummaryMap: { Users: 3 } }),
    }),
    fakeService("sts", sts, "STSClient", {
      GetCallerIdentity: (context) => ({ Account: context.account, Arn: context.caller.arn, UserId: "<&>\u0007" }),
    }),
  ]);
  const client = new iam.IAMClient(settings());
  const tokens = new sts.STSClient(settings());
  t.after(() => (client.destroy(), tokens.destroy()));
  const Tags = [
    { Key: "a b", Value: "é =+" },
    { Key: "c", Value: "" },
  ];
  const input = { RoleName: "r", AssumeRolePolicyDocument: '{"a": "%&=+"}', MaxSessionDuration: 3600, Tags };
  const created = await client.send(new iam.CreateRoleCommand(input));
  assert.deepEqual(seen, [input]);
  assert.deepEqual([created.Role?.Tags, created.Role?.CreateDate?.getTime()], [Tags, 1_700_000_000_000]);
  assert.equal((await client.send(new iam.DeleteRoleCommand({ RoleName: "r" }))).$metadata.httpStatusCode, 200);
  assert.deepEqual((await client.send(new iam.GetAccountSummaryCommand({}))).SummaryMap, { Users: 3 });
  const missing = client.send(new iam.GetRoleCommand({ RoleName: "r" }));
  await assertRefused(missing, "NoSuchEntityException", 404, "The role with name r cannot be found.");
  await assertRefused(
    client.send(new iam.GetRoleCommand({ RoleName: "a b" })),
    "ValidationError",
    400,
    /^1 validation error detected: Value 'a b' at 'roleName'/,
  );
  await assertRefused(client.send(new iam.ListUsersCommand({})), "NotImplementedException", 501, /iam:ListUsers/);
  const identity = await tokens.send(new sts.GetCallerIdentityCommand({}));
  assert.deepEqual([identity.Account, identity.Arn, identity.UserId], [FAKE_ACCOUNT, FAKE_ROOT.caller.arn, "<&>\u0007"]);
  const wrong = new sts.STSClient({ ...settings(), credentials: { accessKeyId: "AKIAROOT", secretAccessKey: "wrong" } });
  t.after(() => wrong.destroy());
  await assertRefused(wrong.send(new sts.GetCallerIdentityCommand({})), "SignatureDoesNotMatch", 403);
});
