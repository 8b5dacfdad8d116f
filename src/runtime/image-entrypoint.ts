// What an image starts: its program found as inside of the sandbox, or what is wrong with it, in the words of Go's os/exec, which AWS's are.
import { lstat, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { interpreterOf, isForAnotherMachine, type Architecture } from "./program-machine.ts";
import type { FunctionSettings, ImageSettings } from "./settings.ts";

/** As many as Linux follows. */
const LINKS_MAX = 40;
/** As many scripts Linux takes for the interpreters of one another. */
const SCRIPTS_MAX = 4;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What is mounted over the image. */
const NOT_THE_IMAGES = /^\/(?:dev|proc|sys|tmp)(?:\/|$)/;

type Settings = Pick<FunctionSettings, "architecture" | "codeDirectory" | "variables">;
type Problem = { readonly problem: string; readonly errorType?: string };

export const workingDirectoryOf = ({ workingDirectory }: Pick<ImageSettings, "workingDirectory">): string =>
  posix.resolve("/", workingDirectory);

/** Where a path leads, with all links followed below `root`: on this host they would lead to its own files. Undefined: nowhere. */
async function resolved(root: string, path: string): Promise<string | undefined> {
  const left = path.split("/");
  let at = "/";
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    const next = posix.join(at, part);
    if (NOT_THE_IMAGES.test(next)) return undefined;
    const info = await lstat(join(root, next)).catch(() => undefined);
    if (info === undefined) return undefined;
    if (!info.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) return undefined;
    const target = await readlink(join(root, next));
    if (target.startsWith("/")) at = "/";
    left.unshift(...target.split("/"));
  }
  return join(root, at);
}

async function kindOf(root: string, path: string): Promise<"missing" | "directory" | "file" | "executable"> {
  const found = await resolved(root, path);
  const info = found === undefined ? undefined : await lstat(found).catch(() => undefined);
  if (info === undefined) return "missing";
  if (info.isDirectory()) return "directory";
  return info.isFile() && (info.mode & 0o001) !== 0 ? "executable" : "file";
}

/** The program of a word: a path as it stands, or the first of its name along PATH. */
async function programOf(root: string, word: string, directory: string, path: string): Promise<{ readonly program: string } | Problem> {
  if (word.includes("/")) {
    const program = posix.resolve(directory, word);
    const kind = await kindOf(root, program);
    if (kind === "executable") return { program };
    return { problem: `fork/exec ${word}: ${kind === "missing" ? "no such file or directory" : "permission denied"}` };
  }
  for (const place of path.split(":")) {
    const program = posix.resolve(directory, place, word);
    if ((await kindOf(root, program)) === "executable") return { program };
  }
  return { problem: `exec: ${JSON.stringify(word)}: executable file not found in $PATH` };
}

/** A script is for the machine of its interpreter, which may be a script. */
async function isForeign(root: string, program: string, architecture: Architecture, scriptsLeft: number): Promise<boolean> {
  const path = await resolved(root, program);
  if (path === undefined || !(await lstat(path)).isFile()) return false;
  if (await isForAnotherMachine(path, architecture)) return true;
  const interpreter = scriptsLeft === 0 ? undefined : await interpreterOf(path);
  return interpreter !== undefined && (await isForeign(root, posix.resolve("/", interpreter), architecture, scriptsLeft - 1));
}

/** The command with its program as an absolute path, or the problem that the invocation gets. */
export async function imageEntrypoint(image: ImageSettings, settings: Settings): Promise<{ readonly argv: readonly string[] } | Problem> {
  const { architecture, codeDirectory: root, variables } = settings;
  const [word = "", ...rest] = image.argv;
  if (word === "") return { problem: "the image has neither an ENTRYPOINT nor a CMD" };
  const directory = workingDirectoryOf(image);
  const kind = directory === "/tmp" ? "directory" : await kindOf(root, directory);
  if (kind !== "directory") {
    const why = kind === "missing" ? "no such file or directory" : "not a directory";
    return { problem: `chdir ${directory}: ${why}`, errorType: "Runtime.InvalidWorkingDir" };
  }
  const found = await programOf(root, word, directory, variables["PATH"] ?? image.env["PATH"] ?? DEFAULT_PATH);
  if ("problem" in found) return found;
  // The kernel would refuse it in the last moment only, or run it after all where the machine can do both.
  if (await isForeign(root, found.program, architecture, SCRIPTS_MAX)) return { problem: `fork/exec ${found.program}: exec format error` };
  return { argv: [found.program, ...rest] };
}
