// One constraint in AWS's sentences: what it says, whether a value breaks it, and how the value is shown.
import type { Member, Shape, StructureShape } from "./shape.ts";

/** Of one value; generated from the API model. */
export interface Constraint {
  /** Of the length for strings, blobs, lists and maps; of the value for numbers. */
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly item?: Constraint;
  readonly key?: Constraint;
  readonly value?: Constraint;
}

/** The sentences of the constraints that the value breaks. */
type Rule = (value: unknown) => readonly string[];

const SHOWN_MAX = 10_240;
export const NOT_NULL = "Member must not be null";

/** Patterns of the models that try one text in ever more ways, so that forty words would take for ever; and what matches the same texts at once. */
export const PLAINER: ReadonlyMap<string, string> = new Map([
  [String.raw`^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$`, String.raw`\t*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*`],
  [String.raw`^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$`, String.raw`\t*[\x20-\x7E][\t\x20-\x7E]*`],
]);

const patterns = new Map<string, RegExp>();

/** A Java pattern that must match as a whole; only ever from the API model. */
export function compiled(pattern: string): RegExp {
  let expression = patterns.get(pattern);
  if (expression === undefined) {
    const plain = PLAINER.get(pattern) ?? pattern;
    try {
      expression = new RegExp(`^(?:${plain})$`, "u");
    } catch {
      // Some patterns escape what needs no escape, which only the older syntax accepts.
      expression = new RegExp(`^(?:${plain})$`);
    }
    patterns.set(pattern, expression);
  }
  return expression;
}

export const lowerCamel = (name: string) => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
const printNumber = (shape: Shape, value: number) =>
  shape.kind === "double" && Number.isInteger(value) ? value.toFixed(1) : String(value);

function printStructure(shape: StructureShape, value: Record<string, unknown>): string {
  const members = shape.members.filter(({ name }) => value[name] !== undefined);
  const texts = members.map(
    (member) => `${lowerCamel(member.name)}=${member.isSensitive ? "***" : print(member.shape, value[member.name])}`,
  );
  return `${shape.name}(${texts.join(", ")})`;
}

/** As Java prints it: `[a, b]`, `{k=v}`. */
function print(shape: Shape, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (shape.kind === "list") return `[${(value as unknown[]).map((one) => print(shape.item, one)).join(", ")}]`;
  if (shape.kind === "map") {
    const entries = Object.entries(value as Record<string, unknown>);
    return `{${entries.map(([key, one]) => `${key}=${print(shape.value, one)}`).join(", ")}}`;
  }
  if (shape.kind === "structure") return printStructure(shape, value as Record<string, unknown>);
  if (value instanceof Uint8Array) return `java.nio.HeapByteBuffer[pos=0 lim=${value.length} cap=${value.length}]`;
  if (typeof value === "number") return printNumber(shape, value);
  if (value instanceof Date) return value.toUTCString();
  return typeof value === "string" ? value : JSON.stringify(value);
}

function show(member: Pick<Member, "shape" | "isSensitive">, value: unknown): string {
  const text = member.isSensitive ? "***" : print(member.shape, value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text;
}

/** One item of the answer; `value` null or undefined is a missing one. */
export function violation(member: Pick<Member, "shape" | "isSensitive">, value: unknown, path: string, sentence: string): string {
  const shown = value === null || value === undefined ? "null" : `'${show(member, value)}'`;
  return `Value ${shown} at '${path}' failed to satisfy constraint: ${sentence}`;
}

function sizeOf(shape: Shape, value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "string" || Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return shape.kind === "map" && typeof value === "object" && value !== null ? Object.keys(value).length : undefined;
}

interface Sentences {
  readonly max: string | undefined;
  readonly min: string | undefined;
  readonly pattern: string | undefined;
  readonly enum: string | undefined;
}

function sentencesOf(shape: Shape, constraint: Constraint): Sentences {
  const what = shape.kind === "integer" || shape.kind === "double" ? "value" : "length";
  const { min, max, pattern, enum: values } = constraint;
  return {
    max: max === undefined ? undefined : `Member must have ${what} less than or equal to ${printNumber(shape, max)}`,
    min: min === undefined ? undefined : `Member must have ${what} greater than or equal to ${printNumber(shape, min)}`,
    pattern: pattern === undefined ? undefined : `Member must satisfy regular expression pattern: ${pattern}`,
    enum: values === undefined ? undefined : `Member must satisfy enum value set: [${values.join(", ")}]`,
  };
}

export function ruleOf(shape: Shape, constraint: Constraint): Rule {
  const { min = -Infinity, max = Infinity, pattern, enum: values } = constraint;
  const sentences = sentencesOf(shape, constraint);
  const allowed = values === undefined ? undefined : new Set<unknown>(values);
  let expression: RegExp | undefined;
  return (value) => {
    const broken: string[] = [];
    const size = sizeOf(shape, value);
    if (size !== undefined && size > max && sentences.max !== undefined) broken.push(sentences.max);
    if (size !== undefined && size < min && sentences.min !== undefined) broken.push(sentences.min);
    if (allowed !== undefined && sentences.enum !== undefined && !allowed.has(value)) broken.push(sentences.enum);
    // Never a pattern over a text that is too long anyway.
    if (pattern !== undefined && sentences.pattern !== undefined && typeof value === "string" && value.length <= max)
      if (!(expression ??= compiled(pattern)).test(value)) broken.push(sentences.pattern);
    return broken;
  };
}

/** All constraints of an element in AWS's order; broken or not, they are listed together. */
export function elementSentence(shape: Shape, constraint: Constraint | undefined, mayBeNull: boolean): string {
  const { max, min, enum: values, pattern } = sentencesOf(shape, constraint ?? {});
  return [max, min, values, pattern, mayBeNull ? undefined : NOT_NULL].filter((one) => one !== undefined).join(", ");
}
