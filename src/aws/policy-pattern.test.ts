import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesArn, matchesWildcard, withVariables } from "./policy-pattern.ts";
import { threadCpuMs } from "../../tests/support/cpu-time.ts";

const matching: readonly [pattern: string, text: string][] = [
  ["*", ""],
  ["*", "anything"],
  ["a*b?d", "axxbcd"],
  ["a?c", "abc"],
  ["?*", "a"],
  ["*?", "a"],
  ["**a**", "bab"],
  ["*abc*abc*", "abcabc"],
  ["*a?c*", "aacabc"],
  ["*aab", "aaab"],
  ["a*a", "aa"],
  ["a$b", "a$b"],
  ["${", "${"],
  ["${a}", "${a}"],
];
const notMatching: readonly [pattern: string, text: string][] = [
  ["", "a"],
  ["a", ""],
  ["a", "A"],
  ["?", ""],
  ["a?", "a"],
  ["a*b", "axxc"],
  ["a*a", "a"],
  ["*aba", "ab"],
  ["abc*abc", "abcab"],
  ["*abc*abc*", "abcab"],
  ["a.c", "abc"],
  ["[ab]", "a"],
  ["\\w", "a"],
];

test("wildcards", () => {
  for (const [pattern, text] of matching) assert.ok(matchesWildcard(pattern, text), `${pattern} ${text}`);
  for (const [pattern, text] of notMatching) assert.ok(!matchesWildcard(pattern, text), `${pattern} ${text}`);
});

/** Straight from the definition; slow. */
function slowly(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  if (pattern[0] === "*") return slowly(pattern.slice(1), text) || (text !== "" && slowly(pattern, text.slice(1)));
  return text !== "" && (pattern[0] === "?" || pattern[0] === text[0]) && slowly(pattern.slice(1), text.slice(1));
}

test("wildcards match what their definition says, for all short patterns and texts", () => {
  const words = (letters: string, length: number): string[] =>
    length === 0 ? [""] : ["", ...words(letters, length - 1).flatMap((word) => letters.split("").map((letter) => letter + word))];
  const texts = [...new Set(words("ab", 4))];
  for (const pattern of new Set(words("ab*?", 4)))
    for (const text of texts) assert.equal(matchesWildcard(pattern, text), slowly(pattern, text), `${pattern} ${text}`);
});

test("hostile patterns are no slower than others", () => {
  const text = "a".repeat(2_000);
  const beganMs = threadCpuMs();
  for (const pattern of [
    "*a*a*a*a*a*a*a*a*b",
    `${"*a".repeat(1_000)}*b`,
    `*${"a?".repeat(900)}b*`,
    `*${"a".repeat(1_900)}b*`,
    "?*".repeat(3_000),
  ])
    assert.ok(!matchesWildcard(pattern, text));
  const tookMs = threadCpuMs() - beganMs;
  assert.ok(tookMs < 2000, `${tookMs} ms`);
});

const conditions = new Map([
  ["aws:username", ["ann"]],
  ["aws:useragent", ["*"]],
  ["aws:userid", ["AROA:session"]],
  ["aws:tagkeys", ["a", "b"]],
]);

test("variables stand for the request's values, which are text and no patterns", () => {
  assert.ok(matchesWildcard("home/${aws:username}/*", "home/ann/x", conditions));
  assert.ok(matchesWildcard("${AWS:UserName}", "ann", conditions));
  assert.ok(!matchesWildcard("home/${aws:useragent}/*", "home/ann/x", conditions));
  assert.ok(matchesWildcard("home/${aws:useragent}/*", "home/*/x", conditions));
  assert.ok(matchesWildcard("a${*}${?}${$}", "a*?$", conditions));
  assert.ok(!matchesWildcard("a${*}", "ab", conditions));
  assert.ok(matchesWildcard("${aws:none, 'all'}/*", "all/x", conditions));
});

test("a variable without one value matches nothing", () => {
  for (const pattern of ["${aws:none}", "*${aws:none}*", "${aws:tagkeys}", "${}"]) {
    assert.ok(!matchesWildcard(pattern, "", conditions), pattern);
    assert.ok(!matchesWildcard(pattern, pattern, conditions), pattern);
    assert.equal(withVariables(pattern, conditions), undefined);
  }
  assert.equal(withVariables("${aws:username}-${", conditions), "ann-${");
  assert.equal(withVariables("${aws:username}", undefined), "${aws:username}");
});

test("ARNs are matched part by part", () => {
  const arn = "arn:aws:lambda:eu-west-1:000000000000:function:f:live";
  for (const pattern of [
    "*",
    arn,
    "arn:aws:lambda:*:*:function:f:*",
    "arn:aws:lambda:eu-*:0*:function:*",
    "arn:*:*:*:*:*",
    "arn:aws:lambda",
  ])
    assert.ok(matchesArn(pattern, arn), pattern);
  for (const pattern of [
    "arn:aws:lambda:*:function:f:live",
    "arn:aws:lambda:*:*:function:f",
    "arn:aws:s3",
    "arn:aws:lambda:*:*:*:live:x",
    "",
  ])
    assert.ok(!matchesArn(pattern, arn), pattern);
  assert.ok(matchesArn("arn:aws:s3:::b/${aws:userid}/*", "arn:aws:s3:::b/AROA:session/k", conditions));
  assert.ok(matchesArn("arn:aws:s3:::b/*", "arn:aws:s3:::b/a:b:c"));
  assert.ok(!matchesArn("arn:aws:s3:::b/*", "*"));
});
