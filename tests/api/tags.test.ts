// ListTags, TagResource, UntagResource, and GetAccountSettings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LambdaClient } from "@aws-sdk/client-lambda";
import type { FixedIdentity } from "../../src/aws/memory-identities.ts";
import type { PolicyStatement } from "../../src/aws/policy.ts";
import {
  ACCOUNT,
  arnOf,
  check,
  covered,
  makeFunction,
  REGION,
  ROLE,
  send,
  settled,
  startLambda,
  type Row,
  type Started,
} from "./lambda.fixture.ts";

const LASTING = "1 validation error detected: Value ";
const many = (count: number, from = 0) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index + from}`, "v"]));

test("tags come, are replaced, and go; each change is a new revision and no update", async (t) => {
  const started = await startLambda(t);
  const { client } = started;
  await makeFunction(started, "f");
  const Resource = arnOf("f");
  const state = async () => {
    const { Configuration, Tags } = await send(client, "GetFunction", { FunctionName: "f" });
    const { RevisionId, LastModified, LastUpdateStatus } = Configuration as Record<string, string>;
    return { RevisionId, LastModified, LastUpdateStatus, Tags };
  };
  const first = await state();
  const rows: readonly Row[] = [
    { name: "none", call: ["ListTags", { Resource }], expect: { Tags: {} } },
    { name: "add", call: ["TagResource", { Resource, Tags: { team: "blue", "a b/c:d=e+f-g@h": "ä", constructor: "x" } }] },
    { name: "replace", call: ["TagResource", { Resource, Tags: { team: "red", empty: "" } }] },
    {
      name: "list",
      call: ["ListTags", { Resource }],
      expect: { Tags: { team: "red", "a b/c:d=e+f-g@h": "ä", constructor: "x", empty: "" } },
    },
    { name: "remove", call: ["UntagResource", { Resource, TagKeys: ["team", "absent", "a b/c:d=e+f-g@h"] }] },
    { name: "rest", call: ["ListTags", { Resource }], expect: { Tags: { constructor: "x", empty: "" } } },
  ];
  for (const row of rows) await check(started, row);
  const last = await state();
  assert.notEqual(last.RevisionId, first.RevisionId);
  assert.deepEqual(
    [last.LastModified, last.LastUpdateStatus, last.Tags],
    [first.LastModified, "Successful", { constructor: "x", empty: "" }],
  );
  assert.deepEqual(started.invoker.retired, [], "environments do not see tags");
});

test("tags: what is refused changes nothing", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f", { Tags: many(49) });
  const Resource = arnOf("f");
  const Tags = { a: "b" };
  const invalid = "InvalidParameterValueException";
  const row = (name: string, call: Row["call"], ...fault: NonNullable<Row["fault"]>): Row => ({ name, call, fault });
  const pattern =
    /^1 validation error detected: Value 'arn:aws:something' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:/;
  const versions = "Tags on function aliases and versions are not supported. Please specify a function ARN.";
  const mapping = `arn:aws:lambda:${REGION}:000000000000:event-source-mapping:00000000-0000-4000-8000-000000000000`;
  const rows: readonly Row[] = [
    row("51", ["TagResource", { Resource, Tags: many(2, 100) }], 400, invalid, "Number of tags exceeds resource tag limit."),
    row("no tags", ["TagResource", { Resource, Tags: {} }], 400, invalid, "An error occurred and the request cannot be processed."),
    row(
      "null",
      ["TagResource", { Resource }],
      400,
      "ValidationException",
      `${LASTING}null at 'tags' failed to satisfy constraint: Member must not be null`,
    ),
    row(
      "no keys",
      ["UntagResource", { Resource }],
      400,
      "ValidationException",
      `${LASTING}null at 'tagKeys' failed to satisfy constraint: Member must not be null`,
    ),
    row("a long key", ["TagResource", { Resource, Tags: { ["k".repeat(129)]: "" } }], 400, "ValidationException", /at 'tags'/),
    row("a key with a star", ["TagResource", { Resource, Tags: { "*": "" } }], 400, "ValidationException", /at 'tags'/),
    ...(["ListTags", "TagResource", "UntagResource"] as const).flatMap((operation) => {
      const call = (resource: string): Row["call"] => [operation, { Resource: resource, Tags, TagKeys: ["a"] }];
      return [
        row("no ARN", call("arn:aws:something"), 400, "ValidationException", pattern),
        row("a version", call(`${Resource}:1`), 400, invalid, versions),
        row("latest", call(`${Resource}:$LATEST`), 400, invalid, versions),
        row("unknown", call(arnOf("g")), 404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`),
        row("a mapping", call(mapping), 404, "ResourceNotFoundException", `Event source mapping not found: ${mapping}`),
        row(
          "another region",
          call("arn:aws:lambda:us-east-1:000000000000:function:f"),
          404,
          "ResourceNotFoundException",
          /^Functions from 'us-east-1' are not reachable/,
        ),
      ];
    }),
  ];
  for (const one of rows) await check(started, one);
  await check(started, { name: "all there", call: ["ListTags", { Resource }], expect: { Tags: many(49) } });
  await check(started, { name: "the fiftieth", call: ["TagResource", { Resource, Tags }] });
});

test("GetAccountSettings counts functions and their code", async (t) => {
  const started = await startLambda(t);
  await check(started, {
    name: "empty",
    call: ["GetAccountSettings", {}],
    expect: {
      AccountLimit: {
        TotalCodeSize: 322_122_547_200,
        CodeSizeUnzipped: 262_144_000,
        CodeSizeZipped: 52_428_800,
        ConcurrentExecutions: 1000,
        UnreservedConcurrentExecutions: 1000,
      },
      AccountUsage: { TotalCodeSize: 0, FunctionCount: 0 },
    },
  });
  await makeFunction(started, "a");
  await makeFunction(started, "b");
  const AccountUsage = { TotalCodeSize: 2 * started.zip.length, FunctionCount: 2 };
  await check(started, { name: "two", call: ["GetAccountSettings", {}], expect: { AccountUsage } });
  const bytes = started.zip.length;
  await send(started.client, "PublishVersion", { FunctionName: "a" });
  await send(started.client, "PublishLayerVersion", { LayerName: "l", Content: { ZipFile: started.zip } });
  const counts = async (name: string, FunctionCount: number, packages: number, one: Pick<Started, "client"> = started) =>
    await check(one, {
      name,
      call: ["GetAccountSettings", {}],
      expect: { AccountUsage: { TotalCodeSize: packages * bytes, FunctionCount } },
    });
  await counts("with a version and a layer", 2, 4);
  await send(started.client, "DeleteLayerVersion", { LayerName: "l", VersionNumber: 1 });
  await counts("without the layer", 2, 3);
  const again = await started.restart();
  await counts("after a restart", 2, 3, again);
  await send(again.client, "DeleteFunction", { FunctionName: "a" });
  await counts("a function goes with its versions", 1, 1, again);
});

test("who has no policy may do nothing, and learns of nothing", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const Resource = arnOf("f");
  const code = { ZipFile: started.zip };
  const calls: readonly (readonly [Row["call"], string])[] = [
    [["Invoke", { FunctionName: "f" }], `lambda:InvokeFunction on resource: ${Resource} `],
    [["Invoke", { FunctionName: "f", Qualifier: "live" }], `lambda:InvokeFunction on resource: ${Resource}:live `],
    [["Invoke", { FunctionName: `${Resource}:$LATEST` }], `lambda:InvokeFunction on resource: ${Resource}:$LATEST `],
    [["GetFunction", { FunctionName: "none" }], `lambda:GetFunction on resource: ${arnOf("none")} `],
    [["GetFunctionConfiguration", { FunctionName: "not a name!" }], "lambda:GetFunctionConfiguration on resource: "],
    [["CreateFunction", { FunctionName: "f", Code: code, Role: "r" }], `lambda:CreateFunction on resource: ${Resource} `],
    [["UpdateFunctionConfiguration", { FunctionName: "f" }], `lambda:UpdateFunctionConfiguration on resource: ${Resource} `],
    [["UpdateFunctionCode", { FunctionName: "f" }], `lambda:UpdateFunctionCode on resource: ${Resource} `],
    [["DeleteFunction", { FunctionName: "f" }], `lambda:DeleteFunction on resource: ${Resource} `],
    [["ListFunctions", {}], "lambda:ListFunctions on resource: * "],
    [["GetAccountSettings", {}], "lambda:GetAccountSettings on resource: * "],
    [["ListTags", { Resource }], `lambda:ListTags on resource: ${Resource} `],
    [["TagResource", { Resource, Tags: {} }], `lambda:TagResource on resource: ${Resource} `],
    [["UntagResource", { Resource, TagKeys: [] }], `lambda:UntagResource on resource: ${Resource} `],
  ];
  for (const [call, what] of calls) {
    const start = `User: arn:aws:iam::000000000000:user/x is not authorized to perform: ${what}`;
    const [operation, input] = call;
    await assert.rejects(send(started.stranger, operation, input), (error: Error) => {
      assert.equal(error.name, "AccessDeniedException");
      assert.ok(error.message.startsWith(start), `${operation}: ${error.message}`);
      return true;
    });
    covered.fault.add(operation);
  }
});

test("giving a function a role needs the right to pass it", async (t) => {
  const { service } = await startLambda(t);
  const context = { account: "000000000000", region: REGION } as never;
  const Role = "arn:aws:iam::000000000000:role/admin";
  for (const operation of ["CreateFunction", "UpdateFunctionConfiguration"]) {
    const needs = await service.definition.access(operation, context, { FunctionName: "f", Role });
    const told = needs.map(({ conditions, ...need }) => ({ ...need, conditions: conditions?.() }));
    assert.deepEqual(told, [
      { action: `lambda:${operation}`, resource: arnOf("f"), conditions: {} },
      { action: "iam:PassRole", resource: Role, conditions: { "iam:PassedToService": "lambda.amazonaws.com" } },
    ]);
  }
});

const who = (name: string, ...Statement: PolicyStatement[]): FixedIdentity => ({
  secretAccessKey: `secret-of-${name}`,
  caller: {
    kind: "user",
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/${name}`,
    userId: `AIDA${name}`,
    accessKeyId: `AKIA${name}`,
  },
  identityPolicies: [{ Version: "2012-10-17", Statement }],
});

test("IAM: what tags a function has, and what tags a request brings, decide", async (t) => {
  const ofShop = who("shop", {
    Effect: "Allow",
    Action: "lambda:*",
    Resource: "*",
    Condition: { StringEquals: { "aws:ResourceTag/team": "shop" } },
  });
  const bringsTeam = { StringEquals: { "aws:RequestTag/team": "shop" }, "ForAllValues:StringEquals": { "aws:TagKeys": ["team", "stage"] } };
  const maker = who(
    "maker",
    { Effect: "Allow", Action: "iam:PassRole", Resource: "*" },
    { Effect: "Allow", Action: ["lambda:CreateFunction", "lambda:TagResource"], Resource: "*", Condition: bringsTeam },
  );
  const untagger = who("untagger", {
    Effect: "Allow",
    Action: "lambda:UntagResource",
    Resource: "*",
    Condition: { "ForAllValues:StringEquals": { "aws:TagKeys": "stage" } },
  });
  const started = await startLambda(t, {}, [ofShop, maker, untagger]);
  const { door } = started;
  const clients = [ofShop, maker, untagger].map((one) => new LambdaClient(door.settings(one)));
  t.after(() => clients.forEach((client) => client.destroy()));
  const [shop, make, untag] = clients as [LambdaClient, LambdaClient, LambdaClient];
  const denied = { name: "AccessDeniedException" };
  const create = (FunctionName: string, Tags?: Record<string, string>) =>
    send(make, "CreateFunction", {
      FunctionName,
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: ROLE,
      Code: { ZipFile: started.zip },
      Tags,
    });

  await assert.rejects(create("none"), denied);
  await assert.rejects(create("other", { team: "bank" }), denied);
  await assert.rejects(create("more", { team: "shop", cost: "1" }), denied);
  await create("ours", { team: "shop", stage: "test" });
  await settled(started, "ours");
  await makeFunction(started, "theirs", { Tags: { team: "bank" } });
  await send(started.client, "PublishVersion", { FunctionName: "ours" });
  for (const input of [{ FunctionName: "ours" }, { FunctionName: "ours", Qualifier: "1" }]) {
    await send(shop, "GetFunctionConfiguration", input);
    await send(shop, "Invoke", input);
  }
  await assert.rejects(send(shop, "GetFunctionConfiguration", { FunctionName: "theirs" }), denied);
  await assert.rejects(send(shop, "Invoke", { FunctionName: "theirs" }), denied);
  await assert.rejects(send(untag, "UntagResource", { Resource: arnOf("ours"), TagKeys: ["stage", "team"] }), denied);
  await send(untag, "UntagResource", { Resource: arnOf("ours"), TagKeys: ["stage"] });
});

test("IAM: tags are set with the right to tag, and seen with the right to list them", async (t) => {
  const untagged = who("u1", { Effect: "Allow", Action: ["lambda:Create*", "lambda:GetFunction", "iam:PassRole"], Resource: "*" });
  const started = await startLambda(t, {}, [untagged]);
  const client = new LambdaClient(started.door.settings(untagged));
  t.after(() => client.destroy());
  const denied = (action: string, resource: string) =>
    `User: arn:aws:iam::${ACCOUNT}:user/u1 is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;
  const Tags = { team: "shop" };
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: started.zip } };
  await assert.rejects(send(client, "CreateFunction", { ...input, Tags }), { message: denied("lambda:TagResource", arnOf("f")) });
  const AllowedPublishers = { SigningProfileVersionArns: [`arn:aws:signer:${REGION}:${ACCOUNT}:/signing-profiles/p/abcdefghij`] };
  await assert.rejects(send(client, "CreateCodeSigningConfig", { AllowedPublishers, Tags }), {
    message: denied("lambda:TagResource", `arn:aws:lambda:${REGION}:${ACCOUNT}:code-signing-config:*`),
  });
  await send(client, "CreateCodeSigningConfig", { AllowedPublishers });
  await send(client, "CreateFunction", { ...input, Tags: {} });
  await settled(started, "f");
  const shown = async (reader: LambdaClient) => {
    const { Tags: seen, TagsError } = await send(reader, "GetFunction", { FunctionName: "f", Qualifier: "$LATEST" });
    return { seen, TagsError };
  };
  assert.deepEqual(await shown(client), { seen: undefined, TagsError: undefined }, "there are none");
  await send(started.client, "TagResource", { Resource: arnOf("f"), Tags });
  const TagsError = { ErrorCode: "AccessDeniedException", Message: denied("lambda:ListTags", arnOf("f")) };
  assert.deepEqual(await shown(client), { seen: undefined, TagsError });
  assert.deepEqual(await shown(started.client), { seen: Tags, TagsError: undefined });
});

test("tags and account settings have been seen to succeed and to fail", () => {
  const all = ["ListTags", "TagResource", "UntagResource", "GetAccountSettings"];
  assert.deepEqual(
    all.filter((name) => !covered.success.has(name) || !covered.fault.has(name)),
    [],
  );
});
