import assert from "node:assert/strict";
import { test } from "node:test";
import { filterPattern } from "./filter-pattern.ts";

const ROWS: readonly [string, string, boolean][] = [
  ["", "anything", true],
  ["ERROR", "an ERROR happened", true],
  ["ERROR", "an error happened", false],
  ["ERROR disk", "ERROR: disk full", true],
  ["ERROR disk", "ERROR: network", false],
  ['"disk full"', "ERROR: disk full", true],
  ['"disk full"', "disk is full", false],
  ["ERROR -network", "ERROR: network", false],
  ["?ERROR ?WARN", "WARN: low", true],
  ["?ERROR ?WARN", "INFO: fine", false],
  ['"say \\"hi\\""', 'they say "hi"', true],
];

for (const [pattern, message, expected] of ROWS)
  test(`filter pattern ${pattern} on ${message}`, () => assert.equal(filterPattern(pattern)?.(message), expected));

test("patterns over JSON are known not to be built", () => assert.equal(filterPattern("{ $.level = 1 }"), undefined));
