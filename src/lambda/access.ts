// What IAM checks for each operation of Lambda.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
import type { AccessNeed, ServiceDefinition } from "../aws/definition.ts";
import type { Context } from "../aws/operations.ts";
import { mappingArn } from "./event-source-mapping-records.ts";
import { functionArn, readFunctionName } from "./names.ts";
import { documentOf, policyOf } from "./permissions.ts";

/** Operations whose action has another name than theirs. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["Invoke", "InvokeFunction"],
  ["InvokeAsync", "InvokeFunction"],
  ["InvokeWithResponseStream", "InvokeFunction"],
]);

/** Operations on no function, or on all of them. */
const UNBOUND = new Set([
  "ListFunctions",
  "GetAccountSettings",
  "ListLayers",
  "CreateEventSourceMapping",
  "ListEventSourceMappings",
  "CreateCodeSigningConfig",
  "ListCodeSigningConfigs",
]);

/** Under the resource policy of what the caller addressed. */
export function accessOf(policies: Parameters<typeof policyOf>[0]): ServiceDefinition["access"] {
  return (operation, context, input) => {
    const text = (name: string) => (typeof input[name] === "string" ? input[name] : "");
    const action = `lambda:${ACTIONS.get(operation) ?? operation}`;
    const resource = UNBOUND.has(operation) ? "*" : resourceOf(context, text);
    const policy = resource.includes(":function:") ? policyOf(policies, readFunctionName(context, resource))?.value : undefined;
    const conditions = conditionsOf(operation, context, text);
    const need: AccessNeed = {
      action,
      resource,
      ...(policy === undefined ? {} : { resourcePolicy: documentOf(policy) }),
      ...(Object.keys(conditions).length === 0 ? {} : { conditions }),
    };
    if (operation === "PutFunctionCodeSigningConfig") return [need, { action, resource: text("CodeSigningConfigArn") }];
    const role = text("Role");
    if (role === "") return [need];
    return [need, { action: "iam:PassRole", resource: role, conditions: { "iam:PassedToService": "lambda.amazonaws.com" } }];
  };
}

/** The ARN as the caller addressed it: a grant on a function does not cover its versions and aliases. */
function resourceOf(context: Context, text: (name: string) => string): string {
  const [name, qualifier, uuid] = [text("FunctionName"), text("Qualifier"), text("UUID")];
  if (uuid !== "") return mappingArn(context, uuid);
  const arn = text("Resource") || text("ResourceArn") || (name === "" ? text("CodeSigningConfigArn") : "");
  if (arn !== "") return arn;
  if (name === "") return "*";
  const reference = readFunctionName(context, name);
  return functionArn(reference.qualifier === undefined && qualifier !== "" ? { ...reference, qualifier } : reference);
}

/** Keys that policies may ask for beyond those of every request. */
function conditionsOf(operation: string, context: Context, text: (name: string) => string): Readonly<Record<string, string>> {
  const mapped = operation.endsWith("EventSourceMapping") ? text("FunctionName") : "";
  const authType = text("AuthType") || text("FunctionUrlAuthType");
  const [principal, signing] = [operation === "AddPermission" ? text("Principal") : "", text("CodeSigningConfigArn")];
  return {
    ...(mapped === "" ? {} : { "lambda:FunctionArn": functionArn(readFunctionName(context, mapped)) }),
    ...(authType === "" ? {} : { "lambda:FunctionUrlAuthType": authType }),
    ...(principal === "" ? {} : { "lambda:Principal": principal }),
    ...(signing === "" ? {} : { "lambda:CodeSigningConfigArn": signing }),
  };
}
