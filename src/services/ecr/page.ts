// Pages of ECR's lists.
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { invalidParameter } from "./faults.ts";

const PAGE = 100;
const PAGE_MAX = 1000;

/** `ids` in the order of the list, which is the order of `<`; `nextToken` is absent on the last page. Throws InvalidParameterException. */
export function page<T extends { readonly id: string }>(
  list: string,
  items: readonly T[],
  { maxResults = PAGE, nextToken }: { readonly maxResults?: number | undefined; readonly nextToken?: string | undefined },
): { readonly found: readonly T[]; readonly more: { readonly nextToken?: string } } {
  if (maxResults < 1 || maxResults > PAGE_MAX)
    throw invalidParameter(`Invalid parameter at 'maxResults' failed to satisfy constraint: 'must be between 1 and ${PAGE_MAX}'`);
  const after = nextToken === undefined ? undefined : decodeMarker(list, nextToken);
  if (nextToken !== undefined && after === undefined)
    throw invalidParameter("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'");
  const first = after === undefined ? 0 : items.findIndex(({ id }) => id > after);
  const rest = first === -1 ? [] : items.slice(first);
  const found = rest.slice(0, maxResults);
  const last = found.at(-1);
  return { found, more: rest.length > found.length && last !== undefined ? { nextToken: encodeMarker(list, last.id) } : {} };
}
