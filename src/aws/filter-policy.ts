// SNS's filter policies: what they may be like, and what of a message they are asked about; the operators are those of event patterns.
// https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
import { compilePattern, PatternError } from "./event-pattern.ts";

export type FilterPolicyScope = "MessageAttributes" | "MessageBody";

interface FilteredMessage {
  readonly body: string;
  /** By name; types as SNS has them: String, Number, Binary, String.Array. */
  readonly attributes: Readonly<Record<string, { readonly DataType: string; readonly StringValue?: string }>>;
}

export interface FilterPolicy {
  matches(message: FilteredMessage): boolean;
}

/** What is wrong with a policy, as SNS says it behind `FilterPolicy: `. */
export class FilterPolicyError extends Error {}

const BYTES_MAX = 262_144;
const KEYS_MAX = 5;
const COMBINATIONS_MAX = 150;
const DEPTH_MAX = 32;
const NUMBER_MAX = 1e9;

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

function parsed(text: string): Json {
  if (Buffer.byteLength(text) > BYTES_MAX) throw new FilterPolicyError("Filter policy is too long");
  let policy: unknown;
  try {
    policy = JSON.parse(text);
  } catch {
    throw new FilterPolicyError("failed to parse JSON.");
  }
  if (!isObject(policy)) throw new FilterPolicyError("failed to parse JSON.");
  return policy;
}

interface Leaf {
  readonly path: string;
  readonly values: readonly unknown[];
  /** 1 for a key at the top. */
  readonly level: number;
}

interface Measured {
  readonly leaves: readonly Leaf[];
  readonly combinations: number;
}

const isOr = (key: string, value: unknown): value is readonly Json[] => key === "$or" && Array.isArray(value) && value.every(isObject);

/** Values of keys are multiplied, with how deep they stand; the branches of an `$or` are added. */
function measured(policy: Json, before: number, path = "", level = 1): Measured {
  if (level > DEPTH_MAX) throw new FilterPolicyError("Filter policy is too complex");
  const leaves: Leaf[] = [];
  let combinations = before;
  for (const [key, value] of Object.entries(policy)) {
    const found = isOr(key, value)
      ? value.map((branch) => measured(branch, combinations, path, level))
      : isObject(value)
        ? [measured(value, combinations, `${path}${key}.`, level + 1)]
        : undefined;
    if (found !== undefined) {
      leaves.push(...found.flatMap((one) => one.leaves));
      combinations = found.reduce((sum, one) => sum + one.combinations, 0);
    } else if (Array.isArray(value)) {
      leaves.push({ path: path + key, values: value, level });
      combinations *= Math.max(1, value.length) * level;
    }
  }
  return { leaves, combinations };
}

function checkValues(values: readonly unknown[]): void {
  for (const value of values) {
    if (typeof value === "number" && Math.abs(value) > NUMBER_MAX)
      throw new FilterPolicyError("Value must be between -1.0E9 and 1.0E9, inclusive");
    const butNot = isObject(value) ? value["anything-but"] : undefined;
    const operator = isObject(butNot) ? Object.keys(butNot).find((name) => name !== "prefix") : undefined;
    if (operator !== undefined) throw new FilterPolicyError(`Unsupported anything-but pattern: ${operator}`);
  }
}

function check(policy: Json, scope: FilterPolicyScope): void {
  const { leaves, combinations } = measured(policy, 1);
  if (scope === "MessageAttributes" && leaves.some(({ level }) => level > 1))
    throw new FilterPolicyError("Filter policy scope MessageAttributes does not support nested filter policy");
  if (new Set(leaves.map(({ path }) => path)).size > KEYS_MAX)
    throw new FilterPolicyError(`Filter policy can not have more than ${KEYS_MAX} keys`);
  if (combinations > COMBINATIONS_MAX) throw new FilterPolicyError("Filter policy is too complex");
  for (const { values } of leaves) checkValues(values);
}

/** Throws FilterPolicyError. `{}` lets everything through. */
export function filterPolicy(text: string, scope: FilterPolicyScope): FilterPolicy {
  const policy = parsed(text);
  if (Object.keys(policy).length === 0) return { matches: () => true };
  check(policy, scope);
  try {
    const pattern = compilePattern(policy);
    return { matches: (message) => pattern.matches(scope === "MessageBody" ? jsonOf(message.body) : valuesOf(message)) };
  } catch (cause) {
    if (cause instanceof PatternError) throw new FilterPolicyError(cause.message, { cause });
    throw cause;
  }
}

/** What is no JSON matches no policy. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Binary attributes, and arrays that are none, are not there for a policy. */
function valuesOf({ attributes }: FilteredMessage): Json {
  const values = Object.create(null) as Record<string, unknown>;
  for (const [name, { DataType, StringValue = "" }] of Object.entries(attributes)) {
    if (DataType === "String.Array") {
      const list = jsonOf(StringValue);
      if (Array.isArray(list)) values[name] = list;
    } else if (DataType.startsWith("Number")) values[name] = Number(StringValue);
    else if (DataType.startsWith("String")) values[name] = StringValue;
  }
  return values;
}
