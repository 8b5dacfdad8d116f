// The layers of functions: which are accepted, what they are frozen in, and how long their content stays.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { LambdaClient } from "@aws-sdk/client-lambda";
import type { FixedIdentity } from "../../src/aws/memory-identities.ts";
import { rawZip } from "../acceptance/raw-zip.ts";
import { zipOf } from "../support/zip.ts";
import { ACCOUNT, check, makeFunction, REGION, ROLE, send, settled, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const INVALID = "InvalidParameterValueException";
const arn = (name: string, version = 1, region = REGION, account = ACCOUNT) =>
  `arn:aws:lambda:${region}:${account}:layer:${name}:${version}`;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const user = (name: string, account: string, identityPolicies: FixedIdentity["identityPolicies"] = []): FixedIdentity => ({
  secretAccessKey: `secret-of-${name}`,
  caller: { kind: "user", account, arn: `arn:aws:iam::${account}:user/${name}`, userId: `AIDA${name}`, accessKeyId: `AKIA${name}` },
  identityPolicies,
});
const allow = (Action: string | string[], Resource: string, Condition?: Record<string, Record<string, string>>) =>
  [
    { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource, ...(Condition === undefined ? {} : { Condition }) }] },
  ] as const;
const everything = allow("*", "*");

interface Published extends Started {
  readonly zips: Readonly<Record<string, Uint8Array>>;
}

/** With one version each of the layers `a` to `f`. */
async function started(t: TestContext, identities: readonly FixedIdentity[] = []): Promise<Published> {
  const one = await startLambda(t, {}, identities);
  const zips: Record<string, Uint8Array> = {};
  for (const name of "abcdef") {
    zips[name] = await zipOf({ both: name, [`only-${name}`]: name });
    await send(one.client, "PublishLayerVersion", { LayerName: name, Content: { ZipFile: zips[name] } });
  }
  return { ...one, zips };
}

const layersOf = async (one: Pick<Started, "client">, FunctionName = "f") =>
  (await send(one.client, "GetFunctionConfiguration", { FunctionName }))["Layers"];

async function change(one: Started, input: Record<string, unknown>): Promise<void> {
  await send(one.client, "UpdateFunctionConfiguration", { FunctionName: "f", ...input });
  await settled(one, "f");
}

/** The directory at /opt that the data plane was given by the last invocation. */
async function optOf(one: Started, FunctionName = "f"): Promise<string | undefined> {
  await send(one.client, "Invoke", { FunctionName });
  return one.invoker.invocations.at(-1)?.deployment.layersDirectory;
}

test("layers are shown in their order, replaced as a whole, and cleared by an empty list", async (t) => {
  const one = await started(t);
  await makeFunction(one, "f", { Layers: [arn("b"), arn("a")] });
  const shown = (names: string) => names.split("").map((name) => ({ Arn: arn(name), CodeSize: one.zips[name]?.length }));
  assert.deepEqual(await layersOf(one), shown("ba"));
  const { Configuration } = await send(one.client, "GetFunction", { FunctionName: "f" });
  assert.deepEqual((Configuration as Record<string, unknown>)["Layers"], shown("ba"));
  await change(one, { Timeout: 9 });
  assert.deepEqual(await layersOf(one), shown("ba"), "what is not given stays");
  await change(one, { Layers: [arn("a"), arn("c"), arn("d"), arn("e"), arn("f")] });
  assert.deepEqual(await layersOf(await one.restart()), shown("acdef"));
});

test("/opt: one layer as it is, several merged, none after an empty list; each change has its own environments", async (t) => {
  const one = await started(t);
  await makeFunction(one, "f", { Layers: [arn("a")] });
  const single = (await optOf(one)) ?? "";
  assert.deepEqual((await readdir(single)).toSorted(), ["both", "only-a"]);
  await change(one, { Layers: [arn("a"), arn("b")] });
  const merged = (await optOf(one)) ?? "";
  assert.deepEqual((await readdir(merged)).toSorted(), ["both", "only-a", "only-b"]);
  assert.equal(await readFile(join(merged, "both"), "utf8"), "b", "the later one wins");
  await change(one, { Layers: [arn("b"), arn("a")] });
  const turned = (await optOf(one)) ?? "";
  assert.equal(await readFile(join(turned, "both"), "utf8"), "a");
  await change(one, { Layers: [] });
  assert.equal(await optOf(one), undefined);
  assert.equal(await layersOf(one), undefined);
  const keys = one.invoker.invocations.map(({ deployment }) => deployment.key);
  assert.equal(new Set(keys).size, 4);
  assert.deepEqual(one.invoker.retired, keys.slice(0, 3));
});

test("a published version keeps its layers, whatever becomes of them", async (t) => {
  const one = await started(t);
  await makeFunction(one, "f", { Layers: [arn("a"), arn("b")] });
  const published = await send(one.client, "PublishVersion", { FunctionName: "f" });
  assert.equal((await send(one.client, "PublishVersion", { FunctionName: "f" }))["Version"], "1", "nothing has changed");
  await change(one, { Layers: [arn("a")] });
  assert.equal((await send(one.client, "PublishVersion", { FunctionName: "f" }))["Version"], "2");
  for (const name of "ab") await send(one.client, "DeleteLayerVersion", { LayerName: name, VersionNumber: 1 });
  const second = await one.restart();
  const described = await send(second.client, "GetFunctionConfiguration", { FunctionName: "f:1" });
  assert.deepEqual(described["Layers"], published["Layers"]);
  const opt = (await optOf(second, "f:1")) ?? "";
  assert.equal(await readFile(join(opt, "only-b"), "utf8"), "b");
});

test("content of a deleted layer version stays as long as a function or a version has it", async (t) => {
  const one = await started(t);
  const [a, b] = ["a", "b"].map((name) => sha256(one.zips[name] ?? new Uint8Array()));
  const needed = (service: Started["service"]) => [a, b].map((hash) => service.isReferenced(hash ?? ""));
  await makeFunction(one, "f", { Layers: [arn("a"), arn("b")] });
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  for (const name of "ab") await send(one.client, "DeleteLayerVersion", { LayerName: name, VersionNumber: 1 });
  await change(one, { Layers: [] });
  assert.deepEqual(needed(one.service), [true, true], "version 1 has them");
  const second = await one.restart();
  assert.deepEqual(needed(second.service), [true, true]);
  const opt = (await optOf(second, "f:1")) ?? "";
  await send(second.client, "DeleteFunction", { FunctionName: "f:1" });
  assert.deepEqual(needed(second.service), [false, false]);
  await second.restart();
  await assert.rejects(readdir(opt), { code: "ENOENT" }, "and the merged directory goes with them");
});

test("what is refused, in AWS's words, and changes nothing", async (t) => {
  const one = await started(t);
  await send(one.client, "PublishLayerVersion", { LayerName: "a", Content: { ZipFile: one.zip } });
  await send(one.client, "DeleteLayerVersion", { LayerName: "f", VersionNumber: 1 });
  await makeFunction(one, "f", { Layers: [arn("b")] });
  const before = await layersOf(one);
  const both = (first: string, second: string) =>
    `Two different versions of the same layer are not allowed to be referenced in the same function. ${first} and ${second} are versions of the same layer.`;
  const cases: readonly (readonly [name: string, Layers: readonly string[], type: string, message: string | RegExp])[] = [
    ["six", "abcdef".split("").map((name) => arn(name)), INVALID, "Cannot reference more than 5 layers."],
    ["no layer", [arn("unknown")], INVALID, `Layer version ${arn("unknown")} does not exist.`],
    ["no version", [arn("b", 9)], INVALID, `Layer version ${arn("b", 9)} does not exist.`],
    ["a deleted version", [arn("f")], INVALID, `Layer version ${arn("f")} does not exist.`],
    ["AWS's own", ["arn:aws:lambda:::awslayer:x"], INVALID, "Layer version arn:aws:lambda:::awslayer:x does not exist."],
    ["another spelling", [arn("b", 1).replace(/1$/, "01")], INVALID, `Layer version ${arn("b").replace(/1$/, "01")} does not exist.`],
    [
      "another partition",
      [arn("b").replace("aws", "aws-cn")],
      INVALID,
      `Layer version ${arn("b").replace("aws", "aws-cn")} does not exist.`,
    ],
    ["two versions", [arn("a"), arn("b"), arn("a", 2)], INVALID, both(arn("a"), arn("a", 2))],
    ["the same version twice", [arn("a"), arn("a")], INVALID, both(arn("a"), arn("a"))],
    [
      "elsewhere",
      [arn("a", 1, "us-east-1")],
      INVALID,
      `Layers are not in the same region as the function. Layers are expected to be in region ${REGION}.`,
    ],
    [
      "no version in the ARN",
      [arn("a").slice(0, -2)],
      "ValidationException",
      /^1 validation error detected: Value '\[arn:aws:lambda:eu-west-1:000000000000:layer:a\]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: \[Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: .*, Member must not be null\]$/,
    ],
  ];
  const create = { FunctionName: "g", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: one.zip } };
  for (const [name, Layers, type, message] of cases) {
    const fault: Row["fault"] = [400, type, message];
    await check(one, { name, call: ["CreateFunction", { ...create, Layers }], fault });
    await check(one, { name, call: ["UpdateFunctionConfiguration", { FunctionName: "f", Layers }], fault });
  }
  assert.deepEqual(await layersOf(one), before);
  await assert.rejects(layersOf(one, "g"), { name: "ResourceNotFoundException" });
});

test("code and layers together stay below 250 MB", async (t) => {
  const one = await started(t);
  const mib = 2 ** 20;
  const large = (bytes: number) => rawZip([{ name: `large-${bytes}`, data: Buffer.alloc(bytes), method: 8 }]);
  for (const [name, size] of [
    ["large", 100 * mib],
    ["larger", 110 * mib],
  ] as const)
    await send(one.client, "PublishLayerVersion", { LayerName: name, Content: { ZipFile: large(size) } });
  const both = [arn("large"), arn("larger")];
  await makeFunction(one, "f", { Layers: both });
  const used = 210 * mib;
  const refused = (bytes: number) =>
    [
      400,
      INVALID,
      `Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is ${bytes} bytes.`,
    ] as const;
  const rest = 262_144_000 - used;
  const create = { FunctionName: "g", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Layers: both };
  const rows: readonly Row[] = [
    { name: "code", call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: large(rest) }], fault: refused(262_144_000) },
    {
      name: "dry run",
      call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: large(rest), DryRun: true }],
      fault: refused(262_144_000),
    },
    { name: "new", call: ["CreateFunction", { ...create, Code: { ZipFile: large(rest) } }], fault: refused(262_144_000) },
    { name: "just below", call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: large(rest - 1) }] },
  ];
  for (const row of rows) await check(one, row);
  await settled(one, "f");
  const layers = { name: "layers", call: ["UpdateFunctionConfiguration", { FunctionName: "f", Layers: [...both, arn("a")] }] } as const;
  await check(one, { ...layers, fault: refused(262_143_999 + 2) });
});

test("a layer of another account needs its permission when it is added, and not afterwards", async (t) => {
  const OTHER = "111111111111";
  const one = await started(t, [user("foreigner", OTHER, everything)]);
  const client = new LambdaClient(one.door.settings(user("foreigner", OTHER)));
  t.after(() => client.destroy());
  const Role = ROLE.replace(ACCOUNT, OTHER);
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role, Code: { ZipFile: one.zip } };
  const create = () => send(client, "CreateFunction", { ...input, Layers: [arn("a")] });
  const denied = {
    name: "AccessDeniedException",
    message: `User: arn:aws:iam::${OTHER}:user/foreigner is not authorized to perform: lambda:GetLayerVersion on resource: ${arn("a")} because no resource-based policy allows the lambda:GetLayerVersion action`,
  };
  await assert.rejects(create(), denied);
  const permission = { LayerName: "a", VersionNumber: 1, StatementId: "s" };
  await send(one.client, "AddLayerVersionPermission", { ...permission, Action: "lambda:GetLayerVersion", Principal: OTHER });
  assert.deepEqual((await create())["Layers"], [{ Arn: arn("a"), CodeSize: one.zips["a"]?.length }]);
  await send(one.client, "RemoveLayerVersionPermission", permission);
  await send(one.client, "DeleteLayerVersion", { LayerName: "a", VersionNumber: 1 });
  const updated = async () => {
    for (;;) {
      const { State, LastUpdateStatus } = await send(client, "GetFunctionConfiguration", { FunctionName: "f" });
      if (State === "Active" && LastUpdateStatus === "Successful") return;
      t.signal.throwIfAborted();
    }
  };
  await updated();
  await send(client, "UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 9 });
  await updated();
  assert.equal((await send(client, "Invoke", { FunctionName: "f" }))["StatusCode"], 200);
  await assert.rejects(send(client, "UpdateFunctionConfiguration", { FunctionName: "f", Layers: [arn("a")] }), denied);
});

test("IAM: who makes a function with a layer must be allowed to get it; lambda:Layer bounds which", async (t) => {
  const functions = ["lambda:CreateFunction", "iam:PassRole"];
  const blind = user("blind", ACCOUNT, allow(functions, "*"));
  const seeing = user("seeing", ACCOUNT, allow([...functions, "lambda:GetLayerVersion"], "*"));
  const bound = user("bound", ACCOUNT, [
    ...allow("lambda:CreateFunction", "*", { "ForAllValues:StringLike": { "lambda:Layer": arn("a").replace(/1$/, "*") } }),
    ...allow(["iam:PassRole", "lambda:GetLayerVersion"], "*"),
  ]);
  const one = await started(t, [blind, seeing, bound]);
  const create = async (who: FixedIdentity, FunctionName: string, Layers: readonly string[]) => {
    const client = new LambdaClient(one.door.settings(who));
    try {
      const input = { Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: one.zip } };
      return await send(client, "CreateFunction", { FunctionName, ...input, Layers });
    } finally {
      client.destroy();
    }
  };
  await create(blind, "without", []);
  const denied = (action: string) => ({ name: "AccessDeniedException", message: new RegExp(`not authorized to perform: ${action} on`) });
  await assert.rejects(create(blind, "with", [arn("a")]), denied("lambda:GetLayerVersion"));
  await create(seeing, "with", [arn("a"), arn("b")]);
  await create(bound, "bound", [arn("a")]);
  await assert.rejects(create(bound, "unbound", [arn("a"), arn("b")]), denied("lambda:CreateFunction"));
});

test("a directory that somebody removed is made again, from layers that are there and from those that are not", async (t) => {
  const one = await started(t);
  await makeFunction(one, "f", { Layers: [arn("a"), arn("b")] });
  const opt = (await optOf(one)) ?? "";
  for (const name of await readdir(join(one.directory, "packages")))
    if (!name.startsWith(".")) await rm(join(one.directory, "packages", name), { recursive: true });
  one.invoker.answer = () => ({ kind: "unavailable", code: "sandbox-failed", message: "no directory" });
  await assert.rejects(optOf(one));
  one.invoker.answer = (_deployment, { payload }) => ({
    kind: "returned",
    payload,
    report: { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 },
  });
  assert.equal(await optOf(one), opt);
  assert.equal(await readFile(join(opt, "both"), "utf8"), "b");
});
