import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "./identity.ts";
import { evaluate, trusts, type PolicyDocument } from "./policy.ts";

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
  readonly isTrust?: boolean;
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

const OTHERS = FUNCTION.replace(ACCOUNT, "111111111111");
const anonymous: Caller = { kind: "anonymous", account: ACCOUNT, arn: "", userId: "anonymous", accessKeyId: "" };
const user: Caller = { kind: "user", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/u`, userId: "AIDA", accessKeyId: "AKIAU" };
const ROLE_ARN = `arn:aws:iam::${ACCOUNT}:role/target`;
const OTHERS_ROLE = "arn:aws:iam::111111111111:role/target";
const trust = (Principal: Exclude<Statement["Principal"], undefined>, more: object = {}) =>
  policy({ Effect: "Allow", Action: "lambda:InvokeFunction", Principal, ...more });

const MORE_ROWS: readonly Row[] = [
  {
    name: "a session policy's deny wins",
    identity: [policy(allow("*"))],
    session: [policy(allow("*"), deny("lambda:*"))],
    expect: /with an explicit deny in a session policy$/,
  },
  {
    name: "a session policy bounds a resource policy too",
    session: [policy(allow("s3:*"))],
    byResource: policy(allowsRole),
    expect: /because no session policy allows the lambda:InvokeFunction action$/,
  },
  { name: "a session policy allows nothing by itself", session: [policy(allow("*"))], expect: /no identity-based policy/ },
  { name: "every session policy's deny counts", caller: root, session: [policy(allow("*")), policy(deny("*"))], expect: /session policy$/ },
  { name: "a session of the root is bounded too", caller: root, session: [policy(allow("s3:*"))], expect: /no session policy/ },
  { name: "the root user of another account is a stranger", caller: root, resource: OTHERS, expect: /no resource-based policy allows/ },
  {
    name: "across accounts a resource policy is not enough",
    resource: OTHERS,
    byResource: policy(allowsRole),
    expect: /no identity-based policy/,
  },
  {
    name: "across accounts an explicit deny of either side wins",
    resource: OTHERS,
    identity: [policy(allow("*"), deny("*"))],
    byResource: policy(allowsRole),
    expect: /explicit deny in an identity-based/,
  },
  { name: "a grant to the session itself", byResource: policy({ ...allowsRole, Principal: { AWS: role.arn } }), expect: true },
  {
    name: "a grant to another session",
    byResource: policy({ ...allowsRole, Principal: { AWS: `${role.arn}2` } }),
    expect: /no identity-based/,
  },
  { name: "everyone is everyone", caller: anonymous, byResource: policy({ ...allowsRole, Principal: "*" }), expect: true },
  { name: "all of AWS is everyone", caller: anonymous, byResource: policy({ ...allowsRole, Principal: { AWS: "*" } }), expect: true },
  {
    name: "nobody is let in by an account",
    caller: anonymous,
    byResource: policy({ ...allowsRole, Principal: { AWS: ACCOUNT } }),
    expect: /^User: anonymous is not .* no resource-based/,
  },
  {
    name: "nobody is let in by an empty name",
    caller: anonymous,
    byResource: policy({ ...allowsRole, Principal: { AWS: "" } }),
    expect: /no resource-based/,
  },
  {
    name: "a deny of the account binds its users",
    caller: user,
    identity: [policy(allow("*"))],
    byResource: policy({ Effect: "Deny", Action: "*", Resource: "*", Principal: { AWS: ACCOUNT } }),
    expect: /explicit deny in a resource-based/,
  },
  {
    name: "NotPrincipal spares whom it names",
    caller: user,
    identity: [policy(allow("*"))],
    byResource: policy({ Effect: "Deny", Action: "*", Resource: "*", NotPrincipal: { AWS: user.arn } }),
    expect: true,
  },
  {
    name: "NotPrincipal hits all others",
    identity: [policy(allow("*"))],
    byResource: policy({ Effect: "Deny", Action: "*", Resource: "*", NotPrincipal: { AWS: user.arn } }),
    expect: /explicit deny/,
  },
  { name: "a statement without principal in a resource policy means nobody", byResource: policy(allow("*")), expect: /no identity-based/ },
  {
    name: "an identity policy's principal of a service is no service",
    byResource: policy({ ...allowsRole, Principal: { Service: role.arn } }),
    expect: /no identity-based/,
  },
  {
    name: "a service is bound by conditions",
    caller: service,
    byResource: policy({
      Effect: "Allow",
      Action: "*",
      Resource: "*",
      Principal: { Service: "s3.amazonaws.com" },
      Condition: { ArnLike: { "AWS:SourceArn": "arn:aws:s3:::b" } },
    }),
    conditions: { "aws:sourcearn": "arn:aws:s3:::c" },
    expect: /no resource-based/,
  },
  {
    name: "variables without a version are text",
    identity: [{ Statement: allow("*", "arn:aws:lambda:*:*:function:${aws:username}") }],
    conditions: { "aws:username": "f" },
    expect: /no identity/,
  },
  {
    name: "an exception that can't be read excepts everything",
    identity: [policy({ Effect: "Allow", Action: "*", NotResource: "arn:aws:s3:::${aws:none}" })],
    expect: /no identity/,
  },
  {
    name: "a value can't be a wildcard",
    identity: [policy(allow("*", "arn:aws:lambda:*:*:function:${aws:useragent}"))],
    conditions: { "aws:useragent": "*" },
    expect: /no identity/,
  },
  {
    name: "a grant of another account's number",
    resource: "arn:aws:lambda:us-east-1:111111111111:function:f",
    identity: [policy(allow("*", FUNCTION))],
    byResource: policy(allowsRole),
    expect: /no identity/,
  },
  {
    name: "AWS's own policies belong to everybody's account",
    resource: "arn:aws:iam::aws:policy/X",
    identity: [policy(allow("*", "arn:aws:iam::aws:policy/*"))],
    expect: true,
  },
  // What must be trusted: a role by its trust policy.
  {
    name: "trust: an identity policy is not enough",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    identity: [policy(allow("*"))],
    expect: /target$/,
  },
  {
    name: "trust: nor is being the root",
    resource: ROLE_ARN,
    caller: root,
    isTrust: true,
    byResource: trust({ Service: "s3.amazonaws.com" }),
    expect: /target$/,
  },
  {
    name: "trust: the user by name suffices within the account",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: user.arn }),
    expect: true,
  },
  {
    name: "trust: the account leaves it to identity policies, which say nothing",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: ACCOUNT }),
    expect: /target$/,
  },
  {
    name: "trust: the account leaves it to identity policies, which allow",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: ACCOUNT }),
    identity: [policy(allow("lambda:*", ROLE_ARN))],
    expect: true,
  },
  {
    name: "trust: the account's root may",
    resource: ROLE_ARN,
    caller: root,
    isTrust: true,
    byResource: trust({ AWS: ACCOUNT }),
    expect: true,
  },
  {
    name: "trust: an identity policy's deny wins over a name",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: user.arn }),
    identity: [policy(deny("*"))],
    expect: /explicit deny in an identity-based policy$/,
  },
  {
    name: "trust: a session policy bounds",
    resource: ROLE_ARN,
    isTrust: true,
    byResource: trust({ AWS: role.roleArn ?? "" }),
    session: [policy(allow("s3:*"))],
    expect: /target$/,
  },
  {
    name: "trust: across accounts a name is not enough",
    resource: OTHERS_ROLE,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: user.arn }),
    expect: /target$/,
  },
  {
    name: "trust: across accounts both suffice",
    resource: OTHERS_ROLE,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: ACCOUNT }),
    identity: [policy(allow("*"))],
    expect: true,
  },
  {
    name: "trust: a condition that does not hold",
    resource: ROLE_ARN,
    caller: user,
    isTrust: true,
    byResource: trust({ AWS: user.arn }, { Condition: { StringEquals: { "sts:ExternalId": "x" } } }),
    conditions: { "sts:externalid": "y" },
    expect: /target$/,
  },
];

for (const row of [...ROWS, ...MORE_ROWS])
  test(`IAM: ${row.name}`, () => {
    const need = {
      action: "lambda:InvokeFunction",
      resource: row.resource ?? FUNCTION,
      ...(row.byResource === undefined ? {} : { resourcePolicy: row.byResource }),
      ...(row.isTrust === true ? { needsResourcePolicy: true as const } : {}),
    };
    const conditions = () => new Map(Object.entries(row.conditions ?? {}).map(([key, value]) => [key, [value]]));
    const decision = evaluate({ caller: row.caller ?? role, need, identity: row.identity ?? [], session: row.session ?? [], conditions });
    if (row.expect === true) assert.deepEqual(decision, { allowed: true });
    else assert.match(decision.allowed ? "allowed" : decision.message, row.expect);
  });

test("a trust policy for a service", () => {
  const document = policy(
    { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: ["s3.amazonaws.com", "sns.amazonaws.com"] } },
    { Effect: "Deny", Action: "sts:AssumeRole", Principal: { Service: "sns.amazonaws.com" } },
  );
  const trusted = (arn: string, action = "sts:AssumeRole") => trusts(document, { ...service, arn }, action, new Map());
  assert.ok(trusted("s3.amazonaws.com"));
  assert.ok(!trusted("s3.amazonaws.com", "sts:TagSession"));
  assert.ok(!trusted("sns.amazonaws.com"));
  assert.ok(!trusted("lambda.amazonaws.com"));
});

test("conditions are asked for when a statement has some, and once", () => {
  let reads = 0;
  const ask = (identity: PolicyDocument) =>
    evaluate({
      caller: role,
      need: { action: "lambda:InvokeFunction", resource: FUNCTION },
      identity: [identity],
      session: [],
      conditions: () => {
        reads += 1;
        return new Map([["a", ["b"]]]);
      },
    }).allowed;
  assert.ok(ask(policy(allow("lambda:*"))));
  assert.equal(reads, 0);
  const Condition = { StringEquals: { a: "c" } };
  assert.ok(!ask(policy(allow("*", "*", { Condition }), allow("*", "*", { Condition }), allow("*", "*", { Condition }))));
  assert.equal(reads, 1);
});
