// JSON documents, read strictly (valid UTF-8, bounded depth, no guessing of types) and written without nulls.
import { jsonWriter } from "./json-text.ts";
import { valueReader, type Format, type Leaves } from "./json-value.ts";
import { bytesFrom, dateFrom, Malformed } from "./scalar.ts";
import type { Shape, StructureShape } from "./shape.ts";

const DEPTH_MAX = 1000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const JSON_LEAVES: Leaves = {
  readBlob(value) {
    if (typeof value !== "string") throw new Malformed("Unexpected value for a Blob");
    return bytesFrom(value);
  },
  readTimestamp(shape, value) {
    const format = shape.format ?? "epoch-seconds";
    if (typeof value !== (format === "epoch-seconds" ? "number" : "string")) throw new Malformed("Unexpected value for a Timestamp");
    return dateFrom(format, value as string | number);
  },
};

/** Index of the quote that ends the string which starts before `from`; the length of `bytes` when there is none. */
function endOfString(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return bytes.length;
}

// JSON.parse accepts two hundred thousand levels, and whoever walks the result recursively runs out of stack.
function isDeeperThan(bytes: Uint8Array, max: number): boolean {
  if (bytes.length <= max) return false;
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at + 1);
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > max) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}

/** Throws Malformed, also for what is nested too deeply to be walked. */
export const parseJson = (text: string): unknown => parse(Buffer.from(text));

function parse(bytes: Uint8Array): unknown {
  if (isDeeperThan(bytes, DEPTH_MAX)) throw new Malformed(`the document is nested deeper than ${DEPTH_MAX} levels`);
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new Malformed("the document is not valid JSON", { cause });
  }
}

interface JsonDocuments {
  /** Throws Malformed. */
  decode(shape: Shape, bytes: Uint8Array): unknown;
  /** See ValueReader. */
  decodeKeeping(shape: StructureShape, returned: StructureShape, bytes: Uint8Array): unknown;
  encode(shape: Shape, value: unknown): string;
}

export function jsonDocuments(options: Pick<Format, "usesJsonName" | "refusesUnknown">): JsonDocuments {
  const values = valueReader(JSON_LEAVES, options);
  return {
    decode: (shape, bytes) => values.read(shape, parse(bytes)),
    decodeKeeping: (shape, returned, bytes) => values.readKeeping(shape, returned, parse(bytes)),
    encode: jsonWriter((member) => (options.usesJsonName ? member.jsonName : member.name)),
  };
}
