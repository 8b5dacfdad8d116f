// Speaks the registry's protocol without any client: for what clients never send, and for pushing small images.
import { createHash } from "node:crypto";
import { GetAuthorizationTokenCommand, type ECRClient } from "@aws-sdk/client-ecr";

export const digestOf = (bytes: Uint8Array | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

interface RegistryClient {
  /** The header's value. */
  readonly authorization: string;
  readonly send: (
    method: string,
    path: string,
    body?: Uint8Array | string,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Response>;
}

export async function registryClient(endpoint: string, ecr: ECRClient): Promise<RegistryClient> {
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const authorization = `Basic ${authorizationData?.[0]?.authorizationToken}`;
  return {
    authorization,
    send: (method, path, body, headers = {}) =>
      fetch(`${endpoint}/v2/${path}`, {
        method,
        headers: { authorization, ...headers },
        redirect: "manual",
        ...(body === undefined ? {} : { body: Buffer.from(body as string) }),
      }),
  };
}

export async function pushBlob({ send }: RegistryClient, name: string, bytes: Uint8Array | string): Promise<void> {
  const answer = await send("POST", `${name}/blobs/uploads/?digest=${digestOf(bytes)}`, bytes);
  if (answer.status !== 201) throw new Error(await answer.text());
}

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
const descriptor = (mediaType: string, bytes: Uint8Array | string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: Buffer.byteLength(bytes),
});

/** The manifest of an image of these layers, which are pushed. */
export async function pushLayers(
  client: RegistryClient,
  name: string,
  layers: readonly Uint8Array[],
  config: object = {},
): Promise<string> {
  const configuration = JSON.stringify({ architecture: "amd64", os: "linux", config });
  for (const bytes of [configuration, ...layers]) await pushBlob(client, name, bytes);
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: descriptor("application/vnd.oci.image.config.v1+json", configuration),
    layers: layers.map((bytes) => descriptor("application/vnd.oci.image.layer.v1.tar", bytes)),
  });
}

export const putManifest = (
  { send }: RegistryClient,
  name: string,
  reference: string,
  manifest: string,
  mediaType = MANIFEST,
): Promise<Response> => send("PUT", `${name}/manifests/${reference}`, manifest, { "content-type": mediaType });

/** The code of a refusal. */
export const codeOf = async (answer: Response): Promise<readonly [number, string | undefined]> => {
  const { errors } = (await answer.json()) as { errors: readonly { code: string }[] };
  return [answer.status, errors[0]?.code];
};
