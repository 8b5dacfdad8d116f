// Amazon ECR: repositories of container images, by its API and by the protocol that Docker and its kin speak.
import * as client from "@aws-sdk/client-ecr";
import { authorise } from "../../aws/authorise.ts";
import type { ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import type { WireRequest, WireResponse } from "../../aws/request.ts";
import type { BlobReferences } from "../../store/blob-collection.ts";
import { View } from "../../store/view.ts";
import { accessOf, needOn } from "./access.ts";
import { images } from "./images.ts";
import { layers } from "./layers.ts";
import {
  IMAGE_KIND,
  LAYER_KIND,
  REPOSITORY_KIND,
  TAG_KIND,
  type Ecr,
  type EcrDeps,
  type ImageRecord,
  type LayerRecord,
  type RepositoryRecord,
  type TagRecord,
} from "./model.ts";
import { policies } from "./policies.ts";
import { Registry } from "./registry.ts";
import { repositories } from "./repositories.ts";
import { readImageUri, sourceImage, type SourceImage } from "./source-image.ts";
import { tags } from "./tags.ts";
import { Uploads } from "./uploads.ts";

/** A part of a layer is up to 20 MiB, in base64. */
const PART_BODY_BYTES_MAX = 28 * 2 ** 20;
/** A manifest of 4 MiB within JSON. */
const MANIFEST_BODY_BYTES_MAX = 9 * 2 ** 20;

const NOT_BUILT = {
  BatchGetRepositoryScanningConfiguration: notBuilt,
  CreatePullThroughCacheRule: notBuilt,
  CreateRepositoryCreationTemplate: notBuilt,
  DeleteLifecyclePolicy: notBuilt,
  DeletePullThroughCacheRule: notBuilt,
  DeleteRegistryPolicy: notBuilt,
  DeleteRepositoryCreationTemplate: notBuilt,
  DeleteSigningConfiguration: notBuilt,
  DeregisterPullTimeUpdateExclusion: notBuilt,
  DescribeImageReplicationStatus: notBuilt,
  DescribeImageScanFindings: notBuilt,
  DescribeImageSigningStatus: notBuilt,
  DescribePullThroughCacheRules: notBuilt,
  DescribeRegistry: notBuilt,
  DescribeReplicationBackfillResults: notBuilt,
  DescribeRepositoryCreationTemplates: notBuilt,
  GetAccountSetting: notBuilt,
  GetLifecyclePolicy: notBuilt,
  GetLifecyclePolicyPreview: notBuilt,
  GetRegistryPolicy: notBuilt,
  GetRegistryScanningConfiguration: notBuilt,
  GetSigningConfiguration: notBuilt,
  ListImageReferrers: notBuilt,
  ListPullTimeUpdateExclusions: notBuilt,
  ListReplicationBackfills: notBuilt,
  PutAccountSetting: notBuilt,
  PutLifecyclePolicy: notBuilt,
  PutRegistryPolicy: notBuilt,
  PutRegistryScanningConfiguration: notBuilt,
  PutReplicationConfiguration: notBuilt,
  PutSigningConfiguration: notBuilt,
  RegisterPullTimeUpdateExclusion: notBuilt,
  StartImageScan: notBuilt,
  StartLifecyclePolicyPreview: notBuilt,
  StartReplicationBackfill: notBuilt,
  StopReplicationBackfill: notBuilt,
  UpdateImageStorageClass: notBuilt,
  UpdatePullThroughCacheRule: notBuilt,
  UpdateRepositoryCreationTemplate: notBuilt,
  ValidatePullThroughCacheRule: notBuilt,
} as const;

function operationsOf(ecr: Ecr, uploads: Uploads) {
  return {
    ...repositories(ecr),
    ...images(ecr),
    ...layers(ecr, uploads),
    ...policies(ecr),
    ...tags(ecr),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

export interface EcrService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** Requests below `/v2/`; never rejects. */
  registry(request: WireRequest): Promise<WireResponse>;
  /** For who runs images, with the caller's rights; throws what IAM refuses. `hosts`: names of this server besides the local ones. */
  image(
    context: Context,
    uri: string,
    hosts: readonly string[],
    architecture: "x86_64" | "arm64",
  ): Promise<SourceImage | "malformed" | "absent" | "unsupported">;
  /** Which blobs its images need, for a collector. */
  referencedBlobs(): BlobReferences;
  stop(): Promise<void>;
}

async function openRecords({ meta }: EcrDeps) {
  return {
    repositories: await View.open<RepositoryRecord>(meta, REPOSITORY_KIND),
    images: await View.open<ImageRecord>(meta, IMAGE_KIND),
    tags: await View.open<TagRecord>(meta, TAG_KIND),
    layers: await View.open<LayerRecord>(meta, LAYER_KIND),
  };
}

/** As of now: what is being pushed is asked for each blob, since its image's record comes last. */
function referencesOf({ images: all, pinned }: Ecr): BlobReferences {
  const needed = new Set<string>();
  for (const { key, value } of all.all()) {
    needed.add(key.id.slice(key.id.indexOf("@") + 1));
    for (const sha256 of value.layers) needed.add(sha256);
  }
  return { has: (sha256) => needed.has(sha256) || pinned.has(sha256), release: () => undefined };
}

export async function ecrService(deps: EcrDeps): Promise<EcrService> {
  const records = await openRecords(deps);
  const ecr: Ecr = { ...deps, ...records, pinned: new Map() };
  const uploads = new Uploads(ecr);
  const registry = new Registry(ecr, uploads);
  const operations = operationsOf(ecr, uploads);
  return {
    operations,
    definition: {
      name: "ecr",
      client,
      clientClass: "ECRClient",
      operations,
      constraints: "ecr",
      access: accessOf(ecr),
      bodyBytesMax: (operation) =>
        operation === "UploadLayerPart" ? PART_BODY_BYTES_MAX : operation === "PutImage" ? MANIFEST_BODY_BYTES_MAX : 2 ** 20,
    },
    registry: (request) => registry.handle(request),
    async image(context, uri, hosts, architecture) {
      const reference = readImageUri(context, uri, hosts);
      if (reference === undefined) return "malformed";
      const needs = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"].map((action) => needOn(ecr, action, reference.name));
      authorise(undefined, context, needs, ecr);
      return await sourceImage(ecr, reference, architecture);
    },
    referencedBlobs: () => referencesOf(ecr),
    async stop() {
      await uploads.stop();
      for (const view of Object.values(records)) view.close();
    },
  };
}
