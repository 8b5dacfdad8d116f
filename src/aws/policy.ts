// IAM policy documents and their evaluation; pure.
import { parseArn } from "./arn.ts";
import type { AccessNeed } from "./definition.ts";
import type { Caller } from "./identity.ts";
import { conditionsHold, isCondition, matchesWildcard, withVariables, type Conditions } from "./policy-condition.ts";

/** IAM takes 6,144 characters without white space for the largest kind of policy, S3 20 KB. */
const POLICY_BYTES_MAX = 20 * 1024;

/** A policy as stored: JSON of the IAM policy grammar, version 2012-10-17. */
export interface PolicyDocument {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: PolicyStatement | readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly NotResource?: string | readonly string[];
  readonly Principal?: "*" | Readonly<Record<string, string | readonly string[]>>;
  readonly NotPrincipal?: "*" | Readonly<Record<string, string | readonly string[]>>;
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | boolean | number | readonly (string | boolean | number)[]>>>
  >;
}

export interface AccessRequest {
  readonly caller: Caller;
  readonly need: AccessNeed;
  readonly identity: readonly PolicyDocument[];
  readonly session: readonly PolicyDocument[];
  /** By lower-case name. */
  readonly conditions: Conditions;
}

export type Decision = { readonly allowed: true } | { readonly allowed: false; readonly message: string };

type Verdict = "allow" | "deny" | "silent";

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

const statementsOf = (policy: PolicyDocument): readonly PolicyStatement[] => listOf(policy.Statement);

/** Action names are compared without case, and may hold `*` and `?`. */
const actionMatches = (patterns: readonly string[], action: string) =>
  patterns.some((pattern) => matchesWildcard(pattern.toLowerCase(), action.toLowerCase()));

function resourceMatches(patterns: readonly string[], resource: string, conditions: Conditions): boolean {
  return patterns.some((pattern) => matchesWildcard(withVariables(pattern, conditions), resource));
}

/** The account itself as principal hands the decision to its identity policies; it decides alone over other accounts and in a Deny. */
function principalMatches(principal: NonNullable<PolicyStatement["Principal"]>, caller: Caller, decidesForAccount: boolean): boolean {
  if (principal === "*") return true;
  if (caller.kind === "service") return listOf(principal["Service"]).some((one) => one === caller.arn || one === "*");
  const isAccount = (one: string) => one === caller.account || one === `arn:aws:iam::${caller.account}:root`;
  return listOf(principal["AWS"]).some((one) => {
    if (one === "*") return true;
    if (caller.kind === "anonymous") return false;
    return isAccount(one) ? decidesForAccount || caller.kind === "root" : one === caller.arn || one === caller.roleArn;
  });
}

function statementApplies(statement: PolicyStatement, request: AccessRequest, hasPrincipal: boolean): boolean {
  const { caller, need, conditions } = request;
  if (statement.Action !== undefined && !actionMatches(listOf(statement.Action), need.action)) return false;
  if (statement.NotAction !== undefined && actionMatches(listOf(statement.NotAction), need.action)) return false;
  if (statement.Resource !== undefined && !resourceMatches(listOf(statement.Resource), need.resource, conditions)) return false;
  if (statement.NotResource !== undefined && resourceMatches(listOf(statement.NotResource), need.resource, conditions)) return false;
  if (hasPrincipal) {
    if (statement.Principal === undefined && statement.NotPrincipal === undefined) return false;
    const decides = statement.Effect === "Deny" || isForeign(request);
    if (statement.Principal !== undefined && !principalMatches(statement.Principal, caller, decides)) return false;
    if (statement.NotPrincipal !== undefined && principalMatches(statement.NotPrincipal, caller, true)) return false;
  }
  return conditionsHold(statement.Condition, conditions);
}

/** What a set of policies says: one Deny decides, else one Allow. */
function verdictOf(policies: readonly PolicyDocument[], request: AccessRequest, hasPrincipal: boolean): Verdict {
  let verdict: Verdict = "silent";
  for (const policy of policies)
    for (const statement of statementsOf(policy)) {
      if (!statementApplies(statement, request, hasPrincipal)) continue;
      if (statement.Effect === "Deny") return "deny";
      verdict = "allow";
    }
  return verdict;
}

/** The ARN says who owns a resource, except where it names no account (S3, `*`). */
function isForeign({ caller, need }: AccessRequest): boolean {
  const named = parseArn(need.resource)?.account ?? "";
  return (named === "" ? (need.owner ?? caller.account) : named) !== caller.account;
}

/**
 * IAM's decision for one need: an explicit Deny anywhere wins; within an account identity or resource policy suffices, across accounts both
 * are needed; session policies bound the identity's.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export function evaluate(request: AccessRequest): Decision {
  const { caller, need, session } = request;
  const denied = (because: string): Decision => ({
    allowed: false,
    message: `User: ${caller.kind === "anonymous" ? "anonymous" : caller.arn} is not authorized to perform: ${need.action} on resource: ${need.resource} ${because}`,
  });
  const byResource = need.resourcePolicy === undefined ? "silent" : verdictOf([need.resourcePolicy], request, true);
  if (byResource === "deny") return denied("with an explicit deny in a resource-based policy");
  // The root user has no identity policies: it may do everything in its account.
  const byIdentity = caller.kind === "root" ? "allow" : verdictOf(request.identity, request, false);
  if (byIdentity === "deny") return denied("with an explicit deny in an identity-based policy");
  const bySession = session.length === 0 ? "allow" : verdictOf(session, request, false);
  if (bySession === "deny") return denied("with an explicit deny in a session policy");
  if (caller.kind === "service" || caller.kind === "anonymous")
    return byResource === "allow" ? { allowed: true } : denied(`because no resource-based policy allows the ${need.action} action`);
  const isOthers = isForeign(request);
  if (isOthers && byResource !== "allow") return denied(`because no resource-based policy allows the ${need.action} action`);
  if (!isOthers && byResource === "allow" && bySession === "allow") return { allowed: true };
  if (byIdentity !== "allow") return denied(`because no identity-based policy allows the ${need.action} action`);
  if (bySession !== "allow") return denied(`because no session policy allows the ${need.action} action`);
  return { allowed: true };
}

/** Whether a role's trust policy lets this principal assume it. */
export function trusts(policy: PolicyDocument, caller: Caller, action: string, conditions: Conditions): boolean {
  const need: AccessNeed = { action, resource: "*" };
  const verdict = verdictOf([policy], { caller, need, identity: [], session: [], conditions }, true);
  return verdict === "allow";
}

/** Says what is wrong with a policy document, in IAM's words; `undefined` when nothing is. */
export function parsePolicy(text: string): PolicyDocument | { readonly malformed: string } {
  if (Buffer.byteLength(text) > POLICY_BYTES_MAX) return { malformed: "Policy document is too long." };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { malformed: "This policy contains invalid Json" };
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) return { malformed: "Syntax errors in policy." };
  const { Version, Statement } = document as { Version?: unknown; Statement?: unknown };
  if (Version !== undefined && Version !== "2012-10-17" && Version !== "2008-10-17")
    return { malformed: "Policy document must be version 2012-10-17 or greater." };
  const statements = listOf<unknown>(Statement);
  if (statements.length === 0) return { malformed: "Syntax errors in policy." };
  const malformed = statements.map(statementProblem).find((problem) => problem !== undefined);
  return malformed === undefined ? (document as PolicyDocument) : { malformed };
}

const isTextOrTexts = (value: unknown) =>
  typeof value === "string" || (Array.isArray(value) && value.every((one) => typeof one === "string"));

function statementProblem(statement: unknown): string | undefined {
  if (typeof statement !== "object" || statement === null) return "Syntax errors in policy.";
  const { Effect, Action, NotAction, Resource, NotResource, Principal, NotPrincipal, Condition } = statement as Record<string, unknown>;
  if (Effect !== "Allow" && Effect !== "Deny") return "Syntax errors in policy.";
  if ((Action === undefined) === (NotAction === undefined)) return "Policy statement must contain actions.";
  for (const texts of [Action, NotAction, Resource, NotResource])
    if (texts !== undefined && !isTextOrTexts(texts)) return "Syntax errors in policy.";
  for (const action of listOf(Action ?? NotAction) as readonly string[])
    if (action !== "*" && !/^[\w*?-]+:[\w*?-]+$/.test(action))
      return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
  for (const principal of [Principal, NotPrincipal])
    if (
      principal !== undefined &&
      principal !== "*" &&
      (typeof principal !== "object" || principal === null || !Object.values(principal).every(isTextOrTexts))
    )
      return "Invalid principal in policy.";
  return Condition === undefined || isCondition(Condition) ? undefined : "Syntax errors in policy.";
}
