// What IAM checks for each operation, and which of them a repository's policy can open to other accounts.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
import type { AccessNeed } from "../../aws/definition.ts";
import type { Context } from "../../aws/operations.ts";
import { findRepository, repositoryArn, type Ecr, type RepositoryName } from "./model.ts";
import { policyOf } from "./policies.ts";

type Input = Readonly<Record<string, unknown>>;

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

export function needOn(ecr: Pick<Ecr, "repositories">, action: string, name: RepositoryName): AccessNeed {
  const repository = findRepository(ecr, name);
  const policy = repository === undefined ? undefined : policyOf(repository.record);
  return { action, resource: repositoryArn(name), ...(policy === undefined ? {} : { resourcePolicy: policy }) };
}

function namesOf({ account, region }: Context, input: Input): readonly RepositoryName[] {
  const { repositoryName, repositoryNames, registryId } = input;
  const names = Array.isArray(repositoryNames) ? repositoryNames.map(textOf) : [textOf(repositoryName) || "*"];
  return names.map((name) => ({ account: textOf(registryId) || account, region, name }));
}

export function accessOf(ecr: Pick<Ecr, "repositories">) {
  return (operation: string, context: Context, input: Input): readonly AccessNeed[] => {
    const action = `ecr:${operation}`;
    if (operation === "GetAuthorizationToken") return [{ action, resource: "*" }];
    const arn = textOf(input["resourceArn"]);
    if (arn !== "") return [{ action, resource: arn }];
    const needs = namesOf(context, input).map((name) => needOn(ecr, action, name));
    const isTagged = operation === "CreateRepository" && Array.isArray(input["tags"]) && input["tags"].length > 0;
    return isTagged ? [...needs, ...needs.map((need) => ({ ...need, action: "ecr:TagResource" }))] : needs;
  };
}
