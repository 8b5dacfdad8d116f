// Repositories: create, describe, delete, and the settings that they have.
import type * as client from "@aws-sdk/client-ecr";
import type { Context, Operations } from "../../aws/operations.ts";
import { invalidParameter, repositoryExists, repositoryNotEmpty } from "./faults.ts";
import {
  changeRepository,
  existingRepository,
  imagesOf,
  isConflict,
  LAYER_KIND,
  keyOf,
  nameOf,
  repositoryArn,
  repositoryKey,
  tagsOf,
  type Ecr,
  type RepositoryName,
  type RepositoryRecord,
} from "./model.ts";
import { page } from "./page.ts";
import { checkTags } from "./tags.ts";
import { authorizationToken } from "./tokens.ts";

/** What Docker takes for a registry on this machine, with which it speaks plain HTTP. */
const hostOf = ({ endpoint }: Context): string => endpoint.replace(/^https?:\/\//, "");

function describeRepository(context: Context, name: RepositoryName, record: RepositoryRecord): client.Repository {
  return {
    repositoryArn: repositoryArn(name),
    registryId: name.account,
    repositoryName: name.name,
    repositoryUri: `${hostOf(context)}/${name.name}`,
    createdAt: new Date(record.createdAtMs),
    imageTagMutability: record.imageTagMutability,
    imageScanningConfiguration: { scanOnPush: record.scanOnPush },
    encryptionConfiguration: { encryptionType: "AES256" },
  };
}

function checkMutability(mutability: string, filters: readonly unknown[] | undefined): asserts mutability is client.ImageTagMutability {
  if (mutability !== "MUTABLE" && mutability !== "IMMUTABLE")
    throw invalidParameter("Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Lambent knows MUTABLE and IMMUTABLE'");
  if ((filters ?? []).length > 0)
    throw invalidParameter("Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'Lambent has none'");
}

type Names =
  | "CreateRepository"
  | "DeleteRepository"
  | "DescribeRepositories"
  | "GetAuthorizationToken"
  | "PutImageScanningConfiguration"
  | "PutImageTagMutability";

export function repositories(ecr: Ecr) {
  return {
    CreateRepository: (context, input) => createRepository(ecr, context, input),
    DeleteRepository: (context, input) => deleteRepository(ecr, context, input),

    DescribeRepositories(context, { registryId, repositoryNames, maxResults, nextToken }) {
      const place = { account: registryId ?? context.account, region: context.region };
      if (repositoryNames !== undefined && repositoryNames.length > 0) {
        const named = repositoryNames.map((one) => existingRepository(ecr, nameOf(context, registryId, one)));
        return { repositories: named.map((one) => describeRepository(context, one, one.record)) };
      }
      const all = ecr.repositories.list(place.account, place.region, { limit: Infinity }).map(({ key, value }) => ({ id: key.id, value }));
      const { found, more } = page("repositories", all, { maxResults, nextToken });
      return { repositories: found.map(({ id, value }) => describeRepository(context, { ...place, name: id }, value)), ...more };
    },

    GetAuthorizationToken(context) {
      const { token, expiresMs } = authorizationToken(ecr, context);
      return { authorizationData: [{ authorizationToken: token, expiresAt: new Date(expiresMs), proxyEndpoint: context.endpoint }] };
    },

    async PutImageTagMutability(context, { registryId, repositoryName, imageTagMutability = "", imageTagMutabilityExclusionFilters }) {
      const name = nameOf(context, registryId, repositoryName);
      checkMutability(imageTagMutability, imageTagMutabilityExclusionFilters);
      await changeRepository(ecr, name, (record) => ({ ...record, imageTagMutability }));
      return { registryId: name.account, repositoryName: name.name, imageTagMutability };
    },

    async PutImageScanningConfiguration(context, { registryId, repositoryName, imageScanningConfiguration }) {
      const name = nameOf(context, registryId, repositoryName);
      const scanOnPush = imageScanningConfiguration?.scanOnPush ?? false;
      await changeRepository(ecr, name, (record) => ({ ...record, scanOnPush }));
      return { registryId: name.account, repositoryName: name.name, imageScanningConfiguration: { scanOnPush } };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createRepository(ecr: Ecr, context: Context, input: client.CreateRepositoryCommandInput) {
  const name = nameOf(context, input.registryId, input.repositoryName);
  const { imageTagMutability = "MUTABLE", encryptionConfiguration, imageScanningConfiguration, tags = [] } = input;
  checkMutability(imageTagMutability, input.imageTagMutabilityExclusionFilters);
  // Accepting a key would promise an encryption that does not take place.
  if (encryptionConfiguration !== undefined && encryptionConfiguration.encryptionType !== "AES256")
    throw invalidParameter("Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: 'Lambent knows AES256'");
  const record: RepositoryRecord = {
    createdAtMs: ecr.clock.now(),
    imageTagMutability,
    scanOnPush: imageScanningConfiguration?.scanOnPush ?? false,
    tags: checkTags({}, tags),
  };
  await ecr.meta.write([{ key: repositoryKey(name), value: record, expect: "absent" }]).catch((cause: unknown) => {
    throw isConflict(cause) ? repositoryExists(name) : cause;
  });
  return { repository: describeRepository(context, name, record) };
}

async function deleteRepository(ecr: Ecr, context: Context, { registryId, repositoryName, force }: client.DeleteRepositoryCommandInput) {
  const name = nameOf(context, registryId, repositoryName);
  const { record, revision } = existingRepository(ecr, name);
  const images = imagesOf(ecr, name);
  if (images.length > 0 && force !== true) throw repositoryNotEmpty(name);
  const { account, region } = name;
  const layers = ecr.layers.list(account, region, { prefix: `${name.name}@`, limit: Infinity });
  const belongings = [...images, ...tagsOf(ecr, name), ...layers.map(({ key }) => ({ key: keyOf(name, LAYER_KIND, key.id) }))];
  await ecr.meta
    .write([{ key: repositoryKey(name), expect: revision }, ...belongings.map(({ key }) => ({ key }))])
    .catch((cause: unknown) => {
      throw isConflict(cause) ? repositoryNotEmpty(name) : cause;
    });
  return { repository: describeRepository(context, name, record) };
}
