// Markers of paginated lists: where the next page begins, opaque to clients.

/** `list` tells one list's markers from another's; `last` is the id behind which the next page begins. */
export const encodeMarker = (list: string, last: string): string => Buffer.from(`${list}\0${last}`, "utf8").toString("base64url");

/** The id, or `undefined` for a marker that this list did not give out. */
export function decodeMarker(list: string, marker: string): string | undefined {
  const bytes = Buffer.from(marker, "base64url");
  const text = bytes.toString("utf8");
  // Base64 is read leniently: only the text that would be written again is a marker.
  if (!text.startsWith(`${list}\0`) || Buffer.from(text, "utf8").toString("base64url") !== marker) return undefined;
  return text.slice(list.length + 1);
}

/**
 * Of items in the byte order of their ids those behind the marker, `max` at most; `next` is the marker of the page that follows, while there is
 * one. Undefined for a marker that this list did not give out.
 */
export function pageOf<T>(
  list: string,
  items: readonly T[],
  idOf: (item: T) => string,
  { marker, max }: { readonly marker: string | undefined; readonly max: number },
): { readonly found: readonly T[]; readonly next?: string } | undefined {
  const after = marker === undefined ? undefined : decodeMarker(list, marker);
  if (marker !== undefined && after === undefined) return undefined;
  const start = after === undefined ? 0 : items.findIndex((item) => Buffer.compare(Buffer.from(idOf(item)), Buffer.from(after)) > 0);
  const rest = start === -1 ? [] : items.slice(start);
  const found = rest.slice(0, max);
  const last = found.at(-1);
  return { found, ...(rest.length > found.length && last !== undefined ? { next: encodeMarker(list, idOf(last)) } : {}) };
}
