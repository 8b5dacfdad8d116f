// What a target gets instead of the whole event: Input, InputPath, InputTransformer.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
import type { InputTransformer, Target } from "@aws-sdk/client-eventbridge";
import { numberText, parseExactly } from "../../aws/exact-json.ts";
import type { BusEvent } from "./bus-event.ts";
import { parsePath, valueAt } from "./input-path.ts";

interface RuleIdentity {
  readonly name: string;
  readonly arn: string;
}

export function inputOf(target: Target, event: BusEvent, rule: RuleIdentity): string {
  if (target.Input !== undefined) return target.Input;
  if (target.InputPath !== undefined) return JSON.stringify(valueAt(parseExactly(event.text), parsePath(target.InputPath) ?? []) ?? null);
  return target.InputTransformer === undefined ? event.text : transformed(target.InputTransformer, event, rule);
}

/** Text, and between two of them a placeholder. */
interface Piece {
  readonly text: string;
  /** Behind the text; absent at the end. */
  readonly placeholder?: string;
  /** Whether the placeholder stands within a JSON string. */
  readonly isQuoted: boolean;
}

export function piecesOf(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let isQuoted = false;
  let from = 0;
  for (const { 0: token, index } of template.matchAll(/\\[\s\S]|"|<[\w.-]{1,256}>/g)) {
    if (token === '"') isQuoted = !isQuoted;
    if (!token.startsWith("<")) continue;
    pieces.push({ text: template.slice(from, index), placeholder: token.slice(1, -1), isQuoted });
    from = index + token.length;
  }
  return [...pieces, { text: template.slice(from), isQuoted }];
}

const PREDEFINED: ReadonlyMap<string, (event: BusEvent, rule: RuleIdentity) => unknown> = new Map<
  string,
  (event: BusEvent, rule: RuleIdentity) => unknown
>([
  ["aws.events.rule-arn", (_event, { arn }) => arn],
  ["aws.events.rule-name", (_event, { name }) => name],
  ["aws.events.event.ingestion-time", ({ ingestedAtMs }) => new Date(ingestedAtMs).toISOString()],
  ["aws.events.event.json", ({ text }) => parseExactly(text)],
  ["aws.events.event", ({ value }) => withoutDetail(value)],
]);

export const isPredefined = (placeholder: string): boolean => PREDEFINED.has(placeholder);

function withoutDetail({ detail: _detail, "detail-type": detailType, ...rest }: BusEvent["value"]): object {
  return { ...rest, detailType };
}

function transformed({ InputPathsMap: paths = {}, InputTemplate: template = "" }: InputTransformer, event: BusEvent, rule: RuleIdentity) {
  const exact = parseExactly(event.text);
  const valueOf = (placeholder: string): unknown => {
    const predefined = PREDEFINED.get(placeholder);
    if (predefined !== undefined) return predefined(event, rule);
    return valueAt(exact, parsePath((Object.hasOwn(paths, placeholder) ? paths[placeholder] : undefined) ?? "") ?? [""]);
  };
  return piecesOf(template)
    .map(({ text, placeholder, isQuoted }) => {
      if (placeholder === undefined) return text;
      return text + (isQuoted ? quotedText(valueOf(placeholder)) : (JSON.stringify(valueOf(placeholder)) ?? '""'));
    })
    .join("");
}

/** Within a string: what is text stays text, objects and arrays lose their quotes, what is missing is empty. */
function quotedText(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(plainText(value)).slice(1, -1);
}

function plainText(value: unknown): string {
  const number = numberText(value);
  if (number !== undefined) return number;
  if (Array.isArray(value)) return `[${value.map(plainText).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, one]) => `${key}:${plainText(one)}`)
      .join(",")}}`;
  return String(value);
}
