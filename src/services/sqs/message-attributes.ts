// Message attributes: what may be in them, what they weigh, their MD5, and which of them a receiver asked for.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
import { createHash } from "node:crypto";
import type { MessageAttributeValue, MessageSystemAttributeValue } from "@aws-sdk/client-sqs";
import { hasForbiddenCharacters } from "../../aws/message-text.ts";
import { invalidParameter, unsupported } from "./faults.ts";

/** As stored: one of both values is there. */
export interface StoredAttribute {
  readonly type: string;
  readonly text?: string;
  /** Base64. */
  readonly binary?: string;
}

export type StoredAttributes = Readonly<Record<string, StoredAttribute>>;

const ATTRIBUTES_MAX = 10;
const NAME = /^[\w.-]{1,256}$/;
const TYPE = /^(String|Number|Binary)(?:\.[^\0]*)?$/s;
const TYPE_CHARACTERS_MAX = 256;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
const NUMBER_DIGITS_MAX = 38;

function checkName(name: string): void {
  const isReserved = /^(?:aws|amazon)\./i.test(name);
  if (NAME.test(name) && !isReserved && !/^\.|\.$|\.\./.test(name)) return;
  throw invalidParameter(
    isReserved
      ? "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use."
      : `Message (user) attribute name '${name.slice(0, 300)}' is invalid. It can contain only A-Z, a-z, 0-9, underscores (_), hyphens (-), and periods (.), not begin or end with a period nor have two in succession, and be at most 256 characters long.`,
  );
}

function checkNumber(name: string, text: string): void {
  const [mantissa = ""] = NUMBER.test(text) ? text.split(/e/i) : [];
  const digits = mantissa.replaceAll(/\D/g, "").replace(/^0+/, "");
  if (mantissa === "" || digits.length > NUMBER_DIGITS_MAX)
    throw invalidParameter(`Can't cast the value of message (user) attribute '${name}' to a number.`);
}

function storedOne(name: string, given: MessageAttributeValue | MessageSystemAttributeValue): StoredAttribute {
  const { DataType = "", StringValue: text, BinaryValue: binary, StringListValues = [], BinaryListValues = [] } = given;
  if (StringListValues.length > 0 || BinaryListValues.length > 0)
    throw unsupported("Message attribute list values in SendMessage operation are not supported.");
  if (DataType === "") throw invalidParameter(`The message attribute '${name}' must contain non-empty message attribute type.`);
  const kind = TYPE.exec(DataType)?.[1];
  if (kind === undefined)
    throw invalidParameter(
      `The message attribute '${name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.`,
    );
  if (DataType.length > TYPE_CHARACTERS_MAX)
    throw invalidParameter(
      `The message attribute '${name}' has a message attribute type that is longer than ${TYPE_CHARACTERS_MAX} characters.`,
    );
  const [value, other] = kind === "Binary" ? [binary, text] : [text, binary];
  if (value === undefined || value.length === 0 || other !== undefined)
    throw invalidParameter(`Message (user) attribute '${name}' must contain a non-empty value of type '${kind}'.`);
  if (typeof value !== "string") return { type: DataType, binary: Buffer.from(value).toString("base64") };
  checkText(value, `The message attribute '${name}'`);
  if (kind === "Number") checkNumber(name, value);
  return { type: DataType, text: value };
}

function checkText(text: string, what: string): void {
  if (hasForbiddenCharacters(text)) throw invalidParameter(`${what} contains characters that are not allowed.`);
}

/** Throws InvalidParameterValue, UnsupportedOperation. */
export function storedAttributes(given: Readonly<Record<string, MessageAttributeValue>> = {}): StoredAttributes {
  const entries = Object.entries(given);
  if (entries.length > ATTRIBUTES_MAX)
    throw invalidParameter(`Number of message attributes [${entries.length}] exceeds the allowed maximum [${ATTRIBUTES_MAX}].`);
  const stored = Object.create(null) as Record<string, StoredAttribute>;
  for (const [name, value] of entries) {
    checkName(name);
    stored[name] = storedOne(name, value);
  }
  return stored;
}

/** The only one that senders may give is AWSTraceHeader. */
export function storedTraceHeader(given: Readonly<Record<string, MessageSystemAttributeValue>> = {}): string | undefined {
  for (const [name, value] of Object.entries(given)) {
    if (name !== "AWSTraceHeader") throw invalidParameter(`Message system attribute name '${name.slice(0, 300)}' is invalid.`);
    const stored = storedOne(name, value);
    if (stored.type !== "String") throw invalidParameter(`The message system attribute '${name}' must be of type String.`);
    return stored.text;
  }
  return undefined;
}

const bytesOf = ({ text, binary }: StoredAttribute) => (binary === undefined ? Buffer.from(text ?? "") : Buffer.from(binary, "base64"));

export function attributesBytes(attributes: StoredAttributes): number {
  let bytes = 0;
  for (const [name, one] of Object.entries(attributes))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(one.type) + bytesOf(one).length;
  return bytes;
}

export const md5Of = (text: string): string => createHash("md5").update(text).digest("hex");

/**
 * In order of the names: name, type and value, each behind its length in four bytes, the value behind a byte for its kind as well.
 * `undefined` for none.
 */
export function md5OfAttributes(attributes: StoredAttributes): string | undefined {
  const names = Object.keys(attributes).toSorted((a, b) => (a < b ? -1 : 1));
  if (names.length === 0) return undefined;
  const hash = createHash("md5");
  const add = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  };
  for (const name of names) {
    const one = attributes[name] as StoredAttribute;
    add(Buffer.from(name));
    add(Buffer.from(one.type));
    hash.update(Buffer.of(one.binary === undefined ? 1 : 2));
    add(bytesOf(one));
  }
  return hash.digest("hex");
}

/** Names, `All`, `.*`, or beginnings followed by `.*`. */
export function askedAttributes(attributes: StoredAttributes, names: readonly string[] = []): StoredAttributes {
  const isAsked = (name: string) =>
    names.some((one) => one === "All" || one === ".*" || one === name || (one.endsWith(".*") && name.startsWith(one.slice(0, -2))));
  const asked = Object.create(null) as Record<string, StoredAttribute>;
  for (const [name, value] of Object.entries(attributes)) if (isAsked(name)) asked[name] = value;
  return asked;
}

export const describedAttributes = (attributes: StoredAttributes): Record<string, MessageAttributeValue> =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, { type, text, binary }]) => [
      name,
      { DataType: type, ...(binary === undefined ? { StringValue: text } : { BinaryValue: Buffer.from(binary, "base64") }) },
    ]),
  );
