// One page of a list, in AWS's way: `Marker` and `MaxItems` in, `NextMarker` out while there is more.
import { decodeMarker, encodeMarker } from "../aws/page.ts";
import { limits } from "../limits.ts";
import { validation } from "./faults.ts";

interface Given {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

/**
 * `name` tells this list's markers from others'; `list` gives the items behind an id, in order, no more than the limit; a page has `itemsMax`. Throws
 * ValidationException for a marker that this list did not give out.
 */
export function page<T>(
  name: string,
  { Marker = "", MaxItems }: Given,
  idOf: (item: T) => string,
  list: (after: string | undefined, limit: number) => readonly T[],
  itemsMax: number = limits.pageItemsMax,
): { readonly found: readonly T[]; readonly more: { readonly NextMarker?: string } } {
  const after = Marker === "" ? undefined : decodeMarker(name, Marker);
  if (Marker !== "" && after === undefined)
    throw validation(`Value '${Marker}' at 'marker' failed to satisfy constraint: Member must be a marker of an earlier answer`);
  const limit = Math.min(MaxItems ?? itemsMax, itemsMax);
  const items = list(after, limit + 1);
  const found = items.slice(0, limit);
  const last = found.at(-1);
  return { found, more: items.length > limit && last !== undefined ? { NextMarker: encodeMarker(name, idOf(last)) } : {} };
}
