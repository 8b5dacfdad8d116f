// IAM policy documents and their evaluation; pure.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
import { parseArn } from "./arn.ts";
import type { AccessNeed } from "./definition.ts";
import type { Caller } from "./identity.ts";
import { conditionsHold } from "./policy-condition.ts";
import { isResolved, matchesArn, matchesWildcard, type Conditions } from "./policy-pattern.ts";
import { policyProblem, type PolicyKind } from "./policy-syntax.ts";

/** IAM takes 6,144 characters without white space for the largest kind of policy, S3 and Lambda 20 KB. */
const POLICY_BYTES_MAX = 20 * 1024;
/** Text with white space; what counts against a quota is up to the service. */
const POLICY_TEXT_BYTES_MAX = 128 * 1024;

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

interface AccessRequest {
  readonly caller: Caller;
  readonly need: AccessNeed;
  readonly identity: readonly PolicyDocument[];
  readonly session: readonly PolicyDocument[];
  /** By lower-case name. Called once at most, and only if a statement asks for one: few do. */
  readonly conditions: () => Conditions;
}

type Decision = { readonly allowed: true } | { readonly allowed: false; readonly message: string };

type Verdict = "allow" | "deny" | "silent";

/** What is asked of every statement. */
interface Question {
  readonly caller: Caller;
  readonly need: AccessNeed;
  /** Present for resource policies: whether a statement that names the caller's account means the caller. */
  readonly account?: "decides" | "delegates";
  conditions(): Conditions;
}

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

/** Action names are compared without case, and may hold `*` and `?`. */
const actionMatches = (patterns: readonly string[], action: string) =>
  patterns.some((pattern) => matchesWildcard(pattern.toLowerCase(), action.toLowerCase()));

const hasVariable = (text: string) => text.includes("${");

function resourceMatches(statement: PolicyStatement, question: Question, hasVariables: boolean): boolean {
  const { resource } = question.need;
  const variablesOf = (pattern: string) => (hasVariables && hasVariable(pattern) ? question.conditions() : undefined);
  const matches = (pattern: string) => matchesArn(pattern, resource, variablesOf(pattern));
  if (statement.Resource !== undefined && !listOf(statement.Resource).some(matches)) return false;
  if (statement.NotResource === undefined) return true;
  const excluded = listOf(statement.NotResource);
  // An exception that cannot be read might have been this resource.
  if (statement.Effect === "Allow" && !excluded.every((pattern) => isResolved(pattern, variablesOf(pattern)))) return false;
  return !excluded.some(matches);
}

/**
 * The account as principal hands the decision to its identity policies; it decides alone over other accounts, in a Deny, and over the
 * account's root.
 */
function principalMatches(principal: NonNullable<PolicyStatement["Principal"]>, caller: Caller, accountDecides: boolean): boolean {
  if (principal === "*") return true;
  if (caller.kind === "service") return listOf(principal["Service"]).some((one) => one === caller.arn);
  const isAccount = (one: string) => one === caller.account || one === `arn:aws:iam::${caller.account}:root`;
  return listOf(principal["AWS"]).some((one) => {
    if (one === "*") return true;
    if (caller.kind === "anonymous") return false;
    return isAccount(one) ? accountDecides || caller.kind === "root" : one === caller.arn || one === caller.roleArn;
  });
}

function principalApplies({ Effect, Principal, NotPrincipal }: PolicyStatement, { caller, account }: Question): boolean {
  if (account === undefined) return true;
  if (Principal === undefined && NotPrincipal === undefined) return false;
  if (Principal !== undefined && !principalMatches(Principal, caller, Effect === "Deny" || account === "decides")) return false;
  return NotPrincipal === undefined || !principalMatches(NotPrincipal, caller, true);
}

function statementApplies(statement: PolicyStatement, question: Question, hasVariables: boolean): boolean {
  const { Action, NotAction, Condition } = statement;
  if (Action !== undefined && !actionMatches(listOf(Action), question.need.action)) return false;
  if (NotAction !== undefined && actionMatches(listOf(NotAction), question.need.action)) return false;
  if (!resourceMatches(statement, question, hasVariables) || !principalApplies(statement, question)) return false;
  return Condition === undefined || conditionsHold(Condition, question.conditions(), hasVariables);
}

/** What a set of policies says: one Deny decides, else one Allow. */
function verdictOf(policies: readonly PolicyDocument[], question: Question): Verdict {
  let verdict: Verdict = "silent";
  for (const policy of policies) {
    // Policies of the older version, or of none, have no variables.
    const hasVariables = policy.Version === "2012-10-17";
    for (const statement of listOf(policy.Statement)) {
      if (verdict === "allow" && statement.Effect === "Allow") continue;
      if (!statementApplies(statement, question, hasVariables)) continue;
      if (statement.Effect === "Deny") return "deny";
      verdict = "allow";
    }
  }
  return verdict;
}

/** The statements that apply to a request, whatever their effect: for simulations. */
export function applyingStatements(
  policy: PolicyDocument,
  { caller, need, conditions }: { readonly caller: Caller; readonly need: AccessNeed; readonly conditions: Conditions },
  of: "identity" | "resource",
): readonly PolicyStatement[] {
  const question: Question = { caller, need, ...(of === "resource" ? { account: "decides" } : {}), conditions: () => conditions };
  const hasVariables = policy.Version === "2012-10-17";
  return listOf(policy.Statement).filter((statement) => statementApplies(statement, question, hasVariables));
}

/** The ARN says who owns a resource, except where it names no account (S3, `*`) or AWS itself (its managed policies). */
export function resourceAccount({ caller, need }: Pick<AccessRequest, "caller" | "need">): string {
  const named = parseArn(need.resource)?.account ?? "";
  return named === "" || named === "aws" ? (need.owner ?? caller.account) : named;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/**
 * IAM's decision for one need: an explicit Deny anywhere wins; within an account identity or resource policy suffices, across accounts both
 * are needed; a role's trust policy is always needed; session policies bound the identity's.
 */
export function evaluate(request: AccessRequest): Decision {
  const { caller, need, session } = request;
  const question: Question = { caller, need, conditions: once(request.conditions) };
  const isOthers = resourceAccount(request) !== caller.account;
  const denied = (because: string): Decision => ({
    allowed: false,
    message: `User: ${caller.kind === "anonymous" ? "anonymous" : caller.arn} is not authorized to perform: ${need.action} on resource: ${need.resource}${because}`,
  });
  const because = (kind: string) =>
    denied(need.needsResourcePolicy === true ? "" : ` because no ${kind} policy allows the ${need.action} action`);
  const byResourcePolicy = (account: "decides" | "delegates") =>
    need.resourcePolicy === undefined ? "silent" : verdictOf([need.resourcePolicy], { ...question, account });

  const byResource = byResourcePolicy(isOthers ? "decides" : "delegates");
  if (byResource === "deny") return denied(" with an explicit deny in a resource-based policy");
  // The root user has no identity policies: it may do everything in its account.
  const byIdentity = caller.kind === "root" ? "allow" : verdictOf(request.identity, question);
  if (byIdentity === "deny") return denied(" with an explicit deny in an identity-based policy");
  const bySession = session.length === 0 ? "allow" : verdictOf(session, question);
  if (bySession === "deny") return denied(" with an explicit deny in a session policy");

  const isStranger = isOthers || caller.kind === "service" || caller.kind === "anonymous";
  if (isStranger && byResource !== "allow") return because("resource-based");
  // That it hands the decision to the account is enough here, and must be there.
  if (need.needsResourcePolicy === true && byResourcePolicy("decides") !== "allow") return because("resource-based");
  if (caller.kind === "service" || caller.kind === "anonymous") return { allowed: true };
  if ((isOthers || byResource !== "allow") && byIdentity !== "allow") return because("identity-based");
  return bySession === "allow" ? { allowed: true } : because("session");
}

/** Whether a role's trust policy lets this principal assume it, as far as the trust policy goes. */
export function trusts(policy: PolicyDocument, caller: Caller, action: string, conditions: Conditions): boolean {
  const question: Question = { caller, need: { action, resource: "*" }, account: "decides", conditions: () => conditions };
  return verdictOf([policy], question) === "allow";
}

/** The document, or what is wrong with it in IAM's words. */
export function parsePolicy(text: string, kind: PolicyKind = "resource"): PolicyDocument | { readonly malformed: string } {
  if (Buffer.byteLength(text) > POLICY_TEXT_BYTES_MAX) return { malformed: "Policy document is too long." };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { malformed: "This policy contains invalid Json" };
  }
  const problem = policyProblem(document, kind);
  if (problem !== undefined) return { malformed: problem };
  if (Buffer.byteLength(JSON.stringify(document)) > POLICY_BYTES_MAX) return { malformed: "Policy document is too long." };
  return document as PolicyDocument;
}
