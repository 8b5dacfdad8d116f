// How many functions refer to each deployment package: what nobody refers to may be removed.
import type { FunctionRecord } from "./model.ts";

function packagesOf(record: FunctionRecord | undefined): Set<string> {
  const used = [record?.wanted.code.sha256, record?.running?.code.sha256];
  return new Set(used.filter((sha256) => sha256 !== undefined));
}

export class PackageReferences {
  readonly #counts = new Map<string, number>();

  /** One function is another now; absent: it was not there, or is no longer. */
  change(before: FunctionRecord | undefined, after: FunctionRecord | undefined): void {
    for (const sha256 of packagesOf(after)) this.#counts.set(sha256, (this.#counts.get(sha256) ?? 0) + 1);
    for (const sha256 of packagesOf(before)) {
      const left = (this.#counts.get(sha256) ?? 0) - 1;
      if (left > 0) this.#counts.set(sha256, left);
      else this.#counts.delete(sha256);
    }
  }

  has(sha256: string): boolean {
    return this.#counts.has(sha256);
  }
}
