// JSON-like values to typed input, by shape: shared by the JSON and CBOR protocols, which differ only in blobs and timestamps.
import { OTHERS, type WithOthers } from "./others.ts";
import { checkedNumber, Malformed, notFinite } from "./scalar.ts";
import type { ListShape, MapShape, Member, ScalarShape, Shape, StructureShape } from "./shape.ts";

/** How a format has what JSON has no type for. */
export interface Leaves {
  readBlob(value: unknown): Uint8Array;
  readTimestamp(shape: ScalarShape, value: unknown): Date;
}

export interface Format extends Leaves {
  /** Whether members go by their `jsonName`. */
  readonly usesJsonName: boolean;
  /** Whether members that a structure does not have are refused: what a newer client sends would have no effect, and nobody would know. */
  readonly refusesUnknown?: boolean;
}

interface ValueReader {
  /** Throws Malformed for what the shape does not have. Maps have no prototype, because their keys are the user's. */
  read(shape: Shape, value: unknown): unknown;
  /** As `read`, but puts members that neither of the structures has into `OTHERS` of the result, if they are called as AWS calls members. */
  readKeeping(shape: StructureShape, returned: StructureShape, value: unknown): WithOthers;
}

const wireName = (format: Format, member: Member) => (format.usesJsonName ? member.jsonName : member.name);

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "START_ARRAY";
  if (typeof value === "object") return "START_OBJECT";
  if (typeof value === "boolean") return value ? "TRUE_VALUE" : "FALSE_VALUE";
  return typeof value === "string" ? "STRING_VALUE" : "NUMBER_VALUE";
}

function mismatch(value: unknown, wanted: string): Malformed {
  if (typeof value !== "object") return new Malformed(`${kindOf(value)} can not be converted to ${wanted}`);
  return new Malformed(`Start of ${Array.isArray(value) ? "list" : "structure or map"} found where not expected.`);
}

function asRecord(value: unknown, wanted: string): Record<string, unknown> {
  const prototype: unknown = typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined;
  if (prototype !== Object.prototype && prototype !== null) throw mismatch(value, wanted);
  return value as Record<string, unknown>;
}

function readStructure(format: Format, shape: StructureShape, value: unknown): Record<string, unknown> {
  const source = asRecord(value, "a structure");
  const result: Record<string, unknown> = {};
  for (const member of shape.members) {
    const name = wireName(format, member);
    const one = Object.hasOwn(source, name) ? source[name] : undefined;
    if (one !== undefined && one !== null) result[member.name] = readValue(format, member.shape, one);
  }
  if (format.refusesUnknown === true) refuseUnknown(format, shape, source);
  return result;
}

const MEMBER_NAME = /^[A-Z][A-Za-z0-9]{0,63}$/;

function readKeeping(format: Format, shape: StructureShape, returned: StructureShape, value: unknown): WithOthers {
  const known = new Set([...shape.members, ...returned.members].map((member) => wireName(format, member)));
  const entries = Object.entries(asRecord(value, "a structure"));
  const isOther = ([name, one]: readonly [string, unknown]) => one !== null && MEMBER_NAME.test(name) && !known.has(name);
  const read = readStructure(format, shape, Object.fromEntries(entries.filter((entry) => !isOther(entry))));
  const others = Object.fromEntries(entries.filter(isOther));
  return Object.keys(others).length === 0 ? read : { ...read, [OTHERS]: others };
}

function refuseUnknown(format: Format, shape: StructureShape, source: Record<string, unknown>): void {
  for (const [name, one] of Object.entries(source)) {
    if (one === null || shape.members.some((member) => wireName(format, member) === name)) continue;
    throw new Malformed(
      `Lambent does not know the member ${JSON.stringify(name.slice(0, 100))} of ${shape.name}: it would have no effect.`,
    );
  }
}

function readList(format: Format, shape: ListShape, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw mismatch(value, "a list");
  return value.map((item: unknown) => (item === null || item === undefined ? null : readValue(format, shape.item, item)));
}

function readMap(format: Format, shape: MapShape, value: unknown): Record<string, unknown> {
  const source = asRecord(value, "a map");
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, one] of Object.entries(source))
    if (one !== undefined) result[key] = one === null ? null : readValue(format, shape.value, one);
  return result;
}

function readNumber(shape: ScalarShape, value: unknown): number {
  if (typeof value === "string" && shape.kind === "double") {
    const special = notFinite(value);
    if (special !== undefined) return special;
  }
  if (typeof value !== "number") throw mismatch(value, shape.kind === "double" ? "a Double" : "an Integer");
  return checkedNumber(shape, value);
}

function readValue(format: Format, shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case "string":
      if (typeof value !== "string") throw mismatch(value, "a String");
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw mismatch(value, "a Boolean");
      return value;
    case "integer":
    case "double":
      return readNumber(shape, value);
    case "structure":
      return readStructure(format, shape, value);
    case "list":
      return readList(format, shape, value);
    case "map":
      return readMap(format, shape, value);
    case "blob":
      return format.readBlob(value);
    case "timestamp":
      return format.readTimestamp(shape, value);
    case "document":
      break;
  }
  return value;
}

export function valueReader(leaves: Leaves, options: Pick<Format, "usesJsonName" | "refusesUnknown">): ValueReader {
  const format: Format = { ...leaves, ...options };
  return {
    read: (shape, value) => readValue(format, shape, value),
    readKeeping: (shape, returned, value) => readKeeping(format, shape, returned, value),
  };
}
