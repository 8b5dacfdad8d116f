// Input against the model's constraints, in AWS's own sentences: all violations at once.
import { readFile } from "node:fs/promises";
import { elementSentence, lowerCamel, NOT_NULL, ruleOf, violation, type Constraint } from "./constraint.ts";
import { CommonFault } from "./fault.ts";
import type { OperationModel, ServiceModel } from "./model.ts";
import type { ListShape, MapShape, Member, Shape, StructureShape } from "./shape.ts";

/** By structure and member. */
export type Constraints = ReadonlyMap<string, ReadonlyMap<string, Constraint>>;

/** Throws CommonFault when the input breaks a constraint. */
export type Validate = (operation: OperationModel, input: Readonly<Record<string, unknown>>) => void;

/** Adds what is wrong with the value to `problems`. */
type Check = (value: unknown, path: string, problems: string[]) => void;

export async function readConstraints(name: string): Promise<Constraints> {
  const text = await readFile(new URL(`./constraints/${name}.json`, import.meta.url), "utf8");
  const table = JSON.parse(text) as Record<string, Record<string, Constraint>>;
  return new Map(Object.entries(table).map(([structure, members]) => [structure, new Map(Object.entries(members))]));
}

// Recorded answers name "not null" for the elements of layers and architectures, and not for those of subnetIds (length from 0).
const isNullUnnamed = (shape: Shape, constraint: Constraint | undefined) => shape.kind === "string" && constraint?.min === 0;

const isAbsent = (value: unknown) => value === undefined || value === null;

const isContainer = (shape: Shape) => shape.kind === "structure" || shape.kind === "list" || shape.kind === "map";

function checkKeys(member: Member, constraint: Constraint): Check {
  const rule = ruleOf({ kind: "string" }, constraint);
  const sentence = `Map keys must satisfy constraint: [${elementSentence({ kind: "string" }, constraint, true)}]`;
  return (value, path, problems) => {
    if (Object.keys(value as object).some((key) => rule(key).length > 0)) problems.push(violation(member, value, path, sentence));
  };
}

/** Elements of a list or values of a map: scalars are reported with the whole container, structures each for itself. */
function checkElements(member: Member, shape: ListShape | MapShape, constraint: Constraint | undefined, nested: Check | undefined): Check {
  const element = shape.kind === "list" ? shape.item : shape.value;
  const rule = constraint === undefined || isContainer(element) ? undefined : ruleOf(element, constraint);
  const what = shape.kind === "list" ? "Member" : "Map value";
  const sentence = `${what} must satisfy constraint: [${elementSentence(element, constraint, isNullUnnamed(element, constraint))}]`;
  const isBroken = (one: unknown) => (one === null ? !shape.isSparse : rule !== undefined && rule(one).length > 0);
  return (value, path, problems) => {
    const entries = Array.isArray(value) ? value.map((one: unknown, index) => [index + 1, one] as const) : Object.entries(value as object);
    if (entries.some(([, one]) => isBroken(one))) problems.push(violation(member, value, path, sentence));
    if (nested !== undefined) for (const [key, one] of entries) if (one !== null) nested(one, `${path}.${key}.member`, problems);
  };
}

/** `missing` makes the fault for a member that the operation requires, where the service has one of its own. */
export function validator(model: ServiceModel, constraints: Constraints, missing?: (member: string) => Error): Validate {
  const structures = new Map<StructureShape, Check>();

  const checkValue = (member: Member, constraint: Constraint | undefined): Check => {
    const { shape } = member;
    const checks: Check[] = [];
    if (constraint !== undefined) {
      const rule = ruleOf(shape, constraint);
      checks.push((value, path, problems) => {
        for (const sentence of rule(value)) problems.push(violation(member, value, path, sentence));
      });
    }
    if (shape.kind === "structure") checks.push((value, path, problems) => checkStructure(shape)(value, path, problems));
    if (shape.kind === "map" && constraint?.key !== undefined) checks.push(checkKeys(member, constraint.key));
    if (shape.kind === "list" || shape.kind === "map") {
      const element = shape.kind === "list" ? shape.item : shape.value;
      const ofElement = shape.kind === "list" ? constraint?.item : constraint?.value;
      const nested = isContainer(element) ? checkValue({ ...member, shape: element }, ofElement) : undefined;
      checks.push(checkElements(member, shape, ofElement, nested));
    }
    const [only] = checks;
    if (checks.length === 1 && only !== undefined) return only;
    return (value, path, problems) => {
      for (const check of checks) check(value, path, problems);
    };
  };

  // Built at first use, because structures may hold themselves.
  const checkStructure = (shape: StructureShape): Check => {
    const known = structures.get(shape);
    if (known !== undefined) return known;
    const table = constraints.get(shape.name);
    const members = shape.members.map((member) => ({
      member,
      name: lowerCamel(member.name),
      check: member.isStreaming ? undefined : checkValue(member, table?.get(member.name)),
    }));
    const check: Check = (value, path, problems) => {
      const source = value as Record<string, unknown>;
      for (const { member, name, check: checkMember } of members) {
        const one = source[member.name];
        const at = path === "" ? name : `${path}.${name}`;
        if (one !== undefined && one !== null) checkMember?.(one, at, problems);
        else if (member.isRequired) problems.push(violation(member, undefined, at, NOT_NULL));
      }
    };
    structures.set(shape, check);
    return check;
  };

  return (operation, input) => {
    if (operation.input === undefined) return;
    const absent = missing === undefined ? undefined : operation.input.members.find((one) => one.isRequired && isAbsent(input[one.name]));
    if (missing !== undefined && absent !== undefined) throw missing(absent.name);
    const problems: string[] = [];
    checkStructure(operation.input)(input, "", problems);
    if (problems.length === 0) return;
    const count = `${problems.length} validation error${problems.length === 1 ? "" : "s"} detected`;
    throw new CommonFault(validationCode(model), `${count}: ${problems.join("; ")}`, 400);
  };
}

function validationCode(model: ServiceModel): string {
  if (model.protocol === "query") return "ValidationError";
  // CloudWatch Logs has an error of its own for it.
  return model.name === "logs" ? "InvalidParameterException" : "ValidationException";
}
