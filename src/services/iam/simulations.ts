// What policies would allow, without doing it, and which condition keys they ask for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
import type * as client from "@aws-sdk/client-iam";
import { parseArn } from "../../aws/arn.ts";
import type { Caller } from "../../aws/identity.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { applyingStatements, parsePolicy, type PolicyDocument, type PolicyStatement } from "../../aws/policy.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import { findGroup } from "./groups.ts";
import { checkedPolicy, invalidInput, noSuchEntity, page, type Iam, type PolicyHolder, type UserRecord } from "./model.ts";
import { findPolicy } from "./policies.ts";
import { findRole } from "./roles.ts";
import { findUser } from "./users.ts";

type Names = "SimulateCustomPolicy" | "SimulatePrincipalPolicy" | "GetContextKeysForCustomPolicy" | "GetContextKeysForPrincipalPolicy";
type Input = Omit<client.SimulateCustomPolicyCommandInput, "PolicyInputList">;

interface Source {
  /** The policy's name, or `PolicyInputList.1`. */
  readonly id: string;
  readonly document: PolicyDocument;
}

type Asked = Parameters<typeof applyingStatements>[1];

/** A policy variable: `${aws:username}`, `${s3:prefix, 'none'}`. */
const VARIABLE = /\$\{\s*([\w:/.-]+)\s*(?:,[^{}]*)?\}/g;

export function simulations(iam: Iam) {
  return {
    SimulateCustomPolicy: (context, { PolicyInputList = [], ...input }) =>
      simulate(context, given("PolicyInputList", PolicyInputList), input, undefined),
    SimulatePrincipalPolicy(context, { PolicySourceArn = "", PolicyInputList = [], ...input }) {
      const sources = [...sourcesOf(iam, context, PolicySourceArn), ...given("PolicyInputList", PolicyInputList)];
      return simulate(context, sources, input, PolicySourceArn);
    },
    GetContextKeysForCustomPolicy: (_context, { PolicyInputList = [] }) => ({
      ContextKeyNames: keysOf(given("PolicyInputList", PolicyInputList)),
    }),
    GetContextKeysForPrincipalPolicy: (context, { PolicySourceArn = "", PolicyInputList = [] }) => ({
      ContextKeyNames: keysOf([...sourcesOf(iam, context, PolicySourceArn), ...given("PolicyInputList", PolicyInputList)]),
    }),
  } satisfies Pick<Operations<typeof client>, Names>;
}

const given = (list: string, texts: readonly string[]): Source[] =>
  texts.map((text, at) => {
    const document = parsePolicy(text, "identity");
    if ("malformed" in document) throw invalidInput(`${list}.member.${at + 1}: ${document.malformed}`);
    return { id: `${list}.${at + 1}`, document };
  });

/** Of a user with its groups, a group or a role of the account. */
function sourcesOf(iam: Iam, context: Context, arn: string): Source[] {
  const { service, account, resource = "" } = parseArn(arn) ?? {};
  const kind = resource.slice(0, resource.indexOf("/"));
  const name = resource.slice(resource.lastIndexOf("/") + 1);
  if (service !== "iam" || account !== context.account)
    throw invalidInput(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`);
  if (kind === "role") return policiesOf(iam, context, findRole(iam, context, name).value);
  if (kind === "group") return policiesOf(iam, context, findGroup(iam, context, name).value);
  if (kind !== "user") throw noSuchEntity(`The entity ${arn} cannot be found.`);
  const user: UserRecord = findUser(iam, context, name).value;
  const groups = (user.groups ?? []).map((group) => findGroup(iam, context, group).value);
  return [user, ...groups].flatMap((holder) => policiesOf(iam, context, holder));
}

function policiesOf(iam: Iam, context: Context, { inline, attached }: PolicyHolder): Source[] {
  const own = Object.entries(inline).map(([id, text]) => ({ id, document: JSON.parse(text) as PolicyDocument }));
  return [...own, ...attached.map((arn) => ({ id: arn.slice(arn.lastIndexOf("/") + 1), document: managedDocument(iam, context, arn) }))];
}

function managedDocument(iam: Iam, context: Context, arn: string): PolicyDocument {
  const ofAws = awsManagedPolicy(arn);
  if (ofAws !== undefined) return ofAws.document;
  const found = findPolicy(iam, context, arn);
  if (!("key" in found)) return found.document;
  const { versions, defaultVersion } = found.value;
  return JSON.parse(versions.find(({ id }) => id === defaultVersion)?.document ?? "") as PolicyDocument;
}

function refuseUnknown({ OrderedOrganizationPolicyInputList, ResourceHandlingOption }: Input): void {
  if ((OrderedOrganizationPolicyInputList ?? []).length > 0)
    throw invalidInput("Lambent has no organizations: leave out OrderedOrganizationPolicyInputList.");
  if (ResourceHandlingOption !== undefined) throw invalidInput("Lambent has no EC2: leave out ResourceHandlingOption.");
}

function simulate(context: Context, sources: readonly Source[], input: Input, principalArn: string | undefined) {
  refuseUnknown(input);
  const { ActionNames = [], ResourceArns = ["*"], ResourcePolicy, PermissionsBoundaryPolicyInputList } = input;
  const caller = callerOf(context, input.CallerArn ?? principalArn, ResourcePolicy !== undefined);
  const conditions = conditionsOf(input.ContextEntries ?? [], caller);
  const resourceOwner = input.ResourceOwner === undefined ? {} : { owner: parseArn(input.ResourceOwner)?.account ?? input.ResourceOwner };
  const resource = ResourcePolicy === undefined ? [] : [{ id: "ResourcePolicy", document: checkedPolicy(ResourcePolicy, "resource") }];
  const boundary =
    PermissionsBoundaryPolicyInputList === undefined
      ? undefined
      : given("PermissionsBoundaryPolicyInputList", PermissionsBoundaryPolicyInputList);
  const missing = keysOf([...sources, ...resource, ...(boundary ?? [])]).filter((name) => !conditions.has(name.toLowerCase()));
  const results = ActionNames.flatMap((action) =>
    ResourceArns.map((arn): client.EvaluationResult => {
      const asked: Asked = { caller, conditions, need: { action, resource: arn, ...resourceOwner } };
      return {
        EvalActionName: action,
        EvalResourceName: arn,
        MissingContextValues: missing,
        ...decided(sources, resource, boundary, asked),
      };
    }),
  );
  const numbered = results.map((result, at) => ({ result, at: String(at).padStart(6, "0") }));
  const { found, more } = page("Simulate", numbered, ({ at }) => at, input);
  return { EvaluationResults: found.map(({ result }) => result), ...more };
}

function decided(
  identity: readonly Source[],
  resource: readonly Source[],
  boundary: readonly Source[] | undefined,
  asked: Asked,
): Pick<client.EvaluationResult, "EvalDecision" | "MatchedStatements" | "PermissionsBoundaryDecisionDetail"> {
  const matched = [...applying(identity, asked, "identity"), ...applying(resource, asked, "resource")];
  const within = boundary === undefined ? undefined : applying(boundary, asked, "identity");
  const isDenied = [...matched, ...(within ?? [])].some(({ effect }) => effect === "Deny");
  const isWithin = within === undefined || within.some(({ effect }) => effect === "Allow");
  const isAllowed = isWithin && matched.some(({ effect }) => effect === "Allow");
  return {
    EvalDecision: isDenied ? "explicitDeny" : isAllowed ? "allowed" : "implicitDeny",
    MatchedStatements: matched.map(({ id }) => ({ SourcePolicyId: id, SourcePolicyType: "IAM Policy" as client.PolicySourceType })),
    ...(within === undefined ? {} : { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: isWithin } }),
  };
}

const applying = (sources: readonly Source[], asked: Asked, of: "identity" | "resource") =>
  sources.flatMap(({ id, document }) => applyingStatements(document, asked, of).map(({ Effect }) => ({ id, effect: Effect })));

/** Whom a resource policy is asked about; elsewhere only variables of its name matter. */
function callerOf({ caller, account }: Context, arn: string | undefined, isNeeded: boolean): Caller {
  if (arn === undefined) {
    if (isNeeded) throw invalidInput("CallerArn is required when ResourcePolicy is specified.");
    return { ...caller, kind: "user" };
  }
  const kind = arn.includes(":assumed-role/") || arn.includes(":role/") ? "assumed-role" : "user";
  return { kind, account: parseArn(arn)?.account ?? account, arn, userId: "", accessKeyId: "" };
}

function conditionsOf(entries: readonly client.ContextEntry[], caller: Caller): Map<string, string[]> {
  const conditions = new Map<string, string[]>([
    ["aws:principalarn", [caller.arn]],
    ["aws:principalaccount", [caller.account]],
  ]);
  if (caller.kind === "user") conditions.set("aws:username", [caller.arn.slice(caller.arn.lastIndexOf("/") + 1)]);
  for (const { ContextKeyName = "", ContextKeyValues = [] } of entries) conditions.set(ContextKeyName.toLowerCase(), [...ContextKeyValues]);
  return conditions;
}

/** Condition keys and policy variables, as they are written, each once. */
function keysOf(sources: readonly Source[]): string[] {
  const names = new Map<string, string>();
  const add = (name: string) => void (names.has(name.toLowerCase()) || names.set(name.toLowerCase(), name));
  for (const { document } of sources) {
    for (const { Condition = {} } of [document.Statement].flat() as readonly PolicyStatement[])
      for (const operator of Object.values(Condition)) for (const name of Object.keys(operator)) add(name);
    for (const [, name = ""] of JSON.stringify(document).matchAll(VARIABLE)) add(name);
  }
  return [...names.values()].toSorted();
}
