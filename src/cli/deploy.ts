// `lambent deploy DIR|ZIP`: creates the function or brings it up to date; --watch does so again at every save.
import { createHash } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import {
  CreateFunctionCommand,
  GetFunctionConfigurationCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
  type FunctionConfiguration,
  type Runtime,
} from "@aws-sdk/client-lambda";
import { sleep, systemClock, type Clock } from "../base/clock.ts";
import type { Config } from "../config.ts";
import { clientsFor, type Clients } from "./clients.ts";
import { detect, type Detected } from "./detect.ts";
import { layerVersionArn } from "./layer.ts";
import { packageDirectory } from "./package-directory.ts";
import { ensureRole, hasRole, removeRole } from "./role.ts";
import { CliError, explain, type Terminal } from "./terminal.ts";
import type { Command } from "commander";
import { clientOptions, collect, forArchitecture, runtimesOption, untilInterrupted, withServer, type Run, type Shared } from "./command.ts";
import { chooser, whatRuntimeNeeds } from "./runtime.ts";

/** When nothing has changed for so long, everything is written. */
const BURST_MS = 80;

interface DeployOptions {
  readonly name?: string;
  readonly runtime?: string;
  readonly handler?: string;
  readonly architecture?: "x86_64" | "arm64";
  readonly role?: string;
  readonly policy?: readonly string[];
  readonly memory?: string;
  readonly timeout?: string;
  readonly env?: readonly string[];
  readonly layer?: readonly string[];
  readonly description?: string;
}

/** Newest runtime of a family that this machine can run, in the order of preference. */
export type ChooseRuntime = (family: Detected["family"]) => string | undefined;

interface Package {
  readonly zip: Uint8Array;
  readonly name: string;
  readonly family?: Detected["family"];
  readonly handler?: string;
}

/** Only what begins like one: the server looks closer. */
async function readZip(path: string): Promise<Uint8Array> {
  const zip = await readFile(path);
  if (zip.toString("latin1", 0, 2) !== "PK") throw new CliError(`${path} is not a zip: name the directory that has the code`, 2);
  return zip;
}

async function readPackage(path: string): Promise<Package> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new CliError(`${path} can't be read: name a directory with code, or a zip`, 2, { cause });
  });
  const name = basename(resolve(path))
    .replace(/\.zip$/, "")
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-");
  if (info.isFile()) return { zip: await readZip(path), name };
  const { zip, files } = await packageDirectory(path);
  if (files.length === 0) throw new CliError(`${path} is empty`, 2);
  const found = await detect(files, (file) => readFile(join(path, file), "utf8"));
  return found === undefined ? { zip, name } : { zip, name, family: found.family, handler: found.handler };
}

function variablesOf(pairs: readonly string[] | undefined): Record<string, string> | undefined {
  if (pairs === undefined) return undefined;
  const variables: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new CliError(`--env ${pair}: write NAME=VALUE`, 2);
    variables[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return variables;
}

const number = (name: string, text: string | undefined) => {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new CliError(`--${name} ${text}: write a whole number`, 2);
  return Number(text);
};

/** Members that were given, as UpdateFunctionConfiguration takes them: what is absent stays as it is. */
function settings(options: DeployOptions) {
  const variables = variablesOf(options.env);
  const given = {
    Runtime: options.runtime as Runtime | undefined,
    Handler: options.handler,
    Role: options.role,
    Description: options.description,
    MemorySize: number("memory", options.memory),
    Timeout: number("timeout", options.timeout),
    Environment: variables === undefined ? undefined : { Variables: variables },
    Layers: options.layer,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Belongs to the code: what is absent stays as it is. */
const builtFor = ({ architecture }: DeployOptions) => (architecture === undefined ? {} : { Architectures: [architecture] });

async function present(clients: Clients, FunctionName: string): Promise<FunctionConfiguration | undefined> {
  try {
    return await clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
  } catch (error) {
    if ((error as Error).name === "ResourceNotFoundException") return undefined;
    throw error;
  }
}

// The SDK's own waiters poll once a second; a local server is ready in milliseconds.
const WAIT = { maxWaitTime: 60, minDelay: 0.02, maxDelay: 0.2 } as const;

function whatIsMissing({ family }: Package, runtime: string | undefined, handler: string | undefined): string {
  if (family !== undefined) return `no ${family} runtime is installed: see  lambent runtime list`;
  if (handler !== undefined) return `what ${handler} is written in was not found: name it with --runtime, e.g. --runtime nodejs24.x`;
  if (runtime !== undefined) return "no handler was found: name it with --handler, e.g. --handler index.handler";
  return "no handler was found: name it with --runtime and --handler, e.g. --runtime nodejs24.x --handler index.handler";
}

async function create(clients: Clients, FunctionName: string, code: Package, options: DeployOptions, choose: ChooseRuntime): Promise<void> {
  const runtime = options.runtime ?? (code.family === undefined ? undefined : choose(code.family));
  const handler = options.handler ?? code.handler;
  if (runtime === undefined || handler === undefined) throw new CliError(whatIsMissing(code, runtime, handler), 2);
  const given = settings(options);
  const makesRole = options.role === undefined && !(await hasRole(clients.iam, FunctionName));
  try {
    const Role = options.role ?? (await ensureRole(clients.iam, FunctionName, options.policy ?? []));
    const made = { FunctionName, Role, Runtime: runtime as Runtime, Handler: handler, Code: { ZipFile: code.zip }, ...builtFor(options) };
    await clients.lambda.send(new CreateFunctionCommand({ Timeout: 30, MemorySize: 256, ...given, ...made }));
  } catch (cause) {
    if (makesRole) await removeRole(clients.iam, FunctionName);
    throw cause;
  }
  await waitUntilFunctionActiveV2({ client: clients.lambda, ...WAIT }, { FunctionName });
}

async function update(clients: Clients, before: FunctionConfiguration, code: Package, options: DeployOptions): Promise<boolean> {
  const FunctionName = before.FunctionName ?? "";
  const wanted = settings(options);
  if (options.role === undefined && (options.policy ?? []).length > 0) await ensureRole(clients.iam, FunctionName, options.policy ?? []);
  if (Object.keys(wanted).length > 0) {
    await clients.lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, ...wanted }));
    await waitUntilFunctionUpdatedV2({ client: clients.lambda, ...WAIT }, { FunctionName });
  }
  const isSameArchitecture = options.architecture === undefined || before.Architectures?.[0] === options.architecture;
  const isSameCode = isSameArchitecture && createHash("sha256").update(code.zip).digest("base64") === before.CodeSha256;
  if (!isSameCode) {
    await clients.lambda.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile: code.zip, ...builtFor(options) }));
    await waitUntilFunctionUpdatedV2({ client: clients.lambda, ...WAIT }, { FunctionName });
  }
  return !isSameCode || Object.keys(wanted).length > 0;
}

interface Deployed {
  readonly name: string;
  readonly action: "created" | "updated" | "unchanged";
  readonly configuration: FunctionConfiguration;
  readonly elapsedMs: number;
}

export async function deploy(
  clients: Clients,
  path: string,
  given: DeployOptions,
  choose: ChooseRuntime,
  clock: Clock = systemClock,
): Promise<Deployed> {
  const startedMs = clock.monotonic();
  const code = await readPackage(path);
  const layer =
    given.layer === undefined ? {} : { layer: await Promise.all(given.layer.map((one) => layerVersionArn(clients.lambda, one))) };
  const options = { ...given, ...layer };
  const name = options.name ?? code.name;
  const before = await present(clients, name);
  if (before === undefined) await create(clients, name, code, options, choose);
  const isChanged = before === undefined || (await update(clients, before, code, options));
  const configuration = await clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: name }));
  const action = before === undefined ? "created" : isChanged ? "updated" : "unchanged";
  return { name, action, configuration, elapsedMs: clock.monotonic() - startedMs };
}

export function describeDeployed(terminal: Terminal, { name, action, configuration, elapsedMs }: Deployed): void {
  const { Runtime: runtime, Handler, MemorySize, CodeSize } = configuration;
  terminal.note(
    `${terminal.style("green", action)} ${terminal.style("bold", name)}  ${runtime} ${Handler}  ${MemorySize} MB  ${((CodeSize ?? 0) / 1024).toFixed(1)} KB  in ${elapsedMs.toFixed(0)} ms`,
  );
}

function watched(path: string, signal: AbortSignal): FSWatcher {
  try {
    return watch(path, { recursive: true, signal });
  } catch (cause) {
    throw new CliError(`${path} can't be watched: name a directory with code, or a zip`, 2, { cause });
  }
}

/**
 * Deploys, and again after every burst of changes, until the signal. It looks before it deploys, so that no save is missed. The first failure
 * throws; later ones are told and the watch goes on.
 */
async function watchAndDeploy(
  path: string,
  once: () => Promise<void>,
  told: { readonly watching: () => void; readonly failed: (error: unknown) => void },
  signal: AbortSignal,
): Promise<void> {
  let changedMs: number | undefined;
  const watcher = watched(path, signal);
  watcher.on("change", () => (changedMs = systemClock.monotonic()));
  watcher.on("error", told.failed);
  try {
    await once();
    told.watching();
    while (!signal.aborted) {
      await sleep(systemClock, BURST_MS / 2, signal).catch(() => undefined);
      if (changedMs === undefined || signal.aborted || systemClock.monotonic() - changedMs < BURST_MS) continue;
      changedMs = undefined;
      await once().catch(told.failed);
    }
  } finally {
    watcher.close();
  }
}

export function addDeploy(program: Command, run: Run): void {
  runtimesOption(clientOptions(program.command("deploy <path>").description("create or update a function from a directory or a zip")))
    .option("-n, --name <name>", "function name (default: the directory's)")
    .option("-r, --runtime <id>", "e.g. nodejs24.x, python3.11, provided.al2023 (default: detected, newest installed)")
    .addOption(forArchitecture("what the code is built for (default: x86_64, or what the function has)"))
    .option("--handler <name>", "e.g. index.handler (default: detected)")
    .option("--role <arn>", "execution role (default: one of its own, lambent-NAME)")
    .option("--policy <name>", "attach a managed policy to its own role, e.g. AmazonS3FullAccess (repeatable)", collect)
    .option("-m, --memory <MB>", "memory, and CPU in proportion (default 256)")
    .option("-t, --timeout <seconds>", "timeout (default 30)")
    .option("-e, --env <NAME=VALUE>", "environment variable (repeatable; replaces all)", collect)
    .option("-l, --layer <layer>", "layer: NAME (its newest version), NAME:VERSION or an ARN (repeatable, in order; replaces all)", collect)
    .option("--description <text>", "description")
    .option("-w, --watch", "deploy again at every save")
    .option("--json", "print the configuration as JSON")
    .action((path: string, options: Shared & DeployOptions & { watch?: boolean }) =>
      run((config, terminal) => deployCommand(config, terminal, path, options), options),
    );
}

async function deployCommand(
  config: Config,
  terminal: Terminal,
  path: string,
  options: Shared & DeployOptions & { watch?: boolean },
): Promise<number> {
  const choose = chooser(config);
  return await withServer(config, async (to) => {
    const clients = clientsFor(to);
    const once = async () => {
      const deployed = await deploy(clients, path, options, choose);
      describeDeployed(terminal, deployed);
      const { Runtime, Architectures } = deployed.configuration;
      const needed = whatRuntimeNeeds(config, Runtime, Architectures?.[0]);
      if (needed !== undefined) terminal.note(terminal.style("yellow", needed));
      if (options.json) terminal.out(JSON.stringify(deployed.configuration));
    };
    if (!options.watch) return await once();
    const watching = () => terminal.note("watching for changes; Ctrl-C ends");
    const failed = (error: unknown) => terminal.note(terminal.style("red", explain(error, to.endpoint).message));
    await watchAndDeploy(path, once, { watching, failed }, untilInterrupted());
  });
}
