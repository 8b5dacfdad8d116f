// What IAM accepts as a policy document, and its sentences for what it does not.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
import { isCondition } from "./policy-condition.ts";

/** What the policy is attached to; trust policies are those of roles. */
export type PolicyKind = "identity" | "trust" | "resource";

type Fields = Readonly<Record<string, unknown>>;

const SYNTAX = "Syntax errors in policy.";
const DOCUMENT_FIELDS: ReadonlySet<string> = new Set(["Version", "Id", "Statement"]);
const STATEMENT_FIELDS: ReadonlySet<string> = new Set([
  "Sid",
  "Effect",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Principal",
  "NotPrincipal",
  "Condition",
]);
const VERSIONS: ReadonlySet<unknown> = new Set([undefined, "2012-10-17", "2008-10-17"]);
const STATEMENTS_MAX = 1_000;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const isText = (value: unknown): value is string => typeof value === "string";
/** One text, or a list of at least one. */
const isTexts = (value: unknown) => isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText));
const textsOf = (value: unknown) => listOf(value).filter(isText);

/** By kind of principal: accounts, users, roles and their sessions; services; those that Lambent stores and never matches. */
const PRINCIPALS: ReadonlyMap<string, RegExp> = new Map([
  [
    "AWS",
    /^(?:\*|\d{12}|arn:aws[a-z-]*:(?:iam|sts)::\d{12}:(?:root|(?:user|role|assumed-role|federated-user)\/[!-~]{1,1024})|A[A-Z0-9]{15,127})$/,
  ],
  ["Service", /^[a-z0-9](?:[a-z0-9.-]{0,200})\.amazon(?:aws)?\.com(?:\.cn)?$/],
  ["Federated", /^\S{1,2048}$/],
  ["CanonicalUser", /^[0-9A-Za-z]{1,128}$/],
]);

function principalProblem(principal: unknown): string | undefined {
  if (principal === "*") return undefined;
  if (!isObject(principal) || Object.keys(principal).length === 0) return SYNTAX;
  for (const [kind, values] of Object.entries(principal)) {
    const pattern = PRINCIPALS.get(kind);
    if (pattern === undefined || !isTexts(values)) return SYNTAX;
    // Part of a name as a wildcard is not a principal: only the whole may be a star.
    const wrong = textsOf(values).find((one) => !pattern.test(one) || (kind === "AWS" && one !== "*" && /[*?]/.test(one)));
    if (wrong !== undefined) return `Invalid principal in policy: "${kind.toUpperCase()}":"${wrong.slice(0, 200)}"`;
  }
  return undefined;
}

function actionProblem({ Action, NotAction }: Fields, kind: PolicyKind): string | undefined {
  if ((Action === undefined) === (NotAction === undefined)) return Action === undefined ? "Policy statement must contain actions." : SYNTAX;
  const actions = Action ?? NotAction;
  if (Array.isArray(actions) && actions.length === 0) return "Policy statement must contain actions.";
  if (!isTexts(actions)) return SYNTAX;
  for (const action of textsOf(actions)) {
    if (action !== "*" && !/^[\w*?-]{1,64}:[\w*?-]{1,128}$/.test(action))
      return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
    if (kind === "trust" && !/^sts:/i.test(action)) return "AssumeRole policy may only specify STS AssumeRole actions.";
  }
  return undefined;
}

function resourceProblem({ Resource, NotResource }: Fields, kind: PolicyKind): string | undefined {
  if (kind === "trust") return Resource === undefined && NotResource === undefined ? undefined : "Has prohibited field Resource";
  if (Resource !== undefined && NotResource !== undefined) return SYNTAX;
  const resources = Resource ?? NotResource;
  if (resources === undefined || (Array.isArray(resources) && resources.length === 0))
    return kind === "identity" ? "Policy statement must contain resources." : undefined;
  if (!isTexts(resources)) return SYNTAX;
  const wrong = textsOf(resources).find((one) => !/^(?:\*+$|arn:)/.test(one));
  return wrong === undefined || kind !== "identity" ? undefined : `Resource ${wrong.slice(0, 200)} must be in ARN format or "*".`;
}

function ownerProblem({ Principal, NotPrincipal }: Fields, kind: PolicyKind): string | undefined {
  if (kind === "identity")
    return Principal === undefined && NotPrincipal === undefined ? undefined : "Policy document should not specify a principal.";
  if (Principal !== undefined && NotPrincipal !== undefined) return SYNTAX;
  if (Principal === undefined && NotPrincipal === undefined) return "Missing required field Principal";
  return principalProblem(Principal ?? NotPrincipal);
}

function statementProblem(statement: unknown, kind: PolicyKind): string | undefined {
  if (!isObject(statement)) return SYNTAX;
  // An element that nobody reads could have been a restriction, misspelt.
  if (Object.keys(statement).some((name) => !STATEMENT_FIELDS.has(name))) return SYNTAX;
  const { Sid, Effect, Condition } = statement;
  if (Effect !== "Allow" && Effect !== "Deny") return SYNTAX;
  if (Sid !== undefined && !isText(Sid)) return SYNTAX;
  if (kind !== "resource" && isText(Sid) && !/^[0-9A-Za-z]*$/.test(Sid))
    return "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*";
  if (Condition !== undefined && !isCondition(Condition)) return SYNTAX;
  return actionProblem(statement, kind) ?? resourceProblem(statement, kind) ?? ownerProblem(statement, kind);
}

/** What is wrong with a parsed policy, in IAM's words; `undefined` when nothing is. */
export function policyProblem(document: unknown, kind: PolicyKind): string | undefined {
  if (!isObject(document) || Object.keys(document).some((name) => !DOCUMENT_FIELDS.has(name))) return SYNTAX;
  if (!VERSIONS.has(document["Version"])) return "The policy must contain a valid version string";
  if (document["Id"] !== undefined && !isText(document["Id"])) return SYNTAX;
  const statements = listOf(document["Statement"]);
  if (statements.length === 0 || statements.length > STATEMENTS_MAX) return SYNTAX;
  const problem = statements.map((one) => statementProblem(one, kind)).find((one) => one !== undefined);
  if (problem !== undefined) return problem;
  const sids = (statements as readonly Fields[]).map(({ Sid }) => Sid).filter((sid) => isText(sid) && sid !== "");
  return new Set(sids).size === sids.length ? undefined : "Statement IDs (SID) in a single policy must be unique.";
}
