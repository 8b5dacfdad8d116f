// An image on this disk: an OCI layout, or what `docker save` and `podman save` write, as a directory or as a tar.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import {
  BadImage,
  manifestFor,
  MANIFEST_BYTES_MAX,
  OCI_CONFIG,
  OCI_MANIFEST,
  readManifest,
  sha256Of,
  type ImageManifest,
} from "./manifest.ts";
import { unpackLayer } from "./unpack-layer.ts";

const ARCHIVE_LIMITS = { bytesMax: 50 * 2 ** 30, entriesMax: 100_000 };

export interface LocalBlob {
  readonly sha256: string;
  readonly bytes: number;
  readonly path: string;
}

export interface LocalImage {
  readonly manifest: ImageManifest;
  /** As they are to be stored. */
  readonly manifestBytes: Buffer;
  readonly config: LocalBlob;
  readonly layers: readonly LocalBlob[];
}

/** `work`: an empty directory of the caller's, for what a tar holds. `tag`: which of several. Throws BadImage, BadTar. */
export async function openImage(from: string, work: string, architecture: "x86_64" | "arm64", tag?: string): Promise<LocalImage> {
  const place = await stat(from).catch((error: NodeJS.ErrnoException) => {
    throw new BadImage(error.code === "ENOENT" ? `there is no ${from}` : error.message);
  });
  const directory = place.isDirectory() ? from : await unpacked(from, work);
  const index = await smallFile(directory, "index.json");
  if (index !== undefined) return await ofLayout(directory, index, architecture, tag);
  const saved = await smallFile(directory, "manifest.json");
  if (saved === undefined) throw new BadImage(`there is neither index.json nor manifest.json in ${from}`);
  return await ofSaved(directory, saved, tag);
}

async function unpacked(archive: string, work: string): Promise<string> {
  const directory = join(work, "archive");
  await mkdir(directory);
  await unpackLayer(archive, directory, ARCHIVE_LIMITS);
  return directory;
}

/** Links lead to other files of the same directory, or nowhere. */
async function pathIn(directory: string, name: string): Promise<string | undefined> {
  const absent = (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new BadImage(error.message);
  };
  const [top, path] = await Promise.all([realpath(directory), realpath(join(directory, name)).catch(absent)]);
  if (path !== undefined && !path.startsWith(top + sep)) throw new BadImage(`${name} is not in ${directory}`);
  return path;
}

async function smallFile(directory: string, name: string): Promise<Buffer | undefined> {
  const path = await pathIn(directory, name);
  if (path === undefined) return undefined;
  if ((await stat(path)).size > MANIFEST_BYTES_MAX) throw new BadImage(`${name} is too large`);
  return await readFile(path);
}

async function blobIn(directory: string, sha256: string): Promise<LocalBlob> {
  const path = await pathIn(directory, join("blobs", "sha256", sha256));
  if (path === undefined) throw new BadImage(`the blob sha256:${sha256} is missing`);
  return { sha256, path, bytes: (await stat(path)).size };
}

interface Named {
  readonly digest?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

const nameIn = ({ annotations = {} }: Named): unknown =>
  annotations["org.opencontainers.image.ref.name"] ?? annotations["io.containerd.image.name"];

function chosen(index: Buffer, tag: string | undefined): string {
  const { manifests } = JSON.parse(index.toString("utf8")) as { manifests?: readonly Named[] };
  const all = Array.isArray(manifests) ? manifests : [];
  const found = tag === undefined ? all : all.filter((one) => nameIn(one) === tag || String(nameIn(one)).endsWith(`:${tag}`));
  const names = all.map((one) => String(nameIn(one))).join(", ");
  if (found.length !== 1) throw new BadImage(`name one of its images: ${names}`);
  return sha256Of(found[0]?.digest) ?? "";
}

async function ofLayout(directory: string, index: Buffer, architecture: "x86_64" | "arm64", tag: string | undefined): Promise<LocalImage> {
  let sha256: string | undefined = chosen(index, tag);
  let manifestBytes = await readFile((await blobIn(directory, sha256)).path);
  let manifest = readManifest(manifestBytes);
  if (manifest.kind === "index") {
    sha256 = manifestFor(manifest, architecture)?.sha256;
    if (sha256 === undefined) throw new BadImage(`it has no image for ${architecture}`);
    manifestBytes = await readFile((await blobIn(directory, sha256)).path);
    manifest = readManifest(manifestBytes);
  }
  if (manifest.kind === "index") throw new BadImage("an index within an index");
  const config = await blobIn(directory, manifest.config.sha256);
  const layers: LocalBlob[] = [];
  for (const layer of manifest.layers) layers.push(await blobIn(directory, layer.sha256));
  return { manifest, manifestBytes, config, layers };
}

async function hashed(directory: string, name: string): Promise<LocalBlob> {
  const path = await pathIn(directory, name);
  if (path === undefined) throw new BadImage(`${name} is missing`);
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { sha256: hash.digest("hex"), bytes, path };
}

/** Before Docker 25: files of their own names, and no manifest as registries have it. */
async function ofSaved(directory: string, saved: Buffer, tag: string | undefined): Promise<LocalImage> {
  const all = JSON.parse(saved.toString("utf8")) as readonly {
    Config?: string;
    RepoTags?: readonly string[] | null;
    Layers?: readonly string[];
  }[];
  const found = tag === undefined ? all : all.filter((one) => (one.RepoTags ?? []).some((name) => name.endsWith(`:${tag}`)));
  const [one] = found;
  if (found.length !== 1 || one?.Config === undefined)
    throw new BadImage(`name one of its images: ${all.flatMap(({ RepoTags }) => RepoTags ?? []).join(", ")}`);
  const config = await hashed(directory, one.Config);
  const layers: LocalBlob[] = [];
  for (const name of one.Layers ?? []) layers.push(await hashed(directory, name));
  const descriptor = (mediaType: string, { sha256, bytes }: LocalBlob) => ({ mediaType, digest: `sha256:${sha256}`, size: bytes });
  const described = layers.map((layer) => descriptor("application/vnd.oci.image.layer.v1.tar", layer));
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor(OCI_CONFIG, config), layers: described };
  const manifestBytes = Buffer.from(JSON.stringify(document));
  return { manifest: readManifest(manifestBytes) as ImageManifest, manifestBytes, config, layers };
}
