// Programs of the host that Lambent starts: looked for in the system's own directories only, never along somebody's PATH.
import { accessSync, constants, statSync } from "node:fs";

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

/** Another text when a program has come or gone. */
export const toolsChanged = (): string => DIRECTORIES.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs).join(" ");

/** What a way to the internet needs, and the Debian package that has it. */
const GATEWAY_TOOLS = { nft: "nftables", slirp4netns: "slirp4netns", nsenter: "util-linux" } as const;

/** The packages that are missing. */
export const missingGatewayPackages = (): readonly string[] =>
  Object.entries(GATEWAY_TOOLS)
    .filter(([tool]) => findTool(tool) === undefined)
    .map(([, name]) => name);
