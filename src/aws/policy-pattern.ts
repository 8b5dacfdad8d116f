// Wildcards and variables in policies. What a variable stands for is text: a star in a user agent is no wildcard.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html

/** Values of the request by lower-case key name. */
export type Conditions = ReadonlyMap<string, readonly string[]>;

/** Present where the version of the policy has variables. */
export type Variables = Conditions | undefined;

/** Text without stars: literals with one arbitrary character between each two. */
interface Segment {
  readonly literals: readonly string[];
  readonly length: number;
}

/** Segments with any text between each two. */
type Pattern = readonly Segment[];

const PATTERNS_KEPT_MAX = 5_000;
const ARN_PARTS = 6;

/** The request's value, the default behind a comma, or the character that the variable stands for; `undefined` when there is none. */
function valueOf(variable: string, conditions: Conditions): string | undefined {
  if (variable === "*" || variable === "?" || variable === "$") return variable;
  const [key = "", fallback] = variable.split(",", 2);
  const values = conditions.get(key.trim().toLowerCase());
  // A key with several values cannot stand in for one text.
  if (values?.length === 1) return values[0];
  return /^\s*'(.*)'\s*$/.exec(fallback ?? "")?.[1];
}

/** The variable that begins at `at`, and where the text goes on behind it. */
function variableAt(text: string, at: number): { readonly name: string; readonly next: number } | undefined {
  if (!text.startsWith("${", at)) return undefined;
  const end = text.indexOf("}", at);
  return end === -1 ? undefined : { name: text.slice(at + 2, end), next: end + 1 };
}

function compile(text: string, variables: Variables): Pattern | undefined {
  const segments: string[][] = [];
  let literals: string[] = [];
  let literal = "";
  for (let at = 0; at < text.length;) {
    const variable = variables === undefined ? undefined : variableAt(text, at);
    if (variable !== undefined && variables !== undefined) {
      const value = valueOf(variable.name, variables);
      if (value === undefined) return undefined;
      literal += value;
      at = variable.next;
      continue;
    }
    const one = text[at++] ?? "";
    if (one === "*" || one === "?") {
      literals.push(literal);
      literal = "";
      if (one === "*") {
        segments.push(literals);
        literals = [];
      }
    } else literal += one;
  }
  segments.push([...literals, literal]);
  return segments.map((one) => ({ literals: one, length: one.reduce((sum, { length }) => sum + length, one.length - 1) }));
}

function isAt({ literals }: Segment, text: string, start: number): boolean {
  let at = start;
  for (const literal of literals) {
    if (!text.startsWith(literal, at)) return false;
    at += literal.length + 1;
  }
  return true;
}

/** The first place of the segment within `from` and `to`, or -1. */
function find(segment: Segment, text: string, from: number, to: number): number {
  const [only = ""] = segment.literals;
  if (segment.literals.length === 1) {
    const at = text.indexOf(only, from);
    return at + segment.length > to ? -1 : at;
  }
  for (let at = from; at + segment.length <= to; at++) if (isAt(segment, text, at)) return at;
  return -1;
}

/** The first place of each segment is as good as any other, so nothing is ever tried twice. */
function matches(pattern: Pattern, text: string): boolean {
  const first = pattern[0];
  const last = pattern.at(-1);
  if (first === undefined || last === undefined) return false;
  if (pattern.length === 1) return first.length === text.length && isAt(first, text, 0);
  const end = text.length - last.length;
  if (first.length > end || !isAt(first, text, 0) || !isAt(last, text, end)) return false;
  let at = first.length;
  for (let index = 1; index < pattern.length - 1; index++) {
    const segment = pattern[index];
    if (segment === undefined) return false;
    at = find(segment, text, at, end);
    if (at === -1) return false;
    at += segment.length;
  }
  return true;
}

const kept = new Map<string, Pattern>();

/** A pattern without variables is the same for every request. */
function compiled(text: string, variables: Variables): Pattern | undefined {
  if (variables !== undefined && text.includes("${")) return compile(text, variables);
  let pattern = kept.get(text);
  if (pattern === undefined) {
    pattern = compile(text, undefined) ?? [];
    if (kept.size >= PATTERNS_KEPT_MAX) kept.clear();
    kept.set(text, pattern);
  }
  return pattern;
}

/**
 * Glob matching with `*` and `?`, in one pass over the text: the work is bounded by its length times that of one segment of the pattern,
 * however many stars there are. A variable without a value matches nothing.
 */
export function matchesWildcard(pattern: string, text: string, variables?: Conditions): boolean {
  if (pattern === "*") return true;
  if (!/[*?$]/.test(pattern)) return pattern === text;
  const found = compiled(pattern, variables);
  return found !== undefined && matches(found, text);
}

/** The text with its variables replaced, for operators without wildcards; `undefined` where one has no value. */
export function withVariables(text: string, variables: Variables): string | undefined {
  if (variables === undefined || !text.includes("${")) return text;
  let result = "";
  for (let at = 0; at < text.length;) {
    const variable = variableAt(text, at);
    if (variable === undefined) result += text[at++];
    else {
      const value = valueOf(variable.name, variables);
      if (value === undefined) return undefined;
      result += value;
      at = variable.next;
    }
  }
  return result;
}

/** At the first five colons that are not part of a variable's name. */
function splitPattern(pattern: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < pattern.length && parts.length < ARN_PARTS - 1;) {
    const next = variableAt(pattern, at)?.next;
    if (next === undefined && pattern[at] === ":") {
      parts.push(pattern.slice(start, at));
      start = at + 1;
    }
    at = next ?? at + 1;
  }
  parts.push(pattern.slice(start));
  return parts;
}

function splitArn(arn: string): string[] {
  const parts = arn.split(":");
  return parts.length <= ARN_PARTS ? parts : [...parts.slice(0, ARN_PARTS - 1), parts.slice(ARN_PARTS - 1).join(":")];
}

/** Part by part, so that a star does not reach over a colon of the first five; IAM takes parts that are missing at the end for stars. */
export function matchesArn(pattern: string, arn: string, variables?: Conditions): boolean {
  if (pattern === "*" || pattern === arn) return true;
  if (!pattern.startsWith("arn:")) return matchesWildcard(pattern, arn, variables);
  const parts = splitArn(arn);
  if (parts.length < ARN_PARTS) return false;
  return splitPattern(pattern).every((part, index) => matchesWildcard(part, parts[index] ?? "", variables));
}

/** Whether every variable of the text has a value. */
export const isResolved = (text: string, variables: Variables): boolean => withVariables(text, variables) !== undefined;
