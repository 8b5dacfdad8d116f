// Tag sets: their rules, and the header form that comes with an upload.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
import type { Tag } from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import { invalidArgument, malformedXml } from "./faults.ts";

export const OBJECT_TAGS_MAX = 10;
export const BUCKET_TAGS_MAX = 50;
const KEY_CHARACTERS_MAX = 128;
const VALUE_CHARACTERS_MAX = 256;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const invalidTag = (message: string, key: string) => new CommonFault("InvalidTag", message, 400, { TagKey: key });

/** Throws CommonFault with S3's text for the first rule that is broken. */
export function checkedTags(tags: readonly Partial<Tag>[] | undefined, countMax: number): Tag[] {
  if (tags === undefined) throw malformedXml();
  if (tags.length > countMax) {
    const what = countMax === OBJECT_TAGS_MAX ? "Object" : "Bucket";
    throw new CommonFault("BadRequest", `${what} tags cannot be greater than ${countMax}`, 400);
  }
  const seen = new Set<string>();
  return tags.map(({ Key, Value }) => {
    if (Key === undefined || Value === undefined) throw malformedXml();
    if (Key === "" || Key.length > KEY_CHARACTERS_MAX || !ALLOWED.test(Key))
      throw invalidTag("The TagKey you have provided is invalid", Key);
    if (Value.length > VALUE_CHARACTERS_MAX || !ALLOWED.test(Value)) throw invalidTag("The TagValue you have provided is invalid", Key);
    if (Key.toLowerCase().startsWith("aws:")) throw invalidTag("System tags cannot be added/updated by requester", Key);
    if (seen.has(Key)) throw invalidTag("Cannot provide multiple Tags with the same key", Key);
    seen.add(Key);
    return { Key, Value };
  });
}

/** `a=1&b=2`, percent-encoded. */
export function tagsFromHeader(header: string | undefined): Tag[] {
  if (header === undefined || header === "") return [];
  const decode = (text: string) => decodeURIComponent(text.replaceAll("+", " "));
  try {
    const tags = header.split("&").map((pair) => {
      const equals = pair.indexOf("=");
      return equals === -1
        ? { Key: decode(pair), Value: "" }
        : { Key: decode(pair.slice(0, equals)), Value: decode(pair.slice(equals + 1)) };
    });
    return checkedTags(tags, OBJECT_TAGS_MAX);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw invalidArgument(
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      "x-amz-tagging",
      header,
    );
  }
}
