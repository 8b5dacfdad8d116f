// What is refused as a whole, and that nothing of a request is dropped in silence.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { serviceModel } from "../../src/aws/model.ts";
import { REFUSED_OPERATIONS } from "../../src/lambda/refused-operations.ts";
import { MEMBERS_WITHOUT_EFFECT, REFUSED_MEMBERS } from "../../src/lambda/unsupported.ts";
import type { ClientError } from "../../src/aws/fake-service.ts";
import { makeFunction, ROLE, send, settled, startLambda } from "./lambda.fixture.ts";

const DURABLE = "arn:aws:lambda:eu-west-1:000000000000:function:f:1/durable-execution/x/y";
/** What the SDK needs to send them. */
const INPUT = {
  FunctionName: "f",
  DurableExecutionArn: DURABLE,
  CheckpointToken: "dG9rZW4=",
  CallbackId: "aWQ=",
  CapacityProviderName: "p",
  VpcConfig: { SubnetIds: ["subnet-1"], SecurityGroupIds: [] },
  PermissionsConfig: { CapacityProviderOperatorRoleArn: ROLE },
};

test("durable executions and capacity providers are refused by name, with what to use instead", async (t) => {
  const one = await startLambda(t);
  for (const operation of Object.keys(REFUSED_OPERATIONS)) {
    const error = await send(one.client, operation as keyof typeof REFUSED_OPERATIONS, INPUT).then(
      () => assert.fail(operation),
      (cause: ClientError) => cause,
    );
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], ["NotImplementedException", 501], operation);
    assert.match(error.message, new RegExp(`^Lambent does not implement lambda:${operation}, which is about (?:durable|capacity) `));
    assert.match(error.message, / (?:Use|Leave) /);
  }
});

/** Members of functions that work; nested ones behind a dot. */
const WORKING: ReadonlySet<string> = new Set([
  "Architectures",
  "Code.ImageUri",
  "Code.S3Bucket",
  "Code.S3Key",
  "Code.S3ObjectVersion",
  "Code.ZipFile",
  "CodeSha256",
  "CodeSigningConfigArn",
  "DeadLetterConfig.TargetArn",
  "Description",
  "DryRun",
  "Environment.Variables",
  "EphemeralStorage.Size",
  "FunctionName",
  "Handler",
  "Layers",
  "ImageConfig.Command",
  "ImageConfig.EntryPoint",
  "ImageConfig.WorkingDirectory",
  "ImageUri",
  "LoggingConfig.ApplicationLogLevel",
  "LoggingConfig.LogFormat",
  "LoggingConfig.LogGroup",
  "LoggingConfig.SystemLogLevel",
  "MemorySize",
  "PackageType",
  "Publish",
  "RevisionId",
  "Role",
  "Runtime",
  "S3Bucket",
  "S3Key",
  "S3ObjectStorageMode",
  "S3ObjectVersion",
  "SnapStart.ApplyOn",
  "Tags",
  "TenancyConfig.TenantIsolationMode",
  "Timeout",
  "TracingConfig.Mode",
  "ZipFile",
]);

test("every member of functions works, is refused, or is said to be without effect", () => {
  const model = serviceModel("lambda", lambda, "LambdaClient");
  const unknown: string[] = [];
  for (const operation of ["CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion"]) {
    const tables = [...REFUSED_MEMBERS, ...MEMBERS_WITHOUT_EFFECT].filter(({ operations }) => operations.includes(operation));
    const said = new Set(tables.map(({ member }) => member.split(" ")[0] ?? ""));
    for (const { name, shape } of model.operations.get(operation)?.input?.members ?? []) {
      if (WORKING.has(name) || said.has(name)) continue;
      const inner = shape.kind === "structure" ? shape.members.map((member) => `${name}.${member.name}`) : [name];
      unknown.push(...inner.filter((one) => !WORKING.has(one) && !said.has(one)).map((one) => `${operation}: ${one}`));
    }
  }
  assert.deepEqual(unknown, []);
});

type Operation = Parameters<typeof send>[1];
type Body = Record<string, unknown>;

/** What a client of a later API might send: the body with more in it; and what such a client reads of the answer. */
async function sendWith(client: lambda.LambdaClient, more: (body: Body) => void, ...call: [Operation, Body]): Promise<Body> {
  const { middlewareStack } = client;
  let answer: Body = {};
  middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { body?: string };
      const body = JSON.parse(request.body === undefined ? "{}" : Buffer.from(request.body).toString()) as Body;
      more(body);
      if (request.body !== undefined) request.body = JSON.stringify(body);
      return next(args);
    },
    { step: "build", priority: "high", name: "more", override: true },
  );
  middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body: AsyncIterable<Uint8Array> };
      const bytes = Buffer.concat(await Array.fromAsync(response.body));
      answer = JSON.parse(bytes.toString()) as Body;
      Object.assign(response, { body: Readable.from([bytes]) });
      return result;
    },
    { step: "deserialize", priority: "low", name: "answer", override: true },
  );
  try {
    await send(client, ...call);
    return answer;
  } finally {
    for (const name of ["more", "answer"]) middlewareStack.remove(name);
  }
}

const unchanged = () => undefined;
const makeF = (ZipFile: Uint8Array): [Operation, Body] => [
  "CreateFunction",
  { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile } },
];
const updateF = (more: Body = {}): [Operation, Body] => ["UpdateFunctionConfiguration", { FunctionName: "f", ...more }];

test("members of functions that a newer API has are kept, returned, and copied into versions", async (t) => {
  const one = await startLambda(t);
  const FooConfig = { Bar: 1, List: ["a", { deep: null }] };
  const made = await sendWith(one.client, (body) => void (body["FooConfig"] = FooConfig), ...makeF(one.zip));
  assert.deepEqual(made["FooConfig"], FooConfig);
  await settled(one, "f");
  await sendWith(one.client, unchanged, "PublishVersion", { FunctionName: "f" });
  const updated = await sendWith(one.client, (body) => void (body["TurboMode"] = "On"), ...updateF());
  assert.deepEqual([updated["FooConfig"], updated["TurboMode"]], [FooConfig, "On"], "what is not given stays");
  await settled(one, "f");
  await sendWith(one.client, (body) => void (body["FooConfig"] = {}), ...updateF({ Timeout: 7 }));
  await settled(one, "f");
  const after = await one.restart();
  const { Configuration } = await sendWith(after.client, unchanged, "GetFunction", { FunctionName: "f" });
  const latest = Configuration as Record<string, unknown>;
  assert.deepEqual([latest["FooConfig"], latest["TurboMode"], latest["Timeout"]], [{}, "On", 7], "replaced as a whole");
  const { Versions } = await sendWith(after.client, unchanged, "ListVersionsByFunction", { FunctionName: "f" });
  const [, first] = Versions as Record<string, unknown>[];
  assert.deepEqual([first?.["FooConfig"], first?.["TurboMode"]], [FooConfig, undefined]);
  assert.equal((await send(after.client, "PublishVersion", { FunctionName: "f" }))["Version"], "2", "a change of them is a change");
});

test("members that this version does not know are refused everywhere else, and when they are too long", async (t) => {
  const one = await startLambda(t);
  const refused = (member: string) => ({
    name: "SerializationException",
    message: new RegExp(`^Lambent does not know the member "${member}" of \\w+: it would have no effect\\.$`),
  });
  const rejects = async (more: (body: Body) => void, call: [Operation, Body], expected: object) =>
    await assert.rejects(sendWith(one.client, more, ...call), expected);
  const inside = (member: string) => (body: Body) => void ((body[member] as Body)["Unheard"] = "x");
  await rejects(inside("Code"), makeF(one.zip), refused("Unheard"));
  for (const name of ["turbo", "Turbo-Mode", "__proto__x", "T".repeat(65)])
    await rejects((body) => void (body[name] = true), makeF(one.zip), refused(name));
  // Those of the answer are not the caller's to set.
  for (const name of ["State", "FunctionArn", "RevisionId"])
    await rejects((body) => void (body[name] = "x"), makeF(one.zip), refused(name));
  await rejects((body) => void (body["Turbo"] = "x".repeat(5000)), makeF(one.zip), {
    name: "InvalidParameterValueException",
    message: /^Lambent does not know Turbo, and keeps at most 4096 bytes of such members\./,
  });
  assert.deepEqual((await send(one.client, "ListFunctions", {}))["Functions"], []);
  const made = await sendWith(one.client, (body) => void (body["Turbo"] = null), ...makeF(one.zip));
  assert.equal("Turbo" in made, false);
  await settled(one, "f");
  await rejects((body) => void (body["Architectures"] = ["arm64"]), updateF(), refused("Architectures"));
  await rejects(inside("LoggingConfig"), updateF({ LoggingConfig: { LogFormat: "JSON" } }), refused("Unheard"));
  const reserve: [Operation, Body] = ["PutFunctionConcurrency", { FunctionName: "f", ReservedConcurrentExecutions: 1 }];
  await rejects((body) => void (body["Turbo"] = true), reserve, refused("Turbo"));
});

test("the empty forms of deployment tools are accepted", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f", {
    TracingConfig: { Mode: "PassThrough" },
    SnapStart: { ApplyOn: "None" },
    EphemeralStorage: { Size: 512 },
    VpcConfig: { SubnetIds: [], SecurityGroupIds: [], Ipv6AllowedForDualStack: false },
    Environment: {},
    DeadLetterConfig: {},
    FileSystemConfigs: [],
    Layers: [],
    KMSKeyArn: "",
    CodeSigningConfigArn: undefined,
    ImageConfig: {},
    PackageType: "Zip",
    Publish: false,
    Tags: {},
    Description: "",
  });
  await send(one.client, "UpdateFunctionConfiguration", {
    FunctionName: "f",
    VpcConfig: { SubnetIds: [], SecurityGroupIds: [] },
    DeadLetterConfig: { TargetArn: "" },
    FileSystemConfigs: [],
    Layers: [],
    KMSKeyArn: "",
    TracingConfig: { Mode: "PassThrough" },
    SnapStart: { ApplyOn: "None" },
  });
});
