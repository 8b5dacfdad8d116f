// Metric math of the simple kind: numbers, ids, + - * /, unary minus, parentheses. What CloudWatch's functions do is refused by name.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
import { invalidValue } from "./model.ts";

/** By time in ms. */
export type Line = ReadonlyMap<number, number>;
type Value = number | Line;
type Operator = (a: number, b: number) => number;

const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([a-z]\w*)|([-+*/()]))/y;
const SUMS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["+", (a, b) => a + b],
  ["-", (a, b) => a - b],
]);
const PRODUCTS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["*", (a, b) => a * b],
  ["/", (a, b) => a / b],
]);
const DEPTH_MAX = 50;

const refused = (text: string) =>
  invalidValue(`Lambent evaluates expressions of numbers, ids, + - * / and parentheses; it does not evaluate '${text.slice(0, 100)}'.`);

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    tokens.push(match[0].trim());
    if (TOKEN.lastIndex === text.length) return tokens;
  }
  throw refused(text);
}

/** Where both have a point; numbers have the same at all times. Divisions by zero leave a gap. */
function combine(a: Value, b: Value, operator: Operator): Value {
  if (typeof a === "number" && typeof b === "number") return operator(a, b);
  const times = typeof a === "number" ? (b as Line).keys() : a.keys();
  const line = new Map<number, number>();
  for (const time of times) {
    const [left, right] = [a, b].map((one) => (typeof one === "number" ? one : one.get(time)));
    const value = left === undefined || right === undefined ? Number.NaN : operator(left, right);
    if (Number.isFinite(value)) line.set(time, value);
  }
  return line;
}

/** `lineOf`: the points behind an id; undefined when there is no such id. Throws InvalidParameterValue. */
export function evaluateExpression(text: string, lineOf: (id: string) => Line | undefined): Line {
  const tokens = tokensOf(text.trim());
  let [at, depth] = [0, 0];

  const chain = (operators: ReadonlyMap<string, Operator>, next: () => Value): Value => {
    let value = next();
    for (let operator = operators.get(tokens[at] ?? ""); operator !== undefined; operator = operators.get(tokens[at] ?? "")) {
      at++;
      value = combine(value, next(), operator);
    }
    return value;
  };
  const sum = (): Value => chain(SUMS, () => chain(PRODUCTS, factor));
  const factor = (): Value => {
    const token = tokens[at++] ?? "";
    if (++depth > DEPTH_MAX) throw refused(text);
    const value =
      token === "-" ? combine(0, factor(), (a, b) => a - b) : token === "(" ? sum() : /^\d/.test(token) ? Number(token) : lineOf(token);
    if (value === undefined || (token === "(" && tokens[at++] !== ")")) throw refused(text);
    depth--;
    return value;
  };

  const value = sum();
  // A number alone is no line: AWS wants a metric in it as well.
  if (at !== tokens.length || typeof value === "number") throw refused(text);
  return value;
}
