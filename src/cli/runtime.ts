// `lambent runtime list|install`: what is there, what can be, and what demo and tests need.
import type { Config } from "../config.ts";
import { runtimeCatalog } from "../runtime/managed.ts";
import { HERE, type Architecture } from "../runtime/program-machine.ts";
import type { ChooseRuntime } from "./deploy.ts";
import { installFromImage, installNodeSdk, installPythonSdk, installRuntime, renewPythonBootstrap } from "./runtime-install.ts";
import { CliError, columns, type Terminal } from "./terminal.ts";
import type { Command } from "commander";
import { forArchitecture, runtimesOption, type Run, type Shared } from "./command.ts";

const catalogOf = (config: Config) => runtimeCatalog(config);

function listRuntimes(config: Config, terminal: Terminal, asJson: boolean): number {
  const found = catalogOf(config).list();
  if (asJson) terminal.out(JSON.stringify(found));
  else
    terminal.out(columns([["RUNTIME", "FOR", "STATE", ""], ...found.map((one) => [one.runtime, one.architecture, one.state, one.detail])]));
  return 0;
}

const installOptions = (config: Config, terminal: Terminal) => ({
  runtimesDirectory: config.runtimesDirectory,
  bootstrapsDirectory: config.bootstrapsDirectory,
  pythonSearchPath: config.pythonSearchPath,
  javaSearchPath: config.javaSearchPath,
  rubySearchPath: config.rubySearchPath,
  onProgress: (line: string) => terminal.note(line),
});

interface InstallFrom {
  /** An image on this disk, for one runtime. */
  readonly from?: string;
  readonly architecture?: Architecture;
}

async function installRuntimes(
  config: Config,
  terminal: Terminal,
  ids: readonly string[],
  { from, architecture }: InstallFrom = {},
): Promise<number> {
  const options = installOptions(config, terminal);
  const [only = ""] = ids;
  if (from !== undefined && ids.length > 1) throw new CliError("--from is for one runtime", 2);
  if (from === undefined && architecture !== undefined && architecture !== HERE)
    throw new CliError(`for ${architecture} a runtime comes --from an image (docs/runtimes.md)`, 2);
  if (from === undefined) for (const id of ids) await installRuntime(id, options);
  else await installFromImage(only, from, options, architecture);
  terminal.note(`ready in ${config.runtimesDirectory}`);
  return 0;
}

const NODE_BY_DEFAULT = "nodejs24.x";

/** Picks the newest runtime of a family that is ready and no preview. */
export function chooser(config: Config): ChooseRuntime {
  const ready = catalogOf(config)
    .list()
    .filter((one) => one.state === "ready" && one.architecture === HERE)
    .map((one) => one.runtime);
  return (family) => {
    if (family === "nodejs" && ready.includes(NODE_BY_DEFAULT)) return NODE_BY_DEFAULT;
    return ready
      .filter((runtime) => runtime.startsWith(family))
      .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))
      .at(-1);
  };
}

/** What to do before a function can run here; undefined: nothing, or nothing that is known here. */
export function whatRuntimeNeeds(config: Config, runtime: string | undefined, architecture: Architecture = HERE): string | undefined {
  const found = catalogOf(config)
    .list()
    .find((one) => one.runtime === runtime && one.architecture === architecture);
  return found === undefined || found.state === "ready" ? undefined : found.detail;
}

/** What the demo needs: one Node, its SDK, and boto3. `nodes`: other Node runtimes instead. */
export async function ensureRuntimes(
  config: Config,
  terminal: Terminal,
  nodes: Iterable<string> = [NODE_BY_DEFAULT],
): Promise<ChooseRuntime> {
  const options = installOptions(config, terminal);
  for (const runtime of nodes) await installRuntime(runtime, options);
  await installNodeSdk(options);
  await installPythonSdk(options);
  return chooser(config);
}

/** Before a server starts, so that its first cold start has it. Without it Python works all the same: a failure is told and stops nobody. */
export async function renewBootstraps(config: Config, terminal: Terminal): Promise<void> {
  try {
    await renewPythonBootstrap(installOptions(config, terminal));
  } catch (error) {
    const again = "run  lambent runtime install python3.X  (one that  lambent runtime list  names) as who may write there";
    terminal.note(
      terminal.style(
        "yellow",
        `Python starts some milliseconds slower, for its bootstrap is not compiled: ${(error as Error).message}\n${again}`,
      ),
    );
  }
}

export function addRuntime(program: Command, run: Run): void {
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
}
