// One page of a listing: keys in UTF-8 byte order, those that share a prefix up to the delimiter rolled up into one.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-prefixes.html
import { invalidArgument } from "./faults.ts";

interface Rolling {
  readonly prefix: string;
  readonly delimiter: string;
}

/** The part of a key up to the first delimiter behind the prefix; `undefined` when it has none. */
export function commonPrefix({ prefix, delimiter }: Rolling, key: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
}

/** A walk over entries by key; see Cursor. */
export interface Walk<T> {
  peek(): Promise<{ readonly key: string; readonly item: T } | undefined>;
  advance(): void;
  skip(prefix: string): void;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly prefixes: readonly string[];
  readonly isTruncated: boolean;
  /** The last key or prefix of the page. */
  readonly last?: { readonly text: string; readonly isPrefix: boolean };
}

export async function pageOf<T>(walk: Walk<T>, rolling: Rolling, limit: number): Promise<Page<T>> {
  const items: T[] = [];
  const prefixes: string[] = [];
  let last: Page<T>["last"];
  while (items.length + prefixes.length < limit) {
    const found = await walk.peek();
    if (found === undefined) break;
    const rolled = commonPrefix(rolling, found.key);
    if (rolled === undefined) {
      items.push(found.item);
      walk.advance();
    } else {
      prefixes.push(rolled);
      walk.skip(rolled);
    }
    last = { text: rolled ?? found.key, isPrefix: rolled !== undefined };
  }
  const isTruncated = limit > 0 && (await walk.peek()) !== undefined;
  return { items, prefixes, isTruncated, ...(last === undefined ? {} : { last }) };
}

/** With `encoding-type=url` keys are percent-encoded, because XML can't carry every character. */
export function encoderOf(encodingType: string | undefined): (text: string) => string {
  if (encodingType === undefined) return (text) => text;
  if (encodingType !== "url") throw invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", encodingType);
  return (text) =>
    encodeURIComponent(text)
      .replaceAll("%2F", "/")
      .replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
