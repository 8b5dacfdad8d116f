// Stored versions of layers, their names and ARNs: numbers rise, and are never used again.
import type * as client from "@aws-sdk/client-lambda";
import type { Context } from "../aws/operations.ts";
import type { Entry, Key } from "../store/storage.ts";
import { invalidParameter, notFound } from "./faults.ts";
import type { CodePackage, Lambda } from "./model.ts";
import type { PolicyRecord } from "./permissions.ts";

export const LAYER_VERSION_KIND = "lambda.layer-version";
const LAYER_COUNTER_KIND = "lambda.layer-counter";

/** Members as in PublishLayerVersion; those that were not given are absent. */
export interface LayerVersionRecord {
  readonly number: number;
  readonly content: CodePackage;
  readonly createdMs: number;
  readonly Description: string;
  readonly CompatibleRuntimes?: readonly client.Runtime[];
  readonly CompatibleArchitectures?: readonly client.Architecture[];
  readonly LicenseInfo?: string;
  /** Who else may use it: gone with the version. */
  readonly policy?: PolicyRecord;
}

export type LayerVersionEntry = Entry<LayerVersionRecord>;

export interface LayerReference {
  readonly account: string;
  readonly region: string;
  readonly name: string;
  /** Of the ARN of a version. */
  readonly version?: number;
}

type Place = Pick<Context, "account" | "region">;

/** In the one spelling that `layerArn` has: policies compare texts. */
const LAYER_ARN = /^arn:aws:lambda:([^:]+):(\d{12}):layer:([^:]+)(?::([1-9]\d{0,14}))?$/;

/** Reads a name, an ARN or a version's ARN; parts that it leaves out are the request's. What is none of them is a name that no layer has. */
export function readLayerName({ account, region }: Place, text: string): LayerReference {
  const [, ofRegion, ofAccount, name, version] = LAYER_ARN.exec(text) ?? [];
  if (ofRegion === undefined || ofAccount === undefined || name === undefined) return { account, region, name: text };
  return { account: ofAccount, region: ofRegion, name, ...(version === undefined ? {} : { version: Number(version) }) };
}

/** The reference of a request; other regions can't be reached from here. */
export function layerReference(context: Place, text: string): LayerReference {
  const found = readLayerName(context, text);
  if (found.region !== context.region || found.name.includes(":")) throw notFound("The resource you requested does not exist.");
  return found;
}

export function layerVersionReference(context: Place, text: string, version: number): Required<LayerReference> {
  if (version < 1) throw invalidParameter("Layer Version Cannot be less than 1");
  return { ...layerReference(context, text), version };
}

export const layerArn = ({ account, region, name, version }: LayerReference): string =>
  `arn:aws:lambda:${region}:${account}:layer:${name}${version === undefined ? "" : `:${version}`}`;

const DIGITS = 15;

/** Ids sort as the numbers do; a layer's name has no slash. */
export const layerVersionKey = ({ account, region, name, version }: Required<LayerReference>): Key => ({
  account,
  region,
  kind: LAYER_VERSION_KIND,
  id: `${name}/${String(version).padStart(DIGITS, "0")}`,
});

/** Of the record with the next number; it outlives the versions. */
export const layerCounterKey = ({ account, region, name }: LayerReference): Key => ({
  account,
  region,
  kind: LAYER_COUNTER_KIND,
  id: name,
});

type Versions = Pick<Lambda, "layerVersions">;

export function layerVersionOf({ layerVersions }: Versions, reference: LayerReference): LayerVersionEntry | undefined {
  const { account, region, version } = reference;
  return version === undefined ? undefined : layerVersions.get(account, region, layerVersionKey({ ...reference, version }).id);
}

/** Newest first. */
export const layerVersionsOf = ({ layerVersions }: Versions, { account, region, name }: LayerReference): LayerVersionEntry[] =>
  layerVersions.list(account, region, { prefix: `${name}/`, limit: Infinity }).toReversed();
