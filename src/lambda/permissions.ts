// Resource policies of functions, versions and aliases: statements added, removed and shown; who may do what is decided by the wire.
import { PolicyLengthExceededException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import type { PolicyDocument, PolicyStatement } from "../aws/policy.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import type { Entry, Key } from "../store/storage.ts";
import { aliasOf } from "./alias-records.ts";
import { conflict, invalidParameter, notFound, revisionMismatch } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { retryConflicts, stillThere } from "./records.ts";
import { versionOf } from "./version-records.ts";

export const POLICY_KIND = "lambda.policy";

export interface PolicyRecord {
  readonly statements: readonly PolicyStatement[];
  /** Version and Id of a document that was put as a whole. */
  readonly head?: Omit<PolicyDocument, "Statement">;
  readonly revisionId: string;
}

type Policies = Pick<Lambda, "policies">;
type Place = Pick<FunctionReference, "account" | "region" | "name" | "qualifier">;

/** Each version and alias has its own; a function's name has no slash. */
export const policyKey = ({ account, region, name, qualifier = "" }: Place): Key => ({
  account,
  region,
  kind: POLICY_KIND,
  id: `${name}/${qualifier}`,
});

export function policyOf({ policies }: Policies, place: Place): Entry<PolicyRecord> | undefined {
  const { account, region, id } = policyKey(place);
  return policies.get(account, region, id);
}

/** All of a function's, to be deleted with it. */
export const policyKeysOf = ({ policies }: Policies, { account, region, name }: Place): Key[] =>
  policies.list(account, region, { prefix: `${name}/`, limit: Infinity }).map(({ key }) => key);

const HEAD = { Version: "2012-10-17", Id: "default" } as const;

export const documentOf = ({ statements, head = HEAD }: PolicyRecord): PolicyDocument => ({ ...head, Statement: statements });

export const statementExists = (id: string): string =>
  `The statement id (${id}) provided already exists. Please provide a new statement id, or remove the existing statement.`;
export const statementNotFound = (id: string): string => `Statement ${id} is not found in resource policy.`;

type Names = "AddPermission" | "RemovePermission" | "GetPolicy";

export function permissions(lambda: Lambda) {
  return {
    AddPermission: (context, input) => addPermission(lambda, context, input),
    RemovePermission: (context, input) => removePermission(lambda, context, input),
    GetPolicy(context, { FunctionName = "", Qualifier }) {
      const entry = policyOf(lambda, functionReference(context, FunctionName, Qualifier));
      if (entry === undefined) throw notFound("The resource you requested does not exist.");
      return { Policy: JSON.stringify(documentOf(entry.value)), RevisionId: entry.value.revisionId };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function addPermission(lambda: Lambda, context: Context, input: client.AddPermissionCommandInput) {
  const { FunctionName = "", Qualifier, StatementId = "", RevisionId } = input;
  const reference = functionReference(context, FunctionName, Qualifier);
  assertThere(lambda, reference);
  const statement = statementOf(reference, input);
  await changePolicy(lambda, reference, (entry) => {
    assertThere(lambda, reference);
    const statements = entry?.value.statements ?? [];
    checkRevision(entry, RevisionId);
    if (statements.some(({ Sid }) => Sid === StatementId)) throw conflict(statementExists(StatementId));
    return { ...entry?.value, statements: [...statements, statement] };
  });
  return { Statement: JSON.stringify(statement) };
}

async function removePermission(lambda: Lambda, context: Context, input: client.RemovePermissionCommandInput) {
  const { FunctionName = "", Qualifier, StatementId = "", RevisionId } = input;
  const reference = functionReference(context, FunctionName, Qualifier);
  if (lambda.functions.get(reference.account, reference.region, reference.name) === undefined)
    throw notFound(`No policy found for: ${functionArn(reference)}`);
  await changePolicy(lambda, reference, (entry) => {
    if (entry === undefined) throw notFound("No policy is associated with the given resource.");
    checkRevision(entry, RevisionId);
    const { statements } = entry.value;
    const kept = statements.filter(({ Sid }) => Sid !== StatementId);
    if (kept.length === statements.length) throw notFound(statementNotFound(StatementId));
    return { ...entry.value, statements: kept };
  });
  return {};
}

/** `reader` is the operation that tells the revision. */
export function checkRevision(
  entry: Entry<PolicyRecord> | undefined,
  expected: string | undefined,
  reader: "GetPolicy" | "GetResourcePolicy" = "GetPolicy",
): void {
  if (expected !== undefined && expected !== entry?.value.revisionId) throw revisionMismatch(reader);
}

/** Throws AWS's faults when there is nothing that could have a policy. */
export function assertThere(lambda: Lambda, reference: FunctionReference): void {
  const { account, region, name, qualifier } = reference;
  if (qualifier === "$LATEST") throw invalidParameter("We currently do not support adding policies for $LATEST.");
  if (lambda.functions.get(account, region, name) === undefined) throw notFound(`Function not found: ${functionArn(reference)}`);
  if (qualifier === undefined || versionOf(lambda, reference, qualifier) !== undefined) return;
  if (/^\d+$/.test(qualifier)) throw notFound(`Function not found: ${functionArn(reference)}`);
  if (aliasOf(lambda, reference, qualifier) === undefined) throw notFound(`Cannot find alias arn: ${functionArn(reference)}`);
}

type Edit = (entry: Entry<PolicyRecord> | undefined) => Omit<PolicyRecord, "revisionId">;

/** Without its last statement there is no policy. Only while what it is of is there, so that none is left of what is being deleted. */
export async function changePolicy(lambda: Lambda, reference: FunctionReference, edit: Edit): Promise<void> {
  const { account, region, name, qualifier } = reference;
  const key = policyKey(reference);
  await retryConflicts(functionArn(reference), async () => {
    const entry = policyOf(lambda, reference);
    const owner = lambda.functions.get(account, region, name);
    if (owner === undefined) throw notFound(`Function not found: ${functionArn(reference)}`);
    const record: PolicyRecord = { ...edit(entry), revisionId: requestId() };
    checkPolicySize(JSON.stringify(documentOf(record)));
    const value = record.statements.length === 0 ? {} : { value: record };
    const named = qualifier === undefined ? [] : [versionOf(lambda, reference, qualifier), aliasOf(lambda, reference, qualifier)];
    const kept = [owner, ...named].filter((one) => one !== undefined).map(stillThere);
    await lambda.meta.write([{ key, ...value, expect: entry?.revision ?? "absent" }, ...kept]);
  });
}

/** Throws PolicyLengthExceededException. */
export function checkPolicySize(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.functionPolicyBytesMax)
    throw new Fault(
      PolicyLengthExceededException$,
      `The final policy size (${bytes}) is bigger than the limit (${limits.functionPolicyBytesMax}).`,
      { Type: "User" },
    );
}

export function principalOf(text: string): PolicyStatement["Principal"] & {} {
  if (text === "*") return "*";
  if (/^\d{12}$/.test(text)) return { AWS: `arn:aws:iam::${text}:root` };
  if (/^arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[\w+=,.@/-]+$/.test(text)) return { AWS: text };
  // Alexa's services are not of amazonaws.com.
  if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:amazonaws\.com(?:\.cn)?|amazon\.com)$/.test(text)) return { Service: text };
  throw invalidParameter("The provided principal was invalid. Please check the principal and try again.");
}

/** With the casings of AWS, which deployment tools compare. */
function conditionOf(input: client.AddPermissionCommandInput): PolicyStatement["Condition"] | undefined {
  const { SourceArn, SourceAccount, FunctionUrlAuthType, PrincipalOrgID, EventSourceToken, InvokedViaFunctionUrl } = input;
  const equals = {
    ...(SourceAccount === undefined ? {} : { "AWS:SourceAccount": SourceAccount }),
    ...(FunctionUrlAuthType === undefined ? {} : { "lambda:FunctionUrlAuthType": FunctionUrlAuthType }),
    ...(PrincipalOrgID === undefined ? {} : { "aws:PrincipalOrgID": PrincipalOrgID }),
    ...(EventSourceToken === undefined ? {} : { "lambda:EventSourceToken": EventSourceToken }),
  };
  const condition = {
    ...(Object.keys(equals).length === 0 ? {} : { StringEquals: equals }),
    ...(SourceArn === undefined ? {} : { ArnLike: { "AWS:SourceArn": SourceArn } }),
    ...(InvokedViaFunctionUrl === true ? { Bool: { "lambda:InvokedViaFunctionUrl": "true" } } : {}),
  };
  return Object.keys(condition).length === 0 ? undefined : condition;
}

function statementOf(reference: FunctionReference, input: client.AddPermissionCommandInput): PolicyStatement {
  const { StatementId = "", Action = "", Principal = "", FunctionUrlAuthType } = input;
  if (FunctionUrlAuthType !== undefined && Action !== "lambda:InvokeFunctionUrl")
    throw invalidParameter("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action");
  const Condition = conditionOf(input);
  return {
    Sid: StatementId,
    Effect: "Allow",
    Principal: principalOf(Principal),
    Action,
    Resource: functionArn(reference),
    ...(Condition === undefined ? {} : { Condition }),
  };
}
