// A function's own code, compiled ahead: by the interpreter that runs it, in a sandbox that has the code and nothing else, kept beside the code.
import { randomUUID } from "node:crypto";
import { access, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { SandboxError, type Sandbox, type SandboxHost, type SandboxMount, type SandboxSpec } from "../sandbox/sandbox.ts";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";
import { within } from "../base/within.ts";

type Settings = Pick<FunctionSettings, "runtime" | "codeDirectory" | "layersDirectory">;

/** One directory of a function's, and what a runtime makes of it. */
export interface CodeTree {
  readonly directory: string;
  /** Where functions see it. */
  readonly target: "/var/task" | "/opt";
  /** The file with all that was compiled, beside the directory: whoever removes the one removes the other. */
  readonly compiled: string;
}

const NAMES = { "/var/task": "task", "/opt": "opt" } as const;
/** Where a runtime finds such a file: its bootstrap has an empty one of that name, which this is mounted over. */
const placeOf = (target: CodeTree["target"]): string => `/var/rapid/${NAMES[target]}.compiled`;
export const COMPILED_TARGETS: readonly string[] = [placeOf("/var/task"), placeOf("/opt")];

/** They load in 7 ms of CPU, compiled in 2; half of them would gain 3, which is not worth a sandbox for each deployment. */
const SOURCE_BYTES_MIN = 16 * 1024;
/** Directories that are looked into before it is taken for granted. */
const DIRECTORIES_MAX = 1000;
/** What `runtimes/python/compile.py` makes at most, and its index. */
const COMPILED_BYTES_MAX = 40 * 2 ** 20;
/** It stops by itself after 20 s of CPU, of which it has a half. */
const COMPILE_MS_MAX = 120_000;
const LIMITS = {
  memoryBytes: 512 * 2 ** 20,
  cpuMillis: 500,
  processors: 1,
  processesMax: 16,
  openFilesMax: 64,
  tmpBytes: 2 ** 20,
  tmpInodes: 16,
};

/** Empty for runtimes whose code is not compiled. */
export function codeTrees({ runtime, codeDirectory, layersDirectory }: Settings, layout: RuntimeLayout): readonly CodeTree[] {
  if (layout.compiler === undefined) return [];
  // One zip may be a package here and a layer there.
  const tree = (directory: string, target: CodeTree["target"]) => ({
    directory,
    target,
    compiled: `${directory}.${runtime}.${NAMES[target]}`,
  });
  return [tree(codeDirectory, "/var/task"), ...(layersDirectory === undefined ? [] : [tree(layersDirectory, "/opt")])];
}

/** What a sandbox of the function has besides: of its trees, those that have been compiled by now. */
export async function compiledMounts(settings: Settings, layout: RuntimeLayout): Promise<readonly SandboxMount[]> {
  const found = await Promise.all(codeTrees(settings, layout).map(async (tree) => ((await isCompiled(tree)) ? [mountOf(tree)] : [])));
  return found.flat();
}

const mountOf = ({ compiled, target }: CodeTree): SandboxMount => ({ source: compiled, target: placeOf(target) });

export const isCompiled = ({ compiled }: CodeTree): Promise<boolean> =>
  access(compiled).then(
    () => true,
    () => false,
  );

/** Of layers, what is not in Python's place is no function's to import. */
const sourcesOf = ({ target }: CodeTree): string => (target === "/opt" ? "python" : "");

/** Whether its sources are as large as it takes to gain by it. */
export async function isWorthCompiling(tree: CodeTree): Promise<boolean> {
  let bytes = 0;
  const left = [join(tree.directory, sourcesOf(tree))];
  for (const place of left) {
    for (const entry of await readdir(place, { withFileTypes: true }).catch(() => [])) {
      const path = join(place, entry.name);
      if (entry.isDirectory()) left.push(path);
      else if (entry.isFile() && extname(entry.name) === ".py") bytes += await stat(path).then(({ size }) => size);
      if (bytes >= SOURCE_BYTES_MIN || left.length > DIRECTORIES_MAX) return true;
    }
  }
  return false;
}

export interface CompileOptions {
  readonly sandboxes: SandboxHost;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Resolves when the file is there, whole. Throws SandboxError; then nothing is left of it. */
export async function compileTree(tree: CodeTree, layout: RuntimeLayout, { sandboxes, clock, signal }: CompileOptions): Promise<void> {
  // Whoever opens the cache of unpacked code removes what has no package's name.
  const temporary = join(dirname(tree.directory), `.compiling-${randomUUID()}`);
  const sandbox = await sandboxes.start(specOf(tree, layout));
  const end = () => void sandbox.kill().catch(() => undefined);
  signal.addEventListener("abort", end);
  try {
    if (signal.aborted) throw new SandboxError("compiling was ended");
    const late = () => new SandboxError(`compiling took more than ${COMPILE_MS_MAX} ms`);
    await within(clock, COMPILE_MS_MAX, receive(sandbox, temporary), late);
    await stat(tree.directory);
    await rename(temporary, tree.compiled);
  } finally {
    signal.removeEventListener("abort", end);
    await sandbox.kill();
    await rm(temporary, { force: true });
  }
}

/** No variable, library or module of the function's has any part in it: the interpreter's own directory is all that it looks into. */
function specOf(tree: CodeTree, layout: RuntimeLayout): SandboxSpec {
  return {
    id: `compile-${randomUUID().slice(0, 18)}`,
    mounts: [...layout.mounts, { source: tree.directory, target: tree.target }],
    argv: [...(layout.compiler ?? []), join(tree.target, sourcesOf(tree))],
    env: { LD_LIBRARY_PATH: "/var/lang/lib", LC_CTYPE: "C.UTF-8" },
    workingDirectory: "/tmp",
    ...LIMITS,
    listeners: [],
    network: "endpoint",
  };
}

async function receive(sandbox: Sandbox, path: string): Promise<void> {
  sandbox.output.resume();
  const file = await open(path, "wx", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of sandbox.control as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > COMPILED_BYTES_MAX) throw new SandboxError(`what was compiled has more than ${COMPILED_BYTES_MAX} bytes`);
      await file.writeFile(chunk);
    }
    await file.chmod(0o644);
  } finally {
    await file.close();
  }
  const { code, outOfMemory } = await sandbox.exited;
  if (code !== 0) throw new SandboxError(`the compiler failed${outOfMemory ? ": out of memory" : ""}`);
}
