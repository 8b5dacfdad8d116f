// Resource policies of layer versions: which other accounts may get and use them.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import type { PolicyStatement } from "../aws/policy.ts";
import { requestId } from "../base/id.ts";
import { conflict, notFound, revisionMismatch } from "./faults.ts";
import { layerArn, layerVersionOf, layerVersionReference, type LayerReference, type LayerVersionEntry } from "./layer-records.ts";
import type { Lambda } from "./model.ts";
import { checkPolicySize, documentOf, principalOf, statementExists, statementNotFound, type PolicyRecord } from "./permissions.ts";
import { retryConflicts } from "./records.ts";

type Names = "AddLayerVersionPermission" | "RemoveLayerVersionPermission" | "GetLayerVersionPolicy";
type Given = client.AddLayerVersionPermissionCommandInput;

export function layerPermissions(lambda: Lambda) {
  return {
    AddLayerVersionPermission: (context, input) => addLayerVersionPermission(lambda, context, input),
    RemoveLayerVersionPermission: (context, input) => removeLayerVersionPermission(lambda, context, input),
    GetLayerVersionPolicy(context, { LayerName = "", VersionNumber = 0 }) {
      const { policy } = findVersion(lambda, layerVersionReference(context, LayerName, VersionNumber)).value;
      if (policy === undefined) throw notFound("No policy is associated with the given resource.");
      return { Policy: JSON.stringify(documentOf(policy)), RevisionId: policy.revisionId };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

function findVersion(lambda: Pick<Lambda, "layerVersions">, reference: Required<LayerReference>): LayerVersionEntry {
  const entry = layerVersionOf(lambda, reference);
  if (entry === undefined) throw notFound(`Layer version ${layerArn(reference)} does not exist.`);
  return entry;
}

async function addLayerVersionPermission(lambda: Lambda, context: Context, input: Given) {
  const { LayerName = "", VersionNumber = 0, StatementId = "", RevisionId } = input;
  const reference = layerVersionReference(context, LayerName, VersionNumber);
  const statement = statementOf(reference, input);
  const revisionId = await changePolicy(lambda, reference, RevisionId, (statements) => {
    if (statements.some(({ Sid }) => Sid === StatementId)) throw conflict(statementExists(StatementId));
    return [...statements, statement];
  });
  return { Statement: JSON.stringify(statement), RevisionId: revisionId };
}

async function removeLayerVersionPermission(lambda: Lambda, context: Context, input: client.RemoveLayerVersionPermissionCommandInput) {
  const { LayerName = "", VersionNumber = 0, StatementId = "", RevisionId } = input;
  const reference = layerVersionReference(context, LayerName, VersionNumber);
  await changePolicy(lambda, reference, RevisionId, (statements) => {
    const kept = statements.filter(({ Sid }) => Sid !== StatementId);
    if (kept.length === statements.length) throw notFound(statementNotFound(StatementId));
    return kept;
  });
  return {};
}

/** Resolves with the policy's new revision. Without its last statement there is no policy. */
async function changePolicy(
  lambda: Lambda,
  reference: Required<LayerReference>,
  expected: string | undefined,
  edit: (statements: readonly PolicyStatement[]) => readonly PolicyStatement[],
): Promise<string> {
  return await retryConflicts(layerArn(reference), async () => {
    const { key, value, revision } = findVersion(lambda, reference);
    const { policy, ...version } = value;
    if (expected !== undefined && expected !== policy?.revisionId) throw revisionMismatch("GetLayerPolicy");
    const changed: PolicyRecord = { statements: edit(policy?.statements ?? []), revisionId: requestId() };
    checkPolicySize(JSON.stringify(documentOf(changed)));
    const record = changed.statements.length === 0 ? version : { ...version, policy: changed };
    await lambda.meta.write([{ key, value: record, expect: revision }]);
    return changed.revisionId;
  });
}

function statementOf(reference: LayerReference, { StatementId = "", Action = "", Principal = "", OrganizationId }: Given): PolicyStatement {
  return {
    Sid: StatementId,
    Effect: "Allow",
    Principal: principalOf(Principal),
    Action,
    Resource: layerArn(reference),
    ...(OrganizationId === undefined ? {} : { Condition: { StringEquals: { "aws:PrincipalOrgID": OrganizationId } } }),
  };
}
