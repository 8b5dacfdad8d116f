// What is refused as a whole, and that nothing of a request is dropped in silence.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { serviceModel } from "../../src/aws/model.ts";
import { REFUSED_OPERATIONS } from "../../src/lambda/refused-operations.ts";
import { MEMBERS_WITHOUT_EFFECT, REFUSED_MEMBERS } from "../../src/lambda/unsupported.ts";
import type { ClientError } from "../../src/aws/fake-service.ts";
import { makeFunction, ROLE, send, startLambda } from "./lambda.fixture.ts";

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

/** What a client of a later API might send: the body with more in it. */
async function sendWith(
  client: lambda.LambdaClient,
  more: (body: Record<string, unknown>) => void,
  input: lambda.CreateFunctionCommandInput,
) {
  const command = new lambda.CreateFunctionCommand(input);
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { body: string | Uint8Array };
      const body = JSON.parse(Buffer.from(request.body).toString()) as Record<string, unknown>;
      more(body);
      request.body = JSON.stringify(body);
      return next(args);
    },
    { step: "build", priority: "high" },
  );
  return await client.send(command);
}

test("members that this version does not know are refused, at every depth", async (t) => {
  const one = await startLambda(t);
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: one.zip } } as const;
  const refused = (member: string) => ({
    name: "SerializationException",
    message: new RegExp(`^Lambent does not know the member "${member}" of \\w+: it would have no effect\\.$`),
  });
  await assert.rejects(
    sendWith(one.client, (body) => (body["Turbo"] = true), input),
    refused("Turbo"),
  );
  await assert.rejects(
    sendWith(one.client, (body) => ((body["Code"] as Record<string, unknown>)["GitUrl"] = "x"), input),
    refused("GitUrl"),
  );
  assert.deepEqual((await send(one.client, "ListFunctions", {}))["Functions"], []);
  await sendWith(one.client, (body) => (body["Turbo"] = null), input);
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
