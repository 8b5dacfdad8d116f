// Event patterns as text: read, kept compiled, tested.
import type * as client from "@aws-sdk/client-eventbridge";
import { compilePattern, PatternError, type EventPattern } from "../../aws/event-pattern.ts";
import { parseJson } from "../../aws/json-document.ts";
import type { Operations } from "../../aws/operations.ts";
import { Malformed } from "../../aws/scalar.ts";
import { invalidPattern, validation } from "./faults.ts";

/** Throws InvalidEventPatternException. */
export function readPattern(text: string): EventPattern {
  try {
    return compilePattern(parseJson(text));
  } catch (cause) {
    if (cause instanceof PatternError || cause instanceof Malformed) throw invalidPattern(cause.message);
    throw cause;
  }
}

const compiled = new WeakMap<object, EventPattern>();

/** Compiled once for each state of the record; records hold patterns that were read before. */
export function patternOf(record: { readonly pattern?: string }): EventPattern | undefined {
  if (record.pattern === undefined) return undefined;
  let pattern = compiled.get(record);
  if (pattern === undefined) compiled.set(record, (pattern = readPattern(record.pattern)));
  return pattern;
}

/** What an event must have. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html */
const REQUIRED = ["id", "account", "source", "time", "region", "resources", "detail-type"] as const;

function readEvent(text: string): unknown {
  try {
    const event = parseJson(text);
    if (typeof event === "object" && event !== null && REQUIRED.every((name) => Object.hasOwn(event, name))) return event;
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
  }
  throw validation("Parameter Event is not valid.");
}

export const patterns = {
  TestEventPattern(_context, { EventPattern: pattern = "", Event: event = "" }) {
    const compiledPattern = readPattern(pattern);
    return { Result: compiledPattern.matches(readEvent(event)) };
  },
} satisfies Pick<Operations<typeof client>, "TestEventPattern">;
