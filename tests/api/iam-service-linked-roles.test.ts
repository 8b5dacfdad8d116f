// Service-linked roles as IAM's official client sees them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, AWS_MANAGED, POLICY, startIamApi, TRUST } from "./iam.fixture.ts";

test("a service-linked role is made, protected and deleted through its service", async (t) => {
  const { iam } = await startIamApi(t);
  const AWSServiceName = "lambda.application-autoscaling.amazonaws.com";
  const { Role } = await iam.createServiceLinkedRole({ AWSServiceName, Description: "d" });
  const RoleName = "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency";
  assert.deepEqual(
    [Role?.RoleName, Role?.Path, Role?.Arn],
    [RoleName, `/aws-service-role/${AWSServiceName}/`, `arn:aws:iam::${ACCOUNT}:role/aws-service-role/${AWSServiceName}/${RoleName}`],
  );
  await assertRefused(iam.createServiceLinkedRole({ AWSServiceName }), "InvalidInputException", 400, /has been taken in this account/);
  await assertRefused(iam.createServiceLinkedRole({ AWSServiceName: "nobody" }), "InvalidInputException", 400);
  const suffixed = await iam.createServiceLinkedRole({ AWSServiceName: "autoscaling.amazonaws.com", CustomSuffix: "mine" });
  assert.equal(suffixed.Role?.RoleName, "AWSServiceRoleForAutoScaling_mine");
  for (const call of [
    () => iam.deleteRole({ RoleName }),
    () => iam.updateRole({ RoleName, Description: "x" }),
    () => iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: TRUST }),
    () => iam.putRolePolicy({ RoleName, PolicyName: "p", PolicyDocument: POLICY }),
    () => iam.attachRolePolicy({ RoleName, PolicyArn: AWS_MANAGED }),
  ])
    await assertRefused(call(), "UnmodifiableEntityException", 400, /only modifiable by AWS/);
  const { DeletionTaskId } = await iam.deleteServiceLinkedRole({ RoleName });
  assert.equal((await iam.getServiceLinkedRoleDeletionStatus({ DeletionTaskId })).Status, "SUCCEEDED");
  await assertRefused(iam.getRole({ RoleName }), "NoSuchEntityException", 404);
  await assertRefused(iam.deleteServiceLinkedRole({ RoleName }), "NoSuchEntityException", 404);
  await assertRefused(iam.getServiceLinkedRoleDeletionStatus({ DeletionTaskId: "task/none" }), "NoSuchEntityException", 404);
  await iam.createRole({ RoleName: "own", AssumeRolePolicyDocument: TRUST });
  await assertRefused(iam.deleteServiceLinkedRole({ RoleName: "own" }), "NoSuchEntityException", 404, /not a service-linked role/);
});
