// Putting a manifest into a repository, and taking images away: the same for the API and for the registry's own protocol.
import { createHash } from "node:crypto";
import type { Write } from "../../store/storage.ts";
import { BadImage, readManifest, type ImageIndex, type ImageManifest } from "../../images/manifest.ts";
import {
  imageExists,
  invalidManifest,
  noSuchLayers,
  noSuchReferencedImages,
  noSuchRepository,
  tagIsImmutable,
  wrongDigest,
} from "./faults.ts";
import {
  digestOf,
  existingRepository,
  findImage,
  findRepository,
  IMAGE_KIND,
  imageId,
  imagesOf,
  isConflict,
  keyOf,
  LAYER_KIND,
  repositoryKey,
  TAG_KIND,
  tagId,
  tagsOf,
  type Ecr,
  type ImageRecord,
  type Repository,
  type RepositoryName,
} from "./model.ts";

interface Pushed {
  readonly sha256: string;
  readonly mediaType: string;
}

interface Push {
  readonly bytes: Uint8Array;
  /** Absent: what the manifest says of itself. */
  readonly mediaType?: string | undefined;
  readonly tag?: string | undefined;
  /** What the caller takes it for: `sha256:…` */
  readonly digest?: string | undefined;
  /** The API refuses to put the same again; the protocol does not. */
  readonly refusesSame?: true;
}

function manifestOf({ bytes, mediaType }: Push): ImageManifest | ImageIndex {
  try {
    return readManifest(bytes, mediaType);
  } catch (cause) {
    if (!(cause instanceof BadImage)) throw cause;
    throw invalidManifest(cause.message);
  }
}

/** Everything that it refers to must be in the repository already. Throws ECR's faults. */
export async function putManifest(ecr: Ecr, name: RepositoryName, push: Push): Promise<Pushed> {
  const repository = existingRepository(ecr, name);
  const manifest = manifestOf(push);
  const sha256 = createHash("sha256").update(push.bytes).digest("hex");
  if (push.digest !== undefined && push.digest !== digestOf(sha256)) throw wrongDigest(push.digest, digestOf(sha256));
  const { tag } = push;
  const tagged = tag === undefined ? undefined : findImage(ecr, name, { tag });
  const isSame = tag === undefined ? findImage(ecr, name, { sha256 }) !== undefined : tagged?.sha256 === sha256;
  if (push.refusesSame === true && isSame) throw imageExists(name, digestOf(sha256), tag);
  if (tag !== undefined && tagged !== undefined && tagged.sha256 !== sha256 && repository.record.imageTagMutability !== "MUTABLE")
    throw tagIsImmutable(name, tag);
  const record = recordOf(ecr, manifest);
  const unpin = pin(ecr, [sha256, ...record.layers]);
  try {
    await checkReferences(ecr, name, record);
    await ecr.blobs.put(push.bytes);
    await writeImage(ecr, repository, sha256, record, tag);
  } finally {
    unpin();
  }
  return { sha256, mediaType: manifest.mediaType };
}

async function writeImage(ecr: Ecr, name: Repository, sha256: string, record: ImageRecord, tag: string | undefined): Promise<void> {
  const writes: Write[] = [
    { key: repositoryKey(name), expect: name.revision, keep: true },
    { key: keyOf(name, IMAGE_KIND, imageId(name, sha256)), value: findImage(ecr, name, { sha256 })?.record ?? record },
    ...record.images.map((one): Write => ({
      key: keyOf(name, IMAGE_KIND, imageId(name, one)),
      expect: revisionOf(ecr, name, one),
      keep: true,
    })),
  ];
  if (tag !== undefined) {
    const key = keyOf(name, TAG_KIND, tagId(name, tag));
    const isFixed = name.record.imageTagMutability !== "MUTABLE" && findImage(ecr, name, { tag }) === undefined;
    writes.push({ key, value: { sha256 }, ...(isFixed ? { expect: "absent" as const } : {}) });
  }
  await ecr.meta.write(writes).catch((cause: unknown) => {
    if (tag !== undefined && isConflict(cause) && findRepository(ecr, name)?.revision === name.revision) throw tagIsImmutable(name, tag);
    // It was deleted or changed in between: whoever pushes tries again.
    throw isConflict(cause) ? noSuchRepository(name) : cause;
  });
}

const revisionOf = ({ images }: Ecr, name: RepositoryName, sha256: string): number =>
  images.get(name.account, name.region, imageId(name, sha256))?.revision ?? 0;

function recordOf({ clock }: Ecr, manifest: ImageManifest | ImageIndex): ImageRecord {
  const { mediaType } = manifest;
  const pushedAtMs = clock.now();
  if (manifest.kind === "index") {
    const images = [...new Set(manifest.manifests.map(({ sha256 }) => sha256))];
    return { mediaType, bytes: 0, pushedAtMs, layers: [], images };
  }
  const parts = new Map([manifest.config, ...manifest.layers].map(({ sha256, bytes }) => [sha256, bytes]));
  const bytes = [...parts.values()].reduce((sum, one) => sum + one, 0);
  return { mediaType, artifactType: manifest.config.mediaType, bytes, pushedAtMs, layers: [...parts.keys()], images: [] };
}

/** Until it is undone, no collector takes these blobs. */
function pin({ pinned }: Ecr, sha256s: readonly string[]): () => void {
  for (const sha256 of sha256s) pinned.set(sha256, (pinned.get(sha256) ?? 0) + 1);
  return () => {
    for (const sha256 of sha256s) {
      const left = (pinned.get(sha256) ?? 0) - 1;
      if (left > 0) pinned.set(sha256, left);
      else pinned.delete(sha256);
    }
  };
}

async function checkReferences(ecr: Ecr, name: RepositoryName, { layers, images }: ImageRecord): Promise<void> {
  const missing: string[] = [];
  for (const sha256 of layers) if (!(await hasLayer(ecr, name, sha256))) missing.push(digestOf(sha256));
  if (missing.length > 0) throw noSuchLayers(name, missing);
  const absent = images.filter((sha256) => findImage(ecr, name, { sha256 }) === undefined).map(digestOf);
  if (absent.length > 0) throw noSuchReferencedImages(name, absent);
}

/** Pushed into this repository, and not collected since. */
export async function hasLayer({ layers, blobs }: Ecr, name: RepositoryName, sha256: string): Promise<boolean> {
  return layers.get(name.account, name.region, imageId(name, sha256)) !== undefined && (await blobs.has(sha256));
}

export async function rememberLayer(ecr: Ecr, name: RepositoryName, sha256: string, bytes: number): Promise<void> {
  const { revision } = existingRepository(ecr, name);
  await ecr.meta
    .write([
      { key: repositoryKey(name), expect: revision, keep: true },
      { key: keyOf(name, LAYER_KIND, imageId(name, sha256)), value: { bytes, pushedAtMs: ecr.clock.now() } },
    ])
    .catch((cause: unknown) => {
      throw isConflict(cause) ? noSuchRepository(name) : cause;
    });
}

/** Those of the repository that have the image: it does not go before them. */
export const indexesOf = (ecr: Ecr, name: RepositoryName, sha256: string): readonly string[] =>
  imagesOf(ecr, name)
    .filter(({ value }) => value.images.includes(sha256))
    .map(({ key }) => digestOf(key.id.slice(name.name.length + 1)));

/** With its tags; false: there is none. */
export async function deleteImage(ecr: Ecr, name: RepositoryName, sha256: string): Promise<boolean> {
  if (findImage(ecr, name, { sha256 }) === undefined) return false;
  const tags = tagsOf(ecr, name).filter(({ value }) => value.sha256 === sha256);
  await ecr.meta.write([{ key: keyOf(name, IMAGE_KIND, imageId(name, sha256)) }, ...tags.map(({ key }) => ({ key }))]);
  return true;
}

/** The tag alone; an image without tags stays. False: there is none. */
export async function deleteTag(ecr: Ecr, name: RepositoryName, tag: string): Promise<boolean> {
  if (findImage(ecr, name, { tag }) === undefined) return false;
  await ecr.meta.write([{ key: keyOf(name, TAG_KIND, tagId(name, tag)) }]);
  return true;
}
