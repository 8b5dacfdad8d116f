// What `lambent runtime install` has put into the runtimes directory: a directory for each, and how to tell that it is complete.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HERE, type Architecture } from "./program-machine.ts";

/** The file that the installer writes last. */
export function installedVersion(runtimesDirectory: string, name: string): string | undefined {
  try {
    return readFileSync(join(runtimesDirectory, name, "version"), "utf8").trim();
  } catch {
    // Without it an installation is not there, or not complete.
    return undefined;
  }
}

/** For each runtime that came from an image. */
export const imageDirectory = (runtime: string, architecture: Architecture): string =>
  join(architecture === HERE ? "images" : `images-${architecture}`, runtime);

/** The file `image.json` there; the image itself is `root` beside it. */
export interface InstalledImage {
  /** Empty: the image brings an interpreter, which /var/lang/bin leads to, and is run by what Lambent has for it. */
  readonly Entrypoint: readonly string[];
  readonly Env: Readonly<Record<string, string>>;
  /** Of that interpreter: `3.3.8` */
  readonly version?: string;
}

export const readInstalledImage = (directory: string): InstalledImage =>
  JSON.parse(readFileSync(join(directory, "image.json"), "utf8")) as InstalledImage;
