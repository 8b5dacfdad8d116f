// Scalars as text: in paths, queries, headers, forms and XML; strict, because a server must not guess.
import type { ScalarShape, Shape, TimestampFormat } from "./shape.ts";
import { dateToUtcString } from "./smithy.ts";

/** A request that doesn't have the form of its operation's input; each protocol answers it with its own code. */
export class Malformed extends Error {}

const NUMBER = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/;
const BASE64 = /^[A-Za-z0-9+/\-_]*={0,2}$/;
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[-+]\d\d:\d\d)$/i;
const HTTP_DATE = /^[A-Z][a-z]{2,8},? \d\d[ -][A-Z][a-z]{2}[ -](?:\d\d){1,2} \d\d:\d\d:\d\d(?:\.\d+)? GMT$/;
const NOT_FINITE: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** Integers beyond 2^53 would be altered silently, so they are refused. */
export function checkedNumber(shape: ScalarShape, value: number): number {
  if (!Number.isFinite(value)) throw new Malformed("NUMBER_VALUE is out of range");
  if (shape.kind === "integer" && !Number.isSafeInteger(value)) throw new Malformed("NUMBER_VALUE can not be converted to an Integer");
  return value;
}

export function notFinite(text: string): number | undefined {
  return NOT_FINITE.get(text);
}

function numberFrom(shape: ScalarShape, text: string): number {
  const special = shape.kind === "double" ? notFinite(text) : undefined;
  if (special !== undefined) return special;
  if (!NUMBER.test(text))
    throw new Malformed(`STRING_VALUE can not be converted to ${shape.kind === "double" ? "a Double" : "an Integer"}`);
  return checkedNumber(shape, Number(text));
}

export function dateFrom(format: TimestampFormat, value: string | number): Date {
  if (typeof value === "string" && format === "epoch-seconds") value = numberFrom({ kind: "double" }, value);
  if (typeof value === "string" && !(format === "date-time" ? DATE_TIME : HTTP_DATE).test(value))
    throw new Malformed("STRING_VALUE can not be converted to a Timestamp");
  const date = new Date(typeof value === "number" ? Math.round(value * 1000) : value);
  if (Number.isNaN(date.getTime())) throw new Malformed("the timestamp is out of range");
  return date;
}

/** Decodes strict base64 (the URL-safe alphabet passes too). */
export function bytesFrom(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  // Node skips what is not base64, so a shorter result gives bad text away without a second pass over long ones.
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const isWhole = bytes.length === Math.floor(((text.length - padding) * 3) / 4) && (padding === 0 || text.length % 4 === 0);
  if (!isWhole || (text.length < 4096 && !BASE64.test(text))) throw new Malformed("STRING_VALUE can not be converted to a Blob");
  return bytes;
}

/** Throws Malformed. */
export function decodeText(shape: Shape, text: string, timestamps: TimestampFormat): unknown {
  switch (shape.kind) {
    case "string":
      return text;
    case "boolean":
      if (text === "true" || text === "false") return text === "true";
      throw new Malformed("STRING_VALUE can not be converted to a Boolean");
    case "integer":
    case "double":
      return numberFrom(shape, text);
    case "timestamp":
      return dateFrom(shape.format ?? timestamps, text);
    case "blob":
      return bytesFrom(text);
    case "document":
    case "list":
    case "map":
    case "structure":
      break;
  }
  throw new Malformed(`STRING_VALUE can not be converted to a ${shape.kind}`);
}

export function formatDate(format: TimestampFormat, date: Date): string {
  if (format === "http-date") return dateToUtcString(date);
  if (format === "epoch-seconds") return String(date.getTime() / 1000);
  return date.toISOString();
}

export function encodeText(shape: Shape, value: unknown, timestamps: TimestampFormat): string {
  if (shape.kind === "timestamp") return formatDate(shape.format ?? timestamps, value as Date);
  if (shape.kind === "blob") return Buffer.from(value as Uint8Array).toString("base64");
  return String(value);
}
