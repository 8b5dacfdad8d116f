// Typed output to what the CBOR encoder takes, by shape: without what is undefined or null, and without what the shape does not have.
import type { ListShape, MapShape, Shape, StructureShape } from "./shape.ts";
import { dateToTag } from "./smithy.ts";

function structureValue(shape: StructureShape, value: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const member of shape.members) {
    const one = value[member.name];
    if (one !== undefined && one !== null) result[member.name] = cborValue(member.shape, one);
  }
  return result;
}

function mapValue(shape: MapShape, value: Record<string, unknown>): Record<string, unknown> {
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, one] of Object.entries(value))
    if (one !== undefined && one !== null) result[key] = cborValue(shape.value, one);
    else if (shape.isSparse && one === null) result[key] = null;
  return result;
}

function listValue(shape: ListShape, value: Iterable<unknown>): unknown[] {
  const result: unknown[] = [];
  for (const one of value)
    if (one !== undefined && one !== null) result.push(cborValue(shape.item, one));
    else if (shape.isSparse) result.push(null);
  return result;
}

export function cborValue(shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case "structure":
      return structureValue(shape, value as Record<string, unknown>);
    case "list":
      return listValue(shape, value as Iterable<unknown>);
    case "map":
      return mapValue(shape, value as Record<string, unknown>);
    case "timestamp":
      return dateToTag(value as Date);
    case "integer":
    case "double":
    case "string":
    case "boolean":
    case "blob":
    case "document":
      break;
  }
  return value;
}
