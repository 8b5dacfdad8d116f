// The Ruby or Java in the root of an image that has no runtime of AWS's: found as on a machine, and linked to from /var/lang.
import { realpath, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { makeRootPlaces } from "../images/root-places.ts";
import { findHostJava, JAVA_RUNTIMES } from "../runtime/host-javas.ts";
import { findHostRuby } from "../runtime/host-rubies.ts";

export interface ImageInterpreter {
  /** `3.3.8` */
  readonly version: string;
}

/** Prefixes, and for Java directories of installations, as distributions and the common images have them. */
const RUBY_PLACES = ["usr", "usr/local", "opt"];
const JAVA_PLACES = ["usr/lib/jvm", "usr/local", "opt", "opt/java"];
/** Where a sandbox has what is Lambent's. */
const PLACES = ["var/lang", "var/lang/bin", "var/rapid", "var/runtime"];

function programOf(runtime: string, root: string): (ImageInterpreter & { readonly name: string; readonly program: string }) | undefined {
  const below = (places: readonly string[]) => places.map((place) => join(root, place));
  const ruby = findHostRuby(below(RUBY_PLACES), runtime);
  if (ruby !== undefined) return { name: "ruby", version: ruby.version, program: ruby.interpreter };
  const java = findHostJava(below(JAVA_PLACES), JAVA_RUNTIMES.get(runtime) ?? 0);
  return java && { name: "java", version: java.version, program: join(java.home, "bin", "java") };
}

/** Undefined: there is none of that version. */
export async function linkInterpreter(runtime: string, root: string): Promise<ImageInterpreter | undefined> {
  const found = programOf(runtime, root);
  if (found === undefined) return undefined;
  const { name, version, program } = found;
  // A link in an image may lead to a file of this machine, which functions do not have.
  if (!(await realpath(program)).startsWith(`${await realpath(root)}/`)) return undefined;
  await makeRootPlaces(root, PLACES);
  const link = join(root, "var/lang/bin", name);
  await rm(link, { force: true });
  await symlink(program.slice(root.length), link);
  return { version };
}
