// What IAM checks for each operation of Lambda.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
import type { AccessNeed, ServiceDefinition } from "../aws/definition.ts";
import type { Context } from "../aws/operations.ts";
import { layerArn, layerVersionOf, readLayerName } from "./layer-records.ts";
import { functionArn, readFunctionName } from "./names.ts";
import { documentOf, policyOf } from "./permissions.ts";

/** Operations whose action has another name than theirs. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["Invoke", "InvokeFunction"],
  ["InvokeAsync", "InvokeFunction"],
  ["InvokeWithResponseStream", "InvokeFunction"],
  ["GetLayerVersionByArn", "GetLayerVersion"],
]);

/** Operations on no function, or on all of them. */
const UNBOUND = new Set(["ListFunctions", "GetAccountSettings", "ListLayers", "ListEventSourceMappings", "ListCodeSigningConfigs"]);

type Records = Parameters<typeof policyOf>[0] & Parameters<typeof layerVersionOf>[0];
type Input = Readonly<Record<string, unknown>>;

const textOf = (input: Input, name: string) => (typeof input[name] === "string" ? input[name] : "");

/** Under the resource policy of what the caller addressed. */
export function accessOf(records: Records): ServiceDefinition["access"] {
  return (operation, context, input) => {
    const action = `lambda:${ACTIONS.get(operation) ?? operation}`;
    const layer = textOf(input, "LayerName") || textOf(input, "Arn");
    if (layer !== "") return [layerNeed(records, context, action, layer, input["VersionNumber"])];
    const layers = Array.isArray(input["Layers"]) ? input["Layers"].filter((one) => typeof one === "string") : [];
    return [
      functionNeed(records, context, UNBOUND.has(operation) ? "*" : resourceOf(context, input), action, layers),
      ...roleNeeds(textOf(input, "Role")),
      ...layers.map((arn) => layerNeed(records, context, "lambda:GetLayerVersion", arn)),
    ];
  };
}

function functionNeed(records: Records, context: Context, resource: string, action: string, layers: readonly string[]): AccessNeed {
  const policy = resource === "*" ? undefined : policyOf(records, readFunctionName(context, resource))?.value;
  return {
    action,
    resource,
    ...(policy === undefined ? {} : { resourcePolicy: documentOf(policy) }),
    ...(layers.length === 0 ? {} : { conditions: { "lambda:Layer": layers } }),
  };
}

const roleNeeds = (role: string): AccessNeed[] =>
  role === "" ? [] : [{ action: "iam:PassRole", resource: role, conditions: { "iam:PassedToService": "lambda.amazonaws.com" } }];

/** A layer, or one of its versions. To list the versions has no resource at AWS, unless they are somebody else's. */
function layerNeed(records: Records, context: Context, action: string, text: string, version?: unknown): AccessNeed {
  const named = readLayerName(context, text);
  if (action === "lambda:ListLayerVersions" && named.account === context.account) return { action, resource: "*" };
  const reference = typeof version === "number" ? { ...named, version } : named;
  const policy = layerVersionOf(records, reference)?.value.policy;
  return { action, resource: layerArn(reference), ...(policy === undefined ? {} : { resourcePolicy: documentOf(policy) }) };
}

/** The ARN as the caller addressed it: a grant on a function does not cover its versions and aliases. */
function resourceOf(context: Context, input: Input): string {
  const [resource, name, qualifier] = [textOf(input, "Resource"), textOf(input, "FunctionName"), textOf(input, "Qualifier")];
  if (resource !== "") return resource;
  if (name === "") return "*";
  const reference = readFunctionName(context, name);
  return functionArn(reference.qualifier === undefined && qualifier !== "" ? { ...reference, qualifier } : reference);
}
