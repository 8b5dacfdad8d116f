// AssumeRole: what must be allowed for it, and the session that it makes.
import { gzipSync } from "node:zlib";
import type * as client from "@aws-sdk/client-sts";
import { MalformedPolicyDocumentException$, PackedPolicyTooLargeException$ } from "@aws-sdk/client-sts";
import { parseArn } from "../../aws/arn.ts";
import { notImplemented } from "../../aws/common-faults.ts";
import type { AccessNeed } from "../../aws/definition.ts";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { AssumableRole, CallerSession, Roles } from "../../aws/identity.ts";
import type { Context } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument } from "../../aws/policy.ts";

type Input = client.AssumeRoleCommandInput;
type Tags = Readonly<Record<string, string>>;

const ROLE_SECONDS = 3600;
/** A session of a session lives an hour at most ("role chaining"). */
const CHAINED_SECONDS_MAX = 3600;
const SESSION_POLICIES_MAX = 10;
const SESSION_TAGS_MAX = 50;
/** Of policies and tags, compressed: the token must fit into a header of a request, beside all others. */
const PACKED_BYTES_MAX = 3_072;

const invalid = (message: string) => new CommonFault("ValidationError", message, 400);

/** Tags that the caller's session hands on to each session made with it. */
function inheritedTags({ caller }: Context): Tags {
  const { tags = {}, transitiveTagKeys = [] } = caller.session ?? {};
  return Object.fromEntries(Object.entries(tags).filter(([name]) => transitiveTagKeys.includes(name)));
}

const sourceIdentityOf = ({ caller }: Context, input: Pick<Input, "SourceIdentity">) =>
  input.SourceIdentity ?? caller.session?.sourceIdentity;

function conditionsOf(context: Context, role: AssumableRole | undefined, input: Input): Record<string, string | string[]> {
  const conditions: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  const set = (name: string, value: string | undefined) => {
    if (typeof value === "string") conditions[name] = value;
  };
  set("sts:RoleSessionName", input.RoleSessionName);
  set("sts:ExternalId", input.ExternalId);
  set("sts:SourceIdentity", sourceIdentityOf(context, input));
  for (const { Key = "", Value } of input.Tags ?? []) set(`aws:RequestTag/${Key}`, Value);
  const keys = (input.Tags ?? []).flatMap(({ Key }) => Key ?? []);
  if (keys.length > 0) conditions["aws:TagKeys"] = keys;
  if (input.TransitiveTagKeys !== undefined) conditions["sts:TransitiveTagKeys"] = input.TransitiveTagKeys;
  for (const [name, value] of Object.entries(role?.tags ?? {})) {
    conditions[`aws:ResourceTag/${name}`] = value;
    conditions[`iam:ResourceTag/${name}`] = value;
  }
  return conditions;
}

/** The trust policy must allow each; a role that does not exist trusts nobody, and nobody learns that it does not. */
export function assumeRoleAccess(roles: Roles, context: Context, input: Input): readonly AccessNeed[] {
  const { RoleArn } = input;
  if (typeof RoleArn !== "string" || parseArn(RoleArn) === undefined) return [];
  const role = roles.role(RoleArn);
  const actions = ["sts:AssumeRole"];
  if ((input.Tags?.length ?? 0) > 0 || Object.keys(inheritedTags(context)).length > 0) actions.push("sts:TagSession");
  if (sourceIdentityOf(context, input) !== undefined) actions.push("sts:SetSourceIdentity");
  return actions.map((action) => ({
    action,
    resource: RoleArn,
    resourcePolicy: role?.trust ?? { Statement: [] },
    needsResourcePolicy: true,
    conditions: () => conditionsOf(context, role, input),
  }));
}

export function assumableRole(roles: Roles, { caller }: Context, RoleArn: string): AssumableRole {
  if (parseArn(RoleArn) === undefined) throw invalid(`${RoleArn} is invalid`);
  const role = roles.role(RoleArn);
  if (role !== undefined) return role;
  const message = `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`;
  throw new CommonFault("AccessDeniedException", message, 403);
}

export function durationSeconds(role: AssumableRole, { caller }: Context, given: number | undefined): number {
  const seconds = given ?? Math.min(ROLE_SECONDS, role.sessionSecondsMax);
  if (seconds > role.sessionSecondsMax) throw invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  if (caller.session !== undefined && caller.kind === "assumed-role" && seconds > CHAINED_SECONDS_MAX)
    throw invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
  return seconds;
}

function sessionTags(
  context: Context,
  { Tags: tags = [], TransitiveTagKeys = [] }: Input,
): Pick<CallerSession, "tags" | "transitiveTagKeys"> {
  const lower = (name: string) => name.toLowerCase();
  const inherited = inheritedTags(context);
  const inheritedKeys = Object.keys(inherited);
  const keys = tags.map(({ Key = "" }) => Key);
  const names = new Set(keys.map(lower));
  if (names.size < keys.length) throw invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
  if (inheritedKeys.some((one) => names.has(lower(one))))
    throw invalid(
      "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
    );
  if (TransitiveTagKeys.some((one) => !names.has(lower(one))))
    throw invalid("The specified transitive tag key must be included in the requested tags.");
  if (keys.length + inheritedKeys.length > SESSION_TAGS_MAX) throw invalid(`A session has at most ${SESSION_TAGS_MAX} tags.`);
  const transitive = new Set(TransitiveTagKeys.map(lower));
  return {
    tags: Object.fromEntries([...Object.entries(inherited), ...tags.map(({ Key = "", Value = "" }) => [Key, Value] as const)]),
    transitiveTagKeys: [...inheritedKeys, ...keys.filter((one) => transitive.has(lower(one)))],
  };
}

function sessionPolicies(
  roles: Roles,
  role: AssumableRole,
  { Policy, PolicyArns = [] }: Input,
): Pick<CallerSession, "policies" | "policyArns"> {
  if (PolicyArns.length > SESSION_POLICIES_MAX) throw invalid(`A session has at most ${SESSION_POLICIES_MAX} managed policies.`);
  const policies: PolicyDocument[] = [];
  if (Policy !== undefined) {
    const parsed = parsePolicy(Policy, "identity");
    if ("malformed" in parsed) throw new Fault(MalformedPolicyDocumentException$, parsed.malformed);
    policies.push(parsed);
  }
  const policyArns = PolicyArns.map(({ arn = "" }) => arn);
  for (const arn of policyArns)
    if (roles.managedPolicy(role.account, arn) === undefined)
      throw new Fault(MalformedPolicyDocumentException$, `Policy ${arn} does not exist or is not attachable.`);
  return { policies, policyArns };
}

function sourceIdentity(context: Context, input: Input): { sourceIdentity?: string } {
  const own = context.caller.session?.sourceIdentity;
  if (own !== undefined && input.SourceIdentity !== undefined && own !== input.SourceIdentity)
    throw new CommonFault("AccessDeniedException", "The source identity of a session cannot be changed.", 403);
  const value = sourceIdentityOf(context, input);
  return value === undefined ? {} : { sourceIdentity: value };
}

/** What is said and not honoured must not look as if it were. */
function checkUnbuilt({ SerialNumber, TokenCode, ProvidedContexts, MinimumSessionTokenSize }: Input): void {
  if (SerialNumber !== undefined || TokenCode !== undefined)
    throw new CommonFault("AccessDeniedException", "MultiFactorAuthentication failed: Lambent has no MFA devices.", 403);
  if (ProvidedContexts !== undefined) throw notImplemented("ProvidedContexts of AssumeRole");
  if (MinimumSessionTokenSize !== undefined) throw notImplemented("MinimumSessionTokenSize of AssumeRole");
}

/** The session, and how much of its room its policies and tags take. */
export function sessionOf(
  roles: Roles,
  role: AssumableRole,
  context: Context,
  input: Input,
  issuedMs: number,
): { readonly session: CallerSession; readonly PackedPolicySize?: number } {
  checkUnbuilt(input);
  const policies = sessionPolicies(roles, role, input);
  const tags = sessionTags(context, input);
  const session = { issuedMs, ...policies, ...tags, ...sourceIdentity(context, input) };
  if (policies.policies.length + policies.policyArns.length + Object.keys(tags.tags).length === 0) return { session };
  const PackedPolicySize = Math.ceil((100 * gzipSync(JSON.stringify({ ...policies, ...tags })).length) / PACKED_BYTES_MAX);
  if (PackedPolicySize > 100)
    throw new Fault(
      PackedPolicyTooLargeException$,
      `Packed policy consumes ${PackedPolicySize}% of allotted space, please use smaller policy.`,
    );
  return { session, PackedPolicySize };
}
