// The paths of InputPath and InputPathsMap: `$.detail.instance-id`, `$.resources[0]`, `$['detail']`.
import { numberText } from "../../aws/exact-json.ts";

/** Keys and indices from the root; `undefined` for what is no such path. */
export function parsePath(text: string): readonly (string | number)[] | undefined {
  if (!text.startsWith("$")) return undefined;
  const steps: (string | number)[] = [];
  const STEP = /\.([^.[\]'"\s*?@(),]+)|\[(\d{1,7})\]|\['([^']+)'\]|\["([^"]+)"\]/y;
  STEP.lastIndex = 1;
  while (STEP.lastIndex < text.length) {
    const found = STEP.exec(text);
    if (found === null) return undefined;
    const [, key, index, quoted, doubleQuoted] = found;
    steps.push(index === undefined ? (key ?? quoted ?? doubleQuoted ?? "") : Number(index));
  }
  return steps;
}

/** What is at the path; `undefined` when there is nothing. */
export function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of path) {
    if (typeof here !== "object" || here === null || numberText(here) !== undefined) return undefined;
    if (Array.isArray(here) !== (typeof step === "number") || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string | number, unknown>)[step];
  }
  return here;
}
