// Programs of the host that Lambent starts: looked for in the system's own directories only, never along somebody's PATH.
import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";

const DIRECTORIES = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Its absolute path, or undefined when the host does not have it. */
export function findTool(name: string): string | undefined {
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const RUN_MS_MAX = 10_000;

/** To its end, with nothing of this process's environment. Rejects with what it complains of, or when it takes longer than 10 s. */
export async function runTool(path: string, words: readonly string[], clock: Clock, input = ""): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = execFile(path, words, { env: {}, cwd: "/" }, (cause, _output, complaint) => {
    if (cause === null) resolve();
    else reject(new Error(complaint.trim() || cause.message, { cause }));
  });
  child.stdin?.on("error", () => undefined); // its end says why
  child.stdin?.end(input);
  const late = clock.after(RUN_MS_MAX, () => child.kill("SIGKILL"));
  await promise.finally(() => late.cancel());
}

/** Another text when a program has come or gone. */
export const toolsChanged = (): string => DIRECTORIES.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs).join(" ");

/** What a way to the internet needs, and the Debian package that has it. */
const GATEWAY_TOOLS = { nft: "nftables", slirp4netns: "slirp4netns", nsenter: "util-linux" } as const;

/** The packages that are missing. */
export const missingGatewayPackages = (): readonly string[] =>
  Object.entries(GATEWAY_TOOLS)
    .filter(([tool]) => findTool(tool) === undefined)
    .map(([, name]) => name);
