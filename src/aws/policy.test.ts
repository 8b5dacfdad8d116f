import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "./identity.ts";
import { evaluate, parsePolicy, type PolicyDocument } from "./policy.ts";
import { matchesWildcard } from "./policy-condition.ts";

const ACCOUNT = "000000000000";
const role: Caller = {
  kind: "assumed-role",
  account: ACCOUNT,
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/r/s`,
  roleArn: `arn:aws:iam::${ACCOUNT}:role/r`,
  userId: "AROA:s",
  accessKeyId: "ASIA",
};
const root: Caller = { kind: "root", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:root`, userId: ACCOUNT, accessKeyId: "AKIA" };
const service: Caller = { kind: "service", account: ACCOUNT, arn: "s3.amazonaws.com", userId: "s3.amazonaws.com", accessKeyId: "" };
const FUNCTION = `arn:aws:lambda:us-east-1:${ACCOUNT}:function:f`;

type Statement = Exclude<PolicyDocument["Statement"], readonly unknown[]>;
const policy = (...Statement: Statement[]): PolicyDocument => ({ Version: "2012-10-17", Statement });
const allow = (Action: string | string[], Resource: string | string[] = "*", more: object = {}): Statement => ({
  Effect: "Allow",
  Action,
  Resource,
  ...more,
});
const deny = (Action: string, Resource = "*"): Statement => ({ Effect: "Deny", Action, Resource });
const allowsRole = { Effect: "Allow", Action: "lambda:*", Resource: "*", Principal: { AWS: role.roleArn ?? "" } } as const;

interface Row {
  readonly name: string;
  readonly caller?: Caller;
  readonly resource?: string;
  readonly identity?: readonly PolicyDocument[];
  readonly session?: readonly PolicyDocument[];
  readonly byResource?: PolicyDocument;
  readonly conditions?: Readonly<Record<string, string>>;
  readonly expect: true | RegExp;
}

const ROWS: readonly Row[] = [
  {
    name: "nothing allows",
    expect:
      /^User: arn:aws:sts::000000000000:assumed-role\/r\/s is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:000000000000:function:f because no identity-based policy allows the lambda:InvokeFunction action$/,
  },
  { name: "an identity policy allows", identity: [policy(allow("lambda:InvokeFunction", FUNCTION))], expect: true },
  { name: "action names are compared without case, with wildcards", identity: [policy(allow("LAMBDA:invoke*"))], expect: true },
  {
    name: "a grant on the bare ARN does not cover a qualified call",
    resource: `${FUNCTION}:live`,
    identity: [policy(allow("lambda:*", FUNCTION))],
    expect: /no identity-based policy/,
  },
  {
    name: "an explicit deny wins",
    identity: [policy(allow("*")), policy(deny("lambda:InvokeFunction"))],
    expect: /with an explicit deny in an identity-based policy$/,
  },
  { name: "the root user may do everything", caller: root, expect: true },
  {
    name: "a resource policy's deny binds even the root user",
    caller: root,
    byResource: policy({ Effect: "Deny", Action: "*", Resource: "*", Principal: "*" }),
    expect: /explicit deny in a resource-based policy/,
  },
  { name: "within an account a resource policy suffices", byResource: policy(allowsRole), expect: true },
  {
    name: "the account as principal leaves it to identity policies",
    byResource: policy({ ...allowsRole, Principal: { AWS: ACCOUNT } }),
    expect: /no identity-based policy/,
  },
  {
    name: "across accounts an identity policy is not enough",
    resource: FUNCTION.replace(ACCOUNT, "111111111111"),
    identity: [policy(allow("*"))],
    expect: /no resource-based policy/,
  },
  {
    name: "across accounts both suffice",
    resource: FUNCTION.replace(ACCOUNT, "111111111111"),
    identity: [policy(allow("*"))],
    byResource: policy({ ...allowsRole, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } }),
    expect: true,
  },
  { name: "a session policy bounds", identity: [policy(allow("*"))], session: [policy(allow("s3:*"))], expect: /no session policy allows/ },
  {
    name: "a service needs a resource policy",
    caller: service,
    byResource: policy({
      Effect: "Allow",
      Action: "lambda:InvokeFunction",
      Resource: FUNCTION,
      Principal: { Service: "s3.amazonaws.com" },
    }),
    expect: true,
  },
  {
    name: "another service is not meant",
    caller: service,
    byResource: policy({ Effect: "Allow", Action: "*", Resource: "*", Principal: { Service: "sns.amazonaws.com" } }),
    expect: /no resource-based policy/,
  },
  { name: "NotAction", identity: [policy({ Effect: "Allow", NotAction: "iam:*", Resource: "*" })], expect: true },
  { name: "NotResource", identity: [policy({ Effect: "Allow", Action: "*", NotResource: FUNCTION })], expect: /no identity-based policy/ },
  {
    name: "a condition that holds",
    identity: [policy(allow("*", "*", { Condition: { IpAddress: { "aws:SourceIp": ["10.0.0.0/8", "127.0.0.0/8"] } } }))],
    conditions: { "aws:sourceip": "127.0.0.1" },
    expect: true,
  },
  {
    name: "a condition that does not hold",
    identity: [policy(allow("*", "*", { Condition: { StringLike: { "aws:UserAgent": "boto*" } } }))],
    conditions: { "aws:useragent": "curl" },
    expect: /no identity/,
  },
  {
    name: "a missing key fails a positive operator",
    identity: [policy(allow("*", "*", { Condition: { StringEquals: { "aws:username": "x" } } }))],
    expect: /no identity/,
  },
  {
    name: "a missing key passes IfExists and negative operators",
    identity: [
      policy(allow("*", "*", { Condition: { StringEqualsIfExists: { a: "x" }, StringNotEquals: { b: "y" }, Null: { c: "true" } } })),
    ],
    expect: true,
  },
  {
    name: "dates and numbers",
    identity: [policy(allow("*", "*", { Condition: { DateGreaterThan: { now: "2026-01-01T00:00:00Z" }, NumericLessThan: { n: "10" } } }))],
    conditions: { now: "2026-06-01T00:00:00Z", n: "9" },
    expect: true,
  },
  {
    name: "variables in resources",
    identity: [policy(allow("*", "arn:aws:lambda:*:*:function:${aws:username}"))],
    conditions: { "aws:username": "f" },
    expect: true,
  },
  {
    name: "an unknown operator never holds",
    identity: [policy(allow("*", "*", { Condition: { StringResembles: { a: "x" } } }))],
    conditions: { a: "x" },
    expect: /no identity/,
  },
];

for (const row of ROWS)
  test(`IAM: ${row.name}`, () => {
    const need = {
      action: "lambda:InvokeFunction",
      resource: row.resource ?? FUNCTION,
      ...(row.byResource === undefined ? {} : { resourcePolicy: row.byResource }),
    };
    const conditions = new Map(Object.entries(row.conditions ?? {}).map(([key, value]) => [key, [value]]));
    const decision = evaluate({ caller: row.caller ?? role, need, identity: row.identity ?? [], session: row.session ?? [], conditions });
    if (row.expect === true) assert.deepEqual(decision, { allowed: true });
    else assert.match(decision.allowed ? "allowed" : decision.message, row.expect);
  });

test("wildcards match in linear time", () => {
  assert.ok(matchesWildcard("a*b?d", "axxbcd"));
  assert.ok(!matchesWildcard("a*b", "axxc"));
  assert.ok(!matchesWildcard(`${"*a".repeat(20)}b`, "a".repeat(20_000)));
});

test("malformed policies are named", () => {
  for (const text of [
    "",
    "[]",
    "{}",
    '{"Statement":[]}',
    '{"Statement":{"Effect":"Maybe","Action":"*"}}',
    '{"Statement":{"Effect":"Allow","Action":"everything","Resource":"*"}}',
    '{"Version":"1","Statement":{}}',
    '{"Statement":{"Effect":"Allow","Action":"*","Condition":[]}}',
  ])
    assert.ok("malformed" in parsePolicy(text), text);
  assert.ok(!("malformed" in parsePolicy('{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}')));
});
