// The managed runtimes: which of them this machine can run, and how each is started.
import { chmodSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { arm64Emulation, type Emulation } from "../sandbox/linux/emulator.ts";
import { findHostJava, JAVA_RUNTIMES } from "./host-javas.ts";
import { findHostPython, PYTHON_RUNTIMES, type HostPython } from "./host-pythons.ts";
import { KNOWN_RUNTIMES } from "./identifiers.ts";
import {
  JAVA_CLIENT_DIRECTORY,
  JAVA_CLIENT_VERSION,
  NODE_SDK_VERSION,
  NODE_VERSIONS,
  PYTHON_BOOTSTRAP,
  pythonBootstrapSource,
  pythonBootstrapVersion,
  pythonMinor,
  pythonSdkOf,
  pythonSdkVersion,
} from "./pins.ts";
import { HERE, type Architecture } from "./program-machine.ts";
import { IMAGE_RUNTIME, type FunctionSettings, type RuntimeLayout } from "./settings.ts";

export { HERE, type Architecture } from "./program-machine.ts";

export interface RuntimeState {
  readonly runtime: string;
  readonly architecture: Architecture;
  readonly state: "ready" | "missing";
  /** Version and place, or what to do. */
  readonly detail: string;
}

interface Missing {
  /** A sentence that names what to do. */
  readonly missing: string;
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
  /** How this machine runs programs for arm64, when it is another. Default: by what it has. */
  readonly emulation?: () => Emulation;
}

/** Below the runtimes directory, for each runtime that came from an image. */
export const imageDirectory = (runtime: string, architecture: Architecture): string =>
  join(architecture === HERE ? "images" : `images-${architecture}`, runtime);

/** The file `image.json` there. */
export interface InstalledImage {
  readonly Entrypoint: readonly string[];
  readonly Env: Readonly<Record<string, string>>;
}

const PROVIDED = "provided.al2023";
const SYSTEM_LIBRARIES = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
const SYSTEM_PATH = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
const PROVIDED_SYSTEM = {
  mounts: [],
  env: { PATH: SYSTEM_PATH, LD_LIBRARY_PATH: SYSTEM_LIBRARIES, LANG: "en_US.UTF-8" },
  version: "al2023",
};
const MANAGED_ENV = { PATH: `/var/lang/bin:${SYSTEM_PATH}`, LD_LIBRARY_PATH: `/var/lang/lib:${SYSTEM_LIBRARIES}`, LANG: "en_US.UTF-8" };

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
  const javas = [...JAVA_RUNTIMES.keys()].filter((runtime) => javaState(options, runtime) !== "absent");
  const own = [...NODE_VERSIONS.keys(), ...PYTHON_RUNTIMES, ...javas, PROVIDED];
  const others = [...KNOWN_RUNTIMES.keys()].filter((runtime) => !own.includes(runtime));
  // A runtime that AWS has no more functions made for is not worth a line, unless it is there.
  const further = () =>
    others.filter((runtime) => KNOWN_RUNTIMES.get(runtime) !== "blocked" || fromImage(options, runtime, HERE) !== undefined);
  const list = () => [
    ...[...own, ...further()].map((runtime) => ({ ...stateOf(options, runtime), architecture: HERE })),
    ...(HERE === "x86_64" ? emulatedStates(options) : []),
  ];
  return { resolve, list };
}

/** Of programs that are for arm64, on a machine that is not. */
const emulationOf = ({ emulation = arm64Emulation }: CatalogOptions): Emulation => emulation();

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
    return isNodeInstalled(options, runtime, nodeVersion) ? node(options, runtime, nodeVersion) : notInstalled(runtime);
  if (PYTHON_RUNTIMES.includes(runtime)) {
    const host = findHostPython(options.pythonSearchPath, runtime);
    if (host === undefined) return noInterpreter(runtime);
    return isPythonSdkInstalled(options, runtime) ? python(options, host) : notInstalled(runtime);
  }
  if (JAVA_RUNTIMES.has(runtime) && javaState(options, runtime) !== "absent")
    return javaState(options, runtime) === "ready" ? java(options, runtime) : notInstalled(runtime);
  return KNOWN_RUNTIMES.has(runtime) ? needsImage(runtime) : undefined;
}

/** Asks without making anything. */
function stateOf(options: CatalogOptions, runtime: string): Omit<RuntimeState, "architecture"> {
  const installed = fromImage(options, runtime, HERE);
  if (installed !== undefined)
    return { runtime, state: "ready", detail: `${installed.version}  ${join(options.runtimesDirectory, imageDirectory(runtime, HERE))}` };
  if (runtime === PROVIDED) return { runtime, state: "ready", detail: "the package's own bootstrap" };
  if (JAVA_RUNTIMES.has(runtime) && javaState(options, runtime) !== "absent") return stateOfJava(options, runtime);
  if (!NODE_VERSIONS.has(runtime) && !PYTHON_RUNTIMES.includes(runtime))
    return { runtime, state: "missing", detail: needsImage(runtime).missing };
  const nodeVersion = NODE_VERSIONS.get(runtime);
  const host = nodeVersion === undefined ? findHostPython(options.pythonSearchPath, runtime) : undefined;
  if (nodeVersion === undefined && host === undefined) return { runtime, state: "missing", detail: noInterpreter(runtime).missing };
  const isReady = nodeVersion === undefined ? isPythonSdkInstalled(options, runtime) : isNodeInstalled(options, runtime, nodeVersion);
  if (!isReady) return { runtime, state: "missing", detail: notInstalled(runtime).missing };
  return { runtime, state: "ready", detail: host?.interpreter ?? `${nodeVersion}  ${join(options.runtimesDirectory, runtime)}` };
}

const notInstalled = (runtime: string): Missing => ({
  missing: `The runtime ${runtime} is not installed: run  lambent runtime install ${runtime}`,
});

const noInterpreter = (runtime: string): Missing => ({
  missing: `There is no ${runtime} on this machine: install it (from the distribution, or with pyenv) and run  lambent runtime install ${runtime}`,
});

const needsImage = (runtime: string): Missing => ({
  missing: `The runtime ${runtime} needs an image that has it: run  lambent runtime install ${runtime} --from IMAGE  (docs/runtimes.md)`,
});

/** A copy of the machine's own, whose files may lie all over it. */
export const javaDirectory = (runtime: string): string => `java-${JAVA_RUNTIMES.get(runtime) ?? ""}`;

/** `absent`: it is not there, and the machine has none that it could be made of. */
function javaState(options: CatalogOptions, runtime: string): "ready" | "installable" | "absent" {
  const hasClient = installedVersion(options, JAVA_CLIENT_DIRECTORY) === JAVA_CLIENT_VERSION;
  if (hasClient && installedVersion(options, javaDirectory(runtime)) !== undefined) return "ready";
  return findHostJava(options.javaSearchPath ?? [], JAVA_RUNTIMES.get(runtime) ?? 0) === undefined ? "absent" : "installable";
}

function stateOfJava(options: CatalogOptions, runtime: string): Omit<RuntimeState, "architecture"> {
  if (javaState(options, runtime) !== "ready") return { runtime, state: "missing", detail: notInstalled(runtime).missing };
  const directory = javaDirectory(runtime);
  return { runtime, state: "ready", detail: `${installedVersion(options, directory)}  ${join(options.runtimesDirectory, directory)}` };
}

/** The file that the installer writes last. */
function installedVersion(options: CatalogOptions, name: string): string | undefined {
  try {
    return readFileSync(join(options.runtimesDirectory, name, "version"), "utf8").trim();
  } catch {
    // Without it an installation is not there, or not complete.
    return undefined;
  }
}

function isNodeInstalled(options: CatalogOptions, runtime: string, version: string): boolean {
  return installedVersion(options, runtime) === version && installedVersion(options, "node-sdk") === NODE_SDK_VERSION;
}

function isPythonSdkInstalled(options: CatalogOptions, runtime: string): boolean {
  const sdk = pythonSdkOf(runtime);
  return installedVersion(options, sdk.name) === pythonSdkVersion(sdk);
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

/** AWS's share of the memory for the heap, and its choices for short lives. */
const JAVA_HEAP_SHARE = 0.85;
const JAVA_FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const JAVA_CLASSES = "/var/runtime/lib/*:/var/task:/var/task/lib/*:/opt/java/lib/*";
const JAVA_MAIN = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda";

function java(options: CatalogOptions, runtime: string): RuntimeLayout {
  const directory = javaDirectory(runtime);
  const command = (memoryMiB: number) => [
    "/var/lang/bin/java",
    `-XX:MaxHeapSize=${Math.floor(memoryMiB * 1024 * JAVA_HEAP_SHARE)}k`,
    ...JAVA_FLAGS,
    "-cp",
    JAVA_CLASSES,
    JAVA_MAIN,
  ];
  return {
    argv: ["/var/lang/bin/java"],
    argvFor: (settings) => wrapped(settings, command(settings.memoryMiB)),
    takesHandler: true,
    mounts: [
      { source: join(options.runtimesDirectory, directory), target: "/var/lang" },
      { source: join(options.runtimesDirectory, JAVA_CLIENT_DIRECTORY), target: "/var/runtime" },
    ],
    env: MANAGED_ENV,
    protocol: "runtime-api",
    version: installedVersion(options, directory) ?? "",
  };
}

/** What `lambent runtime install --from` has put there: it comes before what the machine has. */
function fromImage(options: CatalogOptions, runtime: string, architecture: Architecture): RuntimeLayout | undefined {
  const name = imageDirectory(runtime, architecture);
  const version = KNOWN_RUNTIMES.has(runtime) ? installedVersion(options, name) : undefined;
  if (version === undefined) return undefined;
  const directory = join(options.runtimesDirectory, name);
  const { Entrypoint, Env } = JSON.parse(readFileSync(join(directory, "image.json"), "utf8")) as InstalledImage;
  return {
    argv: Entrypoint,
    takesHandler: true,
    mounts: [{ source: join(directory, "root"), target: "/" }],
    env: Env,
    protocol: "runtime-api",
    version,
  };
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

/** AWS_LAMBDA_EXEC_WRAPPER is a program that gets the command; through a shell, so that a missing one ends with status 127 as on AWS. */
function wrapped({ variables }: Pick<FunctionSettings, "variables">, argv: readonly string[]): readonly string[] {
  const wrapper = variables["AWS_LAMBDA_EXEC_WRAPPER"];
  return wrapper === undefined || wrapper === "" ? argv : ["/bin/sh", "-c", 'exec "$@"', "sh", wrapper, ...argv];
}

function python(options: CatalogOptions, host: HostPython): RuntimeLayout {
  const { runtime } = host;
  // Without -S an interpreter spends up to 45 ms on `site`; the bootstrap does what functions need of that.
  const argv = [`/var/lang/bin/${runtime}`, "-S", "/var/rapid/bootstrap.py"];
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
    version: runtime.slice("python".length),
  };
}

/** The installer's compiled copy, which saves 5 ms of each cold start, where it is of the present text. */
function pythonBootstrap(options: CatalogOptions): string {
  const isCurrent = installedVersion(options, PYTHON_BOOTSTRAP) === pythonBootstrapVersion(options.bootstrapsDirectory);
  return isCurrent ? join(options.runtimesDirectory, PYTHON_BOOTSTRAP) : pythonBootstrapSource(options.bootstrapsDirectory);
}

/** The interpreter's prefix; the distribution's own is below /usr, which every sandbox has, so that links to it are enough. */
function languageDirectory({ runtimesDirectory }: CatalogOptions, { runtime, interpreter, prefix }: HostPython): string {
  if (prefix !== "/usr" && prefix !== "/usr/local") return prefix;
  const bin = join(runtimesDirectory, "system", runtime, "bin");
  mkdirSync(bin, { recursive: true });
  for (const name of [runtime, "python3", "python"]) link(interpreter, join(bin, name));
  // Whatever the server's umask is: the sandbox's user has to get in.
  for (const directory of [dirname(bin), bin]) chmodSync(directory, 0o755);
  return dirname(bin);
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (readlinkSync(path) === target) return;
    // The interpreter has moved since.
    unlinkSync(path);
    symlinkSync(target, path);
  }
}
