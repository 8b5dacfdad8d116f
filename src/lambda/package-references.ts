// How many functions, versions and layers refer to each package: what nobody refers to may be removed.
import { layersTree } from "./function-layers.ts";
import { imageLayerTree, imageRoot } from "./images.ts";
import type { LayerVersionRecord } from "./layer-records.ts";
import type { Deployed, FunctionRecord } from "./model.ts";
import type { VersionRecord } from "./version-records.ts";

/** Its layers and those of its image too, whether or not their versions are still there, and the directories that they are unpacked and merged in. */
function packagesOf(deployed: Deployed | undefined): readonly string[] {
  if (deployed === undefined) return [];
  const { code, configuration } = deployed;
  const tree = layersTree(configuration);
  const { image } = code;
  const ofImage = image === undefined ? [] : [...image.layers, ...image.layers.map(imageLayerTree), imageRoot(image)];
  return [...[code, ...(configuration.Layers ?? [])].map(({ sha256 }) => sha256), ...ofImage, ...(tree === undefined ? [] : [tree])];
}

export const packagesOfFunction = (record: FunctionRecord | undefined): ReadonlySet<string> =>
  new Set([...packagesOf(record?.wanted), ...packagesOf(record?.running)]);

export const packagesOfVersion = (record: VersionRecord | undefined): ReadonlySet<string> => new Set(packagesOf(record?.deployed));

export const packagesOfLayer = (record: LayerVersionRecord | undefined): ReadonlySet<string> =>
  new Set(record === undefined ? [] : [record.content.sha256]);

export class PackageReferences {
  readonly #counts = new Map<string, number>();

  /** What one function, version or layer refers to has changed. */
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
