// The conditions of policy statements: which values they look at, and how they compare them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { matchesArn, matchesWildcard, withVariables, type Conditions, type Variables } from "./policy-pattern.ts";

type Scalar = string | boolean | number;
type Compare = (actual: string, expected: string) => boolean;
type CompareWith = (actual: string, expected: string, variables: Variables) => boolean;

const NETWORKS_KEPT_MAX = 1_000;

/** For operators without wildcards: a variable without a value equals nothing. */
const text =
  (compare: Compare): CompareWith =>
  (actual, expected, variables) => {
    const resolved = withVariables(expected, variables);
    return resolved !== undefined && compare(actual, resolved);
  };

function numberOf(value: string): number {
  return /^\s*[+-]?\d+(?:\.\d+)?\s*$/.test(value) ? Number(value) : Number.NaN;
}

/** ISO 8601 as the W3C profiles it, or seconds since 1970; in ms. */
function timeOf(value: string): number {
  if (/^\d{1,12}(?:\.\d+)?$/.test(value) && !/^\d{4}$/.test(value)) return Number(value) * 1000;
  return /^\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d))?)?)?$/.test(value) ? Date.parse(value) : Number.NaN;
}

const number = (compares: (a: number, b: number) => boolean) => text((actual, expected) => compares(numberOf(actual), numberOf(expected)));
const date = (compares: (a: number, b: number) => boolean) => text((actual, expected) => compares(timeOf(actual), timeOf(expected)));
const lower = (compare: Compare) => text((actual, expected) => compare(actual.toLowerCase(), expected.toLowerCase()));

const networks = new Map<string, BlockList | undefined>();

/** `10.0.0.0/8`, `2001:db8::/32` or one address; `undefined` for anything else. */
function networkOf(cidr: string): BlockList | undefined {
  if (networks.has(cidr)) return networks.get(cidr);
  const [address = "", bits, ...rest] = cidr.split("/");
  const bitsMax = isIPv4(address) ? 32 : 128;
  const isNetwork = rest.length === 0 && (isIPv4(address) || isIPv6(address)) && (bits === undefined || /^\d{1,3}$/.test(bits));
  let list: BlockList | undefined;
  if (isNetwork && Number(bits ?? bitsMax) <= bitsMax) {
    list = new BlockList();
    list.addSubnet(address, Number(bits ?? bitsMax), bitsMax === 32 ? "ipv4" : "ipv6");
  }
  if (networks.size >= NETWORKS_KEPT_MAX) networks.clear();
  networks.set(cidr, list);
  return list;
}

const isInNetwork = text((actual, expected) => {
  // An IPv4 address that came in over an IPv6 socket is still one.
  const address = actual.replace(/^::ffff:(?=\d+\.)/i, "");
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
  return family !== undefined && networkOf(expected)?.check(address, family) === true;
});

const isSame = text((actual, expected) => actual === expected);
const isLike: CompareWith = (actual, expected, variables) => matchesWildcard(expected, actual, variables);
const isArn: CompareWith = (actual, expected, variables) => matchesArn(expected, actual, variables);
const isNumber = number((a, b) => a === b);
const isTime = date((a, b) => a === b);
const isSameIgnoringCase = lower((a, b) => a === b);

const POSITIVE: ReadonlyMap<string, CompareWith> = new Map<string, CompareWith>([
  ["StringEquals", isSame],
  ["StringEqualsIgnoreCase", isSameIgnoringCase],
  ["StringLike", isLike],
  ["ArnEquals", isArn],
  ["ArnLike", isArn],
  ["Bool", isSameIgnoringCase],
  ["BinaryEquals", isSame],
  ["IpAddress", isInNetwork],
  ["NumericEquals", isNumber],
  ["NumericLessThan", number((a, b) => a < b)],
  ["NumericLessThanEquals", number((a, b) => a <= b)],
  ["NumericGreaterThan", number((a, b) => a > b)],
  ["NumericGreaterThanEquals", number((a, b) => a >= b)],
  ["DateEquals", isTime],
  ["DateLessThan", date((a, b) => a < b)],
  ["DateLessThanEquals", date((a, b) => a <= b)],
  ["DateGreaterThan", date((a, b) => a > b)],
  ["DateGreaterThanEquals", date((a, b) => a >= b)],
]);

/** Holds when no expected value matches, and when the request does not have the key. */
const NEGATIVE: ReadonlyMap<string, CompareWith> = new Map<string, CompareWith>([
  ["StringNotEquals", isSame],
  ["StringNotEqualsIgnoreCase", isSameIgnoringCase],
  ["StringNotLike", isLike],
  ["ArnNotEquals", isArn],
  ["ArnNotLike", isArn],
  ["NotIpAddress", isInNetwork],
  ["NumericNotEquals", isNumber],
  ["DateNotEquals", isTime],
]);

interface Operator {
  readonly name: string;
  readonly ifExists: boolean;
  readonly set: "" | "ForAllValues" | "ForAnyValue";
}

const operators = new Map<string, Operator | undefined>();

/** `undefined` for one that IAM does not have. */
function operatorOf(name: string): Operator | undefined {
  if (operators.has(name)) return operators.get(name);
  const match = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]{4,40}?)(IfExists)?$/.exec(name);
  const [, set = "", base = "", suffix] = match ?? [];
  const isKnown = POSITIVE.has(base) || NEGATIVE.has(base) || (base === "Null" && set === "" && suffix === undefined);
  const operator = isKnown ? { name: base, ifExists: suffix !== undefined, set: set as Operator["set"] } : undefined;
  // Only those that exist are kept, so the map cannot grow.
  if (operator !== undefined) operators.set(name, operator);
  return operator;
}

const textsOf = (value: Scalar | readonly Scalar[]): readonly string[] => (Array.isArray(value) ? value.map(String) : [String(value)]);

function holds(operator: Operator, actual: readonly string[] | undefined, expected: readonly string[], variables: Variables): boolean {
  const isAbsent = actual === undefined || actual.length === 0;
  if (operator.name === "Null") return expected.some((one) => (one.toLowerCase() === "true") === isAbsent);
  const negative = NEGATIVE.get(operator.name);
  if (isAbsent) return operator.ifExists || operator.set === "ForAllValues" || (negative !== undefined && operator.set === "");
  const compare = negative ?? POSITIVE.get(operator.name);
  if (compare === undefined) return false;
  const one = (value: string) => expected.some((wanted) => compare(value, wanted, variables)) === (negative === undefined);
  // Without a set operator a negative one is about all values of the key: none may be among those named.
  return operator.set === "ForAllValues" || (operator.set === "" && negative !== undefined) ? actual.every(one) : actual.some(one);
}

type Condition = Readonly<Record<string, Readonly<Record<string, Scalar | readonly Scalar[]>>>>;

/** All operators and all their keys must hold; an operator that IAM does not have never does. Key names are compared without case. */
export function conditionsHold(condition: Condition, conditions: Conditions, hasVariables: boolean): boolean {
  for (const [name, keys] of Object.entries(condition)) {
    const operator = operatorOf(name);
    if (operator === undefined) return false;
    for (const [key, value] of Object.entries(keys))
      if (!holds(operator, conditions.get(key.toLowerCase()), textsOf(value), hasVariables ? conditions : undefined)) return false;
  }
  return true;
}

const isScalar = (value: unknown) => typeof value === "string" || typeof value === "boolean" || typeof value === "number";
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether it has the shape of a Condition element with operators that are known. */
export function isCondition(value: unknown): boolean {
  if (!isObject(value)) return false;
  return Object.entries(value).every(
    ([name, keys]: [string, unknown]) =>
      operatorOf(name) !== undefined &&
      isObject(keys) &&
      Object.values(keys).every((one: unknown) => isScalar(one) || (Array.isArray(one) && one.every(isScalar))),
  );
}
