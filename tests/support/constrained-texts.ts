// Texts that fit the constraints of the API's model, and texts that do not.
import type { Constraint } from "../../src/aws/constraint.ts";
import type { Member } from "../../src/aws/shape.ts";

/** For patterns that say more than which characters there may be. */
const SAMPLES = [
  "a",
  "1",
  "abcd",
  "A",
  "/a/",
  "/",
  "a.b",
  "a.py",
  "key=value",
  "aws:a",
  "sts.amazonaws.com",
  "nodejs24.x",
  "arn:aws:iam::000000000000:role/a",
  "arn:aws:lambda:us-east-1:000000000000:function:a",
  "arn:aws:lambda:us-east-1:000000000000:layer:a:1",
  "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0",
  "arn:aws:lambda:us-east-1::runtime:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
  "arn:aws:signer:us-east-1:000000000000:/signing-profiles/abcdefgh/0123456789",
  "arn:aws:sqs:us-east-1:000000000000:a",
  "arn:aws:s3:::a",
  "arn:aws:kms:us-east-1:000000000000:key/a",
  "arn:aws:events:us-east-1:000000000000:event-bus/a",
  "arn:aws:events:us-east-1:000000000000:connection/a/01234567-89ab-cdef-0123-456789abcdef",
  "arn:aws:events:us-east-1:000000000000:rule/a",
  "arn:aws:scheduler:us-east-1:000000000000:schedule-group/a",
  "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
  "arn:aws:lambda:us-east-1:000000000000:capacity-provider:a",
  "01234567-89ab-cdef-0123-456789abcdef",
  "0123456789abcdef0123456789abcdef",
  "000000000000",
  "AKIAIOSFODNN7EXAMPLE",
  "subnet-0123456789abcdef0",
  "sg-0123456789abcdef0",
  "o-0123456789",
  "/mnt/a",
  "aws.partner/a/b",
  "https://a.b",
  "rate(1 minute)",
  "a@b",
  "a:1",
  "v1",
  "lambda:GetLayerVersion",
];

export const BREAKERS = ["\u0001", "!", " ", "é", "a b", "*", "~", "{}", "[", "-", "no match", "\u{1f600}", "", "_?"];

/** The whole text, as in Java. */
export function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(text);
  } catch {
    return new RegExp(`^(?:${pattern})$`).test(text);
  }
}

const fits = ({ min = 0, max = Infinity, pattern }: Constraint, text: string) =>
  text.length >= min && text.length <= max && (pattern === undefined || matches(pattern, text));

/** Undefined: no text that is known here fits. */
export function fittingText(constraint: Constraint): string | undefined {
  if (constraint.enum !== undefined) return constraint.enum[0];
  const wanted = Math.max(1, constraint.min ?? 1);
  return [...SAMPLES, ...["a", "1", "A", "/"].map((one) => one.repeat(wanted))].find((one) => fits(constraint, one));
}

/** Of the right length. */
export function breaking({ pattern = "", min = 0, max = Infinity }: Constraint, { binding }: Member): string | undefined {
  const isHeader = binding.place === "header";
  return BREAKERS.map((one) => one.padEnd(min, one === "" ? " " : one)).find(
    (one) =>
      one.length >= min &&
      one.length <= max &&
      !matches(pattern, one) &&
      // Headers lose what is around a value, and are of Latin letters; a path has no empty part.
      (!isHeader || /^[!-~]+$/.test(one)) &&
      (binding.place !== "label" || /^[!-~]+$/.test(one)) &&
      (binding.place !== "query" || one !== ""),
  );
}
