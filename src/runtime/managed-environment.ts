// What the managed runtimes share: the variables that AWS gives them, and the wrapper that a function may ask for.
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";

export const SYSTEM_LIBRARIES = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
export const SYSTEM_PATH = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
export const MANAGED_ENV = {
  PATH: `/var/lang/bin:${SYSTEM_PATH}`,
  LD_LIBRARY_PATH: `/var/lang/lib:${SYSTEM_LIBRARIES}`,
  LANG: "en_US.UTF-8",
};

/** AWS_LAMBDA_EXEC_WRAPPER is a program that gets the command; through a shell, so that a missing one ends with status 127 as on AWS. */
export function wrapped({ variables }: Pick<FunctionSettings, "variables">, argv: readonly string[]): readonly string[] {
  const wrapper = variables["AWS_LAMBDA_EXEC_WRAPPER"];
  return wrapper === undefined || wrapper === "" ? argv : ["/bin/sh", "-c", 'exec "$@"', "sh", wrapper, ...argv];
}

/** A place that has the interpreter: the machine's, at /var/lang, or an image with all that is around it, at /. */
export type Interpreter = Pick<RuntimeLayout, "mounts" | "env" | "version">;
