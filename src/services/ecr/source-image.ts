// The image that a URI means, for who runs it: of several the one for an architecture, with its configuration.
import type { Context } from "../../aws/operations.ts";
import {
  BadImage,
  isLayer,
  manifestFor,
  MANIFEST_BYTES_MAX,
  readConfiguration,
  readManifest,
  sha256Of,
  type ImageConfiguration,
} from "../../images/manifest.ts";
import { digestOf, findImage, isRepositoryName, TAG, type Ecr, type RepositoryName } from "./model.ts";

interface ImageReference {
  readonly name: RepositoryName;
  /** What stands before the tag or digest. */
  readonly repositoryUri: string;
  readonly tag?: string;
  readonly sha256?: string;
}

/** `<account>.dkr.ecr.<region>.<whatever>`: as at AWS, and so that templates need no change. */
const OF_REGISTRY = /^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+(?::\d{1,5})?$/;
/** `localhost:4566`: then it is the registry of the request's own account and region. */
const OF_SERVER = /^(?:localhost|[a-z0-9.-]+\.localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;

/** `hosts`: names besides those of this machine under which the server is reached. */
export function readImageUri(
  { account, region }: Pick<Context, "account" | "region">,
  uri: string,
  hosts: readonly string[],
): ImageReference | undefined {
  const [, host = "", path = ""] = /^([^/]+)\/(.+)$/.exec(uri) ?? [];
  const [, name = "", tag, digest] = /^([^:@]+)(?::([^:@]+))?(?:@(.+))?$/.exec(path) ?? [];
  const sha256 = sha256Of(digest);
  if (!isRepositoryName(name) || (tag !== undefined && !TAG.test(tag)) || (digest !== undefined && sha256 === undefined)) return undefined;
  const registry = OF_REGISTRY.exec(host);
  const isHere = OF_SERVER.test(host) || hosts.some((one) => host === one || host.startsWith(`${one}:`));
  if (registry === null && !isHere) return undefined;
  // Lambda takes images of its own region only.
  if (registry?.[2] !== undefined && registry[2] !== region) return undefined;
  return {
    name: { account: registry?.[1] ?? account, region, name },
    repositoryUri: `${host}/${name}`,
    ...(digest === undefined ? { tag: tag ?? "latest" } : tag === undefined ? {} : { tag }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

export interface SourceImage extends Pick<ImageConfiguration, "Entrypoint" | "Cmd" | "WorkingDir" | "Env"> {
  /** Of the manifest. */
  readonly sha256: string;
  readonly resolvedUri: string;
  /** Names of blobs, the lowest layer first. */
  readonly layers: readonly string[];
}

async function bytesOf({ blobs }: Pick<Ecr, "blobs">, sha256: string): Promise<Buffer | undefined> {
  const body = await blobs.read(sha256, { start: 0, end: MANIFEST_BYTES_MAX + 1 });
  return body === undefined ? undefined : Buffer.concat(await body.toArray());
}

/** Checks no rights. `absent`: there is none, or none for the architecture. */
export async function sourceImage(
  ecr: Pick<Ecr, "blobs" | "images" | "tags">,
  { name, repositoryUri, tag, sha256: wanted }: ImageReference,
  architecture: "x86_64" | "arm64",
): Promise<SourceImage | "absent" | "unsupported"> {
  let sha256 = findImage(ecr, name, wanted === undefined ? { tag } : { sha256: wanted })?.sha256;
  try {
    let bytes = sha256 === undefined ? undefined : await bytesOf(ecr, sha256);
    if (sha256 === undefined || bytes === undefined) return "absent";
    let manifest = readManifest(bytes);
    if (manifest.kind === "index") {
      sha256 = manifestFor(manifest, architecture)?.sha256;
      bytes = sha256 === undefined ? undefined : await bytesOf(ecr, sha256);
      if (sha256 === undefined || bytes === undefined) return "absent";
      manifest = readManifest(bytes);
    }
    if (manifest.kind === "index" || !manifest.layers.every(isLayer)) return "unsupported";
    const configuration = await bytesOf(ecr, manifest.config.sha256);
    if (configuration === undefined) return "absent";
    const { Entrypoint, Cmd, WorkingDir, Env } = readConfiguration(configuration);
    const resolvedUri = `${repositoryUri}@${digestOf(sha256)}`;
    return { sha256, resolvedUri, layers: manifest.layers.map((one) => one.sha256), Entrypoint, Cmd, WorkingDir, Env };
  } catch (cause) {
    if (cause instanceof BadImage) return "unsupported";
    throw cause;
  }
}
