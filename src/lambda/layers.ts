// Layers: publish, get, list and delete their versions.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import type { View } from "../store/view.ts";
import { codeOf } from "./code.ts";
import { formatTime } from "./configuration.ts";
import { notFound } from "./faults.ts";
import {
  layerArn,
  layerCounterKey,
  layerReference,
  layerVersionKey,
  layerVersionOf,
  layerVersionReference,
  layerVersionsOf,
  type LayerReference,
  type LayerVersionRecord,
} from "./layer-records.ts";
import type { CodePackage, Lambda } from "./model.ts";
import { page } from "./page.ts";
import { retryConflicts } from "./records.ts";
import { refuseUnsupported } from "./unsupported.ts";

type Names = "PublishLayerVersion" | "GetLayerVersion" | "GetLayerVersionByArn" | "ListLayers" | "ListLayerVersions" | "DeleteLayerVersion";

export function layers(lambda: Lambda) {
  const get = (context: Context, reference: LayerReference) => {
    const entry = layerVersionOf(lambda, reference);
    if (entry === undefined) throw notFound("The resource you requested does not exist.");
    return describeContent(lambda, context, reference, entry.value);
  };
  return {
    PublishLayerVersion: (context, input) => publishLayerVersion(lambda, context, input),
    GetLayerVersion: (context, { LayerName = "", VersionNumber = 0 }) =>
      get(context, layerVersionReference(context, LayerName, VersionNumber)),
    GetLayerVersionByArn: (context, { Arn = "" }) => get(context, layerReference(context, Arn)),
    ListLayers: (context, input) => listLayers(lambda, context, input),
    ListLayerVersions: (context, input) => listLayerVersions(lambda, context, input),
    async DeleteLayerVersion(context, { LayerName = "", VersionNumber = 0 }) {
      const reference = layerVersionReference(context, LayerName, VersionNumber);
      if (layerVersionOf(lambda, reference) !== undefined) await lambda.meta.write([{ key: layerVersionKey(reference) }]);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function publishLayerVersion(lambda: Lambda, context: Context, input: client.PublishLayerVersionCommandInput) {
  const layer = layerReference(context, input.LayerName ?? "");
  refuseUnsupported(input);
  const content = await codeOf(lambda, context, input.Content ?? {});
  const published = await retryConflicts(layerArn(layer), () => newLayerVersion(lambda, layer, content, input));
  return describeContent(lambda, context, { ...layer, version: published.number }, published);
}

async function newLayerVersion(
  { meta, clock }: Pick<Lambda, "meta" | "clock">,
  layer: LayerReference,
  content: CodePackage,
  { Description = "", CompatibleRuntimes, CompatibleArchitectures, LicenseInfo }: client.PublishLayerVersionCommandInput,
): Promise<LayerVersionRecord> {
  const counterKey = layerCounterKey(layer);
  const [counter] = await meta.get<{ readonly next: number }>([counterKey]);
  const number = counter?.value.next ?? 1;
  const value: LayerVersionRecord = {
    number,
    content,
    createdMs: clock.now(),
    Description,
    ...(CompatibleRuntimes === undefined ? {} : { CompatibleRuntimes }),
    ...(CompatibleArchitectures === undefined ? {} : { CompatibleArchitectures }),
    ...(LicenseInfo === undefined ? {} : { LicenseInfo }),
  };
  await meta.write([
    { key: counterKey, value: { next: number + 1 }, expect: counter?.revision ?? "absent" },
    { key: layerVersionKey({ ...layer, version: number }), value, expect: "absent" },
  ]);
  return value;
}

function describe(layer: LayerReference, record: LayerVersionRecord): client.LayerVersionsListItem {
  const { number, createdMs, Description, CompatibleRuntimes, CompatibleArchitectures, LicenseInfo } = record;
  return {
    LayerVersionArn: layerArn({ ...layer, version: number }),
    Version: number,
    Description,
    CreatedDate: formatTime(createdMs),
    ...(CompatibleRuntimes === undefined ? {} : { CompatibleRuntimes: [...CompatibleRuntimes] }),
    ...(CompatibleArchitectures === undefined ? {} : { CompatibleArchitectures: [...CompatibleArchitectures] }),
    ...(LicenseInfo === undefined ? {} : { LicenseInfo }),
  };
}

function describeContent({ codeUrl }: Lambda, context: Context, layer: LayerReference, record: LayerVersionRecord) {
  const { sha256, bytes } = record.content;
  const { account, region, name } = layer;
  return {
    Content: { Location: codeUrl(context, sha256), CodeSha256: Buffer.from(sha256, "hex").toString("base64"), CodeSize: bytes },
    LayerArn: layerArn({ account, region, name }),
    ...describe(layer, record),
  };
}

type Filter = Pick<client.ListLayersCommandInput, "CompatibleRuntime" | "CompatibleArchitecture">;

/** A version that does not say what it is made for matches no filter. */
const matches = (
  { CompatibleRuntime, CompatibleArchitecture }: Filter,
  { CompatibleRuntimes, CompatibleArchitectures }: LayerVersionRecord,
) =>
  (CompatibleRuntime === undefined || CompatibleRuntimes?.includes(CompatibleRuntime) === true) &&
  (CompatibleArchitecture === undefined || CompatibleArchitectures?.includes(CompatibleArchitecture) === true);

const filterName = ({ CompatibleRuntime, CompatibleArchitecture }: Filter) => `${CompatibleRuntime ?? ""}/${CompatibleArchitecture ?? ""}`;

/** Newest first. */
function listLayerVersions(lambda: Lambda, context: Context, input: client.ListLayerVersionsCommandInput) {
  const layer = layerReference(context, input.LayerName ?? "");
  const list = (after: string | undefined, limit: number) =>
    layerVersionsOf(lambda, layer)
      .filter(({ key, value }) => (after === undefined || key.id < after) && matches(input, value))
      .slice(0, limit);
  const { found, more } = page(`layer-versions/${layer.name}/${filterName(input)}`, input, ({ key }) => key.id, list);
  return { LayerVersions: found.map(({ value }) => describe(layer, value)), ...more };
}

/** By name, each with the newest version that matches. */
function listLayers(lambda: Lambda, context: Context, input: client.ListLayersCommandInput) {
  // Ids are sorted with what is behind the name, which is another order than that of names.
  const newest = [...newestMatching(lambda.layerVersions, context, input)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const list = (after: string | undefined, limit: number) => newest.filter(([name]) => after === undefined || name > after).slice(0, limit);
  const { found, more } = page(`layers/${filterName(input)}`, input, ([name]) => name, list);
  const { account, region } = context;
  const described = found.map(([name, record]) => {
    const layer = { account, region, name };
    return { LayerName: name, LayerArn: layerArn(layer), LatestMatchingVersion: describe(layer, record) };
  });
  return { Layers: described, ...more };
}

function newestMatching(versions: View<LayerVersionRecord>, { account, region }: Context, filter: Filter): Map<string, LayerVersionRecord> {
  const newest = new Map<string, LayerVersionRecord>();
  for (const { key, value } of versions.list(account, region, { limit: Infinity }))
    if (matches(filter, value)) newest.set(key.id.slice(0, key.id.indexOf("/")), value);
  return newest;
}
