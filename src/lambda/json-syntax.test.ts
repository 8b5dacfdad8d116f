// The same verdict as JSON.parse, on everything; and Jackson's words for what is wrong.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import { jsonProblem } from "./json-syntax.ts";
import { threadCpuMs } from "../../tests/support/cpu-time.ts";

const place = (line: number, column: number) =>
  `[Source: REDACTED (\`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION\` disabled); line: ${line}, column: ${column}]`;
const VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
const ENTRIES = (what: string) => `was expecting comma to separate ${what} entries`;

// Text, sentence, line, column.
const WRONG: readonly (readonly [string | Uint8Array, string, number, number])[] = [
  ["  \n ", "No content to map due to end-of-input", 2, 2],
  ["{", `Unexpected end-of-input: expected close marker for Object (start marker at ${place(1, 1)})`, 1, 2],
  ["[1, [", `Unexpected end-of-input: expected close marker for Array (start marker at ${place(1, 5)})`, 1, 6],
  ['{"a"', `Unexpected end-of-input: expected close marker for Object (start marker at ${place(1, 1)})`, 1, 5],
  ['"abc', "Unexpected end-of-input: was expecting closing quote for a string value", 1, 5],
  ['{"abc', "Unexpected end-of-input in field name", 1, 6],
  ["{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name", 1, 2],
  ['{"a":1,}', "Unexpected character ('}' (code 125)): was expecting double-quote to start field name", 1, 8],
  ['{"a" 1}', "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value", 1, 6],
  ['{"a":1 "b":2}', `Unexpected character ('"' (code 34)): ${ENTRIES("Object")}`, 1, 8],
  ["[1 2]", `Unexpected character ('2' (code 50)): ${ENTRIES("Array")}`, 1, 4],
  ["[1,]", "Unexpected character (']' (code 93)): expected a value", 1, 4],
  ['{"a":}', "Unexpected character ('}' (code 125)): expected a value", 1, 6],
  ["[1}", `Unexpected close marker '}': expected ']' (for Array starting at ${place(1, 1)})`, 1, 3],
  ["'a'", `Unexpected character (''' (code 39)): expected a valid value ${VALUES}`, 1, 1],
  ["hello", `Unrecognized token 'hello': was expecting ${VALUES}`, 1, 6],
  ["[\n  nul]", `Unrecognized token 'nul': was expecting ${VALUES}`, 2, 7],
  ["truely", `Unrecognized token 'truely': was expecting ${VALUES}`, 1, 7],
  ["NaN", `Unrecognized token 'NaN': was expecting ${VALUES}`, 1, 4],
  ["01", "Invalid numeric value: Leading zeroes not allowed", 1, 2],
  ["-", "Unexpected end-of-input in numeric value", 1, 2],
  [
    "-x",
    "Unexpected character ('x' (code 120)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value",
    1,
    2,
  ],
  ["1.x", "Unexpected character ('x' (code 120)) in numeric value: Decimal point not followed by a digit", 1, 3],
  ["1ex", "Unexpected character ('x' (code 120)) in numeric value: Exponent indicator not followed by a digit", 1, 3],
  ["+1", `Unexpected character ('+' (code 43)): expected a valid value ${VALUES}`, 1, 1],
  ["1a", "Unexpected character ('a' (code 97)): Expected space separating root-level values", 1, 2],
  ["{} {}", "Unexpected character ('{' (code 123)): Expected space separating root-level values", 1, 4],
  ['"a\nb"', "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value", 1, 3],
  ['"\\x"', "Unrecognized character escape 'x' (code 120)", 1, 4],
  ['"\\u12g4"', "Unexpected character ('g' (code 103)): expected a hex-digit for character escape sequence", 1, 6],
  [Buffer.from([153]), `Unexpected character ((CTRL-CHAR, code 153)): expected a valid value ${VALUES}`, 1, 1],
  [Buffer.from([0x22, 0x87]), "Invalid UTF-8 start byte 0x87", 1, 3],
  [Buffer.from([0x22, 0xc3, 0x28, 0x22]), "Invalid UTF-8 middle byte 0x28", 1, 4],
  [Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), `Unexpected character ('ï' (code 239)): expected a valid value ${VALUES}`, 1, 1],
];

test("what is wrong, and where", () => {
  for (const [text, sentence, line, column] of WRONG)
    assert.equal(jsonProblem(Buffer.from(text as Uint8Array)), `${sentence}\n at ${place(line, column)}`, JSON.stringify(text));
});

test("JSON of all kinds is accepted", () => {
  const texts = [
    "{}",
    "[]",
    " \t\r\n null ",
    "true",
    "-0",
    "0.1e-10",
    "1E+5",
    '""',
    '"\\u0000\\ud800"',
    '"ü😀\u007f"',
    '{"":{"__proto__":[]},"":1}',
    "1e400",
    "[[],{}]",
  ];
  for (const text of texts) assert.equal(jsonProblem(Buffer.from(text)), undefined, text);
});

test("a thousand levels, and not one more", () => {
  const nested = (depth: number) => Buffer.from("[".repeat(depth) + "]".repeat(depth));
  assert.equal(jsonProblem(nested(1000)), undefined);
  assert.match(String(jsonProblem(nested(1001))), /^Document nesting depth \(1001\) exceeds the maximum allowed \(1000, /);
  assert.match(String(jsonProblem(Buffer.alloc(5_000_000, "["))), /^Document nesting depth/);
});

test("the verdict is JSON.parse's", () => {
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    ":",
    "a",
    '"k"',
    "1",
    "0",
    "-",
    ".5",
    "e1",
    "true",
    "null",
    " ",
    "\n",
    "\\u12",
    "\\",
    "é",
    "\x01",
    "\xff",
  ];
  const seed = randomBytes(1200);
  for (let count = 0; count < 20_000; count++) {
    const length = 1 + ((seed[count % 1200] ?? 0) % 8);
    const chosen = Array.from(randomBytes(length), (byte) => pieces[byte % pieces.length] ?? "");
    const bytes = count % 7 === 0 ? randomBytes(length) : Buffer.from(chosen.join(""), count % 3 === 0 ? "latin1" : "utf8");
    let isJson = isUtf8(bytes);
    try {
      // A byte order mark would be dropped by a decoder, and is no JSON.
      JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
    } catch {
      isJson = false; // that is the verdict
    }
    assert.equal(jsonProblem(bytes) === undefined, isJson, `${bytes.toString("hex")} ${bytes.toString("latin1")}`);
  }
});

test("six mebibytes are read in time that grows with them alone", () => {
  const large = Buffer.from(
    JSON.stringify(Array.from({ length: 100_000 }, (_, index) => ({ index, text: "some text that is ü and so on", ok: true }))),
  );
  const beganMs = threadCpuMs();
  assert.equal(jsonProblem(large), undefined);
  const tookMs = threadCpuMs() - beganMs;
  assert.ok(tookMs < 3000, `${tookMs} ms`);
});
