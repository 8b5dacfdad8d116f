// How many functions and versions refer to each deployment package: what nobody refers to may be removed.
import type { FunctionRecord } from "./model.ts";
import type { VersionRecord } from "./version-records.ts";

export const packagesOfFunction = (record: FunctionRecord | undefined): ReadonlySet<string> =>
  new Set([record?.wanted.code.sha256, record?.running?.code.sha256].filter((sha256) => sha256 !== undefined));

export const packagesOfVersion = (record: VersionRecord | undefined): ReadonlySet<string> =>
  new Set(record === undefined ? [] : [record.deployed.code.sha256]);

export class PackageReferences {
  readonly #counts = new Map<string, number>();

  /** What one function or version refers to has changed. */
  change(before: ReadonlySet<string>, after: ReadonlySet<string>): void {
    for (const sha256 of after) this.#counts.set(sha256, (this.#counts.get(sha256) ?? 0) + 1);
    for (const sha256 of before) {
      const left = (this.#counts.get(sha256) ?? 0) - 1;
      if (left > 0) this.#counts.set(sha256, left);
      else this.#counts.delete(sha256);
    }
  }

  has(sha256: string): boolean {
    return this.#counts.has(sha256);
  }
}
