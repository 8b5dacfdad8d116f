// Images by the API: list, describe, get, put, delete.
import type * as client from "@aws-sdk/client-ecr";
import type { Context, Operations } from "../../aws/operations.ts";
import { MANIFEST_BYTES_MAX, sha256Of } from "../../images/manifest.ts";
import { invalidManifest, noSuchImage } from "./faults.ts";
import {
  digestOf,
  existingRepository,
  findImage,
  imagesOf,
  nameOf,
  TAG,
  tagsOf,
  type Ecr,
  type ImageRecord,
  type RepositoryName,
} from "./model.ts";
import { page } from "./page.ts";
import { deleteImage, deleteTag, indexesOf, putManifest } from "./push.ts";

type Names = "BatchDeleteImage" | "BatchGetImage" | "DescribeImages" | "ListImages" | "PutImage";

interface Listed {
  readonly id: string;
  readonly sha256: string;
  readonly record: ImageRecord;
  readonly tags: readonly string[];
}

function listed(ecr: Ecr, name: RepositoryName): readonly Listed[] {
  const tags = Map.groupBy(tagsOf(ecr, name), ({ value }) => value.sha256);
  return imagesOf(ecr, name).map(({ key, value }) => {
    const sha256 = key.id.slice(name.name.length + 1);
    return { id: sha256, sha256, record: value, tags: (tags.get(sha256) ?? []).map((one) => one.key.id.slice(name.name.length + 1)) };
  });
}

/** Nothing is ever archived. */
const matches = ({ tags }: Listed, { tagStatus, imageStatus = "ACTIVE" }: client.ListImagesFilter = {}): boolean =>
  (imageStatus === "ACTIVE" || imageStatus === "ANY") &&
  (tagStatus === "TAGGED" ? tags.length > 0 : tagStatus === "UNTAGGED" ? tags.length === 0 : true);

/** Of an index, that of the largest of its images. */
function sizeOf(ecr: Ecr, name: RepositoryName, { bytes, images: parts }: ImageRecord): number {
  return Math.max(bytes, ...parts.map((sha256) => findImage(ecr, name, { sha256 })?.record.bytes ?? 0));
}

function detail(ecr: Ecr, name: RepositoryName, { sha256, record, tags }: Listed): client.ImageDetail {
  return {
    registryId: name.account,
    repositoryName: name.name,
    imageDigest: digestOf(sha256),
    ...(tags.length === 0 ? {} : { imageTags: [...tags] }),
    imageSizeInBytes: sizeOf(ecr, name, record),
    imagePushedAt: new Date(record.pushedAtMs),
    imageStatus: "ACTIVE",
    imageManifestMediaType: record.mediaType,
    ...(record.artifactType === undefined ? {} : { artifactMediaType: record.artifactType }),
  };
}

export function images(ecr: Ecr) {
  return {
    ListImages(context, { registryId, repositoryName, filter, maxResults, nextToken }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const ids = listed(ecr, name)
        .filter((one) => matches(one, filter))
        .flatMap((one) => (one.tags.length === 0 ? [""] : one.tags).map((tag) => ({ id: `${one.sha256} ${tag}`, one, tag })));
      const { found, more } = page(`images/${name.name}`, ids, { maxResults, nextToken });
      const imageIds = found.map(({ one, tag }) => ({ imageDigest: digestOf(one.sha256), ...(tag === "" ? {} : { imageTag: tag }) }));
      return { imageIds, ...more };
    },

    DescribeImages(context, { registryId, repositoryName, imageIds, filter, maxResults, nextToken }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const all = listed(ecr, name);
      if (imageIds !== undefined && imageIds.length > 0) {
        const wanted = new Set(imageIds.map((one) => existing(ecr, name, one)));
        return { imageDetails: all.filter(({ sha256 }) => wanted.has(sha256)).map((one) => detail(ecr, name, one)) };
      }
      const { found, more } = page(
        `details/${name.name}`,
        all.filter((one) => matches(one, filter)),
        { maxResults, nextToken },
      );
      return { imageDetails: found.map((one) => detail(ecr, name, one)), ...more };
    },

    BatchGetImage: (context, input) => batchGetImage(ecr, context, input),
    BatchDeleteImage: (context, input) => batchDeleteImage(ecr, context, input),
    PutImage: (context, input) => putImage(ecr, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** Throws ImageNotFoundException. */
function existing(ecr: Ecr, name: RepositoryName, { imageDigest, imageTag }: client.ImageIdentifier): string {
  const found = findImage(ecr, name, { sha256: sha256Of(imageDigest), tag: imageTag });
  if (found === undefined)
    throw noSuchImage(name, {
      ...(imageDigest === undefined ? {} : { digest: imageDigest }),
      ...(imageTag === undefined ? {} : { tag: imageTag }),
    });
  return found.sha256;
}

const failureOf = (ecr: Ecr, name: RepositoryName, imageId: client.ImageIdentifier): client.ImageFailure => {
  const { imageDigest, imageTag } = imageId;
  if (imageDigest === undefined && imageTag === undefined)
    return { imageId, failureCode: "MissingDigestAndTag", failureReason: "Invalid request parameters: both tag and digest cannot be null" };
  if (imageDigest !== undefined && sha256Of(imageDigest) === undefined)
    return {
      imageId,
      failureCode: "InvalidImageDigest",
      failureReason: "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
    };
  if (imageTag !== undefined && !TAG.test(imageTag))
    return { imageId, failureCode: "InvalidImageTag", failureReason: "Invalid request parameters: image tag is not valid" };
  const isThere = (found: { readonly sha256?: string | undefined; readonly tag?: string | undefined }) =>
    findImage(ecr, name, found) !== undefined;
  if (imageDigest !== undefined && imageTag !== undefined && isThere({ sha256: sha256Of(imageDigest) }) && isThere({ tag: imageTag }))
    return {
      imageId,
      failureCode: "ImageTagDoesNotMatchDigest",
      failureReason: "Invalid request parameters: the tag is of another image than the digest",
    };
  return { imageId, failureCode: "ImageNotFound", failureReason: "Requested image not found" };
};

function findBy(ecr: Ecr, name: RepositoryName, { imageDigest, imageTag }: client.ImageIdentifier) {
  const sha256 = sha256Of(imageDigest);
  if (imageDigest !== undefined && sha256 === undefined) return undefined;
  return findImage(ecr, name, { sha256, tag: imageTag });
}

async function batchGetImage(ecr: Ecr, context: Context, { registryId, repositoryName, imageIds = [] }: client.BatchGetImageCommandInput) {
  const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
  const found: client.Image[] = [];
  const failures: client.ImageFailure[] = [];
  for (const imageId of imageIds) {
    const image = findBy(ecr, name, imageId);
    const body = image === undefined ? undefined : await ecr.blobs.read(image.sha256);
    if (image === undefined || body === undefined) {
      failures.push(failureOf(ecr, name, imageId));
      continue;
    }
    found.push({
      registryId: name.account,
      repositoryName: name.name,
      imageId: { ...imageId, imageDigest: digestOf(image.sha256) },
      imageManifest: Buffer.concat(await body.toArray()).toString("utf8"),
      imageManifestMediaType: image.record.mediaType,
    });
  }
  return { images: found, failures };
}

async function batchDeleteImage(
  ecr: Ecr,
  context: Context,
  { registryId, repositoryName, imageIds = [] }: client.BatchDeleteImageCommandInput,
) {
  const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
  const deleted: client.ImageIdentifier[] = [];
  const failures: client.ImageFailure[] = [];
  for (const imageId of imageIds) {
    const image = findBy(ecr, name, imageId);
    const failure = image === undefined ? failureOf(ecr, name, imageId) : await deleteOne(ecr, name, imageId, image.sha256);
    if (failure !== undefined) failures.push(failure);
    else if (image !== undefined) deleted.push({ ...imageId, imageDigest: digestOf(image.sha256) });
  }
  return { imageIds: deleted, failures };
}

/** A tag alone, or the image with all of its tags; an image goes with its last tag. */
async function deleteOne(
  ecr: Ecr,
  name: RepositoryName,
  imageId: client.ImageIdentifier,
  sha256: string,
): Promise<client.ImageFailure | undefined> {
  const { imageDigest, imageTag } = imageId;
  const isOneOfTags = imageDigest === undefined && tagsOf(ecr, name).filter(({ value }) => value.sha256 === sha256).length > 1;
  const indexes = isOneOfTags ? [] : indexesOf(ecr, name, sha256);
  if (indexes.length > 0)
    return {
      imageId,
      failureCode: "ImageReferencedByManifestList",
      failureReason: `Requested image referenced by manifest list: [${indexes.join(", ")}]`,
    };
  if (isOneOfTags && imageTag !== undefined) await deleteTag(ecr, name, imageTag);
  else await deleteImage(ecr, name, sha256);
  return undefined;
}

async function putImage(ecr: Ecr, context: Context, input: client.PutImageCommandInput) {
  const name = existingRepository(ecr, nameOf(context, input.registryId, input.repositoryName));
  const { imageManifest = "", imageManifestMediaType: mediaType, imageTag: tag, imageDigest: digest } = input;
  const bytes = Buffer.from(imageManifest);
  if (bytes.length > MANIFEST_BYTES_MAX) throw invalidManifest(`must not be larger than ${MANIFEST_BYTES_MAX} bytes`);
  if (tag !== undefined && !TAG.test(tag)) throw noSuchImage(name, { tag });
  const pushed = await putManifest(ecr, name, { bytes, mediaType, tag, digest, refusesSame: true });
  return {
    image: {
      registryId: name.account,
      repositoryName: name.name,
      imageId: { imageDigest: digestOf(pushed.sha256), ...(tag === undefined ? {} : { imageTag: tag }) },
      imageManifest,
      imageManifestMediaType: pushed.mediaType,
    },
  };
}
