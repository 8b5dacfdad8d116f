// Inputs that break exactly one constraint of the API's model, each with AWS's answer to it: written against the model, not our validator.
import type { Constraint } from "../../src/aws/constraint.ts";
import type { OperationModel, ServiceModel } from "../../src/aws/model.ts";
import type { Member, Shape, StructureShape } from "../../src/aws/shape.ts";
import type { Constraints } from "../../src/aws/validate.ts";
import { BREAKERS, breaking, fittingText, matches } from "./constrained-texts.ts";
import { allOf, lowerCamel, sentence, SHOWN_MAX } from "./constraint-sentences.ts";

export interface GeneratedCase {
  readonly what: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly code: string;
  readonly message: string;
}

/** What a case is made of: where it is, what stands there, and what AWS says. */
interface Violation {
  readonly what: string;
  readonly value: unknown;
  readonly code?: string;
  readonly message: string;
}

interface Place {
  readonly member: Member;
  /** As AWS's sentences name it. */
  readonly path: string;
  readonly constraint: Constraint;
}

/** Longer ones would not fit into a request's path, or make no different case. */
const LENGTH_MAX = 100_000;
const DEPTH_MAX = 4;

const inside = (path: string, name: string) => (path === "" ? lowerCamel(name) : `${path}.${lowerCamel(name)}`);

class Cases {
  readonly #constraints: Constraints;
  readonly #isJson: boolean;

  constructor(model: ServiceModel, constraints: Constraints) {
    this.#constraints = constraints;
    this.#isJson = model.protocol.includes("json");
  }

  /** What satisfies the model with as few members as there can be; throws for what can't be made. */
  fitting(shape: Shape, constraint: Constraint, depth = 0): unknown {
    if (depth > 2 * DEPTH_MAX) throw new NotMade("too deep");
    const { min = 0 } = constraint;
    switch (shape.kind) {
      case "structure":
        return this.structure(shape, depth);
      case "list":
        return Array.from({ length: Math.max(1, min) }, () => this.fitting(shape.item, constraint.item ?? {}, depth + 1));
      case "map": {
        const key = this.fitting({ kind: "string" }, constraint.key ?? {}) as string;
        return { [key]: this.fitting(shape.value, constraint.value ?? {}, depth + 1) };
      }
      case "string": {
        const found = fittingText(constraint);
        if (found === undefined) throw new NotMade(`no text fits ${JSON.stringify(constraint)}`);
        return found;
      }
      case "integer":
      case "double":
        return Math.max(1, min);
      case "boolean":
        return true;
      case "blob":
        return Buffer.alloc(Math.max(1, min)).toString("base64");
      case "timestamp":
        return this.#isJson && (shape.format ?? "epoch-seconds") === "epoch-seconds" ? 1_700_000_000 : "2026-01-01T00:00:00Z";
      case "document":
        return {};
    }
  }

  structure(shape: StructureShape, depth = 0): Record<string, unknown> {
    const table = this.#constraints.get(shape.name);
    const wanted = shape.members.filter(({ isRequired, isStreaming }) => isRequired && !isStreaming);
    return Object.fromEntries(wanted.map(({ name, shape: of }) => [name, this.fitting(of, table?.get(name) ?? {}, depth + 1)]));
  }

  /** Each violation of each member of a structure; `around` puts the structure where it belongs in the input. */
  *ofStructure(
    shape: StructureShape,
    path: string,
    depth: number,
    around: (value: Record<string, unknown>) => Record<string, unknown>,
  ): Generator<GeneratedCase> {
    const table = this.#constraints.get(shape.name);
    for (const member of shape.members) {
      if (member.isStreaming) continue;
      const place = { member, path: inside(path, member.name), constraint: table?.get(member.name) ?? {} };
      try {
        const base = this.structure(shape, depth);
        for (const { what, value, code = "", message } of this.violations(place)) {
          const input = around(value === undefined ? without(base, member.name) : { ...base, [member.name]: value });
          yield { what: `${place.path}: ${what}`, input, code, message };
        }
        yield* this.deeper(place, depth, (value) => around({ ...base, [member.name]: value }));
      } catch (cause) {
        if (!(cause instanceof NotMade)) throw cause;
        this.unmade.push(`${shape.name}.${member.name}: ${cause.message}`);
      }
    }
  }

  /** What could not be made, and why. */
  readonly unmade: string[] = [];

  *deeper(
    { member, path, constraint }: Place,
    depth: number,
    around: (value: unknown) => Record<string, unknown>,
  ): Generator<GeneratedCase> {
    const { shape } = member;
    if (depth >= DEPTH_MAX) return;
    if (shape.kind === "structure") yield* this.ofStructure(shape, path, depth + 1, around);
    if (shape.kind === "list" && shape.item.kind === "structure") {
      const rest = (this.fitting(shape, constraint, depth) as unknown[]).slice(1);
      yield* this.ofStructure(shape.item, `${path}.1.member`, depth + 1, (value) => around([value, ...rest]));
    }
    if (this.#isJson && shape.kind === "map" && shape.value.kind === "structure") {
      const [key = ""] = Object.keys(this.fitting(shape, constraint, depth) as object);
      yield* this.ofStructure(shape.value, `${path}.${key}.member`, depth + 1, (value) => around({ [key]: value }));
    }
  }

  *violations(place: Place): Generator<Violation> {
    const { member } = place;
    const { place: where } = member.binding;
    if (member.isRequired && where !== "label") {
      const message = sentence(place, undefined, "Member must not be null");
      yield { what: "left out", value: undefined, message };
      if (this.#isJson && where === "body") yield { what: "null", value: null, message };
    }
    yield* this.sizes(place);
    yield* this.huge(place);
    yield* texts(place);
    yield* this.elements(place);
    yield* this.types(place);
  }

  *sizes(place: Place): Generator<Violation> {
    const { member, constraint } = place;
    const { shape } = member;
    const { min, max } = constraint;
    const what = shape.kind === "integer" || shape.kind === "double" ? "value" : "length";
    const bounds = [
      [min, -1, "greater than or equal to"],
      [max, 1, "less than or equal to"],
    ] as const;
    for (const [bound, by, words] of bounds) {
      const value = bound === undefined ? undefined : this.sized(place, bound + by);
      if (value === undefined) continue;
      const limit = shape.kind === "double" && Number.isInteger(bound) ? bound?.toFixed(1) : String(bound);
      yield {
        what: `${words} ${bound}, missed by one`,
        value,
        message: sentence(place, value, `Member must have ${what} ${words} ${limit}`),
      };
    }
  }

  /** Texts are shown up to a length. */
  *huge(place: Place): Generator<Violation> {
    const { member, constraint } = place;
    const { max = Infinity } = constraint;
    if (member.shape.kind !== "string" || member.binding.place !== "body" || max > SHOWN_MAX) return;
    const value = "a".repeat(SHOWN_MAX + 1);
    yield { what: "huge", value, message: sentence(place, value, `Member must have length less than or equal to ${max}`) };
  }

  /** A value of that size which breaks nothing else; undefined: there is none. */
  sized({ member: { shape, binding }, constraint }: Place, size: number): unknown {
    if (shape.kind === "integer" || shape.kind === "double") return Math.abs(size) < 2 ** 31 ? size : undefined;
    const { min = 0, max = Infinity } = constraint;
    if (size < 0 || size > (binding.place === "body" ? LENGTH_MAX : 1_900) || (binding.place === "label" && size === 0)) return undefined;
    if (shape.kind === "blob") return binding.place === "payload" ? undefined : Buffer.alloc(size).toString("base64");
    // What is too long is told for its length alone; what is too short for its pattern as well, where it breaks it.
    if (shape.kind === "string") {
      const { pattern } = constraint;
      const made = ["a", "1", "A", "/"].map((one) => one.repeat(size));
      return size > max ? made[0] : made.find((one) => size >= min || pattern === undefined || matches(pattern, one));
    }
    if (!this.#canHold(shape, size)) return undefined;
    if (shape.kind === "list") {
      // Forms have no way to write a structure without members either.
      const isNothing = !this.#isJson && shape.item.kind === "structure" && Object.keys(this.structure(shape.item)).length === 0;
      if (binding.place !== "body" || isNothing) return undefined;
      return Array.from({ length: size }, () => this.fitting(shape.item, constraint.item ?? {}));
    }
    return undefined;
  }

  /** Forms have no way to write an empty list, and an empty map breaks no rule of its keys. */
  #canHold(shape: Shape, size: number): boolean {
    return size > 0 || (this.#isJson && shape.kind !== "structure");
  }

  *elements(place: Place): Generator<Violation> {
    const { member, constraint } = place;
    const { shape } = member;
    if (member.binding.place === "query-map" || member.binding.place === "prefix-headers") return;
    if (shape.kind === "list" && member.binding.place === "body") {
      const item = constraint.item ?? {};
      for (const bad of badScalars(shape.item, item))
        yield* this.element(place, [bad], `Member must satisfy constraint: [${allOf(shape.item, item)}]`);
      if (this.#isJson && !shape.isSparse && isScalar(shape.item))
        yield* this.element(place, [null], `Member must satisfy constraint: [${allOf(shape.item, item)}]`);
    }
    if (shape.kind !== "map") return;
    const good = this.fitting(shape, constraint) as Record<string, unknown>;
    const [[key, value] = ["", undefined]] = Object.entries(good);
    for (const bad of badScalars(shape.value, constraint.value ?? {}))
      yield* this.element(place, { [key]: bad }, `Map value must satisfy constraint: [${allOf(shape.value, constraint.value ?? {})}]`);
    if (constraint.key !== undefined)
      for (const bad of badScalars({ kind: "string" }, constraint.key))
        if (bad !== "")
          yield* this.element(
            place,
            { [bad as string]: value },
            `Map keys must satisfy constraint: [${allOf({ kind: "string" }, constraint.key, true)}]`,
          );
  }

  *element(place: Place, value: unknown, words: string): Generator<Violation> {
    // One element is too few here.
    if ((place.constraint.min ?? 0) > 1) return;
    // Forms have maps as numbered entries, which is not what these cases are about.
    if (!this.#isJson && !Array.isArray(value)) return;
    yield { what: "an element", value, message: sentence(place, value, words) };
  }

  /** JSON of another type. */
  *types({ member }: Place): Generator<Violation> {
    const { shape, binding } = member;
    if (!this.#isJson || binding.place !== "body") return;
    const say = (value: unknown, message: string) => ({ what: "another type", value, code: "SerializationException", message });
    if (shape.kind === "string") {
      yield say(1, "NUMBER_VALUE can not be converted to a String");
      yield say(true, "TRUE_VALUE can not be converted to a String");
      yield say({}, "Start of structure or map found where not expected.");
    }
    if (shape.kind === "integer" || shape.kind === "double") {
      const wanted = shape.kind === "double" ? "a Double" : "an Integer";
      yield say("x", `STRING_VALUE can not be converted to ${wanted}`);
      yield say([], "Start of list found where not expected.");
    }
    if (shape.kind === "boolean") yield say("true", "STRING_VALUE can not be converted to a Boolean");
    if (shape.kind === "list") yield say({}, "Start of structure or map found where not expected.");
    if (shape.kind === "map" || shape.kind === "structure") yield say([], "Start of list found where not expected.");
  }
}

class NotMade extends Error {}

const isScalar = (shape: Shape) => shape.kind !== "structure" && shape.kind !== "list" && shape.kind !== "map";

function without(record: Record<string, unknown>, name: string): Record<string, unknown> {
  const { [name]: _gone, ...rest } = record;
  return rest;
}

function* texts(place: Place): Generator<Violation> {
  const { member, constraint } = place;
  if (member.shape.kind !== "string") return;
  const { pattern, enum: values } = constraint;
  if (values !== undefined) {
    const value = "no-such-value";
    const broken = `Member must satisfy enum value set: [${values.join(", ")}]`;
    yield { what: "not of the set", value, message: sentence(place, value, broken) };
  }
  const value = pattern === undefined ? undefined : breaking(constraint, member);
  if (value === undefined) return;
  yield {
    what: "not of the pattern",
    value,
    message: sentence(place, value, `Member must satisfy regular expression pattern: ${pattern}`),
  };
}

function* badScalars(shape: Shape, constraint: Constraint): Generator {
  const { min, max, pattern, enum: values } = constraint;
  if (shape.kind === "integer" || shape.kind === "double") {
    if (min !== undefined) yield min - 1;
    if (max !== undefined) yield max + 1;
    return;
  }
  if (shape.kind !== "string") return;
  if (values !== undefined) yield "no-such-value";
  if (min !== undefined && min > 0) yield "a".repeat(min - 1);
  if (max !== undefined && max < 10_000) yield "a".repeat(max + 1);
  if (pattern !== undefined) {
    const bad = BREAKERS.find((one) => !matches(pattern, one));
    if (bad !== undefined) yield bad;
  }
}

/** Lambent's own sentence, for the newer protocol only: AWS takes no notice of it, which here would mean that something has no effect in silence. */
function* unknownMember({ protocol }: ServiceModel, shape: StructureShape, base: Record<string, unknown>): Generator<GeneratedCase> {
  if (protocol !== "rest-json" || !shape.members.some(({ binding }) => binding.place === "body")) return;
  const message = `Lambent does not know the member "unheard" of ${shape.name}: it would have no effect.`;
  yield { what: "unknown member", input: { ...base, unheard: 1 }, code: "SerializationException", message };
}

/** Every violation of an operation's input, one at a time; `unmade` is what no case could be made for. */
export function generatedCases(
  model: ServiceModel,
  constraints: Constraints,
  operation: OperationModel,
): { readonly cases: readonly GeneratedCase[]; readonly unmade: readonly string[] } {
  if (operation.input === undefined) return { cases: [], unmade: [] };
  const made = new Cases(model, constraints);
  const broken = made.ofStructure(operation.input, "", 0, (value) => value);
  return { cases: [...broken, ...unknownMember(model, operation.input, made.structure(operation.input))], unmade: made.unmade };
}
