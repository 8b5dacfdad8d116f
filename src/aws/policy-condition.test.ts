import assert from "node:assert/strict";
import { test } from "node:test";
import { conditionsHold, isCondition } from "./policy-condition.ts";

type Value = string | boolean | number | readonly (string | boolean | number)[];
/** The operator, what it compares with, what the request has under that key, whether it holds. */
type Row = readonly [operator: string, expected: Value, actual: readonly string[] | undefined, holds: boolean];

const ROWS: readonly Row[] = [
  ["StringEquals", "a", ["a"], true],
  ["StringEquals", "a", ["A"], false],
  ["StringEquals", ["a", "b"], ["b"], true],
  ["StringEquals", "a*", ["ab"], false],
  ["StringEquals", "a", undefined, false],
  ["StringEqualsIfExists", "a", undefined, true],
  ["StringEqualsIfExists", "a", ["b"], false],
  ["StringEqualsIgnoreCase", "aB", ["Ab"], true],
  ["StringNotEquals", "a", ["b"], true],
  ["StringNotEquals", ["a", "b"], ["b"], false],
  ["StringNotEquals", "a", undefined, true],
  ["StringNotEquals", "a", ["b", "a"], false],
  ["StringNotEqualsIgnoreCase", "A", ["a"], false],
  ["StringLike", "a*c?", ["abcd"], true],
  ["StringLike", "a*c", ["abcd"], false],
  ["StringNotLike", "a*", ["b"], true],
  ["StringEquals", "${aws:username}", ["ann"], true],
  ["StringLike", "${aws:username}/*", ["ann/x"], true],
  ["StringLike", "${s3:star}", ["x"], false],
  ["StringEquals", "${s3:none}", [""], false],
  ["ArnEquals", "arn:aws:s3:::b*", ["arn:aws:s3:::bucket"], true],
  ["ArnLike", "arn:aws:events:*:0:rule/*", ["arn:aws:events:eu-west-1:0:rule/r"], true],
  ["ArnLike", "arn:aws:events:*:rule/*", ["arn:aws:events:eu-west-1:0:rule/r"], false],
  ["ArnNotLike", "arn:aws:s3:::b", ["arn:aws:s3:::c"], true],
  ["ArnNotEquals", "arn:aws:s3:::b", ["arn:aws:s3:::b"], false],
  ["Bool", true, ["true"], true],
  ["Bool", "TRUE", ["true"], true],
  ["Bool", "true", ["false"], false],
  ["Bool", "false", undefined, false],
  ["BoolIfExists", "false", undefined, true],
  ["IpAddress", "10.0.0.0/8", ["10.1.2.3"], true],
  ["IpAddress", "10.9.9.9/8", ["10.1.2.3"], true],
  ["IpAddress", "10.0.0.0/8", ["::ffff:10.1.2.3"], true],
  ["IpAddress", "10.0.0.1", ["10.0.0.2"], false],
  ["IpAddress", ["10.0.0.1", "2001:db8::/32"], ["2001:db8::1"], true],
  ["IpAddress", "0.0.0.0/0", ["2001:db8::1"], false],
  ["IpAddress", "10.0.0.0/", ["1.2.3.4"], false],
  ["IpAddress", "10.0.0.0/33", ["10.0.0.0"], false],
  ["IpAddress", "10.0.0.0/8/8", ["10.0.0.0"], false],
  ["IpAddress", "localhost", ["127.0.0.1"], false],
  ["IpAddress", "10.0.0.0/8", ["not an address"], false],
  ["NotIpAddress", "10.0.0.0/8", ["11.0.0.0"], true],
  ["NotIpAddress", "10.0.0.0/8", ["10.0.0.0"], false],
  ["NumericEquals", 5, ["5.0"], true],
  ["NumericEquals", "0x5", ["5"], false],
  ["NumericLessThan", "10", ["9"], true],
  ["NumericLessThan", "10", ["10"], false],
  ["NumericLessThanEquals", "10", ["10"], true],
  ["NumericGreaterThan", "10", ["9"], false],
  ["NumericGreaterThanEquals", "-1", ["-1"], true],
  ["NumericGreaterThan", "1", [""], false],
  ["NumericNotEquals", "1", ["2"], true],
  ["DateGreaterThan", "2026-01-01T00:00:00Z", ["2026-06-01T00:00:00.000Z"], true],
  ["DateLessThan", "2026-01-01", ["2026-06-01T00:00:00Z"], false],
  ["DateLessThanEquals", "2026-06-01T02:00:00+02:00", ["2026-06-01T00:00:00Z"], true],
  ["DateEquals", "1767225600", ["2026-01-01T00:00:00Z"], true],
  ["DateLessThan", "2027", ["2026-06-01T00:00:00Z"], true],
  ["DateGreaterThan", "January 1 2000", ["2026-06-01T00:00:00Z"], false],
  ["DateGreaterThanEquals", "2026-01-01T00:00:00Z", ["junk"], false],
  ["DateNotEquals", "2026-01-01T00:00:00Z", ["2026-01-01T00:00:00.000Z"], false],
  ["BinaryEquals", "QUJD", ["QUJD"], true],
  ["Null", "true", undefined, true],
  ["Null", true, ["a"], false],
  ["Null", "False", ["a"], true],
  ["Null", "false", undefined, false],
  ["ForAnyValue:StringEquals", ["a", "b"], ["x", "b"], true],
  ["ForAnyValue:StringEquals", "a", ["x"], false],
  ["ForAnyValue:StringEquals", "a", undefined, false],
  ["ForAnyValue:StringNotEquals", "a", undefined, false],
  ["ForAnyValue:StringNotEquals", "a", ["a", "b"], true],
  ["ForAllValues:StringEquals", ["a", "b"], ["a", "b", "a"], true],
  ["ForAllValues:StringLike", "a*", ["ab", "b"], false],
  ["ForAllValues:StringEquals", "a", undefined, true],
  ["ForAllValues:StringNotEquals", "a", ["b", "a"], false],
  ["ForAnyValue:StringLikeIfExists", "a", undefined, true],
  ["stringequals", "a", ["a"], false],
  ["StringResembles", "a", ["a"], false],
  ["ForSomeValues:StringEquals", "a", ["a"], false],
  ["NullIfExists", "true", undefined, false],
  ["constructor", "a", ["a"], false],
];

for (const [operator, expected, actual, holds] of ROWS)
  test(`${operator} ${JSON.stringify(expected)} of ${JSON.stringify(actual) ?? "nothing"} ${holds ? "holds" : "does not hold"}`, () => {
    const conditions = new Map<string, readonly string[]>([
      ["aws:username", ["ann"]],
      ["s3:star", ["*"]],
      ...(actual === undefined ? [] : [["my:key", actual] as const]),
    ]);
    assert.equal(conditionsHold({ [operator]: { "My:KEY": expected } }, conditions, true), holds);
  });

test("all operators and all their keys must hold", () => {
  const conditions = new Map([
    ["a", ["1"]],
    ["b", ["2"]],
  ]);
  assert.ok(conditionsHold({ StringEquals: { a: "1", b: "2" }, NumericLessThan: { a: 2 } }, conditions, true));
  assert.ok(!conditionsHold({ StringEquals: { a: "1", b: "3" } }, conditions, true));
  assert.ok(!conditionsHold({ StringEquals: { a: "1" }, NumericLessThan: { a: 1 } }, conditions, true));
  assert.ok(conditionsHold({}, conditions, true));
});

test("the older version of policies has no variables", () => {
  const conditions = new Map([["aws:username", ["ann"]]]);
  assert.ok(!conditionsHold({ StringEquals: { "aws:username": "${aws:username}" } }, conditions, false));
  assert.ok(conditionsHold({ StringEquals: { "aws:username": "${aws:username}" } }, conditions, true));
});

test("a condition's shape", () => {
  for (const value of [{}, { StringEquals: {} }, { "ForAnyValue:StringLikeIfExists": { a: ["x", 1, true] } }, { Null: { a: true } }])
    assert.ok(isCondition(value), JSON.stringify(value));
  for (const value of [
    null,
    [],
    "a",
    { Unknown: {} },
    { StringEquals: "a" },
    { StringEquals: [] },
    { StringEquals: { a: null } },
    { StringEquals: { a: [{}] } },
    { StringEquals: { a: {} } },
  ])
    assert.ok(!isCondition(value), JSON.stringify(value));
});
