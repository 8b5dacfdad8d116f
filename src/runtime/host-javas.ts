// Finds Java installations that the machine has already, each by the version that its own `release` file tells.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Identifiers and the major version that each of them is. */
export const JAVA_RUNTIMES: ReadonlyMap<string, number> = new Map([
  ["java11", 11],
  ["java11.al2023", 11],
  ["java17", 17],
  ["java17.al2023", 17],
  ["java21", 21],
  ["java25", 25],
]);

export interface HostJava {
  /** `17.0.15` */
  readonly version: string;
  /** The directory that has `bin/java`. */
  readonly home: string;
}

function versionOf(home: string): string | undefined {
  try {
    return /^JAVA_VERSION="([\d._]+)"/m.exec(readFileSync(join(home, "release"), "utf8"))?.[1];
  } catch {
    return undefined; // no installation of Java
  }
}

function subdirectories(place: string): readonly string[] {
  try {
    return readdirSync(place)
      .toSorted()
      .map((name) => join(place, name));
  } catch {
    return []; // not every machine has every place
  }
}

/** Places have installations in them: `/usr/lib/jvm`. The newest of the version counts. */
export function findHostJava(places: readonly string[], major: number): HostJava | undefined {
  const found = places.flatMap(subdirectories).flatMap((home) => {
    const version = versionOf(home);
    return version === undefined || Number.parseInt(version, 10) !== major ? [] : [{ version, home }];
  });
  return found.toSorted((a, b) => b.version.localeCompare(a.version, "en", { numeric: true }))[0];
}
