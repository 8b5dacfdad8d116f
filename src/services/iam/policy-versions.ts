// The versions of managed policies, one of which counts.
import type * as client from "@aws-sdk/client-iam";
import type { Context, Operations } from "../../aws/operations.ts";
import { AWS_VERSION } from "./aws-managed-policies.ts";
import { change, deleteConflict, encodedPolicy, limitExceeded, noSuchEntity, page, type Iam, type PolicyRecord } from "./model.ts";
import { checkManaged, findPolicy, ownPolicy } from "./policies.ts";

const VERSIONS_MAX = 5;

type Names = "CreatePolicyVersion" | "GetPolicyVersion" | "ListPolicyVersions" | "DeletePolicyVersion" | "SetDefaultPolicyVersion";

function versionOf(value: PolicyRecord, arn: string, id: string) {
  const version = value.versions.find((one) => one.id === id);
  if (version === undefined) throw noSuchEntity(`Policy ${arn} version ${id} does not exist or is not attachable.`);
  return version;
}

/** A sortable name: `v10` comes after `v9`. */
const orderOf = (versionId: string) => versionId.slice(1).padStart(10, "0");

export function policyVersions(iam: Iam) {
  const edit = (context: Context, arn: string, apply: (record: PolicyRecord) => PolicyRecord) =>
    change(iam, () => ownPolicy(iam, context, arn), apply);
  return {
    CreatePolicyVersion: (context, input) => createPolicyVersion(iam, context, input),
    GetPolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      const found = findPolicy(iam, context, PolicyArn);
      if (!("key" in found)) {
        if (VersionId !== AWS_VERSION) throw noSuchEntity(`Policy ${PolicyArn} version ${VersionId} does not exist or is not attachable.`);
        return { PolicyVersion: { Document: encodedPolicy(JSON.stringify(found.document)), VersionId, IsDefaultVersion: true } };
      }
      const { id, document, createdAtMs } = versionOf(found.value, PolicyArn, VersionId);
      const IsDefaultVersion = id === found.value.defaultVersion;
      return { PolicyVersion: { Document: encodedPolicy(document), VersionId: id, IsDefaultVersion, CreateDate: new Date(createdAtMs) } };
    },
    ListPolicyVersions(context, { PolicyArn = "", ...input }) {
      const found = findPolicy(iam, context, PolicyArn);
      if (!("key" in found)) return { Versions: [{ VersionId: AWS_VERSION, IsDefaultVersion: true }], IsTruncated: false };
      const { versions, defaultVersion } = found.value;
      const { found: wanted, more } = page("ListPolicyVersions", versions, ({ id }) => orderOf(id), input);
      const Versions = wanted.map(({ id, createdAtMs }) => ({
        VersionId: id,
        IsDefaultVersion: id === defaultVersion,
        CreateDate: new Date(createdAtMs),
      }));
      return { Versions, ...more };
    },
    async DeletePolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      await edit(context, PolicyArn, (record) => {
        const { id } = versionOf(record, PolicyArn, VersionId);
        if (id === record.defaultVersion) throw deleteConflict("Cannot delete the default version of a policy.");
        return { ...record, versions: record.versions.filter((one) => one.id !== id) };
      });
      return {};
    },
    async SetDefaultPolicyVersion(context, { PolicyArn = "", VersionId = "" }) {
      const updatedAtMs = iam.clock.now();
      await edit(context, PolicyArn, (record) => ({
        ...record,
        updatedAtMs,
        defaultVersion: versionOf(record, PolicyArn, VersionId).id,
      }));
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createPolicyVersion(iam: Iam, context: Context, input: client.CreatePolicyVersionCommandInput) {
  const { PolicyArn = "", PolicyDocument = "", SetAsDefault = false } = input;
  ownPolicy(iam, context, PolicyArn);
  checkManaged(PolicyDocument);
  const nowMs = iam.clock.now();
  const value = await change(
    iam,
    () => ownPolicy(iam, context, PolicyArn),
    (record) => {
      if (record.versions.length >= VERSIONS_MAX)
        throw limitExceeded(
          `A managed policy can have up to ${VERSIONS_MAX} versions. Before you create a new version, you must delete an existing version.`,
        );
      const id = `v${record.nextVersion}`;
      return {
        ...record,
        updatedAtMs: nowMs,
        nextVersion: record.nextVersion + 1,
        defaultVersion: SetAsDefault ? id : record.defaultVersion,
        versions: [...record.versions, { id, document: PolicyDocument, createdAtMs: nowMs }],
      };
    },
  );
  return { PolicyVersion: { VersionId: `v${value.nextVersion - 1}`, IsDefaultVersion: SetAsDefault, CreateDate: new Date(nowMs) } };
}
