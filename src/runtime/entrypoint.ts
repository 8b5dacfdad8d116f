// What an environment starts. Custom runtimes start a file that the user packed: whether it is there and may be run, in AWS's words.
import { access, constants, lstat, readlink } from "node:fs/promises";
import { posix } from "node:path";
import { isForAnotherMachine } from "./program-machine.ts";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";

const OWN_BOOTSTRAPS = ["/var/task/bootstrap", "/opt/bootstrap"];
/** There is no file below it. */
const NOTHING = "/dev/null";
/** As many as Linux follows. */
const LINKS_MAX = 40;

type Directories = Pick<FunctionSettings, "codeDirectory" | "layersDirectory">;
type Settings = Directories & Pick<FunctionSettings, "architecture" | "memoryMiB" | "variables">;
type Kind = "missing" | "file" | "foreign" | "executable";

/** In the words of Go's os/exec. */
const PROBLEMS = { file: "permission denied", foreign: "exec format error" } as const;

/** The command, or what is wrong with the program when that is part of the user's package or layers. */
export async function entrypointOf(
  layout: RuntimeLayout,
  settings: Settings,
): Promise<{ readonly argv: readonly string[] } | { readonly problem: string }> {
  if (!OWN_BOOTSTRAPS.includes(layout.argv[0] ?? "")) return { argv: layout.argvFor?.(settings) ?? layout.argv };
  for (const program of OWN_BOOTSTRAPS) {
    const kind = await kindOf(settings, program);
    if (kind === "missing") continue;
    return kind === "executable" ? { argv: [program] } : { problem: `fork/exec ${program}: ${PROBLEMS[kind]}` };
  }
  return { problem: `Couldn't find valid bootstrap(s): [${OWN_BOOTSTRAPS.join(" ")}]` };
}

/** Where a path of the sandbox is on this host; undefined: not in the function's own directories. */
function hostPath({ codeDirectory, layersDirectory = NOTHING }: Directories, path: string): string | undefined {
  for (const [target, source] of [
    ["/var/task", codeDirectory],
    ["/opt", layersDirectory],
  ] as const)
    if (path === target || path.startsWith(`${target}/`)) return source + path.slice(target.length);
  return undefined;
}

/**
 * Links are followed as they will be inside: on this host the user's links lead to its own files, whose presence is nobody's business. What is
 * outside of the function's directories is taken for a program of the sandbox's system.
 */
async function kindOf(settings: Settings, program: string): Promise<Kind> {
  const left = program.split("/");
  let at = "/";
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    const next = posix.join(at, part);
    const path = hostPath(settings, next);
    const info = path === undefined ? undefined : await lstat(path).catch(() => undefined);
    if (path !== undefined && info === undefined) return "missing";
    if (path === undefined || info?.isSymbolicLink() !== true) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) return "missing";
    const target = await readlink(path);
    if (target.startsWith("/")) at = "/";
    left.unshift(...target.split("/"));
  }
  const path = hostPath(settings, at);
  return path === undefined ? "executable" : await kindOfFile(path, settings.architecture);
}

async function kindOfFile(path: string, architecture: Settings["architecture"]): Promise<Kind> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() !== true) return "missing";
  // The server may be root, who may read everything: what counts is a bit that lets the sandbox's user run it.
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
  if (!isReadable || (found.mode & 0o001) === 0) return "file";
  return (await isForAnotherMachine(path, architecture)) ? "foreign" : "executable";
}
