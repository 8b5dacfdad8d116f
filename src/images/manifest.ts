// Manifests, indexes and configurations of container images, as Docker and OCI write them: read with bounds, nothing believed.

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests */
export const MANIFEST_BYTES_MAX = 4 * 2 ** 20;
const LAYERS_MAX = 127;
const MANIFESTS_MAX = 1000;
const LAYER_TYPE = /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)(?:[+.](?:gzip|zstd))?$/;

/** It is not what it says, or not what can be run. */
export class BadImage extends Error {
  override readonly name = "BadImage";
}

interface Descriptor {
  readonly mediaType: string;
  /** Lower-case hex SHA-256. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface ImageManifest {
  readonly kind: "image";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly (Descriptor & { readonly architecture: string; readonly os: string })[];
}

/** What a function's start needs of an image's configuration; names as there. */
export interface ImageConfiguration {
  readonly architecture: string;
  readonly os: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  /** `NAME=value` */
  readonly Env: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BadImage(`${what} is not an object`);
  return value as Json;
}

function parse(bytes: Uint8Array, what: string): Json {
  if (bytes.byteLength > MANIFEST_BYTES_MAX) throw new BadImage(`${what} is larger than ${MANIFEST_BYTES_MAX} bytes`);
  try {
    return objectOf(JSON.parse(Buffer.from(bytes).toString("utf8")), what);
  } catch (cause) {
    if (cause instanceof BadImage) throw cause;
    throw new BadImage(`${what} is not JSON`, { cause });
  }
}

/** `sha256:…` → the digits. */
export function sha256Of(digest: unknown): string | undefined {
  return typeof digest === "string" ? /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] : undefined;
}

function descriptor(value: unknown): Descriptor {
  const { mediaType, digest, size } = objectOf(value, "a descriptor");
  const sha256 = sha256Of(digest);
  const isWhole = typeof mediaType === "string" && typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
  if (sha256 === undefined || !isWhole) throw new BadImage("a descriptor has no media type, SHA-256 digest or size");
  return { mediaType, sha256, bytes: size };
}

function listOf<T>(value: unknown, what: string, max: number, read: (one: unknown) => T): readonly T[] {
  if (!Array.isArray(value) || value.length > max) throw new BadImage(`${what} is not a list of at most ${max}`);
  return value.map(read);
}

const texts = (value: unknown, what: string): readonly string[] =>
  listOf(value ?? [], what, 4096, (one) => {
    if (typeof one !== "string" || one.includes("\0")) throw new BadImage(`${what} holds something else than text`);
    return one;
  });

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** `mediaType` as the transport has it; absent: as it stands in the document. Throws BadImage. */
export function readManifest(bytes: Uint8Array, mediaType?: string): ImageManifest | ImageIndex {
  const document = parse(bytes, "the manifest");
  const inside = textOf(document["mediaType"]);
  const kind = mediaType ?? inside;
  if (mediaType !== undefined && inside !== "" && inside !== mediaType)
    throw new BadImage(`the manifest is a ${inside}, not a ${mediaType}`);
  if (document["schemaVersion"] !== 2) throw new BadImage("the manifest has not schema version 2");
  if (kind === OCI_INDEX || kind === DOCKER_INDEX || (kind === "" && Array.isArray(document["manifests"]))) {
    const manifests = listOf(document["manifests"], "manifests", MANIFESTS_MAX, (one) => {
      const platform = objectOf(objectOf(one, "a descriptor")["platform"] ?? {}, "a platform");
      return { ...descriptor(one), architecture: textOf(platform["architecture"]), os: textOf(platform["os"]) };
    });
    return { kind: "index", mediaType: kind === "" ? OCI_INDEX : kind, manifests };
  }
  if (kind !== OCI_MANIFEST && kind !== DOCKER_MANIFEST && kind !== "") throw new BadImage(`the media type ${kind} is not supported`);
  const layers = listOf(document["layers"], "layers", LAYERS_MAX, descriptor);
  return { kind: "image", mediaType: kind === "" ? OCI_MANIFEST : kind, config: descriptor(document["config"]), layers };
}

export const isLayer = ({ mediaType }: Descriptor): boolean => LAYER_TYPE.test(mediaType);

/** Throws BadImage. */
export function readConfiguration(bytes: Uint8Array): ImageConfiguration {
  const { architecture, os, config } = parse(bytes, "the configuration");
  const { Entrypoint, Cmd, WorkingDir, Env } = objectOf(config ?? {}, "the configuration");
  return {
    architecture: textOf(architecture),
    os: textOf(os),
    Entrypoint: texts(Entrypoint, "Entrypoint"),
    Cmd: texts(Cmd, "Cmd"),
    WorkingDir: textOf(WorkingDir).replaceAll("\0", ""),
    Env: texts(Env, "Env"),
  };
}

const OF_LAMBDA = { x86_64: "amd64", arm64: "arm64" } as const;

/** A single image says by itself what it is for; one that says nothing is taken at its word. Throws BadImage. */
export function checkArchitecture(found: string, wanted: keyof typeof OF_LAMBDA): void {
  if (found !== "" && found !== OF_LAMBDA[wanted]) throw new BadImage(`it is for ${found}, not for ${wanted}`);
}

/** Of an index, the manifest for the architecture; attestations and other systems are passed over. */
export function manifestFor({ manifests }: ImageIndex, architecture: keyof typeof OF_LAMBDA): Descriptor | undefined {
  return manifests.find((one) => one.architecture === OF_LAMBDA[architecture] && (one.os === "linux" || one.os === ""));
}
