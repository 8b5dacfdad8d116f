// What IAM checks for each operation of Lambda.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
import type { AccessNeed, ServiceDefinition } from "../aws/definition.ts";
import type { Context } from "../aws/operations.ts";
import { functionArn, readFunctionName } from "./names.ts";
import { documentOf, policyOf } from "./permissions.ts";

/** Operations whose action has another name than theirs. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["Invoke", "InvokeFunction"],
  ["InvokeAsync", "InvokeFunction"],
  ["InvokeWithResponseStream", "InvokeFunction"],
]);

/** Operations on no function, or on all of them. */
const UNBOUND = new Set(["ListFunctions", "GetAccountSettings", "ListLayers", "ListEventSourceMappings", "ListCodeSigningConfigs"]);

/** Under the resource policy of what the caller addressed. */
export function accessOf(policies: Parameters<typeof policyOf>[0]): ServiceDefinition["access"] {
  return (operation, context, input) => {
    const text = (name: string) => (typeof input[name] === "string" ? input[name] : "");
    const action = `lambda:${ACTIONS.get(operation) ?? operation}`;
    const resource = UNBOUND.has(operation) ? "*" : resourceOf(context, text("FunctionName"), text("Qualifier"), text("Resource"));
    const policy = resource === "*" ? undefined : policyOf(policies, readFunctionName(context, resource))?.value;
    const need: AccessNeed = { action, resource, ...(policy === undefined ? {} : { resourcePolicy: documentOf(policy) }) };
    const role = text("Role");
    if (role === "") return [need];
    return [need, { action: "iam:PassRole", resource: role, conditions: { "iam:PassedToService": "lambda.amazonaws.com" } }];
  };
}

/** The ARN as the caller addressed it: a grant on a function does not cover its versions and aliases. */
function resourceOf(context: Context, name: string, qualifier: string, resource: string): string {
  if (resource !== "") return resource;
  if (name === "") return "*";
  const reference = readFunctionName(context, name);
  return functionArn(reference.qualifier === undefined && qualifier !== "" ? { ...reference, qualifier } : reference);
}
