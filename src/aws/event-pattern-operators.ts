// What an event pattern can ask of one value: literals and operators, read with event-ruler's complaints.
import { BlockList, isIP } from "node:net";

/** The message is EventBridge's reason; each service puts its own words before it. */
export class PatternError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "PatternError";
  }
}

export type FieldTest = { readonly kind: "value"; readonly matches: (value: unknown) => boolean } | { readonly kind: "absent" };

type Test = (value: unknown) => boolean;
type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const ofText =
  (test: (text: string) => boolean): Test =>
  (value) =>
    typeof value === "string" && test(value);

/** The tests of one array of a pattern. Throws PatternError. */
export function testsOf(values: readonly unknown[]): readonly FieldTest[] {
  if (values.length === 0) throw new PatternError("Empty arrays are not allowed");
  return values.map((value) => {
    if (isObject(value)) return expression(value);
    if (Array.isArray(value)) throw new PatternError("Match value must be String, number, true, false, or null");
    return { kind: "value", matches: literal(value) };
  });
}

/** Two spellings of one address are the same. */
function literal(value: unknown): Test {
  if (typeof value !== "string" || isIP(value) === 0 || value.includes("%")) return (other) => other === value;
  const address = new BlockList();
  address.addAddress(value, familyOf(value));
  return ofText((text) => text === value || isWithin(address, text));
}

const familyOf = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");
const isWithin = (list: BlockList, text: string) => isIP(text) !== 0 && !text.includes("%") && list.check(text, familyOf(text));

const ONE_KEY = "Only one key allowed in match expression";
const TOO_MANY = "Too many elements in numeric expression";

/** The only key and its value; what is wrong with the value is said first. */
function expression(object: Json): FieldTest {
  const [[name, value] = [undefined, undefined], ...more] = Object.entries(object);
  if (name === undefined) throw new PatternError("Match expression name not found");
  const operator = OPERATORS.get(name);
  if (operator === undefined) throw new PatternError(`Unrecognized match type ${name}`);
  const test = operator(value);
  if (more.length > 0) throw new PatternError(name === "numeric" || name === "anything-but" ? TOO_MANY : ONE_KEY);
  return test === "absent" ? { kind: "absent" } : { kind: "value", matches: test };
}

type Operator = (value: unknown) => Test | "absent";

const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["exactly", (value) => literal(textOf(value, "exact"))],
  ["prefix", (value) => edge("prefix", value)],
  ["suffix", (value) => edge("suffix", value)],
  ["equals-ignore-case", (value) => equalsIgnoringCase(textOf(value, "equals-ignore-case"))],
  ["wildcard", (value) => wildcard(textOf(value, "wildcard"))],
  ["numeric", numeric],
  ["cidr", cidr],
  ["exists", exists],
  ["anything-but", anythingBut],
]);

export const isOperator = (name: string): boolean => OPERATORS.has(name);

function textOf(value: unknown, what: string): string {
  if (typeof value !== "string") throw new PatternError(`${what} match pattern must be a string`);
  return value;
}

function equalsIgnoringCase(wanted: string): Test {
  const lower = wanted.toLowerCase();
  return ofText((text) => text.toLowerCase() === lower);
}

type Edge = "prefix" | "suffix";
const hasEdge = (which: Edge, text: string, part: string) => (which === "prefix" ? text.startsWith(part) : text.endsWith(part));

function edge(which: Edge, value: unknown): Test {
  if (!isObject(value)) {
    const part = textOf(value, which);
    return ofText((text) => hasEdge(which, text, part));
  }
  const [[name, nested] = ["", undefined], ...more] = Object.entries(value);
  if (name !== "equals-ignore-case") throw new PatternError(`Unsupported ${which} pattern: ${name}`);
  const part = textOf(nested, name).toLowerCase();
  if (more.length > 0) throw new PatternError(ONE_KEY);
  return ofText((text) => hasEdge(which, text.toLowerCase(), part));
}

/** Places of the complaint are bytes behind the opening quote, which is the first. */
function wildcardParts(pattern: string): string[] {
  const complaint = (what: string, at: number) => new PatternError(`${what} at pos ${1 + Buffer.byteLength(pattern.slice(0, at))}`);
  const parts = [""];
  for (let at = 0; at < pattern.length; at++) {
    const one = pattern[at] ?? "";
    const next = pattern[at + 1];
    if (one === "*") {
      if (next === "*") throw complaint("Consecutive wildcard characters", at);
      parts.push("");
    } else if (one === "\\") {
      if (next !== "*" && next !== "\\") throw complaint("Invalid escape character", at);
      parts[parts.length - 1] += next;
      at++;
    } else parts[parts.length - 1] += one;
  }
  return parts;
}

/** The first place of each part is as good as any other, so nothing is tried twice however many stars there are. */
function wildcard(pattern: string): Test {
  const [first = "", ...rest] = wildcardParts(pattern);
  const last = rest.pop();
  if (last === undefined) return (value) => value === first;
  return ofText((text) => {
    const end = text.length - last.length;
    if (!text.startsWith(first) || !text.endsWith(last) || first.length > end) return false;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found === -1 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  });
}

const COMPARISONS: ReadonlyMap<string, (value: number, limit: number) => boolean> = new Map([
  ["=", (value: number, limit: number) => value === limit],
  ["<", (value: number, limit: number) => value < limit],
  ["<=", (value: number, limit: number) => value <= limit],
  [">", (value: number, limit: number) => value > limit],
  [">=", (value: number, limit: number) => value >= limit],
]);

function numeric(value: unknown): Test {
  if (!Array.isArray(value)) throw new PatternError("Value of numeric must be an array.");
  const [operator, limit, second, top, ...more] = value as readonly unknown[];
  if (typeof operator !== "string") throw new PatternError(`Invalid member in numeric match: ${JSON.stringify(operator) ?? "]"}`);
  const compare = COMPARISONS.get(operator);
  if (compare === undefined) throw new PatternError(`Unrecognized numeric range operator: ${operator}`);
  if (typeof limit !== "number") throw new PatternError(`Value of ${operator === "=" ? "equals" : operator} must be numeric`);
  if (value.length === 2) return (one) => typeof one === "number" && compare(one, limit);
  if (!operator.startsWith(">")) throw new PatternError(TOO_MANY);
  if (typeof second !== "string") throw new PatternError(`Bad value in numeric range: ${JSON.stringify(second)}`);
  const compareTop = second.startsWith("<") ? COMPARISONS.get(second) : undefined;
  if (compareTop === undefined) throw new PatternError(`Bad numeric range operator: ${second}`);
  if (typeof top !== "number") throw new PatternError(`Value of ${second} must be numeric`);
  if (more.length > 0) throw new PatternError("Too many terms in numeric range expression");
  if (limit >= top) throw new PatternError("Bottom must be less than top");
  return (one) => typeof one === "number" && compare(one, limit) && compareTop(one, top);
}

function cidr(value: unknown): Test {
  const [address = "", bits, ...more] = textOf(value, "prefix").split("/");
  if (bits === undefined || more.length > 0) throw new PatternError("Malformed CIDR, one '/' required");
  if (!/^[+-]?\d{1,9}$/.test(bits)) throw new PatternError("Malformed CIDR, mask bits must be an integer");
  if (bits.startsWith("-")) throw new PatternError("Malformed CIDR, mask bits must not be negative");
  const version = address.includes("%") ? 0 : isIP(address);
  if (version === 0) throw new PatternError(`Nonstandard IP address: ${address}`);
  const bitsMax = version === 4 ? 32 : 128;
  if (Number(bits) > bitsMax) throw new PatternError(`IPv${version} mask bits must be < ${bitsMax + 1}`);
  const range = new BlockList();
  range.addSubnet(address, Number(bits), familyOf(address));
  return ofText((text) => isIP(text) === version && isWithin(range, text));
}

function exists(value: unknown): Test | "absent" {
  if (typeof value !== "boolean") throw new PatternError("exists match pattern must be either true or false.");
  return value ? () => true : "absent";
}

function anythingBut(value: unknown): Test {
  if (isObject(value)) return anythingButPattern(value);
  if (typeof value === "string" || typeof value === "number") return (one) => one !== value;
  if (!Array.isArray(value)) throw new PatternError("Value of anything-but must be an array or single string/number value.");
  const kinds = new Set(value.map((one) => typeof one));
  if ([...kinds].some((kind) => kind !== "string" && kind !== "number"))
    throw new PatternError("Inside anything but list, start|null|boolean is not supported.");
  if (kinds.size !== 1)
    throw new PatternError("Inside anything but list, either all values are number or string, mixed type is not supported");
  const excluded = new Set<unknown>(value);
  return (one) => !excluded.has(one);
}

const NEGATED: ReadonlyMap<string, (text: string) => Test> = new Map<string, (text: string) => Test>([
  ["prefix", (text) => edge("prefix", text)],
  ["suffix", (text) => edge("suffix", text)],
  ["equals-ignore-case", equalsIgnoringCase],
  ["wildcard", wildcard],
]);

function anythingButPattern(object: Json): Test {
  const [[name, value] = [undefined, undefined], ...more] = Object.entries(object);
  if (name === undefined) throw new PatternError("Anything-But expression name not found");
  const operator = NEGATED.get(name);
  if (operator === undefined) throw new PatternError(`Unsupported anything-but pattern: ${name}`);
  const isEdge = name === "prefix" || name === "suffix";
  const texts = Array.isArray(value) ? (value as readonly unknown[]) : [textOf(value, isEdge ? "prefix/suffix" : name)];
  const tests = texts.map((text) => {
    if (typeof text !== "string") throw new PatternError(`Inside anything-but/${name} list, number|start|null|boolean is not supported.`);
    if (text === "" && isEdge) throw new PatternError("Null prefix/suffix not allowed");
    return operator(text);
  });
  if (tests.length === 0) throw new PatternError("Empty arrays are not allowed");
  if (more.length > 0) throw new PatternError(ONE_KEY);
  return (one) => !tests.some((test) => test(one));
}
