// Stored records of ECR, the names of repositories, and what its operations share.
import type * as client from "@aws-sdk/client-ecr";
import type { Identities } from "../../aws/identity.ts";
import type { Context } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { BlobStore } from "../../store/blob-store.ts";
import type { Entry, Key, MetaStore } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import { invalidParameter, noSuchRepository } from "./faults.ts";

export const REPOSITORY_KIND = "ecr.repository";
export const IMAGE_KIND = "ecr.image";
export const TAG_KIND = "ecr.tag";
export const LAYER_KIND = "ecr.layer";

export interface RepositoryRecord {
  readonly createdAtMs: number;
  readonly imageTagMutability: client.ImageTagMutability;
  readonly scanOnPush: boolean;
  readonly tags: Readonly<Record<string, string>>;
  /** The document as it was given. */
  readonly policy?: string;
}

/** A manifest or an index; its bytes are a blob. */
export interface ImageRecord {
  readonly mediaType: string;
  /** Of the configuration, where there is one. */
  readonly artifactType?: string;
  /** What it takes: its configuration and layers, each once. */
  readonly bytes: number;
  readonly pushedAtMs: number;
  /** Its configuration and layers: names of blobs. */
  readonly layers: readonly string[];
  /** Of an index: its images. */
  readonly images: readonly string[];
}

export interface TagRecord {
  readonly sha256: string;
}

/** That a blob has been pushed into the repository: whoever may read there sees these, and no other blobs of this server. */
export interface LayerRecord {
  readonly bytes: number;
  readonly pushedAtMs: number;
}

export interface EcrDeps {
  readonly meta: MetaStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly identities: Identities;
  /** 32 bytes: authorization tokens are sealed with it. */
  readonly sealingKey: Uint8Array;
  /** Where a blob can be fetched, for some minutes, by whoever is told. */
  downloadUrl(context: Context, sha256: string): string;
}

export interface Ecr extends EcrDeps {
  readonly repositories: View<RepositoryRecord>;
  readonly images: View<ImageRecord>;
  readonly tags: View<TagRecord>;
  readonly layers: View<LayerRecord>;
  /** Blobs that a push which is being acknowledged needs: no collector takes them. */
  readonly pinned: Map<string, number>;
}

export interface RepositoryName {
  readonly account: string;
  readonly region: string;
  readonly name: string;
}

export interface Repository extends RepositoryName {
  readonly record: RepositoryRecord;
  readonly revision: number;
}

const NAME_LENGTH_MAX = 256;
const NAME_PATTERN = "(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*";
// The pattern of AWS, without its nested repetitions: parts of words, each with letters or digits at both ends.
const NAME_PART = /^[a-z0-9](?:[a-z0-9]|[._-](?=[a-z0-9]))*$/;
export const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export const isRepositoryName = (name: string): boolean =>
  name.length >= 2 && name.length <= NAME_LENGTH_MAX && name.split("/").every((part) => NAME_PART.test(part));

export const keyOf = ({ account, region }: RepositoryName, kind: string, id: string): Key => ({ account, region, kind, id });
export const repositoryKey = (name: RepositoryName): Key => keyOf(name, REPOSITORY_KIND, name.name);
// Names of repositories have neither of these signs.
export const imageId = ({ name }: RepositoryName, sha256: string): string => `${name}@${sha256}`;
export const tagId = ({ name }: RepositoryName, tag: string): string => `${name}:${tag}`;

export const repositoryArn = ({ account, region, name }: RepositoryName): string => `arn:aws:ecr:${region}:${account}:repository/${name}`;
export const digestOf = (sha256: string): string => `sha256:${sha256}`;

/** A registry is an account in a region. Throws InvalidParameterException for what can't be a repository's name. */
export function nameOf(
  context: Pick<Context, "account" | "region">,
  registryId: string | undefined,
  name: string | undefined,
): RepositoryName {
  if (name === undefined || !isRepositoryName(name))
    throw invalidParameter(
      `Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '${NAME_PATTERN}''`,
    );
  return { account: registryId ?? context.account, region: context.region, name };
}

export function findRepository({ repositories }: Pick<Ecr, "repositories">, name: RepositoryName): Repository | undefined {
  const entry = repositories.get(name.account, name.region, name.name);
  return entry === undefined ? undefined : { ...name, record: entry.value, revision: entry.revision };
}

/** Throws RepositoryNotFoundException. */
export function existingRepository(ecr: Pick<Ecr, "repositories">, name: RepositoryName): Repository {
  const found = findRepository(ecr, name);
  if (found === undefined) throw noSuchRepository(name);
  return found;
}

/** All of a repository, in the order of their ids. */
export const imagesOf = ({ images }: Pick<Ecr, "images">, { account, region, name }: RepositoryName): Entry<ImageRecord>[] =>
  images.list(account, region, { prefix: `${name}@`, limit: Infinity });
export const tagsOf = ({ tags }: Pick<Ecr, "tags">, { account, region, name }: RepositoryName): Entry<TagRecord>[] =>
  tags.list(account, region, { prefix: `${name}:`, limit: Infinity });

/** By digest or tag; the digest in hex. */
export function findImage(
  ecr: Pick<Ecr, "images" | "tags">,
  name: RepositoryName,
  { sha256, tag }: { readonly sha256?: string | undefined; readonly tag?: string | undefined },
): { readonly sha256: string; readonly record: ImageRecord } | undefined {
  const { account, region } = name;
  const tagged = tag === undefined ? undefined : ecr.tags.get(account, region, tagId(name, tag))?.value.sha256;
  if (tag !== undefined && (tagged === undefined || (sha256 !== undefined && tagged !== sha256))) return undefined;
  const found = sha256 ?? tagged;
  const record = found === undefined ? undefined : ecr.images.get(account, region, imageId(name, found))?.value;
  return found === undefined || record === undefined ? undefined : { sha256: found, record };
}

const ATTEMPTS_MAX = 10;

/** Changes what the repository is now, again if somebody else was faster. */
export async function changeRepository(
  ecr: Ecr,
  name: RepositoryName,
  edit: (record: RepositoryRecord) => RepositoryRecord,
): Promise<RepositoryRecord> {
  for (let attempt = 1; ; attempt++) {
    const { record, revision } = existingRepository(ecr, name);
    const value = edit(record);
    const isWritten = await ecr.meta.write([{ key: repositoryKey(name), value, expect: revision }]).then(
      () => true,
      (cause: unknown) => {
        if (!isConflict(cause) || attempt >= ATTEMPTS_MAX) throw cause;
        return false;
      },
    );
    if (isWritten) return value;
  }
}

export const isConflict = (cause: unknown): boolean => (cause as { failure?: string }).failure === "Conflict";
