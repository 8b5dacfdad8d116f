// Finds Python interpreters that the machine has already, each by the exact version in its name.
import { readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export const PYTHON_RUNTIMES: readonly string[] = [9, 10, 11, 12, 13, 14, 15].map((minor) => `python3.${minor}`);

export interface HostPython {
  readonly runtime: string;
  /** The real file, not a link to it. */
  readonly interpreter: string;
  /** The directory that it and its library are installed below. */
  readonly prefix: string;
}

/** Newest first, so that of several patch versions the last one is taken. */
function subdirectories(place: string): readonly string[] {
  try {
    const names = readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return names.map(({ name }) => join(place, name)).toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }));
  } catch {
    // Not every machine has every place, and some may not be read.
    return [];
  }
}

function realFile(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // There is none.
    return undefined;
  }
}

/** A place is a prefix (`/usr`) or has prefixes in it (`~/.pyenv/versions`); the first one that has the interpreter counts. */
export function findHostPython(places: readonly string[], runtime: string): HostPython | undefined {
  for (const place of places)
    for (const candidate of [place, ...(place.startsWith("/usr") ? [] : subdirectories(place))]) {
      const interpreter = realFile(join(candidate, "bin", runtime));
      // A link to a program of another name is another version, or no interpreter at all.
      if (interpreter !== undefined && basename(interpreter) === runtime)
        return { runtime, interpreter, prefix: dirname(dirname(interpreter)) };
    }
  return undefined;
}

export function findHostPythons(places: readonly string[]): readonly HostPython[] {
  return PYTHON_RUNTIMES.flatMap((runtime) => findHostPython(places, runtime) ?? []);
}
