// Resource policies as whole documents: put, get and delete what AddPermission adds to statement by statement.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { parsePolicy, type PolicyDocument, type PolicyStatement } from "../aws/policy.ts";
import { invalidParameter, notFound } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionReference } from "./names.ts";
import { assertThere, changePolicy, checkPolicySize, checkRevision, documentOf, policyOf } from "./permissions.ts";

type Names = "PutResourcePolicy" | "GetResourcePolicy" | "DeleteResourcePolicy";

const missing = () => notFound("The resource you requested does not exist.");

export function resourcePolicies(lambda: Lambda) {
  return {
    async PutResourcePolicy(context, { ResourceArn = "", Policy = "", RevisionId }) {
      const reference = functionReference(context, ResourceArn);
      assertThere(lambda, reference);
      const { Statement, ...head } = readPolicy(Policy, ResourceArn);
      await changePolicy(lambda, reference, (entry) => {
        assertThere(lambda, reference);
        checkRevision(entry, RevisionId, "GetResourcePolicy");
        return { statements: listOf(Statement), head };
      });
      return shown(lambda, context, ResourceArn);
    },
    GetResourcePolicy: (context, { ResourceArn = "" }) => shown(lambda, context, ResourceArn),
    async DeleteResourcePolicy(context, { ResourceArn = "", RevisionId }) {
      const reference = functionReference(context, ResourceArn);
      await changePolicy(lambda, reference, (entry) => {
        if (entry === undefined) throw missing();
        checkRevision(entry, RevisionId, "GetResourcePolicy");
        return { statements: [] };
      });
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

function shown(lambda: Lambda, context: Context, arn: string) {
  const entry = policyOf(lambda, functionReference(context, arn));
  if (entry === undefined) throw missing();
  return { Policy: JSON.stringify(documentOf(entry.value)), RevisionId: entry.value.revisionId };
}

const listOf = <T>(one: T | readonly T[]): readonly T[] => (Array.isArray(one) ? (one as readonly T[]) : [one as T]);

/** Throws InvalidParameterValueException for what is no policy of this resource. */
function readPolicy(text: string, arn: string): PolicyDocument {
  checkPolicySize(text);
  const document = parsePolicy(text);
  if ("malformed" in document) throw invalidParameter(document.malformed);
  for (const statement of listOf(document.Statement)) checkStatement(statement, arn);
  return document;
}

/** A statement about something else would say nothing here, and look as if it did. */
function checkStatement({ Action, NotAction, Resource, NotResource }: PolicyStatement, arn: string): void {
  if (
    NotResource !== undefined ||
    !listOf(Resource ?? [])
      .flat()
      .every((one) => one === arn)
  )
    throw invalidParameter(`Each statement of the policy must have the resource ${arn}.`);
  const actions = [Action ?? [], NotAction ?? []].flatMap((one) => listOf(one)).flat();
  if (!actions.every((action) => /^(?:\*|lambda:[\w*?]+)$/i.test(action)))
    throw invalidParameter("The policy must have actions of lambda only.");
}
