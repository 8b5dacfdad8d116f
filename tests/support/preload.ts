// Small C libraries that tests put before the C library of a process (LD_PRELOAD), made by the machine's own compiler.
import { execFileSync } from "node:child_process";
import { basename, join } from "node:path";

/** Path of the library; `undefined` where there is no compiler. */
export function compileLibrary(source: string, directory: string): string | undefined {
  const library = join(directory, `${basename(source, ".c")}.so`);
  try {
    execFileSync("cc", ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
    return library;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}
