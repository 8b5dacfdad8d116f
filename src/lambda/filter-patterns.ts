// Whether the filter patterns of an event source mapping are patterns: the language of EventBridge's rules.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
import type { FilterCriteria } from "@aws-sdk/client-lambda";
import { limits } from "../limits.ts";
import type { SourceKind } from "./event-sources.ts";
import { invalidParameter } from "./faults.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isScalar = (value: unknown) => value === null || ["string", "number", "boolean"].includes(typeof value);
const isListOf = (value: unknown, is: (one: unknown) => boolean) => Array.isArray(value) && value.length > 0 && value.every(is);
const isTextOrTexts = (value: unknown) => isText(value) || isListOf(value, isText);
/** Two stars side by side would mean no more than one. */
const isWildcard = (value: unknown) => isText(value) && !value.includes("**");

function isTextOrIgnoringCase(value: unknown): boolean {
  return isText(value) || (isObject(value) && Object.keys(value).join() === "equals-ignore-case" && isText(value["equals-ignore-case"]));
}

function isAnythingBut(value: unknown): boolean {
  if (isObject(value)) {
    const [[name, inner] = ["", undefined], ...more] = Object.entries(value);
    return more.length === 0 && ["prefix", "suffix", "equals-ignore-case", "wildcard"].includes(name) && isTextOrTexts(inner);
  }
  return isScalar(value) || isListOf(value, (one) => isText(one) || typeof one === "number");
}

/** `["=", 1]`, `[">", 0, "<=", 5]` */
function isNumeric(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const [first, from, second, to, ...more] = value as readonly unknown[];
  if (typeof from !== "number" || more.length > 0) return false;
  if (value.length === 2) return isText(first) && ["=", "<", "<=", ">", ">="].includes(first);
  const isRange = (first === ">" || first === ">=") && (second === "<" || second === "<=");
  return isRange && typeof to === "number" && from < to;
}

const OPERATORS: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ["prefix", isTextOrIgnoringCase],
  ["suffix", isTextOrIgnoringCase],
  ["equals-ignore-case", isText],
  ["anything-but", isAnythingBut],
  ["numeric", isNumeric],
  ["exists", (value: unknown) => typeof value === "boolean"],
  ["cidr", isText],
  ["wildcard", isWildcard],
]);

function isCondition(value: unknown): boolean {
  if (!isObject(value)) return isScalar(value);
  const [[name, inner] = ["", undefined], ...more] = Object.entries(value);
  return more.length === 0 && OPERATORS.get(name)?.(inner) === true;
}

function isPattern(value: unknown): boolean {
  if (!isObject(value)) return isListOf(value, isCondition);
  const entries = Object.entries(value);
  return entries.length > 0 && entries.every(([name, inner]) => (name === "$or" ? isAlternatives(inner) : isPattern(inner)));
}

const isAlternatives = (value: unknown) =>
  Array.isArray(value) && value.length > 1 && value.every((one) => isObject(one) && isPattern(one));

/** Of these sources the data is JSON or is dropped, so a pattern over its text could never match. */
const DATA: Readonly<Partial<Record<SourceKind, string>>> = { kinesis: "data", dynamodb: "dynamodb" };

function isFilter(kind: SourceKind, text: string): boolean {
  let pattern: unknown;
  try {
    pattern = JSON.parse(text);
  } catch {
    return false;
  }
  if (!isObject(pattern) || !isPattern(pattern)) return false;
  const data = DATA[kind];
  return data === undefined || pattern[data] === undefined || isObject(pattern[data]);
}

/** Throws InvalidParameterValueException for more patterns than may be, and for the first that is none. */
export function checkFilters(kind: SourceKind, criteria: FilterCriteria | undefined): void {
  const filters = criteria?.Filters ?? [];
  if (filters.length > limits.filtersMax)
    throw invalidParameter(`The number of filters (${filters.length}) is more than the limit (${limits.filtersMax}).`);
  if (!filters.every(({ Pattern = "" }) => isFilter(kind, Pattern))) throw invalidParameter("Invalid filter pattern definition.");
}
