// What tags mean for IAM: the conditions on them, and what other operations need to set and to see them.
// https://docs.aws.amazon.com/lambda/latest/dg/attribute-based-access-control.html
import { parseArn } from "../aws/arn.ts";
import type { AccessNeed } from "../aws/definition.ts";
import type { Context } from "../aws/operations.ts";
import type { Lambda } from "./model.ts";
import { functionArn, readFunctionName } from "./names.ts";

type Records = Pick<Lambda, "functions" | "mappings" | "codeSigningConfigs">;
type Input = Readonly<Record<string, unknown>>;

/** Operations that make something with tags, by what the tags will be on: of a mapping or a configuration nobody knows the id yet. */
const MADE: Readonly<Record<string, string>> = {
  CreateFunction: "function",
  CreateEventSourceMapping: "event-source-mapping",
  CreateCodeSigningConfig: "code-signing-config",
};

/** The part of GetFunction that is refused alone. */
export const TAGS_PART = "Tags";

const mapOf = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === "object" && value !== null ? { ...value } : {});

/** Of a function they are its versions' and aliases' too. */
function tagsOf(records: Records, context: Context, resource: string): Readonly<Record<string, string>> {
  const { account = "", region = "", resource: path = "" } = parseArn(resource) ?? {};
  const [type = "", id = ""] = path.split(":");
  const view = { function: records.functions, "event-source-mapping": records.mappings, "code-signing-config": records.codeSigningConfigs };
  if (type !== "function" && type !== "event-source-mapping" && type !== "code-signing-config") return {};
  const name = type === "function" ? readFunctionName(context, resource).name : id;
  return view[type].get(account, region, name)?.value.tags ?? {};
}

/** Keys that policies may ask for. */
export function tagConditions(records: Records, context: Context, input: Input, resource: string): Record<string, string | string[]> {
  const conditions: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(tagsOf(records, context, resource))) conditions[`aws:ResourceTag/${name}`] = value;
  const given = mapOf(input["Tags"]);
  for (const [name, value] of Object.entries(given)) if (typeof value === "string") conditions[`aws:RequestTag/${name}`] = value;
  const removed = Array.isArray(input["TagKeys"]) ? input["TagKeys"].filter((one) => typeof one === "string") : [];
  const keys = [...Object.keys(given), ...removed];
  if (keys.length > 0) conditions["aws:TagKeys"] = keys;
  return conditions;
}

type Need = Pick<AccessNeed, "action" | "resource" | "part">;

/** Rights beside the operation's own. */
export function tagNeeds(operation: string, context: Context, input: Input, resource: string): readonly Need[] {
  if (operation === "GetFunction") {
    const { account, region, name } = readFunctionName(context, resource);
    return [{ action: "lambda:ListTags", resource: functionArn({ account, region, name }), part: TAGS_PART }];
  }
  const type = MADE[operation];
  if (type === undefined || Object.keys(mapOf(input["Tags"])).length === 0) return [];
  const made = type === "function" ? resource : `arn:aws:lambda:${context.region}:${context.account}:${type}:*`;
  return [{ action: "lambda:TagResource", resource: made }];
}
