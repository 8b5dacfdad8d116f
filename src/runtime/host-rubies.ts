// Finds Rubies, on this machine or in the root of an image, each by the version that its own `rbconfig.rb` tells.
import { globSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Identifiers and the version of the library that each of them is, which is also the name of its directories. */
export const RUBY_RUNTIMES: ReadonlyMap<string, string> = new Map([
  ["ruby3.2", "3.2.0"],
  ["ruby3.3", "3.3.0"],
  ["ruby3.4", "3.4.0"],
  ["ruby4.0", "4.0.0"],
]);

export interface HostRuby {
  /** `3.3.8` */
  readonly version: string;
  /** `3.3.0`, which its directories are called. */
  readonly library: string;
  readonly interpreter: string;
  /** The directory that it and its library are installed below. */
  readonly prefix: string;
  /** Those of its standard library. */
  readonly libraries: readonly string[];
}

/** As it installs itself, and as Debian does. */
const CONFIGURATIONS = ["lib/ruby/*/*/rbconfig.rb", "lib/*/ruby/*/rbconfig.rb"];

function isProgram(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false; // there is none
  }
}

function subdirectories(place: string): readonly string[] {
  try {
    return readdirSync(place).map((name) => join(place, name));
  } catch {
    return []; // not every machine has every place
  }
}

function rubyOf(prefix: string, configuration: string): HostRuby | undefined {
  const text = readFileSync(join(prefix, configuration), "utf8");
  const value = (name: string) => new RegExp(`CONFIG\\["${name}"\\] = "(.*)"`).exec(text)?.[1] ?? "";
  const version = [value("MAJOR"), value("MINOR"), value("TEENY")].join(".");
  const library = value("ruby_version");
  const name = value("RUBY_INSTALL_NAME").replace("$(RUBY_BASE_NAME)", "ruby");
  const interpreter = join(prefix, "bin", name);
  const libraries = [join(prefix, "lib", "ruby", library), join(prefix, configuration, "..")];
  return /^\d+\.\d+\.\d+$/.test(version) && isProgram(interpreter) ? { version, library, interpreter, prefix, libraries } : undefined;
}

const newestFirst = (a: HostRuby, b: HostRuby) => b.version.localeCompare(a.version, "en", { numeric: true });

/** A program may have replaced that of an older version, whose library is still there: it is the newest one's. */
function rubiesBelow(prefix: string): readonly HostRuby[] {
  const all = globSync(CONFIGURATIONS, { cwd: prefix }).flatMap((configuration) => rubyOf(prefix, configuration) ?? []);
  return all
    .toSorted(newestFirst)
    .filter((one, at, sorted) => sorted.findIndex(({ interpreter }) => interpreter === one.interpreter) === at);
}

/** Places are prefixes (`/usr`) and have prefixes in them (`~/.rbenv/versions`). The newest of the version counts. */
export function findHostRuby(places: readonly string[], runtime: string): HostRuby | undefined {
  const library = RUBY_RUNTIMES.get(runtime);
  if (library === undefined) return undefined;
  const prefixes = places.flatMap((place) => [place, ...(place.endsWith("/usr") ? [] : subdirectories(place))]);
  return prefixes
    .flatMap((prefix) => rubiesBelow(prefix).filter((one) => one.library === library))
    .toSorted(newestFirst)
    .at(0);
}
