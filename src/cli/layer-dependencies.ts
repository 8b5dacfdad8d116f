// What a requirements.txt or a package.json names, installed where the runtimes look for it in a layer.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { findHostPython, findHostPythons } from "../runtime/host-pythons.ts";
import { pythonMinor } from "../runtime/pins.ts";
import { run } from "./run.ts";
import { onePip } from "./runtime-install.ts";
import { CliError } from "./terminal.ts";

const PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"];
const NPM = ["--omit=dev", "--install-links", "--no-audit", "--no-fund", "--loglevel=error"];

export const familyOf = (file: string): "nodejs" | "python" => (file.endsWith(".json") ? "nodejs" : "python");

/** Into `layer`, a directory that becomes /opt. Throws CliError with what npm or pip said. */
export async function installDependencies(
  file: string,
  runtime: string,
  layer: string,
  { pythonSearchPath }: { readonly pythonSearchPath: readonly string[] },
): Promise<void> {
  if (familyOf(file) === "nodejs") await installWithNpm(file, join(layer, "nodejs"));
  else await installWithPip(file, runtime, join(layer, "python"), pythonSearchPath);
}

/** With the runtime's own interpreter; another one's pip takes only what needs no building. */
async function installWithPip(file: string, runtime: string, target: string, searchPath: readonly string[]): Promise<void> {
  const own = findHostPython(searchPath, runtime);
  const others = findHostPythons(searchPath).filter((python) => python.runtime !== runtime);
  const directory = dirname(resolve(file));
  const python = await onePip(own === undefined ? others : [...others, own], directory);
  const foreign = ["--python-version", `3.${pythonMinor(runtime)}`, "--implementation", "cp", "--only-binary=:all:"];
  const words = [...PIP, ...(python === own ? [] : foreign), "--target", target, "-r", basename(file)];
  await run(python.interpreter, words, directory);
}

/** A lock file and an .npmrc beside it are obeyed; scripts of the package itself are for where it lies. Nothing of the three is published. */
async function installWithNpm(file: string, target: string): Promise<void> {
  const directory = dirname(resolve(file));
  const { dependencies = {}, scripts: _scripts, ...rest } = await readPackage(file);
  const isLocal = Object.values(dependencies).some((spec) => spec.startsWith("file:"));
  // Paths are meant from where the file lies.
  const named = Object.entries(dependencies).map(([name, spec]) => {
    return [name, spec.startsWith("file:") ? `file:${resolve(directory, spec.slice("file:".length))}` : spec];
  });
  await mkdir(target, { recursive: true });
  await writeFile(join(target, "package.json"), JSON.stringify({ ...rest, dependencies: Object.fromEntries(named) as object }));
  await copied(join(directory, ".npmrc"), target);
  const isLocked = !isLocal && (await copied(join(directory, "package-lock.json"), target));
  await run("npm", [isLocked ? "ci" : "install", ...NPM], target);
  for (const name of ["package.json", "package-lock.json", ".npmrc", "node_modules/.package-lock.json"])
    await rm(join(target, name), { force: true });
}

interface PackageFile {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly scripts?: unknown;
}

async function readPackage(file: string): Promise<PackageFile> {
  try {
    const found = JSON.parse(await readFile(file, "utf8")) as PackageFile;
    const specs = Object.values(found.dependencies ?? {}) as unknown[];
    if (specs.every((spec) => typeof spec === "string")) return found;
  } catch (cause) {
    throw new CliError(`${file} is not a package.json: ${(cause as Error).message}`, 2, { cause });
  }
  throw new CliError(`${file} is not a package.json: its dependencies are no texts`, 2);
}

/** False when there is no such file. */
async function copied(path: string, directory: string): Promise<boolean> {
  try {
    await copyFile(path, join(directory, basename(path)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
