// Installs interpreters and SDKs with npm and pip: exact versions, complete or not at all.
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { access, cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { openImage, type LocalImage } from "../images/layout.ts";
import { BadImage, checkArchitecture, readConfiguration } from "../images/manifest.ts";
import { mergeLayers } from "../images/merge-layers.ts";
import { CODE_PLACES, makeRootPlaces, ROOT_PLACES } from "../images/root-places.ts";
import { BadTar } from "../images/tar.ts";
import { unpackLayer } from "../images/unpack-layer.ts";
import { limits } from "../limits.ts";
import { findHostJava, JAVA_RUNTIMES, type HostJava } from "../runtime/host-javas.ts";
import { findHostPython, findHostPythons, PYTHON_RUNTIMES, type HostPython } from "../runtime/host-pythons.ts";
import { findHostRuby } from "../runtime/host-rubies.ts";
import { KNOWN_RUNTIMES } from "../runtime/identifiers.ts";
import { imageDirectory, type InstalledImage } from "../runtime/installed.ts";
import { javaDirectory } from "../runtime/managed.ts";
import { notHere } from "../runtime/missing.ts";
import {
  JAVA_CLIENT,
  JAVA_CLIENT_DIRECTORY,
  JAVA_CLIENT_VERSION,
  NODE_SDK,
  NODE_SDK_VERSION,
  NODE_VERSIONS,
  PYTHON_SDKS,
  pythonBootstrapName,
  pythonBootstrapSource,
  pythonBootstrapVersion,
  pythonMinor,
  pythonSdkOf,
  pythonSdkVersion,
  type PythonSdk,
} from "../runtime/pins.ts";
import { HERE, type Architecture } from "../runtime/program-machine.ts";
import { linkInterpreter, type ImageInterpreter } from "./image-interpreter.ts";
import { run } from "./run.ts";
import { CliError } from "./terminal.ts";
import { inWorkDirectory } from "./work-directory.ts";

const NPM_INSTALL = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
const PIP_INSTALL = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"];

const PROVIDED = "provided.al2023";

/** What only who compiles needs. */
const JAVA_LEFT_OUT: ReadonlySet<string> = new Set(["/lib/src.zip", "/lib/ct.sym"]);

interface InstallOptions {
  readonly runtimesDirectory: string;
  /** The repository's runtimes/ folder, and where Python interpreters may be: as for the catalogue. */
  readonly bootstrapsDirectory: string;
  readonly pythonSearchPath: readonly string[];
  readonly javaSearchPath: readonly string[];
  readonly rubySearchPath: readonly string[];
  /** Told what is being done, a line at a time. */
  onProgress(line: string): void;
}

const versionIn = (directory: string): Promise<string> =>
  readFile(join(directory, "version"), "utf8").then(
    (text) => text.trim(),
    () => "", // not there, or not complete
  );

interface Wanted {
  /** Directory below the runtimes directory. */
  readonly name: string;
  readonly version: string;
  /** What is told to the user. */
  readonly title: string;
  /** Installs below the given empty directory, checks, and resolves with the directory that is wanted. */
  fill(work: string): Promise<string>;
}

/** Fills a directory beside its place and renames it there: what has the name is complete. */
async function place(options: InstallOptions, wanted: Wanted): Promise<void> {
  const target = join(options.runtimesDirectory, wanted.name);
  if ((await versionIn(target)) === wanted.version) return;
  options.onProgress(`installing ${wanted.title}`);
  await mkdir(options.runtimesDirectory, { recursive: true });
  await removeAbandoned(options.runtimesDirectory);
  await inWorkDirectory(join(options.runtimesDirectory, ".new-"), async (work) => {
    const made = await wanted.fill(work);
    await writeFile(join(made, "version"), `${wanted.version}\n`);
    // Whatever the umask is: the sandbox's user has to read it.
    await run("chmod", ["-R", "a+rX", made], work);
    await replace(target, made, wanted.version);
  });
}

/** What an installation leaves that is killed: longer than this none of them takes. */
const ABANDONED_MS = 24 * 3_600_000;

async function removeAbandoned(runtimesDirectory: string): Promise<void> {
  for (const name of await readdir(runtimesDirectory)) {
    if (!/^\.(?:new|old)-/.test(name)) continue;
    const path = join(runtimesDirectory, name);
    const found = await stat(path).catch(() => undefined); // its installation has just ended
    if (found !== undefined && systemClock.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

async function replace(target: string, made: string, version: string): Promise<void> {
  const old = join(target, "..", `.old-${randomUUID()}`);
  const hadOne = await rename(target, old).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  try {
    await rename(made, target);
  } catch (cause) {
    // Another installation was faster: all the better when it is of the same version.
    if ((await versionIn(target)) !== version) throw cause;
  } finally {
    if (hadOne) await rm(old, { recursive: true, force: true });
  }
}

async function installNode(runtime: string, version: string, options: InstallOptions): Promise<void> {
  const name = `node-linux-${process.arch === "arm64" ? "arm64" : "x64"}`;
  const fill = async (work: string) => {
    await writeFile(join(work, "package.json"), "{}");
    await run("npm", [...NPM_INSTALL, "--no-save", `${name}@${version}`], work);
    const made = join(work, "node_modules", name);
    const found = (await run(join(made, "bin", "node"), ["--version"], work)).trim();
    if (found !== `v${version}`) throw new CliError(`${name}@${version} holds Node ${found}`);
    // Headers and manual pages: a third of the size, and of no use in a sandbox.
    for (const part of ["include", "share"]) await rm(join(made, part), { recursive: true, force: true });
    return made;
  };
  await place(options, { name: runtime, version, title: `Node ${version} for ${runtime}`, fill });
}

/** The AWS SDK that the Node runtimes share, at /var/runtime/node_modules. */
export async function installNodeSdk(options: InstallOptions): Promise<void> {
  const title = `the AWS SDK for JavaScript (${Object.keys(NODE_SDK).length} packages)`;
  const fill = async (work: string) => {
    const made = join(work, "sdk");
    await mkdir(made);
    await writeFile(join(made, "package.json"), JSON.stringify({ private: true, dependencies: NODE_SDK }));
    await run("npm", NPM_INSTALL, made);
    return made;
  };
  await place(options, { name: "node-sdk", version: NODE_SDK_VERSION, title, fill });
}

/** boto3, at /var/runtime, and our bootstrap, at /var/rapid, compiled for every Python of this machine. */
export async function installPythonSdk(options: InstallOptions): Promise<void> {
  const pythons = findHostPythons(options.pythonSearchPath);
  await installPythonBootstrap(pythons, options);
  for (const sdk of PYTHON_SDKS) {
    const served = pythons.filter(({ runtime }) => pythonSdkOf(runtime) === sdk);
    if (served.length > 0) await installOnePythonSdk(sdk, served, pythons, options);
  }
}

async function installOnePythonSdk(
  sdk: PythonSdk,
  served: readonly HostPython[],
  pythons: readonly HostPython[],
  options: InstallOptions,
): Promise<void> {
  const fill = async (work: string) => {
    const made = join(work, "sdk");
    const python = await onePip(pythons, work);
    const words = [...PIP_INSTALL, "--python-version", `3.${sdk.minorMin}`, "--target", made, ...sdk.packages];
    await run(python.interpreter, ["-m", "pip", ...words], work);
    return made;
  };
  const title = `${sdk.packages[0]} for ${served.map(({ runtime }) => runtime).join(", ")}`;
  await place(options, { name: sdk.name, version: pythonSdkVersion(sdk), title, fill });
  for (const python of served) await compile(python, join(options.runtimesDirectory, sdk.name), "boto3/__init__", options);
}

/** The last one that has pip: packages that are named with their versions can be installed by any. */
export async function onePip(pythons: readonly HostPython[], work: string): Promise<HostPython> {
  for (const python of pythons.toReversed()) {
    const hasPip = await run(python.interpreter, ["-m", "pip", "--version"], work).then(
      () => true,
      () => false, // Debian's interpreter may be without
    );
    if (hasPip) return python;
  }
  throw new CliError("pip is needed, and no Python of this machine has it: run  apt-get install python3-pip  and try again");
}

async function installPythonBootstrap(pythons: readonly HostPython[], options: InstallOptions): Promise<void> {
  const compileAll = (directory: string, told: Pick<InstallOptions, "onProgress">) =>
    Promise.all(pythons.map((python) => compile(python, directory, "runtime", told)));
  const fill = async (work: string) => {
    const made = join(work, "bootstrap");
    const isSource = (path: string) => !path.endsWith("__pycache__");
    await cp(pythonBootstrapSource(options.bootstrapsDirectory), made, { recursive: true, filter: isSource });
    await compileAll(made, { onProgress: () => undefined });
    return made;
  };
  const name = pythonBootstrapName(options.bootstrapsDirectory);
  const version = pythonBootstrapVersion(options.bootstrapsDirectory);
  await place(options, { name, version, title: "the Python bootstrap, compiled for each Python", fill });
  // For those that came since.
  await compileAll(join(options.runtimesDirectory, name), options);
}

/** What an update of Lambent makes needful before a start, where Python is used: nothing is fetched for it, and mostly there is nothing to do. */
export async function renewPythonBootstrap(options: InstallOptions): Promise<void> {
  const { runtimesDirectory, bootstrapsDirectory, pythonSearchPath } = options;
  const isThere = (name: string) => existsSync(join(runtimesDirectory, name));
  if (isThere(pythonBootstrapName(bootstrapsDirectory)) || !PYTHON_SDKS.some(({ name }) => isThere(name))) return;
  await installPythonBootstrap(findHostPythons(pythonSearchPath), options);
}

/**
 * Nothing can be written beside the modules in a sandbox, and to compile boto3 at every cold start takes 200 ms. The compiled files do
 * not look at the sources' times, which a copy may change. `last` is a module whose compiled file says that all the others are there.
 */
async function compile(python: HostPython, directory: string, last: string, told: Pick<InstallOptions, "onProgress">): Promise<void> {
  const [name = "", ...parents] = last.split("/").toReversed();
  const mark = join(directory, ...parents, "__pycache__", `${name}.cpython-3${pythonMinor(python.runtime)}.pyc`);
  const isCompiled = await access(mark).then(
    () => true,
    () => false, // not yet for this version
  );
  if (isCompiled) return;
  told.onProgress(`compiling ${join(directory, last)} and the rest for ${python.runtime}`);
  const words = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"];
  await run(python.interpreter, [...words, "-x", `/${last}[.]py$`, directory], directory);
  await run(python.interpreter, [...words, join(directory, `${last}.py`)], directory);
  await run("chmod", ["-R", "a+rX", directory], directory);
}

/** The machine's own Java, copied with its links followed: distributions keep parts of it in /etc, which functions do not see. */
async function installJava(runtime: string, { version, home }: HostJava, options: InstallOptions): Promise<void> {
  const fill = async (work: string) => {
    const made = join(work, "java");
    const isWanted = (path: string) => existsSync(path) && !JAVA_LEFT_OUT.has(path.slice(home.length));
    for (const part of ["bin", "conf", "lib", "release"])
      await cp(join(home, part), join(made, part), { recursive: true, dereference: true, preserveTimestamps: true, filter: isWanted });
    await run(join(made, "bin", "java"), ["-version"], work);
    return made;
  };
  await place(options, { name: javaDirectory(runtime), version, title: `Java ${version} from ${home}`, fill });
}

async function installJavaClient(options: InstallOptions): Promise<void> {
  const fill = async (work: string) => {
    const made = join(work, "client");
    await mkdir(join(made, "lib"), { recursive: true });
    for (const { coordinates, sha256 } of JAVA_CLIENT) {
      await run("mvn", ["-q", "-B", "dependency:copy", `-Dartifact=${coordinates}`, `-DoutputDirectory=${join(made, "lib")}`], work);
      const [, artifact, version] = coordinates.split(":");
      const found = createHash("sha256")
        .update(await readFile(join(made, "lib", `${artifact}-${version}.jar`)))
        .digest("hex");
      if (found !== sha256) throw new CliError(`${coordinates} has the SHA-256 ${found}, not ${sha256}`);
    }
    return made;
  };
  await place(options, {
    name: JAVA_CLIENT_DIRECTORY,
    version: JAVA_CLIENT_VERSION,
    title: "AWS's runtime interface client for Java",
    fill,
  });
}

/**
 * A managed runtime as an image has it, AWS's own for example: its root, and the program that it starts with the handler's name. Where it
 * starts none, its Ruby or Java is run by what Lambent has for them.
 */
export async function installFromImage(
  runtime: string,
  from: string,
  options: InstallOptions,
  architecture: Architecture = HERE,
): Promise<void> {
  if (!KNOWN_RUNTIMES.has(runtime)) throw new CliError(`${runtime} is no runtime of Lambda's`, 2);
  try {
    await inWorkDirectory(join(tmpdir(), "lambent-image-"), (work) => placeImage(runtime, from, options, architecture, work));
  } catch (cause) {
    if (cause instanceof BadImage || cause instanceof BadTar)
      throw new CliError(`${from} can't be installed: ${cause.message}`, 2, { cause });
    throw cause;
  }
}

async function placeImage(runtime: string, from: string, options: InstallOptions, architecture: Architecture, work: string): Promise<void> {
  const image = await openImage(from, work, architecture);
  const { Entrypoint, Env, ...built } = readConfiguration(await readFile(image.config.path));
  checkArchitecture(built.architecture, architecture);
  const isOwn = Entrypoint.length === 0;
  if (!isOwn && Entrypoint[0]?.startsWith("/") !== true) throw new BadImage("its ENTRYPOINT is no absolute path");
  const variables = Env.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)] as const);
  const name = imageDirectory(runtime, architecture);
  await mkdir(join(options.runtimesDirectory, name, ".."), { recursive: true });
  const fill = async (below: string) => {
    const made = join(below, "image");
    await mkdir(join(made, "root"), { recursive: true });
    await unpackImage(image, join(below, "layers"), join(made, "root"));
    const interpreter = isOwn ? await interpreterOf(runtime, join(made, "root")) : undefined;
    const installed: InstalledImage = { Entrypoint, Env: Object.fromEntries(variables), ...interpreter };
    await writeFile(join(made, "image.json"), JSON.stringify(installed));
    return made;
  };
  const version = createHash("sha256").update(image.manifestBytes).update(ROOT_PLACES.join(" ")).digest("hex").slice(0, 16);
  await place(options, { name, version, title: `${runtime} from ${from}`, fill });
  if (isOwn && JAVA_RUNTIMES.has(runtime)) await installJavaClient(options);
}

/** Nothing of it is needed for a custom runtime: the function brings what is started. */
async function interpreterOf(runtime: string, root: string): Promise<ImageInterpreter | undefined> {
  if (runtime === PROVIDED) return undefined;
  const found = await linkInterpreter(runtime, root);
  if (found === undefined) throw new BadImage(`it has no ENTRYPOINT, and nothing that ${runtime} could be run with`);
  return found;
}

async function unpackImage({ layers }: LocalImage, work: string, root: string): Promise<void> {
  const trees: string[] = [];
  for (const [at, layer] of layers.entries()) {
    const tree = join(work, String(at));
    await mkdir(tree, { recursive: true });
    await unpackLayer(layer.path, tree, { bytesMax: limits.imageBytesMax, entriesMax: limits.imageLayerEntriesMax });
    trees.push(tree);
  }
  await mergeLayers(trees, root, "honoured");
  await makeRootPlaces(root, CODE_PLACES);
}

/** Installs a runtime and the SDK that it offers. Throws CliError with what to do where that can't be done. */
export async function installRuntime(runtime: string, options: InstallOptions): Promise<void> {
  const version = NODE_VERSIONS.get(runtime);
  if (version !== undefined) {
    await installNode(runtime, version, options);
    return installNodeSdk(options);
  }
  const java = findHostJava(options.javaSearchPath, JAVA_RUNTIMES.get(runtime) ?? 0);
  if (java !== undefined) {
    await installJava(runtime, java, options);
    return installJavaClient(options);
  }
  if (findHostRuby(options.rubySearchPath, runtime) !== undefined) return; // with its bootstrap, it is all that is needed
  if (!PYTHON_RUNTIMES.includes(runtime)) {
    if (runtime === PROVIDED) return options.onProgress(`${PROVIDED} needs nothing: the package brings its own bootstrap`);
    if (KNOWN_RUNTIMES.has(runtime)) throw new CliError(notHere(runtime).missing, 2);
    const names = [...NODE_VERSIONS.keys(), ...PYTHON_RUNTIMES].join(", ");
    throw new CliError(
      `${runtime} can't be installed by itself. What can: ${names}; provided.al2023 needs nothing; others --from an image.`,
      2,
    );
  }
  if (findHostPython(options.pythonSearchPath, runtime) === undefined)
    throw new CliError(`There is no ${runtime} on this machine: install it from the distribution or with pyenv, then run this again.`);
  await installPythonSdk(options);
}
