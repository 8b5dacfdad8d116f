// The execution role of a function that `lambent deploy` makes: one per function, with the right to write logs and what was asked for.
import {
  AttachRolePolicyCommand,
  CreateRoleCommand,
  DeleteRoleCommand,
  DetachRolePolicyCommand,
  GetRoleCommand,
  type IAMClient,
} from "@aws-sdk/client-iam";
import { ListAttachedRolePoliciesCommand } from "@aws-sdk/client-iam";

const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});
const BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

/** IAM role names have at most 64 characters, as function names do. */
const roleNameOf = (functionName: string): string => `lambent-${functionName}`.slice(0, 64);

const isMissing = (error: unknown) => (error as Error).name === "NoSuchEntityException" || (error as Error).name === "NoSuchEntity";

/** Finds or makes the role and attaches the policies; resolves with its ARN. */
export async function ensureRole(iam: IAMClient, functionName: string, policies: readonly string[]): Promise<string> {
  const RoleName = roleNameOf(functionName);
  const arn = await roleArn(iam, RoleName);
  for (const policy of [BASIC, ...policies]) {
    const PolicyArn = policy.startsWith("arn:") ? policy : `arn:aws:iam::aws:policy/${policy}`;
    await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }));
  }
  return arn;
}

async function presentArn(iam: IAMClient, RoleName: string): Promise<string | undefined> {
  try {
    return (await iam.send(new GetRoleCommand({ RoleName }))).Role?.Arn;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return undefined;
  }
}

export const hasRole = async (iam: IAMClient, functionName: string): Promise<boolean> =>
  (await presentArn(iam, roleNameOf(functionName))) !== undefined;

async function roleArn(iam: IAMClient, RoleName: string): Promise<string> {
  const present = await presentArn(iam, RoleName);
  if (present !== undefined) return present;
  const made = await iam.send(
    new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument: TRUST,
      Description: "Made by lambent deploy for the function of the same name",
    }),
  );
  return made.Role?.Arn ?? "";
}

/** Removes the role that `ensureRole` made; one that is not there is fine. */
export async function removeRole(iam: IAMClient, functionName: string): Promise<void> {
  const RoleName = roleNameOf(functionName);
  try {
    const attached = await iam.send(new ListAttachedRolePoliciesCommand({ RoleName }));
    for (const { PolicyArn } of attached.AttachedPolicies ?? [])
      if (PolicyArn !== undefined) await iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn }));
    await iam.send(new DeleteRoleCommand({ RoleName }));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
