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
