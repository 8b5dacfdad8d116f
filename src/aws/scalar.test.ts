// Numbers as texts of any length: taken or refused at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeText, Malformed } from "./scalar.ts";

test("numbers are read as AWS reads them", () => {
  const double = (text: string) => decodeText({ kind: "double" }, text, "date-time");
  for (const [text, value] of [
    ["1", 1],
    ["-1.", -1],
    ["1.5", 1.5],
    [".5", 0.5],
    ["1e3", 1000],
    ["1.E-1", 0.1],
  ] as const)
    assert.equal(double(text), value, text);
  for (const text of ["", ".", "-", "1e", "1..2", "1.2.3", "+1", " 1", "1x"]) assert.throws(() => double(text), Malformed, text);
});

test("a megabyte of digits that is no number is refused before anybody notices", () => {
  assert.throws(() => decodeText({ kind: "integer" }, `${"1".repeat(2 ** 20)}x`, "date-time"), Malformed);
});
