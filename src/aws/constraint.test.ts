// Patterns of the API models on texts that are made to be slow.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compiled, PLAINER } from "./constraint.ts";

/** Whatever repeats without end in some pattern, and how some of them begin. */
const UNITS = [
  "a",
  "1",
  "-",
  "/",
  ".",
  ":",
  "_",
  " ",
  "*",
  "a.",
  "a/",
  "a-",
  "a:",
  "1:",
  "-a",
  ".a",
  "aws-",
  "a b",
  "a\t",
  "=",
  "@",
  "a,",
  "arn:",
  "\u00e9",
];
const BEGINNINGS = ["", "arn:", "arn:aws:lambda:us-east-1:123456789012:", "arn:aws:iam::123456789012:role/", "https://"];
/** The shortest first: a pattern that doubles its time with each unit is found before it takes for ever. */
const LENGTHS = [12, 16, 20, 24, 200, 4000];
const CPU_MS_MAX = 250;

function patternsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { pattern } = value as { pattern?: unknown };
  return [...(typeof pattern === "string" ? [pattern] : []), ...Object.values(value).flatMap(patternsIn)];
}

const PATTERNS = new Set(
  globSync(join(import.meta.dirname, "constraints", "*.json")).flatMap((file) => patternsIn(JSON.parse(readFileSync(file, "utf8")))),
);

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

test("no text keeps a pattern of the models busy", () => {
  assert.ok(PATTERNS.size > 100);
  for (const pattern of PATTERNS)
    for (const unit of UNITS)
      for (const beginning of BEGINNINGS)
        for (const length of LENGTHS) {
          const text = `${beginning}${unit.repeat(length)}\u0001`;
          const took = cpuMs(() => compiled(pattern).test(text));
          assert.ok(took < CPU_MS_MAX, `${took} ms: ${pattern} on ${beginning}${unit} x ${length}`);
        }
});

test("what is matched in a plainer way is matched as the model's pattern says", () => {
  const doubtful = [...PLAINER.keys()];
  for (const pattern of doubtful) assert.ok(PATTERNS.has(pattern), `no model has ${pattern} any more`);
  // All texts of up to five of these characters: the sets of both patterns, their edges, and what neither takes.
  const characters = ["a", " ", "\t", ":", "\u0001", "\u00e9"];
  let texts = [""];
  for (let length = 0; length <= 5; length++) {
    for (const pattern of doubtful)
      for (const text of texts)
        assert.equal(compiled(pattern).test(text), new RegExp(`^(?:${pattern})$`, "u").test(text), JSON.stringify(text));
    texts = texts.flatMap((text) => characters.map((character) => text + character));
  }
});
