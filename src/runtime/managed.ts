// The managed runtimes: which of them this machine can run, and how each is started.
import { join } from "node:path";
import { watchedArm64Emulation, type Emulation } from "../sandbox/linux/emulator.ts";
import { findHostJava, JAVA_RUNTIMES } from "./host-javas.ts";
import { findHostPython, PYTHON_RUNTIMES, type HostPython } from "./host-pythons.ts";
import { findHostRuby, RUBY_RUNTIMES, type HostRuby } from "./host-rubies.ts";
import { KNOWN_RUNTIMES } from "./identifiers.ts";
import { imageDirectory, installedVersion, readInstalledImage } from "./installed.ts";
import { javaLayout } from "./java-layout.ts";
import { MANAGED_ENV, SYSTEM_LIBRARIES, SYSTEM_PATH, wrapped, type Interpreter } from "./managed-environment.ts";
import { notHere, notInstalled, outdated, type Missing } from "./missing.ts";
import {
  JAVA_CLIENT_DIRECTORY,
  JAVA_CLIENT_VERSION,
  NODE_SDK_VERSION,
  NODE_VERSIONS,
  pythonBootstrapName,
  pythonBootstrapSource,
  pythonMinor,
  pythonSdkOf,
  pythonSdkVersion,
} from "./pins.ts";
import { HERE, type Architecture } from "./program-machine.ts";
import { rubyLayout } from "./ruby-layout.ts";
import { IMAGE_RUNTIME, type FunctionSettings, type RuntimeLayout } from "./settings.ts";
import { systemLinks } from "./system-links.ts";

export interface RuntimeState {
  readonly runtime: string;
  readonly architecture: Architecture;
  /** `outdated`: it was installed by a version of Lambent that has others. */
  readonly state: "ready" | "outdated" | "missing";
  /** Version and place, or what to do. */
  readonly detail: string;
}

export interface RuntimeCatalog {
  /** `undefined`: there is no such runtime. */
  resolve(runtime: string, architecture?: Architecture): RuntimeLayout | Missing | undefined;
  list(): readonly RuntimeState[];
}

export interface CatalogOptions {
  /** Where `lambent runtime install` puts interpreters and SDKs. */
  readonly runtimesDirectory: string;
  /** The repository's runtimes/ folder. */
  readonly bootstrapsDirectory: string;
  /** Prefixes, and directories of prefixes, where Python interpreters may be. */
  readonly pythonSearchPath: readonly string[];
  /** Directories that have installations of Java in them; absent: none. */
  readonly javaSearchPath?: readonly string[];
  /** As for Python; absent: none. */
  readonly rubySearchPath?: readonly string[];
  /** How this machine runs programs for arm64, when it is another. Default: by what it has. */
  readonly emulation?: () => Emulation;
}

const PROVIDED = "provided.al2023";
const PROVIDED_SYSTEM = {
  mounts: [],
  env: { PATH: SYSTEM_PATH, LD_LIBRARY_PATH: SYSTEM_LIBRARIES, LANG: "en_US.UTF-8" },
  version: "al2023",
};

export function runtimeCatalog(options: CatalogOptions): RuntimeCatalog {
  // Every invocation asks, and what is installed stays so: the disk is asked until then.
  const ready = new Map<string, RuntimeLayout>();
  const resolve = (runtime: string, architecture = HERE): RuntimeLayout | Missing | undefined => {
    const key = `${runtime} ${architecture}`;
    const known = ready.get(key);
    if (known !== undefined) return known;
    const found = architecture === HERE ? layoutOf(options, runtime) : emulatedLayout(options, runtime, architecture);
    if (found !== undefined && !("missing" in found)) ready.set(key, found);
    return found;
  };
  const list = () => [
    ...listed(options).map((runtime) => ({ ...stateOf(options, runtime), architecture: HERE })),
    ...(HERE === "x86_64" ? emulatedStates(options) : []),
  ];
  return { resolve, list };
}

/** Those that this machine can have by itself come first. Looks for interpreters, which takes a while: not at every start. */
function listed(options: CatalogOptions): readonly string[] {
  const javas = [...JAVA_RUNTIMES.keys()].filter((runtime) => javaState(options, runtime) !== "absent");
  const rubies = [...RUBY_RUNTIMES.keys()].filter((runtime) => hostRuby(options, runtime) !== undefined);
  const own = [...NODE_VERSIONS.keys(), ...PYTHON_RUNTIMES, ...javas, ...rubies, PROVIDED];
  const others = [...KNOWN_RUNTIMES.keys()].filter((runtime) => !own.includes(runtime));
  // A runtime that AWS has no more functions made for is not worth a line, unless it is there.
  const isWorthALine = (runtime: string) => KNOWN_RUNTIMES.get(runtime) !== "blocked" || fromImage(options, runtime, HERE) !== undefined;
  return [...own, ...others.filter(isWorthALine)];
}

const hostRuby = ({ rubySearchPath = [] }: CatalogOptions, runtime: string) => findHostRuby(rubySearchPath, runtime);

const machineEmulation = watchedArm64Emulation();

/** Of programs that are for arm64, on a machine that is not. */
const emulationOf = ({ emulation = machineEmulation }: CatalogOptions): Emulation => emulation();

/** Custom runtimes and images bring all that runs; of the managed ones, the interpreter is there when an image of the architecture is. */
function emulatedLayout(options: CatalogOptions, runtime: string, architecture: Architecture): RuntimeLayout | Missing | undefined {
  if (!KNOWN_RUNTIMES.has(runtime) && runtime !== IMAGE_RUNTIME) return undefined;
  const refusal = `The function is for ${architecture} and this server runs on ${HERE}`;
  const instead = `update it with Architectures [${HERE}], and with code that is built for it.`;
  if (architecture !== "arm64") return { missing: `${refusal}: ${instead}` };
  const emulation = emulationOf(options);
  if ("missing" in emulation) return { missing: `${refusal}, where ${emulation.missing}: run  ${emulation.remedy}  or ${instead}` };
  const found = bringsItsOwn(options, runtime, architecture);
  if (found === undefined)
    return {
      missing: `The runtime ${runtime} for ${architecture} needs an image of that architecture: run  lambent runtime install ${runtime} --from IMAGE --architecture ${architecture}  (docs/runtimes.md) or ${instead}`,
    };
  return emulation.emulator === undefined ? found : { ...found, emulator: emulation.emulator };
}

function emulatedStates(options: CatalogOptions): readonly RuntimeState[] {
  const emulation = emulationOf(options);
  const architecture = "arm64";
  const known = [...KNOWN_RUNTIMES.keys()].filter((runtime) => fromImage(options, runtime, architecture) !== undefined);
  return [...new Set([PROVIDED, ...known])].map((runtime) => {
    if ("missing" in emulation)
      return { runtime, architecture, state: "missing", detail: `${emulation.missing}: run  ${emulation.remedy}` };
    return { runtime, architecture, state: "ready", detail: `through ${emulation.detail}` };
  });
}

function layoutOf(options: CatalogOptions, runtime: string): RuntimeLayout | Missing | undefined {
  const own = bringsItsOwn(options, runtime, HERE);
  if (own !== undefined) return own;
  const nodeVersion = NODE_VERSIONS.get(runtime);
  if (nodeVersion !== undefined)
    return isNodeInstalled(options, runtime, nodeVersion) ? node(options, runtime, nodeVersion) : notReady(options, runtime);
  if (PYTHON_RUNTIMES.includes(runtime)) {
    const host = findHostPython(options.pythonSearchPath, runtime);
    if (host === undefined) return notHere(runtime);
    return isPythonSdkInstalled(options, runtime) ? python(options, host) : notReady(options, runtime);
  }
  if (JAVA_RUNTIMES.has(runtime) && javaState(options, runtime) !== "absent")
    return javaState(options, runtime) === "ready" ? java(options, runtime) : notReady(options, runtime);
  const host = hostRuby(options, runtime);
  if (host !== undefined) return ruby(options, runtime, host);
  return KNOWN_RUNTIMES.has(runtime) ? notHere(runtime) : undefined;
}

/** Asks without making anything. */
function stateOf(options: CatalogOptions, runtime: string): Omit<RuntimeState, "architecture"> {
  const installed = fromImage(options, runtime, HERE);
  if (installed !== undefined)
    return { runtime, state: "ready", detail: `${installed.version}  ${join(options.runtimesDirectory, imageDirectory(runtime, HERE))}` };
  if (runtime === PROVIDED) return { runtime, state: "ready", detail: "the package's own bootstrap" };
  if (JAVA_RUNTIMES.has(runtime) && javaState(options, runtime) !== "absent") return stateOfJava(options, runtime);
  const rubyHere = hostRuby(options, runtime);
  if (rubyHere !== undefined) return { runtime, state: "ready", detail: `${rubyHere.version}  ${rubyHere.interpreter}` };
  if (!NODE_VERSIONS.has(runtime) && !PYTHON_RUNTIMES.includes(runtime))
    return { runtime, state: "missing", detail: notHere(runtime).missing };
  const nodeVersion = NODE_VERSIONS.get(runtime);
  const host = nodeVersion === undefined ? findHostPython(options.pythonSearchPath, runtime) : undefined;
  if (nodeVersion === undefined && host === undefined) return { runtime, state: "missing", detail: notHere(runtime).missing };
  const isReady = nodeVersion === undefined ? isPythonSdkInstalled(options, runtime) : isNodeInstalled(options, runtime, nodeVersion);
  if (!isReady) return stateToInstall(options, runtime);
  return { runtime, state: "ready", detail: host?.interpreter ?? `${nodeVersion}  ${join(options.runtimesDirectory, runtime)}` };
}

/** All is there that it takes, and something of it is not as it is wanted. */
function wasInstalled({ runtimesDirectory }: CatalogOptions, runtime: string): boolean {
  const parts = PYTHON_RUNTIMES.includes(runtime)
    ? [pythonSdkOf(runtime).name]
    : JAVA_RUNTIMES.has(runtime)
      ? [javaDirectory(runtime), JAVA_CLIENT_DIRECTORY]
      : [runtime, "node-sdk"];
  return parts.every((name) => installedVersion(runtimesDirectory, name) !== undefined);
}

const notReady = (options: CatalogOptions, runtime: string): Missing =>
  wasInstalled(options, runtime) ? outdated(runtime) : notInstalled(runtime);

function stateToInstall(options: CatalogOptions, runtime: string): Omit<RuntimeState, "architecture"> {
  const state = wasInstalled(options, runtime) ? "outdated" : "missing";
  return { runtime, state, detail: notReady(options, runtime).missing };
}

/** A copy of the machine's own, whose files may lie all over it. */
export const javaDirectory = (runtime: string): string => `java-${JAVA_RUNTIMES.get(runtime) ?? ""}`;

const hasJavaClient = (options: CatalogOptions): boolean =>
  installedVersion(options.runtimesDirectory, JAVA_CLIENT_DIRECTORY) === JAVA_CLIENT_VERSION;

/** `absent`: it is not there, and the machine has none that it could be made of. */
function javaState(options: CatalogOptions, runtime: string): "ready" | "installable" | "absent" {
  if (hasJavaClient(options) && installedVersion(options.runtimesDirectory, javaDirectory(runtime)) !== undefined) return "ready";
  return findHostJava(options.javaSearchPath ?? [], JAVA_RUNTIMES.get(runtime) ?? 0) === undefined ? "absent" : "installable";
}

function stateOfJava(options: CatalogOptions, runtime: string): Omit<RuntimeState, "architecture"> {
  if (javaState(options, runtime) !== "ready") return stateToInstall(options, runtime);
  const directory = javaDirectory(runtime);
  return {
    runtime,
    state: "ready",
    detail: `${installedVersion(options.runtimesDirectory, directory)}  ${join(options.runtimesDirectory, directory)}`,
  };
}

function isNodeInstalled(options: CatalogOptions, runtime: string, version: string): boolean {
  return (
    installedVersion(options.runtimesDirectory, runtime) === version &&
    installedVersion(options.runtimesDirectory, "node-sdk") === NODE_SDK_VERSION
  );
}

function isPythonSdkInstalled(options: CatalogOptions, runtime: string): boolean {
  const sdk = pythonSdkOf(runtime);
  return installedVersion(options.runtimesDirectory, sdk.name) === pythonSdkVersion(sdk);
}

/** The function, or an image that was installed, has every program that runs. */
function bringsItsOwn(options: CatalogOptions, runtime: string, architecture: Architecture): RuntimeLayout | undefined {
  if (runtime === IMAGE_RUNTIME) return image();
  const installed = fromImage(options, runtime, architecture);
  return runtime === PROVIDED ? provided(installed) : installed;
}

/** Whatever system is around it, the package's bootstrap is what is started. */
function provided(system: Pick<RuntimeLayout, "mounts" | "env" | "version"> = PROVIDED_SYSTEM): RuntimeLayout {
  const { mounts, env, version } = system;
  return { argv: ["/var/task/bootstrap"], mounts, env, protocol: "runtime-api", version };
}

function java(options: CatalogOptions, runtime: string): RuntimeLayout {
  const directory = javaDirectory(runtime);
  return javaLayout(options.runtimesDirectory, {
    mounts: [{ source: join(options.runtimesDirectory, directory), target: "/var/lang" }],
    env: {},
    version: installedVersion(options.runtimesDirectory, directory) ?? "",
  });
}

/** Outside of /usr it was built for another place than /var/lang: it is told where its library is, and its gems. */
function ruby({ runtimesDirectory, bootstrapsDirectory }: CatalogOptions, runtime: string, host: HostRuby): RuntimeLayout {
  const { version, interpreter, prefix, library, libraries } = host;
  const interpreterAt = (source: string, env: Readonly<Record<string, string>>) => ({
    mounts: [{ source, target: "/var/lang" }],
    env,
    version,
  });
  if (isOfTheSystem(prefix))
    return rubyLayout(bootstrapsDirectory, runtime, interpreterAt(systemLinks(runtimesDirectory, runtime, interpreter, ["ruby"]), {}));
  const moved = libraries.map((place) => place.replace(prefix, "/var/lang"));
  return rubyLayout(bootstrapsDirectory, runtime, interpreterAt(prefix, { GEM_PATH: `/var/lang/lib/ruby/gems/${library}` }), moved);
}

/** What `lambent runtime install --from` has put there: it comes before what the machine has. */
function fromImage(options: CatalogOptions, runtime: string, architecture: Architecture): RuntimeLayout | undefined {
  const name = imageDirectory(runtime, architecture);
  const version = KNOWN_RUNTIMES.has(runtime) ? installedVersion(options.runtimesDirectory, name) : undefined;
  if (version === undefined) return undefined;
  const directory = join(options.runtimesDirectory, name);
  const installed = readInstalledImage(directory);
  const mounts = [{ source: join(directory, "root"), target: "/" }];
  if (installed.Entrypoint.length === 0 && runtime !== PROVIDED)
    return onImage(options, runtime, { mounts, env: installed.Env, version: installed.version ?? version });
  return { argv: installed.Entrypoint, takesHandler: true, mounts, env: installed.Env, protocol: "runtime-api", version };
}

/** An interpreter and the system around it, and no runtime: ours, or AWS's client. */
function onImage(options: CatalogOptions, runtime: string, interpreter: Interpreter): RuntimeLayout | undefined {
  if (RUBY_RUNTIMES.has(runtime)) return rubyLayout(options.bootstrapsDirectory, runtime, interpreter);
  return hasJavaClient(options) ? javaLayout(options.runtimesDirectory, interpreter) : undefined;
}

/** All else is the image's and the function's. */
function image(): RuntimeLayout {
  return { argv: [], mounts: [], env: {}, protocol: "runtime-api", version: "1" };
}

function node({ runtimesDirectory, bootstrapsDirectory }: CatalogOptions, runtime: string, version: string): RuntimeLayout {
  const major = Number.parseInt(version, 10);
  const script = "/var/rapid/bootstrap.cjs";
  return {
    argv: ["/var/lang/bin/node", script],
    argvFor: (settings) => wrapped(settings, ["/var/lang/bin/node", ...nodeFlags(settings, major), script]),
    mounts: [
      { source: join(runtimesDirectory, runtime), target: "/var/lang" },
      { source: join(bootstrapsDirectory, "node"), target: "/var/rapid" },
      { source: join(runtimesDirectory, "node-sdk"), target: "/var/runtime" },
    ],
    env: {
      ...MANAGED_ENV,
      NODE_PATH: `/opt/nodejs/node${major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task`,
    },
    protocol: "framed",
    version,
  };
}

/**
 * AWS gives nine tenths of the memory to the old generation and a twentieth to each half of the young one, unless the user sets one of
 * them: Node sees no control group inside a sandbox, and would not collect garbage before the memory is full.
 * Node 22 has two features switched off, unless the user switches them on.
 */
function nodeFlags({ memoryMiB, variables }: Pick<FunctionSettings, "memoryMiB" | "variables">, major: number): readonly string[] {
  const chosen = (variables["NODE_OPTIONS"] ?? "").replaceAll("_", "-");
  const young = Math.floor(memoryMiB / 10);
  const heap = [`--max-semi-space-size=${Math.max(1, Math.floor(young / 2))}`, `--max-old-space-size=${memoryMiB - young}`];
  const isOwnHeap = chosen.includes("--max-semi-space-size") || chosen.includes("--max-old-space-size");
  const off = major > 22 ? [] : ["require-module", "detect-module"].filter((feature) => !chosen.includes(`--experimental-${feature}`));
  return [...(isOwnHeap ? [] : heap), ...off.map((feature) => `--no-experimental-${feature}`)];
}

function python(options: CatalogOptions, host: HostPython): RuntimeLayout {
  const { runtime } = host;
  // Without -S an interpreter spends up to 45 ms on `site`; the bootstrap does what functions need of that. -u: output is not held back.
  const argv = [`/var/lang/bin/${runtime}`, "-S", "-u", "/var/rapid/bootstrap.py"];
  return {
    argv,
    argvFor: (settings) => wrapped(settings, argv),
    mounts: [
      { source: languageDirectory(options, host), target: "/var/lang" },
      { source: pythonBootstrap(options), target: "/var/rapid" },
      { source: join(options.runtimesDirectory, pythonSdkOf(runtime).name), target: "/var/runtime" },
    ],
    env: { ...MANAGED_ENV, PYTHONPATH: "/var/runtime", ...(pythonMinor(runtime) >= 12 ? { LC_CTYPE: "C.UTF-8" } : {}) },
    protocol: "framed",
    sdk: "boto3",
    compiler: [`/var/lang/bin/${runtime}`, "-I", "-S", "-W", "error", "/var/rapid/compile.py"],
    version: runtime.slice("python".length),
  };
}

/** The installer's compiled copy, which saves 5 ms of each cold start, where it is of the present text. */
function pythonBootstrap({ runtimesDirectory, bootstrapsDirectory }: CatalogOptions): string {
  const name = pythonBootstrapName(bootstrapsDirectory);
  const isThere = installedVersion(runtimesDirectory, name) !== undefined;
  return isThere ? join(runtimesDirectory, name) : pythonBootstrapSource(bootstrapsDirectory);
}

/** Then every sandbox has it. */
const isOfTheSystem = (prefix: string): boolean => prefix === "/usr" || prefix === "/usr/local";

function languageDirectory({ runtimesDirectory }: CatalogOptions, { runtime, interpreter, prefix }: HostPython): string {
  return isOfTheSystem(prefix) ? systemLinks(runtimesDirectory, runtime, interpreter, [runtime, "python3", "python"]) : prefix;
}
