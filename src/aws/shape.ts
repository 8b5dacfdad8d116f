// The SDK's schema tuples, unfolded once into plain objects that the codecs and the validator walk.
import type { NormalizedSchema } from "./smithy.ts";

export type TimestampFormat = "date-time" | "http-date" | "epoch-seconds";

export interface ScalarShape {
  readonly kind: "string" | "boolean" | "integer" | "double" | "blob" | "timestamp" | "document";
  /** Timestamps only: the model's own format; absent, the protocol's default holds. */
  readonly format?: TimestampFormat;
}

export interface ListShape {
  readonly kind: "list";
  readonly item: Shape;
  readonly itemXmlName: string;
  /** May hold nulls. */
  readonly isSparse: boolean;
}

export interface MapShape {
  readonly kind: "map";
  readonly value: Shape;
  readonly keyXmlName: string;
  readonly valueXmlName: string;
  readonly isSparse: boolean;
}

export interface StructureShape {
  readonly kind: "structure";
  readonly name: string;
  readonly xmlName: string;
  readonly isUnion: boolean;
  readonly isError: boolean;
  readonly members: readonly Member[];
}

export type Shape = ScalarShape | ListShape | MapShape | StructureShape;

/** Where a member of an operation's input or output stands in the HTTP message. */
interface Binding {
  readonly place: "label" | "query" | "query-map" | "header" | "prefix-headers" | "payload" | "status" | "body";
  /** Name of the query parameter, header (lower case) or prefix; empty for the other places. */
  readonly name: string;
}

export interface Member {
  /** As the SDK and AWS write it: `FunctionName`. */
  readonly name: string;
  readonly shape: Shape;
  readonly isRequired: boolean;
  readonly isSensitive: boolean;
  /** A stream of bytes, or of events when the shape is a union. */
  readonly isStreaming: boolean;
  readonly jsonName: string;
  readonly xmlName: string;
  readonly isFlattened: boolean;
  readonly isAttribute: boolean;
  readonly xmlNamespace?: readonly [prefix: string, uri: string];
  readonly binding: Binding;
  /** Of an event in an event stream. */
  readonly eventPlace?: "header" | "payload";
}

/** Numbers of the SDK's schemas are of one kind; these members are the few that may have a fraction. */
const FRACTIONAL = new Set([
  "AliasRoutingConfiguration.AdditionalVersionWeights",
  "TargetTrackingScalingPolicy.TargetValue",
  "MetricTransformation.defaultValue",
  "MetricDatum.Value",
  "MetricDatum.Values",
  "MetricDatum.Counts",
  "StatisticSet.SampleCount",
  "StatisticSet.Sum",
  "StatisticSet.Minimum",
  "StatisticSet.Maximum",
  "Datapoint.SampleCount",
  "Datapoint.Average",
  "Datapoint.Sum",
  "Datapoint.Minimum",
  "Datapoint.Maximum",
  "Datapoint.ExtendedStatistics",
  "MetricDataResult.Values",
]);

const TIMESTAMP_FORMATS: readonly (TimestampFormat | undefined)[] = [undefined, "date-time", "http-date", "epoch-seconds"];

type Schema = NormalizedSchema;
type Traits = ReturnType<Schema["getMergedTraits"]> & {
  readonly xmlName?: string;
  readonly sparse?: unknown;
  readonly sensitive?: unknown;
};

const traitsOf = (schema: Schema): Traits => schema.getMergedTraits();
const structures = new WeakMap<object, StructureShape>();

function scalarShape(schema: Schema, isFractional: boolean): ScalarShape {
  if (schema.isStringSchema()) return { kind: "string" };
  if (schema.isBooleanSchema()) return { kind: "boolean" };
  if (schema.isNumericSchema()) return { kind: isFractional ? "double" : "integer" };
  if (schema.isBlobSchema()) return { kind: "blob" };
  if (schema.isDocumentSchema()) return { kind: "document" };
  if (!schema.isTimestampSchema()) throw new Error(`schema kind without a shape: ${schema.getName(true)}`);
  const format = TIMESTAMP_FORMATS[(schema.getSchema() as number) - 4];
  return format === undefined ? { kind: "timestamp" } : { kind: "timestamp", format };
}

function shapeOf(schema: Schema, isFractional: boolean): Shape {
  if (schema.isStructSchema()) return structureShape(schema);
  if (schema.isListSchema()) {
    const item = schema.getValueSchema();
    const traits = traitsOf(item);
    const isSparse = traitsOf(schema).sparse !== undefined || traits.sparse !== undefined;
    return { kind: "list", item: shapeOf(item, isFractional), itemXmlName: traits.xmlName ?? "member", isSparse };
  }
  if (schema.isMapSchema()) {
    const value = schema.getValueSchema();
    return {
      kind: "map",
      value: shapeOf(value, isFractional),
      keyXmlName: traitsOf(schema.getKeySchema()).xmlName ?? "key",
      valueXmlName: traitsOf(value).xmlName ?? "value",
      isSparse: traitsOf(schema).sparse !== undefined || traitsOf(value).sparse !== undefined,
    };
  }
  return scalarShape(schema, isFractional);
}

function bindingOf(traits: Traits): Binding {
  if (traits.httpLabel) return { place: "label", name: "" };
  if (traits.httpQuery !== undefined) return { place: "query", name: traits.httpQuery };
  if (traits.httpQueryParams) return { place: "query-map", name: "" };
  if (traits.httpHeader !== undefined) return { place: "header", name: traits.httpHeader.toLowerCase() };
  if (traits.httpPrefixHeaders !== undefined) return { place: "prefix-headers", name: traits.httpPrefixHeaders.toLowerCase() };
  if (traits.httpPayload) return { place: "payload", name: "" };
  if (traits.httpResponseCode) return { place: "status", name: "" };
  return { place: "body", name: "" };
}

function memberOf(structureName: string, name: string, schema: Schema, isRequired: boolean): Member {
  const traits = traitsOf(schema);
  const shape = shapeOf(schema, FRACTIONAL.has(`${structureName}.${name}`));
  const binding = bindingOf(traits);
  // Only a payload takes the name of its structure; elsewhere the member's own name counts.
  const targetXmlName = binding.place === "payload" ? (traits.xmlName ?? schema.getName()) : undefined;
  return {
    name,
    shape,
    isRequired,
    isSensitive: traits.sensitive !== undefined,
    isStreaming: schema.isStreaming(),
    jsonName: traits.jsonName ?? name,
    xmlName: targetXmlName ?? (schema.getMemberTraits() as Traits).xmlName ?? name,
    isFlattened: traits.xmlFlattened !== undefined,
    isAttribute: traits.xmlAttribute !== undefined,
    ...(traits.xmlNamespace === undefined ? {} : { xmlNamespace: traits.xmlNamespace }),
    binding,
    ...(traits.eventHeader ? { eventPlace: "header" as const } : traits.eventPayload ? { eventPlace: "payload" as const } : {}),
  };
}

/** The shape of a structure, union or error schema; the same object for the same schema. */
export function structureShape(schema: Schema): StructureShape {
  const tuple = schema.getSchema() as unknown as readonly unknown[];
  const known = structures.get(tuple);
  if (known !== undefined) return known;
  const name = schema.getName() ?? "";
  const members: Member[] = [];
  const xmlName = (schema.getOwnTraits() as Traits).xmlName ?? name;
  const shape: StructureShape = { kind: "structure", name, xmlName, isUnion: tuple[0] === 4, isError: tuple[0] === -3, members };
  // Known before its members are, because a structure may hold itself.
  structures.set(tuple, shape);
  const requiredCount = typeof tuple[6] === "number" ? tuple[6] : 0;
  for (const [memberName, member] of schema.structIterator())
    members.push(memberOf(name, memberName, member, members.length < requiredCount));
  return shape;
}
