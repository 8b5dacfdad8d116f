// Pages of ECR's lists.
import { pageOf } from "../../aws/page.ts";
import { invalidParameter } from "./faults.ts";

const PAGE = 100;
const PAGE_MAX = 1000;

/** `items` in the byte order of their ids; `nextToken` is absent on the last page. Throws InvalidParameterException. */
export function page<T extends { readonly id: string }>(
  list: string,
  items: readonly T[],
  { maxResults = PAGE, nextToken }: { readonly maxResults?: number | undefined; readonly nextToken?: string | undefined },
): { readonly found: readonly T[]; readonly more: { readonly nextToken?: string } } {
  if (maxResults < 1 || maxResults > PAGE_MAX)
    throw invalidParameter(`Invalid parameter at 'maxResults' failed to satisfy constraint: 'must be between 1 and ${PAGE_MAX}'`);
  const made = pageOf(list, items, ({ id }) => id, { marker: nextToken, max: maxResults });
  if (made === undefined) throw invalidParameter("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'");
  return { found: made.found, more: made.next === undefined ? {} : { nextToken: made.next } };
}
