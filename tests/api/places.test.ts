// Nothing of one account or region is seen, used or changed from another: every operation of Lambda, by name and by ARN.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import type { ClientError } from "../../src/aws/fake-service.ts";
import { ACCOUNT, arnOf, FOREIGN_ACCOUNT, makeFunction, REGION, ROLE, send, settled, startLambda, type Started } from "./lambda.fixture.ts";

type Operation = Parameters<typeof send>[1];
const QUEUE = `arn:aws:sqs:${REGION}:${ACCOUNT}:orders`;
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: "*", Action: "lambda:InvokeFunction", Resource: arnOf("f") }],
});
const LAYER = `arn:aws:lambda:${REGION}:${ACCOUNT}:layer:l`;
const AllowedPublishers = { SigningProfileVersionArns: [`arn:aws:signer:${REGION}:${ACCOUNT}:/signing-profiles/p/abcdefghij`] };

interface Made {
  readonly uuid: string;
  readonly signing: string;
}

/** One of everything. */
async function makeAll(one: Started): Promise<Made> {
  const call = (name: Operation, input: object) => send(one.client, name, { FunctionName: "f", ...input });
  await makeFunction(one, "f", { Tags: { a: "b" } });
  await call("PublishVersion", {});
  await call("CreateAlias", { Name: "live", FunctionVersion: "1" });
  await call("AddPermission", { StatementId: "s", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com" });
  await call("PutFunctionEventInvokeConfig", { MaximumRetryAttempts: 1 });
  await call("PutFunctionConcurrency", { ReservedConcurrentExecutions: 5 });
  await call("PutFunctionRecursionConfig", { RecursiveLoop: "Allow" });
  await call("CreateFunctionUrlConfig", { AuthType: "AWS_IAM" });
  const { UUID } = await call("CreateEventSourceMapping", { EventSourceArn: QUEUE });
  const { CodeSigningConfig } = await call("CreateCodeSigningConfig", { AllowedPublishers });
  const signing = (CodeSigningConfig as { CodeSigningConfigArn: string }).CodeSigningConfigArn;
  await call("PutFunctionCodeSigningConfig", { CodeSigningConfigArn: signing });
  await settled(one, "f");
  await send(one.client, "PublishLayerVersion", { LayerName: "l", Content: { ZipFile: one.zip } });
  await call("PutProvisionedConcurrencyConfig", { Qualifier: "live", ProvisionedConcurrentExecutions: 1 });
  return { uuid: String(UUID), signing };
}

/** What an operation is asked about what was made; `function` is a name or an ARN. */
function inputOf(one: Started, { uuid, signing }: Made, operation: string, name: string): Record<string, unknown> {
  const isTag = operation === "ListTags" || operation === "TagResource" || operation === "UntagResource";
  return {
    FunctionName: name,
    ...(operation.includes("Provisioned") ? { Qualifier: "live" } : {}),
    ...(operation.includes("Scaling") ? { Qualifier: "1" } : {}),
    ProvisionedConcurrentExecutions: 2,
    UpdateRuntimeOn: "FunctionUpdate",
    LayerName: name === "f" ? "l" : LAYER,
    VersionNumber: 1,
    Arn: `${LAYER}:1`,
    Name: "live",
    FunctionVersion: operation === "ListFunctions" ? "ALL" : "1",
    UUID: uuid,
    CodeSigningConfigArn: signing,
    ResourceArn: arnOf("f"),
    Resource: isTag ? arnOf("f") : undefined,
    Policy: POLICY,
    Tags: { x: "y" },
    TagKeys: ["a"],
    StatementId: "s",
    Action: operation === "AddLayerVersionPermission" ? "lambda:GetLayerVersion" : "lambda:InvokeFunction",
    Principal: "*",
    ReservedConcurrentExecutions: 1,
    RecursiveLoop: "Terminate",
    MaximumRetryAttempts: 0,
    AuthType: "NONE",
    ZipFile: one.zip,
    InvokeArgs: "{}",
    Description: "changed",
  };
}

/** They tell of the place that is asked, or make something there: looked at on their own. */
const OF_A_PLACE: ReadonlySet<string> = new Set([
  "CreateFunction",
  "CreateEventSourceMapping",
  "CreateCodeSigningConfig",
  "GetAccountSettings",
  "ListFunctions",
  "ListEventSourceMappings",
  "ListCodeSigningConfigs",
  "ListLayers",
  "PublishLayerVersion",
]);
/** A layer's plain name means one of the caller's own: there is none, which is no error. */
const FINDS_NOTHING: ReadonlySet<string> = new Set(["ListLayerVersions", "DeleteLayerVersion"]);
const REFUSALS: ReadonlySet<string> = new Set([
  "AccessDeniedException",
  "ResourceNotFoundException",
  "CodeSigningConfigNotFoundException",
  "InvalidParameterValueException",
]);

/** Everything that is stored, to see that nothing has changed. */
async function stateOf({ client }: Started): Promise<unknown> {
  const answers = [];
  for (const [name, input] of [
    ["GetFunction", { FunctionName: "f" }],
    ["GetPolicy", { FunctionName: "f" }],
    ["ListAliases", { FunctionName: "f" }],
    ["ListVersionsByFunction", { FunctionName: "f" }],
    ["ListFunctionUrlConfigs", { FunctionName: "f" }],
    ["ListFunctionEventInvokeConfigs", { FunctionName: "f" }],
    ["GetFunctionRecursionConfig", { FunctionName: "f" }],
    ["ListEventSourceMappings", {}],
    ["ListCodeSigningConfigs", {}],
    ["GetFunctionCodeSigningConfig", { FunctionName: "f" }],
    ["ListFunctions", {}],
    ["ListLayers", {}],
    ["GetLayerVersion", { LayerName: "l", VersionNumber: 1 }],
    ["ListProvisionedConcurrencyConfigs", { FunctionName: "f" }],
    ["GetRuntimeManagementConfig", { FunctionName: "f" }],
  ] as const)
    answers.push(await send(client, name, input));
  return answers;
}

test("another account and another region reach nothing, by name or by ARN", async (t) => {
  const one = await startLambda(t);
  const made = await makeAll(one);
  const before = await stateOf(one);
  const elsewhere = new lambda.LambdaClient({ ...one.door.settings(), region: "us-east-2" });
  t.after(() => elsewhere.destroy());
  const wrong: string[] = [];
  let asked = 0;
  for (const [operation, perform] of Object.entries(one.service.operations)) {
    if (typeof perform !== "function" || OF_A_PLACE.has(operation)) continue;
    for (const [place, client] of [
      ["account", one.foreigner],
      ["region", elsewhere],
    ] as const)
      for (const name of ["f", arnOf("f")]) {
        asked += 1;
        const input = inputOf(one, made, operation, name);
        const outcome = await send(client, operation as Operation, input).then(
          () => "success",
          (cause: ClientError) => cause.name,
        );
        if (name === "f" && FINDS_NOTHING.has(operation) && outcome === "success") continue;
        if (!REFUSALS.has(outcome)) wrong.push(`${operation} of ${name} from another ${place}: ${outcome}`);
      }
  }
  assert.deepEqual(wrong, []);
  assert.ok(asked > 150, String(asked));
  assert.deepEqual(await stateOf(one), before);
  assert.equal(one.invoker.invocations.length, 0);
});

test("lists and counts are those of their place, and names are free in every other", async (t) => {
  const one = await startLambda(t);
  const made = await makeAll(one);
  const elsewhere = new lambda.LambdaClient({ ...one.door.settings(), region: "us-east-2" });
  t.after(() => elsewhere.destroy());
  for (const [client, account, region] of [
    [one.foreigner, FOREIGN_ACCOUNT, REGION],
    [elsewhere, ACCOUNT, "us-east-2"],
  ] as const) {
    assert.deepEqual((await send(client, "ListFunctions", { FunctionVersion: "ALL" }))["Functions"], []);
    assert.deepEqual((await send(client, "ListEventSourceMappings", {}))["EventSourceMappings"], []);
    assert.deepEqual((await send(client, "ListCodeSigningConfigs", {}))["CodeSigningConfigs"], []);
    const settings = await send(client, "GetAccountSettings", {});
    assert.deepEqual(settings["AccountUsage"], { TotalCodeSize: 0, FunctionCount: 0 });
    assert.equal((settings["AccountLimit"] as { UnreservedConcurrentExecutions: number }).UnreservedConcurrentExecutions, 1000);
    const mapping = { EventSourceArn: QUEUE, FunctionName: arnOf("f") };
    await assert.rejects(send(client, "CreateEventSourceMapping", mapping), /Function does not exist|not reachable/);
    const Role = ROLE.replace(ACCOUNT, account);
    const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role, Code: { ZipFile: one.zip } };
    await assert.rejects(send(client, "CreateFunction", { ...input, CodeSigningConfigArn: made.signing }), {
      name: "CodeSigningConfigNotFoundException",
    });
    const { FunctionArn } = await send(client, "CreateFunction", input);
    assert.equal(FunctionArn, `arn:aws:lambda:${region}:${account}:function:f`);
    await send(client, "DeleteFunction", { FunctionName: "f" });
    if (account !== ACCOUNT)
      await assert.rejects(send(client, "CreateFunction", { ...input, Role: ROLE }), { name: "AccessDeniedException" });
  }
  assert.equal(((await send(one.client, "ListFunctions", {}))["Functions"] as unknown[]).length, 1);
});
