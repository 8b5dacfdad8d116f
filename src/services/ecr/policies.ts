// Policies of repositories: who else may push and pull.
import type * as client from "@aws-sdk/client-ecr";
import type { Operations } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument } from "../../aws/policy.ts";
import { invalidParameter, noRepositoryPolicy } from "./faults.ts";
import { changeRepository, existingRepository, nameOf, type Ecr, type RepositoryRecord } from "./model.ts";

const POLICY_BYTES_MAX = 10_240;

/** A statement here has no Resource: it is the repository. */
function withResources(text: string): string {
  const document = JSON.parse(text) as { Statement?: object | readonly object[] };
  const statements = [document.Statement ?? []].flat();
  return JSON.stringify({ ...document, Statement: statements.map((one) => ({ Resource: "*", ...one })) });
}

function parse(text: string): PolicyDocument | { readonly malformed: string } {
  try {
    return parsePolicy(withResources(text));
  } catch (cause) {
    return { malformed: `it is not JSON: ${(cause as Error).message}` };
  }
}

const parsed = new WeakMap<RepositoryRecord, PolicyDocument>();

/** The policy as a document; parsed once for each state of the repository. */
export function policyOf(record: RepositoryRecord): PolicyDocument | undefined {
  if (record.policy === undefined) return undefined;
  const known = parsed.get(record);
  if (known !== undefined) return known;
  const policy = parse(record.policy);
  if ("malformed" in policy) throw new Error(`a stored repository policy is malformed: ${policy.malformed}`);
  parsed.set(record, policy);
  return policy;
}

type Names = "SetRepositoryPolicy" | "GetRepositoryPolicy" | "DeleteRepositoryPolicy";

export function policies(ecr: Ecr) {
  return {
    async SetRepositoryPolicy(context, { registryId, repositoryName, policyText = "" }) {
      const name = nameOf(context, registryId, repositoryName);
      existingRepository(ecr, name);
      const policy = parse(policyText);
      if ("malformed" in policy || Buffer.byteLength(policyText) > POLICY_BYTES_MAX)
        throw invalidParameter("Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'");
      await changeRepository(ecr, name, (record) => ({ ...record, policy: policyText }));
      return { registryId: name.account, repositoryName: name.name, policyText };
    },

    GetRepositoryPolicy(context, { registryId, repositoryName }) {
      const name = nameOf(context, registryId, repositoryName);
      const { policy } = existingRepository(ecr, name).record;
      if (policy === undefined) throw noRepositoryPolicy(name);
      return { registryId: name.account, repositoryName: name.name, policyText: policy };
    },

    async DeleteRepositoryPolicy(context, { registryId, repositoryName }) {
      const name = nameOf(context, registryId, repositoryName);
      const { policy } = existingRepository(ecr, name).record;
      if (policy === undefined) throw noRepositoryPolicy(name);
      await changeRepository(ecr, name, ({ policy: _gone, ...record }) => record);
      return { registryId: name.account, repositoryName: name.name, policyText: policy };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}
