// JSON of users that is read and written again: numbers stay as they were written, be they 12345678901234567890, 1.0 or 1e400.
import { parseJson } from "./json-document.ts";

/** What TypeScript does not know of it yet. https://tc39.es/proposal-json-parse-with-source/ */
interface JsonWithSource {
  parse(text: string, revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
}

const json = JSON as unknown as JsonWithSource;

/** A number that JavaScript would write otherwise is an object for which `numberText` and JSON.stringify have the text. Throws Malformed. */
export function parseExactly(text: string): unknown {
  parseJson(text);
  return json.parse(text, (_key, value, { source = "" }) =>
    typeof value === "number" && String(value) !== source ? json.rawJSON(source) : value,
  );
}

export const numberText = (value: unknown): string | undefined => (json.isRawJSON(value) ? value.rawJSON : undefined);
