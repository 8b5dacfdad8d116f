// CloudWatch's filter patterns for unstructured text: terms, "phrases", -exclusions and ?alternatives.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html

export type Matches = (message: string) => boolean;

const TERM = /([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))/g;

/** `undefined` for patterns over JSON (`{ … }`), columns (`[ … ]`) and regular expressions (`%…%`), which are not built. */
export function filterPattern(pattern: string): Matches | undefined {
  const trimmed = pattern.trim();
  if (/^[{[%]/.test(trimmed)) return undefined;
  const all: string[] = [];
  const none: string[] = [];
  const any: string[] = [];
  for (const [, sign, phrase, word] of trimmed.matchAll(TERM)) {
    const term = phrase?.replaceAll(/\\(.)/g, "$1") ?? word ?? "";
    (sign === "-" ? none : sign === "?" ? any : all).push(term);
  }
  return (message) =>
    all.every((term) => message.includes(term)) &&
    !none.some((term) => message.includes(term)) &&
    (any.length === 0 || all.length > 0 || any.some((term) => message.includes(term)));
}
