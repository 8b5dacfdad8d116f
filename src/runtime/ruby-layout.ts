// How Ruby functions are started: by our own bootstrap, with the places that AWS looks for gems in.
import { join } from "node:path";
import { RUBY_RUNTIMES } from "./host-rubies.ts";
import { MANAGED_ENV, wrapped, type Interpreter } from "./managed-environment.ts";
import type { RuntimeLayout } from "./settings.ts";

/** What the image, or AWS's own, sets for gems comes after the function's; the colon at the end stands for the interpreter's own places. */
function gemPath(library: string, { GEM_PATH = "", GEM_HOME = "" }: Readonly<Record<string, string>>): string {
  const own = [`/var/task/vendor/bundle/ruby/${library}`, `/opt/ruby/gems/${library}`, "/var/runtime", `/var/runtime/ruby/${library}`];
  return `${[...own, ...`${GEM_PATH}:${GEM_HOME}`.split(":")].filter((place) => place !== "").join(":")}:`;
}

/** `libraries`: where its standard library is, when that is not where the interpreter was built for. */
export function rubyLayout(
  bootstrapsDirectory: string,
  runtime: string,
  { mounts, env, version }: Interpreter,
  libraries: readonly string[] = [],
): RuntimeLayout {
  const argv = ["/var/lang/bin/ruby", "-EUTF-8", ...libraries.map((place) => `-I${place}`), "/var/rapid/bootstrap.rb"];
  return {
    argv,
    argvFor: (settings) => wrapped(settings, argv),
    mounts: [...mounts, { source: join(bootstrapsDirectory, "ruby"), target: "/var/rapid" }],
    env: {
      ...env,
      ...MANAGED_ENV,
      // Few systems have the locale of AWS's LANG, and without one variables would not be UTF-8.
      LC_CTYPE: "C.UTF-8",
      GEM_HOME: "/var/runtime",
      GEM_PATH: gemPath(RUBY_RUNTIMES.get(runtime) ?? "", env),
      RUBYLIB: "/var/task:/var/runtime/lib:/opt/ruby/lib",
    },
    protocol: "framed",
    version,
  };
}
