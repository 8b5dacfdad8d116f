// Whether a function imports the AWS SDK that its runtime offers: then it is given a sandbox that has loaded it already.
import { constants, type Dirent } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";

type Settings = Pick<FunctionSettings, "runtime" | "codeDirectory" | "layersDirectory" | "variables">;

/** Of boto3 and what it needs: who brings one of these does not use the runtime's. */
const OWN = /^(?:boto3|botocore|s3transfer|urllib3|jmespath|dateutil|six)(?:\.py)?$/;
const IMPORTS = /^[ \t]*(?:import[ \t][^\n#]*\bboto(?:3|core)\b|from[ \t]+boto(?:3|core)\b)/m;
/** What boto3 reads when it is loaded, and not when a client is made. */
const READ_WHEN_LOADED = ["HOME"];
/** A guess: a function that imports it from deep inside starts as it did without. */
const BOUNDS = { files: 200, bytes: 2 ** 18, depth: 3 };

/** Settings do not change, and neither do the directories. */
const known = new WeakMap<Settings, Promise<boolean>>();

export function usesSdk(settings: Settings, layout: RuntimeLayout): Promise<boolean> {
  if (layout.sdk === undefined || READ_WHEN_LOADED.some((name) => name in settings.variables)) return NO;
  let answer = known.get(settings);
  if (answer === undefined) {
    answer = importsIt(placesOf(settings));
    known.set(settings, answer);
  }
  return answer;
}

const NO = Promise.resolve(false);

/** Where Python looks before it comes to what the runtime has. */
const placesOf = ({ runtime, codeDirectory, layersDirectory }: Settings): readonly string[] => [
  codeDirectory,
  ...(layersDirectory === undefined ? [] : ["python", `python/lib/${runtime}/site-packages`].map((place) => join(layersDirectory, place))),
];

async function importsIt(places: readonly string[]): Promise<boolean> {
  const roots = await Promise.all(places.map(async (place) => ({ place, entries: await entriesOf(place) })));
  if (roots.some(({ entries }) => entries.some(({ name }) => OWN.test(name)))) return false;
  const left = { files: BOUNDS.files };
  for (const { place, entries } of roots) if (await isImportedIn(place, entries, left, BOUNDS.depth)) return true;
  return false;
}

/** The files of a directory come before those below it. */
async function isImportedIn(place: string, entries: readonly Dirent[], left: { files: number }, depth: number): Promise<boolean> {
  for (const entry of entries)
    if (entry.isFile() && entry.name.endsWith(".py") && left.files-- > 0 && IMPORTS.test(await beginningOf(join(place, entry.name))))
      return true;
  const installed = new Set(entries.map(({ name }) => /^(.+?)-[^-]+\.dist-info$/.exec(name)?.[1]));
  for (const entry of entries) {
    // What pip has installed may well have a use for it that the function does not make.
    if (!entry.isDirectory() || installed.has(entry.name) || depth <= 1 || left.files <= 0) continue;
    const below = join(place, entry.name);
    if (await isImportedIn(below, await entriesOf(below), left, depth - 1)) return true;
  }
  return false;
}

async function entriesOf(place: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(place, { withFileTypes: true });
  } catch {
    return []; // not there, or no directory: the sandbox finds out what that means
  }
}

/** Links are not followed: on this host they may lead anywhere. */
async function beginningOf(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(BOUNDS.bytes), 0, BOUNDS.bytes, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return ""; // it has been removed
  }
}
