// The layers of a function: which it may have, how large they may be, and the directory that they give it at /opt.
import { createHash } from "node:crypto";
import { limits } from "../limits.ts";
import { invalidParameter } from "./faults.ts";
import { layerArn, layerVersionOf, readLayerName } from "./layer-records.ts";
import type { CodePackage, Configuration, FunctionLayer, Lambda } from "./model.ts";
import type { FunctionReference } from "./names.ts";

/** What `Layers` of a request means; throws AWS's faults. That the caller may use them is IAM's to say, before. */
export function layersOf(
  lambda: Pick<Lambda, "layerVersions">,
  place: Pick<FunctionReference, "account" | "region">,
  arns: readonly string[],
): FunctionLayer[] {
  if (arns.length > limits.layersMax) throw invalidParameter(`Cannot reference more than ${limits.layersMax} layers.`);
  const seen = new Map<string, string>();
  return arns.map((Arn) => {
    const { account, region, name } = readLayerName(place, Arn);
    if (region !== place.region)
      throw invalidParameter(`Layers are not in the same region as the function. Layers are expected to be in region ${place.region}.`);
    const layer = layerArn({ account, region, name });
    const other = seen.get(layer);
    if (other !== undefined)
      throw invalidParameter(
        `Two different versions of the same layer are not allowed to be referenced in the same function. ${other} and ${Arn} are versions of the same layer.`,
      );
    seen.set(layer, Arn);
    return contentOf(lambda, place, Arn);
  });
}

function contentOf(
  lambda: Pick<Lambda, "layerVersions">,
  place: Pick<FunctionReference, "account" | "region">,
  Arn: string,
): FunctionLayer {
  const content = layerVersionOf(lambda, readLayerName(place, Arn))?.value.content;
  if (content === undefined) throw invalidParameter(`Layer version ${Arn} does not exist.`);
  return { Arn, ...content };
}

const trees = new WeakMap<readonly FunctionLayer[], string>();

/** The name, among the packages, of the directory at /opt; of several layers a hash of theirs, in their order. */
export function layersTree({ Layers = [] }: Configuration): string | undefined {
  const [first, ...rest] = Layers;
  if (first === undefined || rest.length === 0) return first?.sha256;
  const known = trees.get(Layers);
  if (known !== undefined) return known;
  const made = createHash("sha256")
    .update(Layers.map(({ sha256 }) => sha256).join(" "))
    .digest("hex");
  trees.set(Layers, made);
  return made;
}

/** Every directory that a deployment needs is there, or AWS's fault says why it can't be. */
export async function ensureLayers({ packages }: Pick<Lambda, "packages">, configuration: Configuration): Promise<void> {
  const tree = layersTree(configuration);
  const layers = configuration.Layers ?? [];
  if (tree === undefined || packages.isReady(tree)) return;
  if (layers.length === 1) await packages.ensure(tree);
  else
    await packages.ensureMerged(
      tree,
      layers.map(({ sha256 }) => sha256),
    );
}

/** Before a function gets other code or other layers: together they must fit; then they are made ready for the first invocation. */
export async function prepareLayers(lambda: Pick<Lambda, "packages">, configuration: Configuration, code: CodePackage): Promise<void> {
  const { Layers = [] } = configuration;
  if (Layers.length === 0) return;
  let bytes = 0;
  for (const { sha256 } of [code, ...Layers]) bytes += await lambda.packages.unzippedBytes(sha256);
  if (bytes >= limits.unzippedBytesMax)
    throw invalidParameter(
      `Function code combined with layers exceeds the maximum allowed size of ${limits.unzippedBytesMax} bytes. The actual size is ${bytes} bytes.`,
    );
  await ensureLayers(lambda, configuration);
}
