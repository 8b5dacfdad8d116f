// Layers: published, got, listed, deleted and shared, as the official SDK sees them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { GetLayerVersionCommand, LambdaClient, PublishLayerVersionCommand } from "@aws-sdk/client-lambda";
import type { FixedIdentity } from "../../src/aws/memory-identities.ts";
import { startApi } from "../support/api.ts";
import { zipOf } from "../support/zip.ts";
import { ACCOUNT, check, covered, REGION, send, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";

const layerArn = (name: string, version?: number) =>
  `arn:aws:lambda:${REGION}:${ACCOUNT}:layer:${name}${version === undefined ? "" : `:${version}`}`;
const INVALID = "InvalidParameterValueException";
const MISSING = "ResourceNotFoundException";
const BELOW_ONE = [400, INVALID, "Layer Version Cannot be less than 1"] as const;
const NOT_THERE = [404, MISSING, "The resource you requested does not exist."] as const;
const absent = (name: string, version: number) => [404, MISSING, `Layer version ${layerArn(name, version)} does not exist.`] as const;

const OTHER_ACCOUNT = "111111111111";
const FOREIGNER: FixedIdentity = {
  secretAccessKey: "secret-of-another-account",
  caller: {
    kind: "root",
    account: OTHER_ACCOUNT,
    arn: `arn:aws:iam::${OTHER_ACCOUNT}:root`,
    userId: OTHER_ACCOUNT,
    accessKeyId: "AKIAFOREIGN",
  },
};
const READER: FixedIdentity = {
  secretAccessKey: "secret-of-reader",
  caller: { kind: "user", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/reader`, userId: "AIDAREADER", accessKeyId: "AKIAREADER" },
  identityPolicies: [
    {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: ["lambda:GetLayerVersion", "lambda:DeleteLayerVersion"], Resource: `${layerArn("read")}:*` },
        { Effect: "Allow", Action: ["lambda:PublishLayerVersion"], Resource: layerArn("read") },
        { Effect: "Allow", Action: ["lambda:ListLayers", "lambda:ListLayerVersions"], Resource: "*" },
      ],
    },
  ],
};

async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  return await startLambda(t, {}, [FOREIGNER, READER]);
}

const publish = (one: Pick<Started, "client" | "zip">, LayerName: string, more: object = {}) =>
  send(one.client, "PublishLayerVersion", { LayerName, Content: { ZipFile: one.zip }, ...more });

function as(t: Parameters<typeof startLambda>[0], one: Started, who: FixedIdentity): { readonly client: LambdaClient } {
  const client = new LambdaClient(one.door.settings(who));
  t.after(() => client.destroy());
  return { client };
}

test("a version has the members of AWS, and they stay what they were", async (t) => {
  const one = await started(t);
  const plain = await publish(one, "plain");
  const { CreatedDate, Content } = plain;
  assert.match(String(CreatedDate), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/);
  const hash = createHash("sha256").update(one.zip);
  const CodeSha256 = hash.copy().digest("base64");
  const Location = (Content as { Location: string }).Location;
  assert.ok(Location.endsWith(hash.digest("hex")));
  assert.deepEqual(plain, {
    Content: { Location, CodeSha256, CodeSize: one.zip.length },
    LayerArn: layerArn("plain"),
    LayerVersionArn: layerArn("plain", 1),
    Description: "",
    CreatedDate,
    Version: 1,
  });
  const given = {
    Description: "of everything",
    LicenseInfo: "MIT",
    CompatibleRuntimes: ["nodejs24.x", "ruby2.5", "nodejs8.10"],
    CompatibleArchitectures: ["x86_64", "arm64"],
  };
  const full = await publish(one, layerArn("plain"), given);
  assert.deepEqual([full["Version"], full["LayerVersionArn"]], [2, layerArn("plain", 2)]);
  const second = await one.restart();
  const got = await send(second.client, "GetLayerVersion", { LayerName: "plain", VersionNumber: 2 });
  const byArn = await send(second.client, "GetLayerVersionByArn", { Arn: layerArn("plain", 2) });
  for (const found of [got, byArn]) {
    for (const [member, value] of Object.entries(given)) assert.deepEqual(found[member], value);
    assert.deepEqual([found["Version"], found["CreatedDate"]], [2, full["CreatedDate"]]);
  }
});

test("numbers are never used again, even by many who publish at once", async (t) => {
  const one = await started(t);
  await publish(one, "l");
  await send(one.client, "DeleteLayerVersion", { LayerName: "l", VersionNumber: 1 });
  assert.equal((await publish(one, "l"))["Version"], 2);
  const second = await one.restart();
  await send(second.client, "DeleteLayerVersion", { LayerName: "l", VersionNumber: 2 });
  const published = await Promise.all(Array.from({ length: 20 }, () => publish(second, "l")));
  const numbers = published.map(({ Version }) => Number(Version)).toSorted((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 20 }, (_, n) => n + 3),
  );
});

test("content comes from S3 as well, and counts as used storage", async (t) => {
  const one = await started(t);
  one.objects.set("bucket/layer.zip", one.zip);
  const before = await send(one.client, "GetAccountSettings", {});
  const made = await send(one.client, "PublishLayerVersion", { LayerName: "s3", Content: { S3Bucket: "bucket", S3Key: "layer.zip" } });
  assert.equal((made["Content"] as { CodeSize: number }).CodeSize, one.zip.length);
  const used = (settings: Record<string, unknown>) => (settings["AccountUsage"] as { TotalCodeSize: number }).TotalCodeSize;
  assert.equal(used(await send(one.client, "GetAccountSettings", {})) - used(before), one.zip.length);
});

test("a layer's zip is kept as long as its version is there", async (t) => {
  const one = await started(t);
  await publish(one, "kept");
  const sha256 = createHash("sha256").update(one.zip).digest("hex");
  assert.ok(one.service.isReferenced(sha256));
  const second = await one.restart();
  assert.ok(second.service.isReferenced(sha256));
  await send(second.client, "DeleteLayerVersion", { LayerName: "kept", VersionNumber: 1 });
  assert.ok(!second.service.isReferenced(sha256));
});

test("Content.Location downloads the zip", async (t) => {
  const { clients } = await startApi(t);
  const { lambda } = clients();
  const zip = await zipOf({ "python/there.py": "" });
  const { Content } = await lambda.send(new PublishLayerVersionCommand({ LayerName: "down", Content: { ZipFile: zip } }));
  const got = await lambda.send(new GetLayerVersionCommand({ LayerName: "down", VersionNumber: 1 }));
  for (const location of [Content?.Location, got.Content?.Location]) {
    const response = await fetch(location ?? "");
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), new Uint8Array(zip));
  }
});

test("lists: newest first, filtered, in pages", async (t) => {
  const one = await started(t);
  const node = { CompatibleRuntimes: ["nodejs24.x"], CompatibleArchitectures: ["x86_64"] };
  await publish(one, "b", node);
  await publish(one, "b", { CompatibleRuntimes: ["python3.13", "nodejs24.x"], CompatibleArchitectures: ["arm64"] });
  await publish(one, "b");
  await publish(one, "a", node);
  await publish(one, "b-longer");
  await publish(one, "gone");
  await send(one.client, "DeleteLayerVersion", { LayerName: "gone", VersionNumber: 1 });
  const versions = async (more: object = {}) => {
    const { LayerVersions } = await send(one.client, "ListLayerVersions", { LayerName: "b", ...more });
    return (LayerVersions as { Version: number }[]).map(({ Version }) => Version);
  };
  assert.deepEqual(await versions(), [3, 2, 1]);
  assert.deepEqual(await versions({ LayerName: layerArn("b") }), [3, 2, 1]);
  assert.deepEqual(await versions({ CompatibleRuntime: "nodejs24.x" }), [2, 1]);
  assert.deepEqual(await versions({ CompatibleRuntime: "nodejs24.x", CompatibleArchitecture: "x86_64" }), [1]);
  assert.deepEqual(await versions({ CompatibleRuntime: "java25" }), []);
  assert.deepEqual(await versions({ LayerName: "unknown" }), []);
  const layers = async (more: Record<string, unknown> = {}) => {
    const { Layers } = await send(one.client, "ListLayers", more);
    return (Layers as { LayerName: string; LatestMatchingVersion: { Version: number } }[]).map((layer) => [
      layer.LayerName,
      layer.LatestMatchingVersion.Version,
    ]);
  };
  assert.deepEqual(await layers(), [
    ["a", 1],
    ["b", 3],
    ["b-longer", 1],
  ]);
  assert.deepEqual(await layers({ CompatibleRuntime: "nodejs24.x" }), [
    ["a", 1],
    ["b", 2],
  ]);
  assert.deepEqual(await layers({ CompatibleArchitecture: "arm64" }), [["b", 2]]);
  const { Layers } = await send(one.client, "ListLayers", { MaxItems: 1 });
  const [{ LatestMatchingVersion, ...first }] = Layers as [{ LatestMatchingVersion: Record<string, unknown> }];
  assert.deepEqual(first, { LayerName: "a", LayerArn: layerArn("a") });
  assert.deepEqual(LatestMatchingVersion, {
    LayerVersionArn: layerArn("a", 1),
    Version: 1,
    Description: "",
    CreatedDate: LatestMatchingVersion["CreatedDate"],
    ...node,
  });
  for (const [name, input, member] of [
    ["ListLayers", {}, "Layers"],
    ["ListLayerVersions", { LayerName: "b" }, "LayerVersions"],
  ] as const) {
    const seen: unknown[] = [];
    let Marker: unknown;
    for (let pages = 0; pages < 5; pages++) {
      const page = await send(one.client, name, { ...input, MaxItems: 1, ...(Marker === undefined ? {} : { Marker }) });
      seen.push(...(page[member] as unknown[]));
      Marker = page["NextMarker"];
      if (Marker === undefined) break;
    }
    assert.deepEqual(seen, (await send(one.client, name, input))[member]);
  }
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  await publish(one, "l");
  const content = { ZipFile: one.zip };
  const publishing = (name: string, input: object, fault: Row["fault"]): Row => ({
    name,
    call: ["PublishLayerVersion", { LayerName: "l", Content: content, ...input }],
    ...(fault === undefined ? {} : { fault }),
  });
  const versioned = ["GetLayerVersion", "DeleteLayerVersion", "GetLayerVersionPolicy"] as const;
  const elsewhere = `arn:aws:lambda:us-east-1:${ACCOUNT}:layer:l`;
  const rows: readonly Row[] = [
    publishing("published", {}, undefined),
    publishing("no content", { Content: {} }, [400, INVALID, "Please provide a source for function code."]),
    publishing("two contents", { Content: { ...content, S3Bucket: "bucket" } }, [400, INVALID, /^Please do not provide other/]),
    publishing("no bucket", { Content: { S3Bucket: "nowhere", S3Key: "x" } }, [
      400,
      INVALID,
      "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
    ]),
    publishing("no zip", { Content: { ZipFile: Buffer.from("no") } }, [400, INVALID, /^Could not unzip uploaded file/]),
    publishing("an empty zip", { Content: { ZipFile: Buffer.alloc(0) } }, [400, INVALID, "Uploaded file must be a non-empty zip"]),
    publishing("a reference", { Content: { S3Bucket: "bucket", S3Key: "x", S3ObjectStorageMode: "REFERENCE" } }, [
      400,
      INVALID,
      "Lambent does not support Content.S3ObjectStorageMode REFERENCE yet: leave it out. See docs/compatibility.md.",
    ]),
    publishing("a wrong name", { LayerName: "no.dots" }, [400, "ValidationException", /Value 'no\.dots' at 'layerName' failed/]),
    publishing("elsewhere", { LayerName: elsewhere }, NOT_THERE),
    publishing("in another partition", { LayerName: layerArn("l").replace("aws", "aws-cn") }, NOT_THERE),
    publishing("incompatible with everything", { CompatibleRuntimes: ["invalidruntime"], CompatibleArchitectures: ["invalidarch"] }, [
      400,
      "ValidationException",
      /^2 validation errors detected: (?=.*Value '\[invalidruntime\]' at 'compatibleRuntimes' failed).*Value '\[invalidarch\]' at 'compatibleArchitectures' failed/,
    ]),
    publishing("16 runtimes", { CompatibleRuntimes: Array.from({ length: 16 }, () => "nodejs24.x") }, [
      400,
      "ValidationException",
      /Member must have length less than or equal to 15/,
    ]),
    publishing("a long description", { Description: "x".repeat(257) }, [400, "ValidationException", /at 'description' failed/]),
    ...versioned.map((operation): Row => ({ name: "0", call: [operation, { LayerName: "l", VersionNumber: 0 }], fault: BELOW_ONE })),
    ...versioned.map((operation): Row => ({ name: "-1", call: [operation, { LayerName: "l", VersionNumber: -1 }], fault: BELOW_ONE })),
    { name: "no such version", call: ["GetLayerVersion", { LayerName: "l", VersionNumber: 9 }], fault: NOT_THERE },
    { name: "no such layer", call: ["GetLayerVersion", { LayerName: "m", VersionNumber: 1 }], fault: NOT_THERE },
    { name: "no such version, by ARN", call: ["GetLayerVersionByArn", { Arn: layerArn("l", 9) }], fault: NOT_THERE },
    { name: "by ARN, elsewhere", call: ["GetLayerVersionByArn", { Arn: `${elsewhere}:1` }], fault: NOT_THERE },
    {
      name: "by ARN without a version",
      call: ["GetLayerVersionByArn", { Arn: layerArn("l") }],
      fault: [400, "ValidationException", /^1 validation error detected: Value 'arn:.*:layer:l' at 'arn' failed to satisfy constraint/],
    },
    { name: "got", call: ["GetLayerVersion", { LayerName: "l", VersionNumber: 1 }], expect: { Version: 1 } },
    { name: "got by ARN", call: ["GetLayerVersionByArn", { Arn: layerArn("l", 1) }], expect: { Version: 1 } },
    { name: "a wrong marker", call: ["ListLayers", { Marker: "x" }], fault: [400, "ValidationException", /at 'marker' failed/] },
    { name: "51 items", call: ["ListLayers", { MaxItems: 51 }], fault: [400, "ValidationException", /less than or equal to 50/] },
    {
      name: "no runtime",
      call: ["ListLayerVersions", { LayerName: "l", CompatibleRuntime: "cobol" }],
      fault: [400, "ValidationException", /Value 'cobol' at 'compatibleRuntime' failed/],
    },
    { name: "listed", call: ["ListLayers", {}] },
    { name: "versions listed", call: ["ListLayerVersions", { LayerName: "l" }] },
    { name: "deleted", call: ["DeleteLayerVersion", { LayerName: "l", VersionNumber: 1 }] },
    { name: "deleted before", call: ["DeleteLayerVersion", { LayerName: "l", VersionNumber: 1 }] },
    { name: "deleted, never there", call: ["DeleteLayerVersion", { LayerName: "m", VersionNumber: 7 }] },
    { name: "after it", call: ["GetLayerVersion", { LayerName: "l", VersionNumber: 1 }], fault: NOT_THERE },
  ];
  for (const row of rows) await check(one, row);
});

test("policies: statements and revisions as AWS writes them", async (t) => {
  const one = await started(t);
  await publish(one, "l");
  const statement = { LayerName: "l", VersionNumber: 1, Action: "lambda:GetLayerVersion", Principal: "*" };
  const made = await send(one.client, "AddLayerVersionPermission", { ...statement, StatementId: "first" });
  assert.match(String(made["RevisionId"]), UUID);
  const first = { Sid: "first", Effect: "Allow", Principal: "*", Action: "lambda:GetLayerVersion", Resource: layerArn("l", 1) };
  assert.deepEqual(JSON.parse(String(made["Statement"])), first);
  const org = await send(one.client, "AddLayerVersionPermission", {
    ...statement,
    StatementId: "org",
    OrganizationId: "o-abcdefghij",
    RevisionId: made["RevisionId"],
  });
  const second = { ...first, Sid: "org", Condition: { StringEquals: { "aws:PrincipalOrgID": "o-abcdefghij" } } };
  assert.deepEqual(JSON.parse(String(org["Statement"])), second);
  const { Policy, RevisionId } = await send((await one.restart()).client, "GetLayerVersionPolicy", { LayerName: "l", VersionNumber: 1 });
  assert.deepEqual(JSON.parse(String(Policy)), { Version: "2012-10-17", Id: "default", Statement: [first, second] });
  assert.equal(RevisionId, org["RevisionId"]);
});

test("policies: every refusal, and what is left of them", async (t) => {
  const one = await started(t);
  await publish(one, "l");
  const place = { LayerName: "l", VersionNumber: 1 };
  const statement = { ...place, StatementId: "s", Action: "lambda:GetLayerVersion", Principal: "*" };
  const fault = (given: Row["fault"]) => (given === undefined ? {} : { fault: given });
  const adding = (name: string, input: object, given?: Row["fault"]): Row => ({
    name,
    call: ["AddLayerVersionPermission", { ...statement, ...input }],
    ...fault(given),
  });
  const removing = (name: string, input: object, given?: Row["fault"]): Row => ({
    name,
    call: ["RemoveLayerVersionPermission", { ...place, StatementId: "s", ...input }],
    ...fault(given),
  });
  const getting = (name: string, input: object, given?: Row["fault"]): Row => ({
    name,
    call: ["GetLayerVersionPolicy", { ...place, ...input }],
    ...fault(given),
  });
  const stale = [
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id",
  ] as const;
  const RevisionId = "00000000-0000-4000-8000-000000000000";
  const rows: readonly Row[] = [
    getting("none yet", {}, [404, MISSING, "No policy is associated with the given resource."]),
    removing("none yet", {}, [404, MISSING, "Statement s is not found in resource policy."]),
    adding("added", {}),
    getting("shown", {}),
    adding("added twice", {}, [
      409,
      "ResourceConflictException",
      "The statement id (s) provided already exists. Please provide a new statement id, or remove the existing statement.",
    ]),
    adding("stale", { StatementId: "t", RevisionId }, stale),
    removing("stale", { RevisionId }, stale),
    adding("another action", { StatementId: "t", Action: "*" }, [
      400,
      "ValidationException",
      "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion",
    ]),
    adding("a user", { StatementId: "t", Principal: `arn:aws:iam::${ACCOUNT}:user/x` }, [
      400,
      "ValidationException",
      /at 'principal' failed/,
    ]),
    adding("a wrong organisation", { StatementId: "t", OrganizationId: "o" }, [400, "ValidationException", /at 'organizationId' failed/]),
    ...[adding, removing, getting].flatMap((call) => [
      call("no layer", { LayerName: "m" }, absent("m", 1)),
      call("no version", { VersionNumber: 2 }, absent("l", 2)),
      call("below one", { VersionNumber: 0 }, BELOW_ONE),
    ]),
    removing("no such statement", { StatementId: "doesnotexist" }, [
      404,
      MISSING,
      "Statement doesnotexist is not found in resource policy.",
    ]),
    removing("removed", {}),
    getting("none any more", {}, [404, MISSING, "No policy is associated with the given resource."]),
  ];
  for (const row of rows) await check(one, row);
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => send(one.client, "AddLayerVersionPermission", { ...statement, StatementId: `s${n}` })),
  );
  const { Policy } = await send(one.client, "GetLayerVersionPolicy", place);
  assert.equal((JSON.parse(String(Policy)) as { Statement: unknown[] }).Statement.length, 20, "none of those at once is lost");
  const full = async () => {
    for (let n = 0; n < 200; n++)
      await send(one.client, "AddLayerVersionPermission", { ...statement, StatementId: `${"x".repeat(96)}${n}` });
  };
  await assert.rejects(full(), { name: "PolicyLengthExceededException", message: /bigger than the limit \(20480\)/ });
});

test("another account may get what a policy gives it, and nothing else", async (t) => {
  const one = await started(t);
  const other = as(t, one, FOREIGNER);
  await publish(one, "shared");
  const get = () => send(other.client, "GetLayerVersion", { LayerName: layerArn("shared"), VersionNumber: 1 });
  const allow = (StatementId: string, Principal: string, more: object = {}) =>
    send(one.client, "AddLayerVersionPermission", {
      LayerName: "shared",
      VersionNumber: 1,
      StatementId,
      Action: "lambda:GetLayerVersion",
      Principal,
      ...more,
    });
  const denied = {
    name: "AccessDeniedException",
    message: `User: arn:aws:iam::${OTHER_ACCOUNT}:root is not authorized to perform: lambda:GetLayerVersion on resource: ${layerArn("shared", 1)} because no resource-based policy allows the lambda:GetLayerVersion action`,
  };
  await assert.rejects(get(), denied);
  await allow("organisation", "*", { OrganizationId: "o-abcdefghij" });
  await allow("third", "222222222222");
  await assert.rejects(get(), denied, "there are no organisations here");
  await allow("account", OTHER_ACCOUNT);
  assert.equal((await get())["LayerVersionArn"], layerArn("shared", 1));
  assert.equal((await send(other.client, "GetLayerVersionByArn", { Arn: layerArn("shared", 1) }))["Version"], 1);
  await publish(one, "shared");
  for (const [name, input] of [
    ["GetLayerVersion", { VersionNumber: 2 }],
    ["DeleteLayerVersion", { VersionNumber: 1 }],
    ["GetLayerVersionPolicy", { VersionNumber: 1 }],
    ["ListLayerVersions", {}],
    ["PublishLayerVersion", { Content: { ZipFile: one.zip } }],
  ] as const)
    await assert.rejects(send(other.client, name, { LayerName: layerArn("shared"), ...input }), { name: "AccessDeniedException" }, name);
  assert.deepEqual((await send(other.client, "ListLayers", {}))["Layers"], [], "others' layers are not listed");
  await send(one.client, "RemoveLayerVersionPermission", { LayerName: "shared", VersionNumber: 1, StatementId: "account" });
  await assert.rejects(get(), denied);
  await allow("everybody", "*");
  assert.equal((await get())["Version"], 1);
});

test("IAM decides by the ARN of the layer, and of the version", async (t) => {
  const one = await started(t);
  const reader = as(t, one, READER);
  await publish(one, "read");
  await publish(one, "secret");
  const ok = async (name: Parameters<typeof send>[1], input: object) => void (await send(reader.client, name, { ...input }));
  const content = { Content: { ZipFile: one.zip } };
  await ok("GetLayerVersion", { LayerName: "read", VersionNumber: 1 });
  await ok("GetLayerVersionByArn", { Arn: layerArn("read", 1) });
  await ok("PublishLayerVersion", { LayerName: "read", ...content });
  await ok("ListLayers", {});
  await ok("ListLayerVersions", { LayerName: "secret" });
  await ok("DeleteLayerVersion", { LayerName: "read", VersionNumber: 1 });
  for (const [name, input] of [
    ["GetLayerVersion", { LayerName: "secret", VersionNumber: 1 }],
    ["GetLayerVersionByArn", { Arn: layerArn("secret", 1) }],
    ["PublishLayerVersion", { LayerName: "secret", ...content }],
    ["DeleteLayerVersion", { LayerName: "secret", VersionNumber: 1 }],
    ["GetLayerVersionPolicy", { LayerName: "read", VersionNumber: 2 }],
  ] as const)
    await assert.rejects(
      send(reader.client, name, input),
      { name: "AccessDeniedException", message: /because no identity-based policy/ },
      name,
    );
});

after(() => {
  const operations = [
    "PublishLayerVersion",
    "GetLayerVersion",
    "GetLayerVersionByArn",
    "ListLayers",
    "ListLayerVersions",
    "DeleteLayerVersion",
  ];
  for (const operation of [...operations, "AddLayerVersionPermission", "RemoveLayerVersionPermission", "GetLayerVersionPolicy"])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
