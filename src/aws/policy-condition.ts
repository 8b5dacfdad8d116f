// The conditions of policy statements, their variables and wildcards: linear time, whatever the pattern is.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Values of the request by lower-case key name. */
export type Conditions = ReadonlyMap<string, readonly string[]>;

type Scalar = string | boolean | number;
type Compare = (actual: string, expected: string) => boolean;

/** Glob matching with `*` and `?`: remembers only the last star, so its work is bounded by the product of the lengths. */
export function matchesWildcard(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < text.length;) {
    if (at < pattern.length && pattern[at] === "*") {
      star = at++;
      resume = index;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}

/** `${aws:username}` becomes the request's value, `${*}` a literal star; an unknown variable matches nothing. */
export function withVariables(pattern: string, conditions: Conditions): string {
  if (!pattern.includes("${")) return pattern;
  return pattern.replaceAll(/\$\{([^}]{1,128})\}/g, (_whole, name: string) => {
    if (name === "*" || name === "?" || name === "$") return name;
    const [key = "", fallback] = name.split(",", 2);
    return conditions.get(key.trim().toLowerCase())?.[0] ?? fallback?.trim().replaceAll(/^'|'$/g, "") ?? "\u0000";
  });
}

const number =
  (compares: (a: number, b: number) => boolean): Compare =>
  (actual, expected) =>
    actual.trim() !== "" && expected.trim() !== "" && compares(Number(actual), Number(expected));

function time(text: string): number {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
}

const date =
  (compares: (a: number, b: number) => boolean): Compare =>
  (actual, expected) =>
    compares(time(actual), time(expected));

function isInNetwork(actual: string, expected: string): boolean {
  const [network = "", bits] = expected.split("/");
  const family = isIPv4(network) ? "ipv4" : isIPv6(network) ? "ipv6" : undefined;
  const actualFamily = isIPv4(actual) ? "ipv4" : isIPv6(actual) ? "ipv6" : undefined;
  const length = bits === undefined ? (family === "ipv4" ? 32 : 128) : Number(bits);
  if (family === undefined || family !== actualFamily || !Number.isInteger(length) || length < 0 || length > (family === "ipv4" ? 32 : 128))
    return false;
  const list = new BlockList();
  list.addSubnet(network, length, family);
  return list.check(actual, family);
}

/** ARNs are matched part by part, so that a star does not reach over a colon of the first five. */
function arnMatches(actual: string, expected: string): boolean {
  const split = (arn: string) => {
    const parts = arn.split(":");
    return [...parts.slice(0, 5), parts.slice(5).join(":")];
  };
  const [a, b] = [split(actual), split(expected)];
  return a.every((part, index) => matchesWildcard(b[index] ?? "", part));
}

const lower =
  (compare: Compare): Compare =>
  (actual, expected) =>
    compare(actual.toLowerCase(), expected.toLowerCase());
const isSame: Compare = (actual, expected) => actual === expected;
const isLike: Compare = (actual, expected) => matchesWildcard(expected, actual);

const POSITIVE: ReadonlyMap<string, Compare> = new Map<string, Compare>([
  ["StringEquals", isSame],
  ["StringEqualsIgnoreCase", lower(isSame)],
  ["StringLike", isLike],
  ["ArnEquals", arnMatches],
  ["ArnLike", arnMatches],
  ["Bool", lower(isSame)],
  ["BinaryEquals", isSame],
  ["IpAddress", isInNetwork],
  ["NumericEquals", number((a, b) => a === b)],
  ["NumericLessThan", number((a, b) => a < b)],
  ["NumericLessThanEquals", number((a, b) => a <= b)],
  ["NumericGreaterThan", number((a, b) => a > b)],
  ["NumericGreaterThanEquals", number((a, b) => a >= b)],
  ["DateEquals", date((a, b) => a === b)],
  ["DateLessThan", date((a, b) => a < b)],
  ["DateLessThanEquals", date((a, b) => a <= b)],
  ["DateGreaterThan", date((a, b) => a > b)],
  ["DateGreaterThanEquals", date((a, b) => a >= b)],
]);

/** Holds when no expected value matches, and when the request does not have the key. */
const NEGATIVE: ReadonlyMap<string, Compare> = new Map<string, Compare>([
  ["StringNotEquals", isSame],
  ["StringNotEqualsIgnoreCase", lower(isSame)],
  ["StringNotLike", isLike],
  ["ArnNotEquals", arnMatches],
  ["ArnNotLike", arnMatches],
  ["NotIpAddress", isInNetwork],
  ["NumericNotEquals", number((a, b) => a === b)],
  ["DateNotEquals", date((a, b) => a === b)],
]);

interface Operator {
  readonly name: string;
  readonly ifExists: boolean;
  readonly set: "" | "ForAllValues" | "ForAnyValue";
}

function operatorOf(text: string): Operator {
  const match = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(text);
  return { name: match?.[2] ?? text, ifExists: match?.[3] !== undefined, set: (match?.[1] ?? "") as Operator["set"] };
}

const textsOf = (value: Scalar | readonly Scalar[]): readonly string[] => (Array.isArray(value) ? value.map(String) : [String(value)]);

function holds(operator: Operator, actual: readonly string[] | undefined, expected: readonly string[]): boolean {
  if (operator.name === "Null") return expected.some((one) => (one === "true") === (actual === undefined || actual.length === 0));
  const negative = NEGATIVE.get(operator.name);
  if (actual === undefined || actual.length === 0)
    return operator.ifExists || operator.set === "ForAllValues" || (negative !== undefined && operator.set === "");
  const compare = negative ?? POSITIVE.get(operator.name);
  if (compare === undefined) return false; // an operator that nobody knows never holds
  const one = (value: string) => expected.some((wanted) => compare(value, wanted)) === (negative === undefined);
  return operator.set === "ForAllValues" ? actual.every(one) : actual.some(one);
}

/** All operators and all their keys must hold. Key names are compared without case. */
export function conditionsHold(
  condition: Readonly<Record<string, Readonly<Record<string, Scalar | readonly Scalar[]>>>> | undefined,
  conditions: Conditions,
): boolean {
  for (const [text, keys] of Object.entries(condition ?? {})) {
    const operator = operatorOf(text);
    for (const [key, value] of Object.entries(keys)) {
      const expected = textsOf(value).map((one) => withVariables(one, conditions));
      if (!holds(operator, conditions.get(key.toLowerCase()), expected)) return false;
    }
  }
  return true;
}

/** Whether it has the shape of a Condition element with operators that are known. */
export function isCondition(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([text, keys]) => {
    const { name } = operatorOf(text);
    const isKnown = name === "Null" || POSITIVE.has(name) || NEGATIVE.has(name);
    return (
      isKnown &&
      typeof keys === "object" &&
      keys !== null &&
      Object.values(keys).every((one) => ["string", "boolean", "number"].includes(typeof one) || Array.isArray(one))
    );
  });
}
