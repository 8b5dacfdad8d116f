// The pattern language of EventBridge, which Lambda's event filters and SNS's filter policies share: compiled once, then asked of each event.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-content-based-filtering.html and github.com/aws/event-ruler
import { isOperator, PatternError, testsOf, type FieldTest } from "./event-pattern-operators.ts";

export { PatternError } from "./event-pattern-operators.ts";

export interface EventPattern {
  /** The event as JSON.parse made it; what is no object matches nothing. */
  matches(event: unknown): boolean;
}

interface Field {
  /** Steps with dots between them: a key with a dot is the same as one object in another. */
  readonly path: string;
  /** One of them is enough. */
  readonly tests: readonly FieldTest[];
}

/** Fields that must all match, those of one branch behind one another. */
type Alternative = readonly Field[];

/** One element of one array of the event. */
interface Place {
  readonly array: number;
  readonly index: number;
  /** Of the array. */
  readonly path: string;
}

/** The values at one path: those that are in no array of objects, then by array and element. */
interface Leaves {
  readonly values: unknown[];
  readonly within: Map<number, { readonly path: string; readonly elements: Map<number, Leaves> }>;
}

type Json = Readonly<Record<string, unknown>>;

/** Of one pattern's `$or`s, multiplied out. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html */
const ALTERNATIVES_MAX = 1000;
/** Only events that are made to be slow need as many: several spellings of one path with an array at each of its steps. */
const STEPS_MAX = 200_000;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const extended = (path: string, step: string) => (path === "" ? step : `${path}.${step}`);

/** Throws PatternError with EventBridge's reason. */
export function compilePattern(pattern: unknown): EventPattern {
  if (!isObject(pattern)) throw new PatternError("Filter is not an object");
  const alternatives = alternativesOf(pattern, "", [new Map()]).map(inOrder);
  const wanted = new Set(alternatives.flatMap((fields) => fields.flatMap(({ path }) => prefixesOf(path))));
  return {
    matches(event) {
      if (!isObject(event)) return false;
      const leaves = new Gathering(wanted).of(event);
      return alternatives.some((fields) => new Search(fields, leaves).succeeds());
    },
  };
}

type Fields = ReadonlyMap<string, readonly FieldTest[]>;

function alternativesOf(pattern: Json, path: string, before: readonly Fields[]): readonly Fields[] {
  if (Object.keys(pattern).length === 0) throw new PatternError("Empty objects are not allowed");
  let found = before;
  for (const [step, value] of Object.entries(pattern)) {
    if (step === "$or" && isOr(value)) {
      const context = found;
      if (context.length * value.length > ALTERNATIVES_MAX) throw tooComplex();
      found = value.flatMap((branch) => alternativesOf(branch, path, context));
    } else if (isObject(value)) found = alternativesOf(value, extended(path, step), found);
    else if (Array.isArray(value)) {
      const tests = testsOf(value);
      found = found.map((fields) => new Map([...fields, [extended(path, step), tests]]));
    } else throw new PatternError(`"${step}" must be an object or an array`);
    if (found.length > ALTERNATIVES_MAX) throw tooComplex();
  }
  return found;
}

const tooComplex = () => new PatternError(`Rule is too complex - $or must not make more than ${ALTERNATIVES_MAX} combinations`);

/** Otherwise it is a field like any other. */
function isOr(value: unknown): value is readonly Json[] {
  if (!Array.isArray(value) || value.length < 2) return false;
  return value.every((one) => isObject(one) && Object.keys(one).length > 0 && !Object.keys(one).some(isOperator));
}

/** As the event is searched: what is under one array stands together. */
function inOrder(fields: Fields): Alternative {
  const sortable = (path: string) => path.replaceAll(".", "\0");
  return [...fields].map(([path, tests]) => ({ path, tests })).toSorted((a, b) => (sortable(a.path) < sortable(b.path) ? -1 : 1));
}

function prefixesOf(path: string): string[] {
  const steps = path.split(".");
  return steps.map((_, index) => steps.slice(0, index + 1).join("."));
}

const newLeaves = (): Leaves => ({ values: [], within: new Map() });

/** Collects the values at the paths that the pattern asks for, and the elements of arrays that they are in. */
class Gathering {
  readonly #wanted: ReadonlySet<string>;
  readonly #found = new Map<string, Leaves>();
  #arrays = 0;

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  of(event: Json): ReadonlyMap<string, Leaves> {
    this.#object(event, "", []);
    return this.#found;
  }

  #object(object: Json, path: string, places: readonly Place[]): void {
    for (const step in object) {
      const here = extended(path, step);
      if (this.#wanted.has(here)) this.#value(object[step], here, places);
    }
  }

  #value(value: unknown, path: string, places: readonly Place[]): void {
    if (Array.isArray(value)) this.#array(value, path, places);
    else if (isObject(value)) this.#object(value, path, places);
    else this.#leaf(value, path, places);
  }

  /** Values that stand in it directly are alternatives of one another and bind nothing else to their element. */
  #array(values: readonly unknown[], path: string, places: readonly Place[]): void {
    const array = this.#arrays++;
    for (const [index, value] of values.entries()) {
      const isLeaf = typeof value !== "object" || value === null;
      this.#value(value, path, isLeaf ? places : [...places, { array, index, path }]);
    }
  }

  #leaf(value: unknown, path: string, places: readonly Place[]): void {
    let leaves = gotten(this.#found, path, newLeaves);
    for (const { array, index, path: arrayPath } of places) {
      const { elements } = gotten(leaves.within, array, () => ({ path: arrayPath, elements: new Map<number, Leaves>() }));
      leaves = gotten(elements, index, newLeaves);
    }
    leaves.values.push(value);
  }
}

function gotten<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/**
 * Finds one value for each field so that no two of them are in different elements of the same array. What has failed once is not tried
 * again: a state is the next field and the elements that still bind it, so the work is about that of reading the values once.
 */
class Search {
  readonly #fields: Alternative;
  readonly #leaves: ReadonlyMap<string, Leaves>;
  readonly #failed = new Set<string>();
  #steps = 0;

  constructor(fields: Alternative, leaves: ReadonlyMap<string, Leaves>) {
    this.#fields = fields;
    this.#leaves = leaves;
  }

  succeeds(): boolean {
    return this.#from(0, []);
  }

  #from(index: number, chosen: readonly Place[]): boolean {
    const field = this.#fields[index];
    if (field === undefined) return true;
    // Only arrays that the field can be in; those of fields behind it are among them, because the fields are in order.
    const bound = chosen.filter(({ path }) => field.path.startsWith(`${path}.`));
    const state = `${index} ${bound.map(({ array, index: element }) => `${array}:${element}`).join()}`;
    if (this.#failed.has(state)) return false;
    const leaves = this.#leaves.get(field.path);
    const candidates = leaves === undefined ? [] : [...this.#consistent(leaves, bound, [])];
    const isFound = candidates.some(({ values, places }) => matchesOne(field, values) && this.#from(index + 1, places));
    if (isFound || (candidates.length === 0 && matchesAbsence(field) && this.#from(index + 1, bound))) return true;
    this.#failed.add(state);
    return false;
  }

  *#consistent(leaves: Leaves, bound: readonly Place[], own: readonly Place[]): Generator<{ values: unknown[]; places: readonly Place[] }> {
    if (++this.#steps > STEPS_MAX) return;
    if (leaves.values.length > 0) yield { values: leaves.values, places: [...bound, ...own] };
    for (const [array, { path, elements }] of leaves.within) {
      const place = bound.find((one) => one.array === array);
      const open = place === undefined ? elements : new Map([[place.index, elements.get(place.index)]]);
      for (const [index, deeper] of open)
        if (deeper !== undefined) yield* this.#consistent(deeper, bound, place === undefined ? [...own, { array, index, path }] : own);
    }
  }
}

const matchesOne = ({ tests }: Field, values: readonly unknown[]) =>
  values.some((value) => tests.some((test) => test.kind === "value" && test.matches(value)));
const matchesAbsence = ({ tests }: Field) => tests.some(({ kind }) => kind === "absent");
