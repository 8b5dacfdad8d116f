// Lists of a hundred at a time.
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { invalid } from "./faults.ts";

const PAGE = 100;

/** `list` tells one list's tokens from another's; `found` gives what stands behind an id. Throws InvalidParameter. */
export function page<T>(list: string, token: string | undefined, idOf: (one: T) => string, found: (after: string, limit: number) => T[]) {
  const after = token === undefined || token === "" ? "" : decodeMarker(list, token);
  if (after === undefined) throw invalid("NextToken");
  const all = found(after, PAGE + 1);
  const shown = all.slice(0, PAGE);
  const last = shown.at(-1);
  return { shown, ...(all.length > PAGE && last !== undefined ? { NextToken: encodeMarker(list, idOf(last)) } : {}) };
}
