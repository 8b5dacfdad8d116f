// Custom runtimes start a file that the user packed: whether it is there and may be run, in AWS's words.
import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import type { RuntimeLayout } from "./settings.ts";

const TASK_ROOT = "/var/task/";

/** What is wrong with the program that the layout starts, when that is part of the user's package; else nothing. */
export async function entrypointProblem(layout: RuntimeLayout, codeDirectory: string): Promise<string | undefined> {
  const program = layout.argv[0] ?? "";
  if (!program.startsWith(TASK_ROOT)) return undefined;
  const path = join(codeDirectory, program.slice(TASK_ROOT.length));
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
  // The server may be root, who may read everything: what counts is a bit that lets the sandbox's user run it.
  const isExecutable =
    (found.mode & 0o001) !== 0 &&
    (await access(path, constants.R_OK).then(
      () => true,
      () => false,
    ));
  return isExecutable ? undefined : `fork/exec ${program}: permission denied`;
}
