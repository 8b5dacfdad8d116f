import assert from "node:assert/strict";
import { test } from "node:test";
import { filterPolicy, FilterPolicyError, type FilterPolicyScope } from "./filter-policy.ts";

const text = (StringValue: string, DataType = "String") => ({ DataType, StringValue });
const ATTRIBUTES = {
  colour: text("red"),
  price: text("100.5", "Number"),
  tags: text('["a","b",1,true,null]', "String.Array"),
  address: text("10.1.2.3"),
  bytes: { DataType: "Binary" },
  broken: text("[", "String.Array"),
};

/** By attributes of the message above. */
const BY_ATTRIBUTES: readonly (readonly [policy: object, matches: boolean])[] = [
  [{}, true],
  [{ colour: ["red"] }, true],
  [{ colour: ["Red"] }, false],
  [{ colour: ["blue", "red"] }, true],
  [{ colour: [{ prefix: "re" }] }, true],
  [{ colour: [{ suffix: "ed" }] }, true],
  [{ colour: [{ suffix: "re" }] }, false],
  [{ colour: [{ "equals-ignore-case": "RED" }] }, true],
  [{ colour: [{ wildcard: "r*d" }] }, true],
  [{ colour: [{ "anything-but": "red" }] }, false],
  [{ colour: [{ "anything-but": ["blue", "green"] }] }, true],
  [{ colour: [{ "anything-but": { prefix: "re" } }] }, false],
  [{ colour: [{ "anything-but": { prefix: "bl" } }] }, true],
  [{ price: [100.5] }, true],
  [{ price: [{ numeric: [">", 100, "<=", 101] }] }, true],
  [{ price: [{ numeric: ["=", 100] }] }, false],
  [{ price: ["100.5"] }, false],
  [{ colour: [{ exists: true }] }, true],
  [{ colour: [{ exists: false }] }, false],
  [{ other: [{ exists: false }] }, true],
  [{ bytes: [{ exists: true }] }, false],
  [{ broken: [{ exists: true }] }, false],
  [{ tags: ["b"] }, true],
  [{ tags: [1] }, true],
  [{ tags: [true] }, true],
  [{ tags: ["c"] }, false],
  [{ address: [{ cidr: "10.1.0.0/16" }] }, true],
  [{ address: [{ cidr: "10.2.0.0/16" }] }, false],
  [{ colour: ["red"], price: [1] }, false],
  [{ $or: [{ colour: ["blue"] }, { price: [{ numeric: [">", 100] }] }] }, true],
  [{ $or: [{ colour: ["blue"] }, { price: [1] }] }, false],
];

for (const [policy, matches] of BY_ATTRIBUTES)
  test(`${JSON.stringify(policy)} ${matches ? "lets" : "does not let"} the message through`, () => {
    const filter = filterPolicy(JSON.stringify(policy), "MessageAttributes");
    assert.equal(filter.matches({ body: "", attributes: ATTRIBUTES }), matches);
  });

test("the body is asked as JSON, at any depth", () => {
  const filter = filterPolicy('{"store":{"name":["a"]},"lines":{"kind":["x"]}}', "MessageBody");
  const matches = (body: string) => filter.matches({ body, attributes: ATTRIBUTES });
  assert.deepEqual(
    ['{"store":{"name":"a"},"lines":[{"kind":"y"},{"kind":"x"}]}', '{"store":{"name":"b"}}', "a", "[]", "null", ""].map(matches),
    [true, false, false, false, false, false],
  );
});

const list = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`);
const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ["v"]]));

for (const [what, policy, scope, message] of [
  ["no JSON", "{", "MessageAttributes", "failed to parse JSON."],
  ["no object", "[]", "MessageAttributes", "failed to parse JSON."],
  ["six keys", JSON.stringify(keys(6)), "MessageAttributes", "Filter policy can not have more than 5 keys"],
  ["six keys below", JSON.stringify({ a: keys(6) }), "MessageBody", "Filter policy can not have more than 5 keys"],
  ["a nested key", '{"a":{"b":["c"]}}', "MessageAttributes", "Filter policy scope MessageAttributes does not support nested filter policy"],
  ["151 combinations", JSON.stringify({ a: list(151) }), "MessageAttributes", "Filter policy is too complex"],
  ["combinations by depth", JSON.stringify({ a: { b: list(76) } }), "MessageBody", "Filter policy is too complex"],
  ["a product", JSON.stringify({ a: list(13), b: list(12) }), "MessageAttributes", "Filter policy is too complex"],
  ["a sum", JSON.stringify({ $or: [{ a: list(100) }, { b: list(51) }] }), "MessageAttributes", "Filter policy is too complex"],
  ["too long", JSON.stringify({ a: ["x".repeat(262_144)] }), "MessageAttributes", "Filter policy is too long"],
  ["a text as value", '{"a":"b"}', "MessageAttributes", '"a" must be an object or an array'],
  ["a huge number", '{"a":[1e10]}', "MessageAttributes", "Value must be between -1.0E9 and 1.0E9, inclusive"],
  ["anything-but suffix", '{"a":[{"anything-but":{"suffix":"b"}}]}', "MessageAttributes", "Unsupported anything-but pattern: suffix"],
] as const satisfies readonly (readonly [string, string, FilterPolicyScope, string])[])
  test(`${what} is refused`, () => {
    assert.throws(
      () => filterPolicy(policy, scope),
      (cause) => cause instanceof FilterPolicyError && cause.message === message,
    );
  });

test("150 combinations and five keys are allowed", () => {
  assert.ok(filterPolicy(JSON.stringify({ $or: [{ a: list(100) }, { b: list(50) }] }), "MessageAttributes"));
  assert.ok(filterPolicy(JSON.stringify({ $or: list(6).map((one) => ({ a: [one] })) }), "MessageAttributes"));
  assert.ok(filterPolicy(JSON.stringify({ a: list(150) }), "MessageAttributes"));
  assert.ok(filterPolicy(JSON.stringify(keys(5)), "MessageAttributes"));
});
