// `lambent image push`: an image from this disk into a server's registry, for machines without Docker and its kin.
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { openImage, type LocalBlob, type LocalImage } from "../images/layout.ts";
import { BadImage } from "../images/manifest.ts";
import { BadTar } from "../images/tar.ts";
import { HERE, type Architecture } from "../runtime/program-machine.ts";
import type { Connection } from "./clients.ts";
import { CliError, type Terminal } from "./terminal.ts";
import { inWorkDirectory } from "./work-directory.ts";
import type { Command } from "commander";
import { clientOptions, forArchitecture, withServer, type Run, type Shared } from "./command.ts";

interface PushOptions {
  readonly from: string;
  /** Which image of several; absent: the only one. */
  readonly image?: string;
  /** Of an index, the image for it. Default: this machine's. */
  readonly architecture?: Architecture;
}

interface Registry {
  readonly endpoint: string;
  readonly authorization: string;
}

async function expectStatus(answer: Response, ...wanted: readonly number[]): Promise<Response> {
  if (wanted.includes(answer.status)) return answer;
  throw new CliError(`the registry answered ${answer.status}: ${(await answer.text()).slice(0, 1000)}`);
}

async function pushBlob({ endpoint, authorization }: Registry, name: string, { sha256, bytes, path }: LocalBlob): Promise<void> {
  const url = `${endpoint}/v2/${name}/blobs`;
  const present = await expectStatus(await fetch(`${url}/sha256:${sha256}`, { method: "HEAD", headers: { authorization } }), 200, 404);
  if (present.status === 200) return;
  const headers = { authorization, "content-length": String(bytes), "content-type": "application/octet-stream" };
  const body = Readable.toWeb(createReadStream(path)) as ReadableStream;
  const sending: RequestInit & { duplex: "half" } = { method: "POST", headers, body, duplex: "half" };
  await expectStatus(await fetch(`${url}/uploads/?digest=sha256:${sha256}`, sending), 201);
}

/** `NAME` or `NAME:TAG`; the repository is made where there is none. Resolves with the URI for a function's ImageUri. */
async function pushImage(
  to: Connection,
  target: string,
  { from, image: wanted, architecture = HERE }: PushOptions,
  terminal: Terminal,
): Promise<string> {
  const [name = "", tag = "latest"] = target.split(":");
  const ecr = new ECRClient({ endpoint: to.endpoint, region: to.region, credentials: to.credentials, maxAttempts: 1 });
  try {
    return await inWorkDirectory(join(tmpdir(), "lambent-image-"), async (work) => {
      const image = await openImage(from, work, architecture, wanted);
      return await pushOpened(image, { ecr, to, name, tag }, terminal);
    });
  } catch (cause) {
    if (cause instanceof BadImage || cause instanceof BadTar) throw new CliError(`${from} can't be pushed: ${cause.message}`, 2, { cause });
    throw cause;
  } finally {
    ecr.destroy();
  }
}

interface Target {
  readonly ecr: ECRClient;
  readonly to: Connection;
  readonly name: string;
  readonly tag: string;
}

async function pushOpened(image: LocalImage, { ecr, to, name, tag }: Target, terminal: Terminal): Promise<string> {
  await ecr.send(new CreateRepositoryCommand({ repositoryName: name })).catch((cause: unknown) => {
    if ((cause as Error).name !== "RepositoryAlreadyExistsException") throw cause;
  });
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const registry = { endpoint: to.endpoint, authorization: `Basic ${authorizationData?.[0]?.authorizationToken}` };
  for (const blob of [image.config, ...image.layers]) await pushBlob(registry, name, blob);
  const headers = { authorization: registry.authorization, "content-type": image.manifest.mediaType };
  const put = { method: "PUT", headers, body: new Uint8Array(image.manifestBytes) };
  const answer = await expectStatus(await fetch(`${to.endpoint}/v2/${name}/manifests/${tag}`, put), 201);
  terminal.note(`pushed  ${answer.headers.get("docker-content-digest")}`);
  return `${new URL(to.endpoint).host}/${name}:${tag}`;
}

export function addImage(program: Command, run: Run): void {
  const image = program.command("image").description("container images, for functions whose package type is Image");
  clientOptions(image.command("push <name>").description("push NAME or NAME:TAG into the server's registry, and print its URI"))
    .requiredOption("--from <image>", "an OCI layout, or a tar of docker save or podman save")
    .option("--image <tag>", "which image of several")
    .addOption(forArchitecture("of an image for several, which (default: this machine's)"))
    .action((name: string, options: Shared & PushOptions) =>
      run((config, terminal) => withServer(config, async (to) => terminal.out(await pushImage(to, name, options, terminal))), options),
    );
}
