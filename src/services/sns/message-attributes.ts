// Message attributes: what may be in them, and what they weigh.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
import type { MessageAttributeValue } from "@aws-sdk/client-sns";
import type { MessageAttribute } from "../../aws/deliver.ts";
import { invalidValue } from "./faults.ts";

const NAME_CHARACTERS_MAX = 256;
const TYPE = /^(String|Number|Binary)(?:\.[^\0]{1,200})?$/s;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;

type MessageAttributes = Readonly<Record<string, MessageAttribute>>;

function checkName(name: string): void {
  if (name === "" || name.length > NAME_CHARACTERS_MAX)
    throw invalidValue(`Length of message attribute name must be less than ${NAME_CHARACTERS_MAX} bytes.`);
  const strange = /[^\w.-]/u.exec(name)?.[0];
  if (strange !== undefined)
    throw invalidValue(
      `Invalid non-alphanumeric character '#x${strange.codePointAt(0)?.toString(16).toUpperCase()}' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.`,
    );
  if (name.startsWith(".")) throw invalidValue("Invalid message attribute name starting with character '.' was found.");
  if (name.endsWith(".")) throw invalidValue("Invalid message attribute name ending with character '.' was found.");
  if (name.includes("..")) throw invalidValue("Message attribute name can not have successive '.' character.");
  if (/^(?:aws|amazon)\./i.test(name))
    throw invalidValue("Message attribute names can't begin with 'AWS.' or 'Amazon.': these are reserved.");
}

function isArray(text: string): boolean {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((one) => one === null || typeof one !== "object");
  } catch {
    return false;
  }
}

function checkText(name: string, type: string, text: string): void {
  const isNumber = type.startsWith("Number");
  if (isNumber && !NUMBER.test(text)) throw invalidValue(`Could not cast message attribute '${name}' value to number.`);
  if (type === "String.Array" && !isArray(text))
    throw invalidValue(
      `The message attribute '${name}' has an invalid value for type 'String.Array': it must be a list of strings, numbers, booleans and nulls.`,
    );
}

function attributeOf(name: string, { DataType = "", StringValue, BinaryValue }: MessageAttributeValue): MessageAttribute {
  const kind = TYPE.exec(DataType)?.[1];
  if (kind === undefined)
    throw invalidValue(
      `The message attribute '${name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.`,
    );
  const [field, value, other] = kind === "Binary" ? ["Binary", BinaryValue, StringValue] : ["String", StringValue, BinaryValue];
  if (value === undefined && other !== undefined)
    throw invalidValue(`The message attribute '${name}' with type '${DataType}' must use field '${field}'.`);
  if (value === undefined || value.length === 0)
    throw invalidValue(
      `The message attribute '${name}' must contain non-empty message attribute value for message attribute type '${DataType}'.`,
    );
  if (typeof value !== "string") return { DataType, BinaryValue: Buffer.from(value).toString("base64") };
  checkText(name, DataType, value);
  return { DataType, StringValue: value };
}

/** Throws InvalidParameterValue. */
export function messageAttributes(given: Readonly<Record<string, MessageAttributeValue>> = {}): MessageAttributes {
  const attributes = Object.create(null) as Record<string, MessageAttribute>;
  for (const [name, value] of Object.entries(given)) {
    checkName(name);
    attributes[name] = attributeOf(name, value);
  }
  return attributes;
}

export function attributesBytes(attributes: MessageAttributes): number {
  let bytes = 0;
  for (const [name, { DataType, StringValue = "", BinaryValue = "" }] of Object.entries(attributes))
    bytes +=
      Buffer.byteLength(name) + Buffer.byteLength(DataType) + Buffer.byteLength(StringValue) + Buffer.byteLength(BinaryValue, "base64");
  return bytes;
}
