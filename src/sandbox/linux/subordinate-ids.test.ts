// Ranges of subordinate ids, as /etc/subuid lists them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { largestRange } from "./subordinate-ids.ts";

const ada = { name: "ada", uid: 1000 };

void test("the largest range of the user counts, by name or by number, and nobody else's", () => {
  const text = "eve:1:999999\nada:100000:10\n1000:200000:65536\nadam:5:99999999\n";
  assert.deepEqual(largestRange(text, ada), { first: 200_000, count: 65_536 });
});

void test("without a line, or with a malformed one, there is none", () => {
  for (const text of ["", "# ada:1:2", "ada:x:65536", "ada:100000", "ada:100000:65536:1", "ada :1:2", "ada:-1:65536"])
    assert.equal(largestRange(text, ada), undefined, text);
});
