import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicy } from "./policy.ts";
import type { PolicyKind } from "./policy-syntax.ts";

const IDENTITY = { Effect: "Allow", Action: "s3:*", Resource: "*" };
const TRUST = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } };
const RESOURCE = { ...IDENTITY, Principal: "*" };

const wellFormed: readonly [kind: PolicyKind, document: unknown][] = [
  ["identity", { Version: "2012-10-17", Statement: IDENTITY }],
  [
    "identity",
    {
      Version: "2008-10-17",
      Id: "x",
      Statement: [IDENTITY, { Effect: "Deny", NotAction: ["iam:Get*", "*"], NotResource: ["arn:aws:s3:::b"] }],
    },
  ],
  ["identity", { Statement: [{ ...IDENTITY, Sid: "Abc1", Condition: { StringEquals: { a: ["b"] } } }] }],
  ["identity", { Statement: { ...IDENTITY, Resource: ["arn:aws:s3:::b/${aws:username}/*", "arn:aws:sqs"] } }],
  [
    "trust",
    { Version: "2012-10-17", Statement: [TRUST, { ...TRUST, Principal: { AWS: ["000000000000", "arn:aws:iam::000000000000:role/a/b"] } }] },
  ],
  [
    "trust",
    { Statement: { ...TRUST, Action: ["sts:AssumeRole", "sts:TagSession"], Principal: { AWS: "*", Service: ["a.amazonaws.com"] } } },
  ],
  ["resource", { Statement: { ...RESOURCE, Sid: "with space-_" } }],
  ["resource", { Statement: { Effect: "Deny", Action: "s3:*", Resource: "*", NotPrincipal: { AWS: "arn:aws:iam::000000000000:root" } } }],
];

for (const [index, [kind, document]] of wellFormed.entries())
  test(`well-formed policy ${index + 1}: ${kind}`, () => assert.deepEqual(parsePolicy(JSON.stringify(document), kind), document));

const SYNTAX = "Syntax errors in policy.";
const malformed: readonly [kind: PolicyKind, document: unknown, message: string | RegExp][] = [
  ["identity", [], SYNTAX],
  ["identity", "text", SYNTAX],
  ["identity", {}, SYNTAX],
  ["identity", { Statement: [] }, SYNTAX],
  ["identity", { Statement: ["x"] }, SYNTAX],
  ["identity", { Statement: IDENTITY, Extra: 1 }, SYNTAX],
  ["identity", { Version: "1", Statement: IDENTITY }, "The policy must contain a valid version string"],
  ["identity", { Statement: { ...IDENTITY, Effect: "Maybe" } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, Effect: "allow" } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, condition: {} } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, Condition: [] } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, Condition: { StringResembles: { a: "b" } } } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, Action: 1 } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, NotAction: "a:b" } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, NotResource: "*" } }, SYNTAX],
  ["identity", { Statement: { ...IDENTITY, Action: [] } }, "Policy statement must contain actions."],
  ["identity", { Statement: { Effect: "Allow", Resource: "*" } }, "Policy statement must contain actions."],
  ["identity", { Statement: { Effect: "Allow", Action: "*" } }, "Policy statement must contain resources."],
  ["identity", { Statement: { ...IDENTITY, Resource: [] } }, "Policy statement must contain resources."],
  ["identity", { Statement: { ...IDENTITY, Resource: "bucket" } }, 'Resource bucket must be in ARN format or "*".'],
  [
    "identity",
    { Statement: { ...IDENTITY, Action: "everything" } },
    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
  ],
  ["identity", { Statement: RESOURCE }, "Policy document should not specify a principal."],
  ["identity", { Statement: { ...IDENTITY, Sid: "a-b" } }, /^Statement IDs \(SID\) must be alpha-numeric/],
  [
    "identity",
    {
      Statement: [
        { ...IDENTITY, Sid: "a" },
        { ...IDENTITY, Sid: "a" },
      ],
    },
    "Statement IDs (SID) in a single policy must be unique.",
  ],
  ["trust", { Statement: { Effect: "Allow", Action: "sts:AssumeRole" } }, "Missing required field Principal"],
  ["trust", { Statement: { ...TRUST, Resource: "*" } }, "Has prohibited field Resource"],
  ["trust", { Statement: { ...TRUST, Action: "s3:GetObject" } }, "AssumeRole policy may only specify STS AssumeRole actions."],
  ["trust", { Statement: { ...TRUST, Principal: { Service: "lambda" } } }, 'Invalid principal in policy: "SERVICE":"lambda"'],
  ["trust", { Statement: { ...TRUST, Principal: { AWS: "ann" } } }, 'Invalid principal in policy: "AWS":"ann"'],
  ["trust", { Statement: { ...TRUST, Principal: { AWS: "arn:aws:iam::000000000000:role/*" } } }, /^Invalid principal/],
  ["trust", { Statement: { ...TRUST, Principal: {} } }, SYNTAX],
  ["trust", { Statement: { ...TRUST, Principal: "all" } }, SYNTAX],
  ["trust", { Statement: { ...TRUST, Principal: { Everyone: "*" } } }, SYNTAX],
  ["resource", { Statement: IDENTITY }, "Missing required field Principal"],
  ["resource", { Statement: { ...RESOURCE, NotPrincipal: "*" } }, SYNTAX],
];

for (const [kind, document, message] of malformed)
  test(`malformed: ${kind} ${JSON.stringify(document).slice(0, 90)}`, () => {
    const parsed = parsePolicy(JSON.stringify(document), kind);
    assert.ok("malformed" in parsed);
    if (typeof message === "string") assert.equal(parsed.malformed, message);
    else assert.match(parsed.malformed, message);
  });

test("what is no JSON, or more than anybody needs", () => {
  for (const text of ["", "{", "{'a':1}", "NaN"]) assert.deepEqual(parsePolicy(text), { malformed: "This policy contains invalid Json" });
  const long = JSON.stringify({
    Statement: { ...IDENTITY, Resource: Array.from({ length: 1000 }, (_, index) => `arn:aws:s3:::bucket-${index}`) },
  });
  assert.deepEqual(parsePolicy(long, "identity"), { malformed: "Policy document is too long." });
  assert.deepEqual(parsePolicy(" ".repeat(200_000)), { malformed: "Policy document is too long." });
  assert.deepEqual(parsePolicy("[".repeat(100_000)), { malformed: "This policy contains invalid Json" });
});

test("a document can't reach the prototypes of what reads it", () => {
  const text = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"},"__proto__":{"Id":"x"}}';
  assert.deepEqual(parsePolicy(text, "identity"), { malformed: SYNTAX });
  assert.equal(({} as { Id?: unknown }).Id, undefined);
});
