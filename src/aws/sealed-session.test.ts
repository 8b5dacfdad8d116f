import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { openSession, sealSession, type Session } from "./sealed-session.ts";

const KEY = randomBytes(32);
const SESSION: Session = {
  accessKeyId: "ASIAKEY",
  secretAccessKey: "secret",
  account: "000000000000",
  expiresMs: 1,
  role: { arn: "arn:aws:iam::000000000000:role/r", name: "r", id: "AROA", sessionName: "s" },
  session: { issuedMs: 0, policies: [{ Statement: [] }], policyArns: ["arn"], tags: { ["__proto__"]: "x" }, transitiveTagKeys: [] },
};

test("a token says what was sealed, again and again, and never looks the same", () => {
  const token = sealSession(SESSION, KEY);
  assert.deepEqual(openSession(token, KEY), SESSION);
  assert.deepEqual(openSession(token, Buffer.from(KEY)), SESSION);
  assert.notEqual(sealSession(SESSION, KEY), token);
  assert.match(token, /^[A-Za-z0-9+/]+=*$/);
  for (const secret of ["secret", "ASIAKEY", "role"]) assert.ok(!Buffer.from(token, "base64").includes(secret));
});

test("a token of another installation, or with any bit changed, opens nothing", () => {
  const token = sealSession(SESSION, KEY);
  assert.equal(openSession(token, randomBytes(32)), undefined);
  const bytes = Buffer.from(token, "base64");
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(openSession(changed.toString("base64"), KEY), undefined, `byte ${at}`);
  }
  for (let end = 0; end < bytes.length; end++) assert.equal(openSession(bytes.subarray(0, end).toString("base64"), KEY), undefined);
});

test("one session has one token: other spellings of it are not read", () => {
  const token = sealSession(SESSION, KEY);
  for (const spelling of [
    `${token} `,
    ` ${token}`,
    `${token}=`,
    `${token}\n`,
    token.replaceAll("=", ""),
    Buffer.from(token, "base64").toString("base64url"),
  ])
    if (spelling !== token) assert.equal(openSession(spelling, KEY), undefined, spelling);
  for (const text of ["", "a", "AQ==", "Ag==", "\u0000", "x".repeat(100_000)]) assert.equal(openSession(text, KEY), undefined);
});
