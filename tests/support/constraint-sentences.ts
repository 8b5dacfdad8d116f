// AWS's sentences about a broken constraint, as its services write them: from the recordings, and not from our validator.
import type { Constraint } from "../../src/aws/constraint.ts";
import type { Member, Shape } from "../../src/aws/shape.ts";

/** Characters of a value that are in a sentence. */
export const SHOWN_MAX = 10_240;

export const lowerCamel = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

const numberOf = (shape: Shape, value: number) => (shape.kind === "double" && Number.isInteger(value) ? value.toFixed(1) : String(value));

/** Every constraint of an element, in AWS's order. */
export function allOf(shape: Shape, { min, max, pattern, enum: values }: Constraint, isKey = false): string {
  const what = shape.kind === "integer" || shape.kind === "double" ? "value" : "length";
  return [
    ...(max === undefined ? [] : [`Member must have ${what} less than or equal to ${numberOf(shape, max)}`]),
    ...(min === undefined ? [] : [`Member must have ${what} greater than or equal to ${numberOf(shape, min)}`]),
    ...(values === undefined ? [] : [`Member must satisfy enum value set: [${values.join(", ")}]`]),
    ...(pattern === undefined ? [] : [`Member must satisfy regular expression pattern: ${pattern}`]),
    // As recorded: where a text may be empty, nothing is said of null, nor of keys.
    ...(isKey || (shape.kind === "string" && min === 0) ? [] : ["Member must not be null"]),
  ].join(", ");
}

function shown(shape: Shape, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (shape.kind === "list") return `[${(value as unknown[]).map((one) => shown(shape.item, one)).join(", ")}]`;
  if (shape.kind === "map")
    return `{${Object.entries(value)
      .map(([key, one]) => `${key}=${shown(shape.value, one)}`)
      .join(", ")}}`;
  if (shape.kind === "structure") {
    const source = value as Record<string, unknown>;
    const given = shape.members.filter(({ name }) => source[name] !== undefined);
    const members = given.map(({ name, shape: of, isSensitive }) => `${lowerCamel(name)}=${isSensitive ? "***" : shown(of, source[name])}`);
    return `${shape.name}(${members.join(", ")})`;
  }
  if (shape.kind === "blob") {
    const { length } = Buffer.from(value as string, "base64");
    return `java.nio.HeapByteBuffer[pos=0 lim=${length} cap=${length}]`;
  }
  if (typeof value === "string") return value;
  if (shape.kind === "timestamp") return new Date(Number(value) * 1000).toUTCString();
  return typeof value === "number" ? numberOf(shape, value) : JSON.stringify(value);
}

export function sentence({ member, path }: { readonly member: Member; readonly path: string }, value: unknown, words: string): string {
  const whole = member.isSensitive ? "***" : shown(member.shape, value);
  const text = whole.length > SHOWN_MAX ? `${whole.slice(0, SHOWN_MAX)}...` : whole;
  const said = value === undefined || value === null ? "null" : `'${text}'`;
  return `1 validation error detected: Value ${said} at '${path}' failed to satisfy constraint: ${words}`;
}
