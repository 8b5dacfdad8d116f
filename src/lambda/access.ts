// What IAM checks for each operation of Lambda.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
import type { AccessNeed, ConditionKeys, ServiceDefinition } from "../aws/definition.ts";
import type { Context } from "../aws/operations.ts";
import { layerArn, layerVersionOf, readLayerName } from "./layer-records.ts";
import { mappingArn } from "./event-source-mapping-records.ts";
import { functionArn, readFunctionName } from "./names.ts";
import { documentOf, policyOf } from "./permissions.ts";
import { tagConditions, tagNeeds } from "./tag-access.ts";

/** Operations whose action has another name than theirs. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["Invoke", "InvokeFunction"],
  ["InvokeAsync", "InvokeFunction"],
  ["InvokeWithResponseStream", "InvokeFunction"],
  ["GetLayerVersionByArn", "GetLayerVersion"],
]);

const actionOf = (operation: string) => `lambda:${ACTIONS.get(operation) ?? operation}`;

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

type Records = Parameters<typeof policyOf>[0] & Parameters<typeof layerVersionOf>[0] & Parameters<typeof tagConditions>[0];
type Input = Readonly<Record<string, unknown>>;

const textOf = (input: Input, name: string) => (typeof input[name] === "string" ? input[name] : "");

/** Under the resource policy of what the caller addressed. */
export function accessOf(records: Records): ServiceDefinition["access"] {
  return (operation, context, input) => {
    const action = actionOf(operation);
    const layer = textOf(input, "LayerName") || textOf(input, "Arn");
    if (layer !== "") return [layerNeed(records, context, action, layer, input["VersionNumber"])];
    const resource = UNBOUND.has(operation) ? "*" : resourceOf(context, input);
    const conditions = () => ({ ...conditionsOf(records, operation, context, input), ...tagConditions(records, context, input, resource) });
    return [
      functionNeed(records, context, { action, resource, conditions }),
      ...formerFunctionNeeds(records, context, action, input, conditions),
      ...tagNeeds(operation, context, input, resource).map((one) => functionNeed(records, context, { ...one, conditions })),
      ...signingNeeds(operation, action, textOf(input, "CodeSigningConfigArn")),
      ...roleNeeds(textOf(input, "Role")),
      ...layersIn(input).map((arn) => layerNeed(records, context, "lambda:GetLayerVersion", arn)),
    ];
  };
}

const layersIn = ({ Layers }: Input): string[] => (Array.isArray(Layers) ? Layers.filter((one) => typeof one === "string") : []);

/** Under the policy of the function, if the resource is one. */
function functionNeed(records: Records, context: Context, need: AccessNeed): AccessNeed {
  const { resource } = need;
  const policy = resource.includes(":function:") ? policyOf(records, readFunctionName(context, resource))?.value : undefined;
  return policy === undefined ? need : { ...need, resourcePolicy: documentOf(policy) };
}

/** Who signs a function's code with a configuration must be allowed to use that. */
const signingNeeds = (operation: string, action: string, arn: string): AccessNeed[] =>
  operation === "PutFunctionCodeSigningConfig" ? [{ action, resource: arn }] : [];

const roleNeeds = (role: string): AccessNeed[] =>
  role === "" ? [] : [{ action: "iam:PassRole", resource: role, conditions: () => ({ "iam:PassedToService": "lambda.amazonaws.com" }) }];

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
  const [name, qualifier, uuid] = [textOf(input, "FunctionName"), textOf(input, "Qualifier"), textOf(input, "UUID")];
  if (uuid !== "") return mappingArn(context, uuid);
  const arn = textOf(input, "Resource") || textOf(input, "ResourceArn") || (name === "" ? textOf(input, "CodeSigningConfigArn") : "");
  if (arn !== "") return arn;
  if (name === "") return "*";
  const reference = readFunctionName(context, name);
  return functionArn(reference.qualifier === undefined && qualifier !== "" ? { ...reference, qualifier } : reference);
}

/** The function of the mapping that a request names. */
const mappedFunction = ({ mappings }: Records, { account, region }: Context, input: Input): string =>
  mappings.get(account, region, textOf(input, "UUID"))?.value.functionArn ?? "";

/** Who gives a mapping another function must be allowed to change it for the one that it has. */
function formerFunctionNeeds(
  records: Records,
  context: Context,
  action: string,
  input: Input,
  conditions: () => ConditionKeys,
): AccessNeed[] {
  const former = mappedFunction(records, context, input);
  if (former === "" || conditions()["lambda:FunctionArn"] === former) return [];
  return [{ action, resource: resourceOf(context, input), conditions: () => ({ ...conditions(), "lambda:FunctionArn": former }) }];
}

/** Keys that policies may ask for beyond those of every request. */
function conditionsOf(records: Records, operation: string, context: Context, input: Input): ConditionKeys {
  const text = (name: string) => textOf(input, name);
  const layers = layersIn(input);
  const mapped = operation.endsWith("EventSourceMapping") ? text("FunctionName") || mappedFunction(records, context, input) : "";
  const authType = text("AuthType") || text("FunctionUrlAuthType");
  const [principal, signing] = [operation === "AddPermission" ? text("Principal") : "", text("CodeSigningConfigArn")];
  return {
    ...(mapped === "" ? {} : { "lambda:FunctionArn": functionArn(readFunctionName(context, mapped)) }),
    ...(authType === "" ? {} : { "lambda:FunctionUrlAuthType": authType }),
    ...(principal === "" ? {} : { "lambda:Principal": principal }),
    ...(signing === "" ? {} : { "lambda:CodeSigningConfigArn": signing }),
    ...(layers.length === 0 ? {} : { "lambda:Layer": layers }),
  };
}
