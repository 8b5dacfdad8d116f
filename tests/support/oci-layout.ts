// Makes container images for tests as OCI layouts: layers from entries, a configuration, a manifest or an index.
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { tarOfEntries, type RawTarEntry } from "../../src/images/tar.fixture.ts";

export interface TestImage {
  readonly layers: readonly (readonly RawTarEntry[])[];
  /** Entrypoint, Cmd, Env, WorkingDir. */
  readonly config?: object;
  readonly architecture?: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
  readonly annotations?: object;
}

const OCI = "application/vnd.oci.image";

async function put(directory: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const hex = createHash("sha256").update(bytes).digest("hex");
  await writeFile(join(directory, "blobs", "sha256", hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

const putJson = (directory: string, mediaType: string, value: object) => put(directory, mediaType, Buffer.from(JSON.stringify(value)));

async function putImage(directory: string, { layers, config = {}, architecture = "amd64" }: TestImage): Promise<Descriptor> {
  const tars = layers.map((entries) => tarOfEntries(entries));
  const diff_ids = tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`);
  const described: Descriptor[] = [];
  for (const tar of tars) described.push(await put(directory, `${OCI}.layer.v1.tar+gzip`, gzipSync(tar)));
  const configuration = { architecture, os: "linux", config, rootfs: { type: "layers", diff_ids } };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: await putJson(directory, `${OCI}.config.v1+json`, configuration),
    layers: described,
  };
  return { ...(await putJson(directory, `${OCI}.manifest.v1+json`, manifest)), platform: { architecture, os: "linux" } };
}

/** A layout in the new directory, with the images under their tags; several under one tag become an index. */
export async function writeLayout(directory: string, images: Readonly<Record<string, TestImage | readonly TestImage[]>>): Promise<void> {
  await mkdir(join(directory, "blobs", "sha256"), { recursive: true });
  const manifests: Descriptor[] = [];
  for (const [tag, made] of Object.entries(images)) {
    const one = Array.isArray(made)
      ? await putJson(directory, `${OCI}.index.v1+json`, {
          schemaVersion: 2,
          mediaType: `${OCI}.index.v1+json`,
          manifests: await Promise.all((made as readonly TestImage[]).map((image) => putImage(directory, image))),
        })
      : await putImage(directory, made as TestImage);
    manifests.push({ ...one, annotations: { "org.opencontainers.image.ref.name": tag } });
  }
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
}
