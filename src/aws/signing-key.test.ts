import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";
import { SigningKey } from "./signing-key.ts";

test("signs as HMAC-SHA256 does, with keys and texts of every length, one after the other", () => {
  for (let length = 0; length <= 64; length++) {
    const key = randomBytes(length);
    const signing = new SigningKey(key);
    for (const text of [
      "",
      "a",
      "é".repeat(512),
      randomBytes(length * 8)
        .toString("hex")
        .slice(0, 1024),
      "b",
    ])
      assert.equal(signing.sign(text), createHmac("sha256", key).update(text).digest("hex"));
  }
});

test("refuses what it has no room for, and cuts nothing off", () => {
  assert.throws(() => new SigningKey(randomBytes(65)), RangeError);
  const signing = new SigningKey(randomBytes(32));
  assert.throws(() => signing.sign("a".repeat(1025)), RangeError);
  assert.throws(() => signing.sign("é".repeat(513)), RangeError);
});
