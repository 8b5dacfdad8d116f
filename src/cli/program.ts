// The commands of `lambent`, their options and their help.
import { DeleteFunctionCommand, ListFunctionsCommand, type FunctionConfiguration } from "@aws-sdk/client-lambda";
import { Command, CommanderError, Option } from "commander";
import { clientEnvironment, ConfigError, loadConfig, type Config, type Flags } from "../config.ts";
import { installSecrets, KeysError } from "../install-keys.ts";
import { clientsFor, connection, endpointOf, type Clients, type Connection } from "./clients.ts";
import { demo } from "./demo.ts";
import { deploy, describeDeployed, watchAndDeploy, type DeployOptions } from "./deploy.ts";
import { doctor } from "./doctor.ts";
import { listFailed, redrive, showFailed, type EventsOptions } from "./events.ts";
import { describeInvoked, eventText, invoke, invokeLater } from "./invoke.ts";
import { pushImage, type PushOptions } from "./image.ts";
import { describeLayers, describePublished, listLayers, publishLayer, type PublishOptions } from "./layer.ts";
import { logs, type LogsOptions } from "./logs.ts";
import { removeRole } from "./role.ts";
import { chooser, ensureRuntimes, installRuntimes, listRuntimes, whatRuntimeNeeds, type InstallFrom } from "./runtime.ts";
import { CliError, columns, explain, fileProblem, terminal as makeTerminal, type Terminal } from "./terminal.ts";
import { runTests } from "./test.ts";
import { up } from "./up.ts";

interface Shared extends Flags {
  readonly json?: boolean;
}

type Action = (config: Config, terminal: Terminal, options: Shared) => number | Promise<number>;

/** Options that say which server is meant: for `env` and the commands that talk to it. */
function clientOptions(command: Command): Command {
  return command
    .option("-p, --port <number>", "the server's port (LAMBENT_PORT; default 4566)")
    .option("--host <address>", "the server's address (LAMBENT_HOST; default 127.0.0.1)")
    .option("-d, --data <dir>", "the server's data directory, which has its keys (LAMBENT_DATA)")
    .option("--region <name>", "region (LAMBENT_REGION; default us-east-1)");
}

/** Where what runs functions is: for the server, and for who chooses or installs a runtime. */
const runtimesOption = (command: Command): Command =>
  command.option("--runtimes <dir>", "directory of interpreters and SDKs (LAMBENT_RUNTIMES)");

const forArchitecture = (description: string): Option => new Option("--architecture <name>", description).choices(["x86_64", "arm64"]);

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function definitions(run: (action: Action, options: Shared) => Promise<void>): Command {
  const program = new Command("lambent")
    .description("AWS Lambda that you run yourself")
    .version("0.1.0")
    .showHelpAfterError("lambent --help names the commands, lambent COMMAND --help the options of one");
  addServing(program, run);
  addFunctions(program, run);
  addLayers(program, run);
  addImages(program, run);
  addEvents(program, run);
  addMachine(program, run);
  return program;
}

type Run = (action: Action, options: Shared) => Promise<void>;

function addServing(program: Command, run: Run): void {
  runtimesOption(program.command("up").description("serve until Ctrl-C"))
    .option("-p, --port <number>", "port (LAMBENT_PORT; default 4566; 0: any free one)")
    .option("--host <address>", "address (LAMBENT_HOST; default 127.0.0.1)")
    .option("-d, --data <dir>", "directory of everything that must survive (LAMBENT_DATA)")
    .option("--region <name>", "region of requests that name none (LAMBENT_REGION; default us-east-1)")
    .option("--account <digits>", "account number (LAMBENT_ACCOUNT; default 000000000000)")
    .option("--accept-test-credentials", "take test/test as the account's root; loopback only (LAMBENT_ACCEPT_TEST_CREDENTIALS=1)")
    .option("--network <kind>", "what functions reach besides Lambent: endpoint (nothing) or internet: public addresses (LAMBENT_NETWORK)")
    .option(
      "--network-allow <cidr>",
      "with internet: a private network that functions reach as well (repeatable; LAMBENT_NETWORK_ALLOW)",
      collect,
    )
    .option(
      "--webhook-allow <cidr>",
      "a private network that SNS may call; default: loopback, if the server listens there; none: public addresses only (repeatable; LAMBENT_WEBHOOK_ALLOW)",
      collect,
    )
    .option("--host-name <name>", "a further name under which clients reach this server (repeatable; LAMBENT_HOST_NAMES)", collect)
    .option(
      "--time-scale <number>",
      "retries and ages of asynchronous events run so many times faster, for tests; loopback only (LAMBENT_TIME_SCALE)",
    )
    .option("--insecure-network", "listen on another address than loopback without TLS")
    .addOption(new Option("--log-level <level>", "server log on stderr (LAMBENT_LOG_LEVEL)").choices(["debug", "info", "warn", "error"]))
    .action((options: Shared) => run((config, terminal) => up(config, terminal), options));
  clientOptions(program.command("env").description('print the environment for AWS clients: eval "$(lambent env)"'))
    .option("--json", "as one JSON object")
    .action((options: Shared) => run(printEnvironment, options));
  program
    .command("demo")
    .description("start a server, deploy two functions, invoke them, show what happens")
    .action((options: Shared) => run(async (config, terminal) => demo(config, await ensureRuntimes(config, terminal), terminal), options));
  program
    .command("test")
    .description("pass the whole test suite, or these files of it")
    .argument("[files...]", "such as tests/e2e/limits.test.ts")
    .action((files: string[], options: Shared) => run((config, terminal) => runTests(config, files, terminal), options));
}

function addFunctions(program: Command, run: Run): void {
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
  clientOptions(program.command("invoke <name> [event]").description("invoke a function; the event is JSON, or - for stdin"))
    .option("--async", "put the event into the function's queue and print the request id; do not wait for the answer")
    .option("--json", "print answer, log and timings as one JSON object")
    .action((name: string, event: string | undefined, options: Shared & { async?: boolean }) =>
      run((config, terminal) => invokeCommand(config, terminal, name, event, options), options),
    );
  clientOptions(program.command("logs <name>").description("what a function wrote"))
    .option("-f, --follow", "go on until Ctrl-C")
    .option("-s, --since <time>", "how far back: 30s, 10m, 2h, 1d", "1h")
    .option("--json", "one JSON object a line")
    .action((name: string, options: Shared & LogsOptions) =>
      run(
        async (config, terminal) => withClients(config, (clients) => logs(clients, name, options, terminal, untilInterrupted())),
        options,
      ),
    );
  clientOptions(program.command("list").description("list the functions"))
    .option("--json", "as JSON")
    .action((options: Shared) => run(listCommand, options));
  clientOptions(program.command("delete <name>").description("delete a function, and the role that deploy made for it")).action(
    (name: string, options: Shared) => run((config, terminal) => deleteCommand(config, terminal, name), options),
  );
}

function addLayers(program: Command, run: Run): void {
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

function addImages(program: Command, run: Run): void {
  const image = program.command("image").description("container images, for functions whose package type is Image");
  clientOptions(image.command("push <name>").description("push NAME or NAME:TAG into the server's registry, and print its URI"))
    .requiredOption("--from <image>", "an OCI layout, or a tar of docker save or podman save")
    .option("--image <tag>", "which image of several")
    .addOption(forArchitecture("of an image for several, which (default: this machine's)"))
    .action((name: string, options: Shared & PushOptions) =>
      run((config, terminal) => withServer(config, async (to) => terminal.out(await pushImage(to, name, options, terminal))), options),
    );
}

function addEvents(program: Command, run: Run): void {
  const events = program.command("events").description("asynchronous events and deliveries that failed for good");
  clientOptions(events.command("failed").description("list them, oldest first"))
    .option("--function <name>", "only those of this function")
    .option("--json", "as JSON")
    .action((options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => listFailed(to, options, terminal)), options),
    );
  clientOptions(events.command("show <id>").description("everything about one, and the event itself on stdout"))
    .option("--json", "as JSON")
    .action((id: string, options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => showFailed(to, id, options, terminal)), options),
    );
  clientOptions(events.command("redrive [id]").description("send one again, or all: as a new attempt of the same event"))
    .option("--all", "all of them")
    .option("--function <name>", "with --all: only those of this function")
    .option("--json", "as JSON")
    .action((id: string | undefined, options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => redrive(to, id, options, terminal)), options),
    );
}

function addMachine(program: Command, run: Run): void {
  const runtime = program.command("runtime").description("interpreters and SDKs of the managed runtimes");
  runtimesOption(runtime.command("list").description("what is installed, and what can be"))
    .option("--json", "as JSON")
    .action((options: Shared) => run((config, terminal) => listRuntimes(config, terminal, options.json ?? false), options));
  runtimesOption(runtime.command("install <id...>").description("install runtimes, e.g. nodejs22.x"))
    .option("--from <image>", "from an image on this disk: an OCI layout, or a tar of docker save")
    .addOption(forArchitecture("with --from: what its programs are built for (default: this machine's)"))
    .action((ids: string[], options: Shared & InstallFrom) =>
      run((config, terminal) => installRuntimes(config, terminal, ids, options), options),
    );
  program
    .command("doctor")
    .description("what this machine can and cannot isolate, and the command that mends it")
    .option("--json", "as JSON")
    .action((options: Shared) => run((config, terminal) => doctor(config, terminal, options.json ?? false), options));
}

async function withServer(config: Config, use: (to: Connection) => Promise<void>): Promise<number> {
  const to = await connection(config);
  try {
    await use(to);
  } catch (error) {
    throw explain(error, to.endpoint);
  }
  return 0;
}

const withClients = (config: Config, use: (clients: Clients) => Promise<void>): Promise<number> =>
  withServer(config, (to) => use(clientsFor(to)));

function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  return stop.signal;
}

/** Works before the first start as well: the keys are made then, and the server will find them. */
async function printEnvironment(config: Config, terminal: Terminal, options: Shared): Promise<number> {
  const keys = await installSecrets(config.dataDirectory);
  const variables = {
    AWS_ENDPOINT_URL: endpointOf(config),
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
  };
  if (options.json) terminal.out(JSON.stringify(variables));
  else for (const [name, value] of Object.entries(variables)) terminal.out(`export ${name}='${value}'`);
  if (!options.json) terminal.out("unset AWS_SESSION_TOKEN AWS_PROFILE");
  return 0;
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

async function invokeCommand(
  config: Config,
  terminal: Terminal,
  name: string,
  event: string | undefined,
  options: Shared & { async?: boolean },
): Promise<number> {
  const payload = await eventText(event);
  let exitCode = 0;
  await withClients(config, async (clients) => {
    if (options.async) {
      const requestId = await invokeLater(clients.lambda, name, payload);
      return terminal.out(options.json ? JSON.stringify({ requestId }) : requestId);
    }
    const result = await invoke(clients.lambda, name, payload);
    if (options.json) terminal.out(JSON.stringify(result));
    else describeInvoked(terminal, result);
    exitCode = result.functionError === undefined ? 0 : 3;
  });
  return exitCode;
}

async function listCommand(config: Config, terminal: Terminal, options: Shared): Promise<number> {
  return await withClients(config, async (clients) => {
    const functions: FunctionConfiguration[] = [];
    let Marker: string | undefined;
    do {
      const page = await clients.lambda.send(new ListFunctionsCommand(Marker === undefined ? {} : { Marker }));
      functions.push(...(page.Functions ?? []));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    if (options.json) return terminal.out(JSON.stringify(functions));
    if (functions.length === 0) return terminal.note("no functions yet: try  ./lambent deploy examples/greeter");
    const head = ["NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "MODIFIED"];
    const rows = functions.map((one) => [
      one.FunctionName ?? "",
      one.Runtime ?? "",
      one.Handler ?? "",
      `${one.MemorySize} MB`,
      `${one.Timeout} s`,
      one.LastModified ?? "",
    ]);
    terminal.out(columns([head, ...rows]));
  });
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

async function deleteCommand(config: Config, terminal: Terminal, name: string): Promise<number> {
  return await withClients(config, async (clients) => {
    await clients.lambda.send(new DeleteFunctionCommand({ FunctionName: name }));
    await removeRole(clients.iam, name);
    terminal.note(`deleted ${name}`);
  });
}

/** Exit codes: 0 done, 1 failed, 2 wrong use, 3 the invoked function answered with an error. */
export async function runCli(words: readonly string[]): Promise<number> {
  const terminal = makeTerminal(clientEnvironment().wantsColour);
  let exitCode = 0;
  const program = definitions(async (action, options) => {
    exitCode = await action(loadConfig(options), terminal, options);
  });
  exitOverride(program);
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const told = error instanceof CliError || error instanceof ConfigError || error instanceof KeysError ? error : fileProblem(error);
    if (told === undefined) throw error;
    terminal.note(`${terminal.style("red", "lambent:")} ${told.message}`);
    return told instanceof CliError ? told.exitCode : told instanceof ConfigError ? 2 : 1;
  }
  return exitCode;
}

/** Commander would end the process by itself; here the caller does. */
function exitOverride(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) exitOverride(child);
}
