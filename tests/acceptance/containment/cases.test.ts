// The index of the containment cases: each of the 133 is the beginning of exactly one test's name, or is said here not to be, with the reason.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** Resources, lifecycle, files, /proc and secrets, kernel, network, Runtime API and credentials, packages (Z). */
const GROUPS = { R: 26, L: 17, F: 18, P: 14, K: 14, N: 11, X: 10, Z: 23 };
const CASES = Object.entries(GROUPS).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, at) => `${letter}${String(at + 1).padStart(2, "0")}`),
);

/** Cases that no test is named after. */
const EXCUSED: Readonly<Record<string, string>> = {
  X09: "an extension that reads events: it is of the function's own trust domain (docs/extensions.md), and can't leave the sandbox (F, K, N)",
};

/** Where each case is named: text of tests that begins with its id. */
function named(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const file of globSync(["src/**/*.test.ts", "tests/**/*.test.ts", "tests/**/*-cases.fixture.ts"], { cwd: ROOT }))
    for (const [, id = ""] of readFileSync(join(ROOT, file), "utf8").matchAll(/["'`]([RLFPKNXZ]\d\d) /g))
      found.set(id, [...(found.get(id) ?? []), file]);
  return found;
}

void test("each containment case is named by exactly one test, or excused with a reason", () => {
  assert.equal(CASES.length, 133);
  const found = named();
  const wrong = CASES.flatMap((id) => {
    const files = found.get(id) ?? [];
    if (id in EXCUSED) return files.length === 0 ? [] : [`${id} is excused, and tested in ${files.join(", ")}`];
    return files.length === 1 ? [] : [`${id} is named by ${files.length === 0 ? "no test" : files.join(", ")}`];
  });
  assert.deepEqual(wrong, []);
  assert.deepEqual(
    [...found.keys()].filter((id) => !CASES.includes(id)),
    [],
    "names that look like cases are cases",
  );
});
