// What is said of a runtime that is not there: why, and exactly what to do.
import { JAVA_RUNTIMES } from "./host-javas.ts";
import { PYTHON_RUNTIMES } from "./host-pythons.ts";
import { RUBY_RUNTIMES } from "./host-rubies.ts";

export interface Missing {
  /** A sentence that names what to do. */
  readonly missing: string;
}

export const notInstalled = (runtime: string): Missing => ({
  missing: `The runtime ${runtime} is not installed: run  lambent runtime install ${runtime}`,
});

/** An update of Lambent comes with other versions of interpreters and SDKs now and then. */
export const outdated = (runtime: string): Missing => ({
  missing: `The runtime ${runtime} was installed by another version of Lambent: run  lambent runtime install ${runtime}`,
});

/** Neither this machine nor an image that was installed has its interpreter. */
export function notHere(runtime: string): Missing {
  const install = `lambent runtime install ${runtime}`;
  const fromImage = `run  ${install} --from IMAGE  (docs/runtimes.md)`;
  const java = JAVA_RUNTIMES.get(runtime);
  if (PYTHON_RUNTIMES.includes(runtime))
    return { missing: `There is no ${runtime} on this machine: install it (from the distribution, or with pyenv) and run  ${install}` };
  if (java !== undefined)
    return {
      missing: `There is no Java ${java} on this machine: install it and run  ${install}  or, with an image that has it, ${fromImage}`,
    };
  if (RUBY_RUNTIMES.has(runtime))
    return {
      missing: `There is no ${runtime} on this machine: install it (from the distribution, or with rbenv) or, with an image that has it, ${fromImage}`,
    };
  if (runtime.startsWith("dotnet")) return { missing: `The runtime ${runtime} comes only with AWS's own image: ${fromImage}` };
  return { missing: `The runtime ${runtime} needs an image that has it: ${fromImage}` };
}
