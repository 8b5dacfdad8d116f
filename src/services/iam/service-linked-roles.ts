// Roles that belong to a service: made, described and deleted through it, not changed by hand.
import type * as client from "@aws-sdk/client-iam";
import { randomUUID } from "node:crypto";
import type { Context, Operations } from "../../aws/operations.ts";
import { create, iamKey, invalidInput, noSuchEntity, ROLE_KIND, transact, uniqueId, type Iam, type RoleRecord } from "./model.ts";
import { describedRole, findRole, isServiceLinked, SERVICE_ROLE_PATH } from "./roles.ts";

type Names = "CreateServiceLinkedRole" | "DeleteServiceLinkedRole" | "GetServiceLinkedRoleDeletionStatus";

const TASK = /^task\/aws-service-role\/[\w.-]+\/[\w+=,.@-]+\/[\da-f-]{36}$/;

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html; others are named after their principal. */
const SUFFIXES: ReadonlyMap<string, string> = new Map([
  ["autoscaling.amazonaws.com", "AutoScaling"],
  ["dynamodb.application-autoscaling.amazonaws.com", "ApplicationAutoScaling_DynamoDBTable"],
  ["ecs.amazonaws.com", "ECS"],
  ["elasticloadbalancing.amazonaws.com", "ElasticLoadBalancing"],
  ["lambda.amazonaws.com", "Lambda"],
  ["lambda.application-autoscaling.amazonaws.com", "ApplicationAutoScaling_LambdaConcurrency"],
  ["ops.apigateway.amazonaws.com", "APIGateway"],
  ["rds.amazonaws.com", "RDS"],
  ["replicator.lambda.amazonaws.com", "LambdaReplicator"],
]);

export function serviceLinkedRoles(iam: Iam) {
  return {
    CreateServiceLinkedRole: (context, input) => createLinked(iam, context, input),
    DeleteServiceLinkedRole: (context, { RoleName = "" }) =>
      transact(iam, () => {
        const { key, revision, value } = findRole(iam, context, RoleName);
        if (!isServiceLinked(value)) throw noSuchEntity(`The role with name ${RoleName} is not a service-linked role.`);
        const service = value.path.slice(SERVICE_ROLE_PATH.length, -1);
        const result = { DeletionTaskId: `task/aws-service-role/${service}/${RoleName}/${randomUUID()}` };
        return { writes: [{ key, expect: revision }], result };
      }),
    // Deletion is done when it is answered; only the id is left to be asked for.
    GetServiceLinkedRoleDeletionStatus(context, { DeletionTaskId = "" }) {
      if (!TASK.test(DeletionTaskId)) throw noSuchEntity(`The deletion task ${DeletionTaskId} cannot be found.`);
      const name = DeletionTaskId.split("/")[3] ?? "";
      if (iam.roles.get(context.account, "", name) !== undefined)
        throw noSuchEntity(`The deletion task ${DeletionTaskId} cannot be found.`);
      return { Status: "SUCCEEDED" };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

function nameOf(service: string, suffix: string | undefined): string {
  const [label = ""] = service.split(".");
  const known = SUFFIXES.get(service) ?? label.charAt(0).toUpperCase() + label.slice(1);
  return `AWSServiceRoleFor${known}${suffix === undefined ? "" : `_${suffix}`}`;
}

async function createLinked(iam: Iam, context: Context, input: client.CreateServiceLinkedRoleCommandInput) {
  const { AWSServiceName = "", Description, CustomSuffix } = input;
  if (!AWSServiceName.endsWith(".amazonaws.com")) throw invalidInput(`The service name ${AWSServiceName} is not valid.`);
  const name = nameOf(AWSServiceName, CustomSuffix);
  const trust = { Effect: "Allow", Principal: { Service: [AWSServiceName] }, Action: ["sts:AssumeRole"] };
  const value: RoleRecord = {
    id: uniqueId("AROA", 17),
    path: `${SERVICE_ROLE_PATH}${AWSServiceName}/`,
    createdAtMs: iam.clock.now(),
    trust: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    sessionSecondsMax: 3600,
    inline: {},
    attached: [],
    tags: {},
    ...(Description === undefined ? {} : { description: Description }),
  };
  const key = iamKey(context, ROLE_KIND, name);
  const taken = () => invalidInput(`Service role name ${name} has been taken in this account, please try a different suffix.`);
  await create(iam, iam.roles, key, value, taken);
  return { Role: describedRole({ key, value }) };
}
