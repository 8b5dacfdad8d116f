// `lambent layer publish|list`, and the layers that `lambent deploy --layer` names.
import {
  GetLayerVersionCommand,
  ListLayersCommand,
  ListLayerVersionsCommand,
  PublishLayerVersionCommand,
  type LambdaClient,
  type LayersListItem,
  type PublishLayerVersionResponse,
  type Runtime,
} from "@aws-sdk/client-lambda";
import { cp, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "../runtime/program-machine.ts";
import type { ChooseRuntime } from "./deploy.ts";
import { familyOf, installDependencies } from "./layer-dependencies.ts";
import { packageDirectory } from "./package-directory.ts";
import { CliError, columns, type Terminal } from "./terminal.ts";
import { inWorkDirectory } from "./work-directory.ts";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { clientOptions, collect, runtimesOption, withClients, type Run, type Shared } from "./command.ts";
import { chooser } from "./runtime.ts";

interface PublishOptions {
  readonly requirements?: string;
  readonly runtime?: readonly string[];
  readonly description?: string;
}

/** What runtimes look at below /opt. */
const KNOWN_PLACES = new Set(["python", "nodejs", "bin", "lib", "extensions", "java", "ruby", "bootstrap"]);

interface Machine {
  readonly choose: ChooseRuntime;
  readonly pythonSearchPath: readonly string[];
  /** Told what takes long, and what looks wrong. */
  note(line: string): void;
}

async function publishLayer(
  lambda: LambdaClient,
  LayerName: string,
  path: string | undefined,
  options: PublishOptions,
  machine: Machine,
): Promise<PublishLayerVersionResponse> {
  const { requirements, description } = options;
  const runtimes = requirements === undefined ? options.runtime : runtimesFor(requirements, options.runtime, machine.choose);
  const ZipFile = await layerZip(path, requirements, runtimes?.[0] ?? "", machine);
  return await lambda.send(
    new PublishLayerVersionCommand({
      LayerName,
      Content: { ZipFile },
      ...(description === undefined ? {} : { Description: description }),
      ...(runtimes === undefined ? {} : { CompatibleRuntimes: runtimes as Runtime[] }),
      // What was installed here may hold programs for this machine.
      ...(requirements === undefined ? {} : { CompatibleArchitectures: [HERE] }),
    }),
  );
}

/** The first one is what the dependencies are installed for. */
function runtimesFor(requirements: string, given: readonly string[] | undefined, choose: ChooseRuntime): readonly string[] {
  const family = familyOf(requirements);
  const runtimes = given ?? [choose(family)].filter((one) => one !== undefined);
  const wrong = runtimes.find((one) => !one.startsWith(family));
  if (wrong !== undefined) throw new CliError(`${requirements} is for ${family}, and ${wrong} is not`, 2);
  if (runtimes.length === 0) throw new CliError(`no ${family} runtime is installed: see  lambent runtime list`, 2);
  return runtimes;
}

async function layerZip(
  path: string | undefined,
  requirements: string | undefined,
  runtime: string,
  machine: Machine,
): Promise<Uint8Array> {
  if (path === undefined && requirements === undefined)
    throw new CliError("nothing to publish: name a directory, a zip, or a requirements.txt or package.json with -r", 2);
  if (path !== undefined && (await found(path)).isFile()) {
    if (requirements !== undefined) throw new CliError("-r adds to a directory, not to a zip", 2);
    return await readFile(path);
  }
  if (requirements === undefined) return await zipOf(path ?? "", machine);
  await found(requirements);
  return await inWorkDirectory(join(tmpdir(), "lambent-layer-"), async (work) => {
    machine.note(`installing ${requirements} for ${runtime}`);
    await installDependencies(requirements, runtime, work, machine);
    // Over them, so that npm removes nothing of it as not named.
    if (path !== undefined) await cp(path, work, { recursive: true, verbatimSymlinks: true });
    return await zipOf(work, machine);
  });
}

async function found(path: string) {
  return await stat(path).catch((cause: unknown) => {
    throw new CliError(`${path} can't be read`, 2, { cause });
  });
}

async function zipOf(directory: string, machine: Machine): Promise<Uint8Array> {
  const { zip, files } = await packageDirectory(directory);
  if (files.length === 0) throw new CliError(`there is nothing to publish in ${directory}`, 2);
  if (!files.some((file) => KNOWN_PLACES.has(file.split("/")[0] ?? "")))
    machine.note("nothing in it is where a runtime looks: python/, nodejs/node_modules/, bin/, lib/; functions will see it below /opt");
  return zip;
}

function describePublished(terminal: Terminal, { LayerVersionArn, CompatibleRuntimes, Content }: PublishLayerVersionResponse): void {
  const size = `${((Content?.CodeSize ?? 0) / 1024).toFixed(1)} KB`;
  terminal.note([terminal.style("green", "published"), size, ...(CompatibleRuntimes ?? [])].join("  "));
  terminal.out(LayerVersionArn ?? "");
}

async function listLayers(lambda: LambdaClient): Promise<readonly LayersListItem[]> {
  const layers: LayersListItem[] = [];
  let Marker: string | undefined;
  do {
    const page = await lambda.send(new ListLayersCommand(Marker === undefined ? {} : { Marker }));
    layers.push(...(page.Layers ?? []));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return layers;
}

function describeLayers(terminal: Terminal, layers: readonly LayersListItem[]): void {
  if (layers.length === 0) return terminal.note("no layers yet: see  lambent layer publish --help");
  const rows = layers.map(({ LayerName, LatestMatchingVersion: latest }) => [
    LayerName ?? "",
    String(latest?.Version),
    latest?.CompatibleRuntimes?.join(",") ?? "any",
    latest?.CreatedDate ?? "",
    latest?.LayerVersionArn ?? "",
  ]);
  terminal.out(columns([["NAME", "VERSION", "RUNTIMES", "PUBLISHED", "ARN"], ...rows]));
}

/** An ARN, or the name of a layer with or without a version: without one the newest. */
export async function layerVersionArn(lambda: LambdaClient, text: string): Promise<string> {
  if (text.startsWith("arn:")) return text;
  const [LayerName = "", version] = text.split(":");
  if (version !== undefined) {
    if (!/^\d+$/.test(version)) throw new CliError(`--layer ${text}: write NAME, NAME:VERSION or an ARN`, 2);
    return await numberedVersion(lambda, LayerName, Number(version));
  }
  const { LayerVersions = [] } = await lambda.send(new ListLayerVersionsCommand({ LayerName, MaxItems: 1 }));
  const newest = LayerVersions[0]?.LayerVersionArn;
  if (newest === undefined)
    throw new CliError(`there is no layer ${LayerName}: publish it with  lambent layer publish ${LayerName} DIR`, 2);
  return newest;
}

async function numberedVersion(lambda: LambdaClient, LayerName: string, VersionNumber: number): Promise<string> {
  try {
    return (await lambda.send(new GetLayerVersionCommand({ LayerName, VersionNumber }))).LayerVersionArn ?? "";
  } catch (cause) {
    if ((cause as Error).name !== "ResourceNotFoundException") throw cause;
    throw new CliError(`there is no version ${VersionNumber} of a layer ${LayerName}: see  lambent layer list`, 2, { cause });
  }
}

export function addLayer(program: Command, run: Run): void {
  const layer = program.command("layer").description("packages that functions share, merged at /opt");
  runtimesOption(
    clientOptions(layer.command("publish <name> [path]").description("publish a new version from a directory or a zip, and print its ARN")),
  )
    .option("-r, --requirements <file>", "add what a requirements.txt or a package.json names, installed with pip or npm")
    .option("--runtime <id>", "what it is for (repeatable; with -r default: the newest installed)", collect)
    .option("--description <text>", "description")
    .option("--json", "print the version as JSON")
    .action((name: string, path: string | undefined, options: Shared & PublishOptions) =>
      run((config, terminal) => publishCommand(config, terminal, name, path, options), options),
    );
  clientOptions(layer.command("list").description("list the layers, each with its newest version"))
    .option("--json", "as JSON")
    .action((options: Shared) => run(listLayersCommand, options));
}

async function publishCommand(
  config: Config,
  terminal: Terminal,
  name: string,
  path: string | undefined,
  options: Shared & PublishOptions,
): Promise<number> {
  const machine = {
    choose: chooser(config),
    pythonSearchPath: config.pythonSearchPath,
    note: (line: string) => terminal.note(terminal.style("dim", line)),
  };
  return await withClients(config, async ({ lambda }) => {
    const published = await publishLayer(lambda, name, path, options, machine);
    if (options.json) terminal.out(JSON.stringify(published));
    else describePublished(terminal, published);
  });
}

async function listLayersCommand(config: Config, terminal: Terminal, options: Shared): Promise<number> {
  return await withClients(config, async ({ lambda }) => {
    const layers = await listLayers(lambda);
    if (options.json) terminal.out(JSON.stringify(layers));
    else describeLayers(terminal, layers);
  });
}
