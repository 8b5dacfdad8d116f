// Who has no right is told which, and on what: the action and the resource of every operation, in AWS's sentence.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAKE_STRANGER, type ClientError } from "../../src/aws/fake-service.ts";
import { ACCOUNT, arnOf, REGION, ROLE, send, startLambda } from "./lambda.fixture.ts";

type Operation = Parameters<typeof send>[1];

const arn = (resource: string) => `arn:aws:lambda:${REGION}:${ACCOUNT}:${resource}`;
const LAYER = arn("layer:l");
const UUID = "0d8f7f0a-0000-4000-8000-000000000000";
const CONFIG = arn("code-signing-config:csc-00000000000000000");

/** Of it every operation takes what it knows. */
const INPUT = {
  FunctionName: "f",
  Name: "live",
  FunctionVersion: "1",
  Runtime: "nodejs24.x",
  Handler: "index.handler",
  Role: ROLE,
  Code: {},
  StatementId: "s",
  Action: "lambda:InvokeFunction",
  Principal: "*",
  LayerName: "l",
  VersionNumber: 1,
  Content: {},
  Arn: `${LAYER}:1`,
  AuthType: "NONE",
  ReservedConcurrentExecutions: 1,
  ProvisionedConcurrentExecutions: 1,
  MaximumRetryAttempts: 1,
  UpdateRuntimeOn: "Auto",
  RecursiveLoop: "Allow",
  UUID,
  EventSourceArn: `arn:aws:sqs:${REGION}:${ACCOUNT}:q`,
  CodeSigningConfigArn: CONFIG,
  AllowedPublishers: { SigningProfileVersionArns: [] },
  Resource: arnOf("f"),
  ResourceArn: arnOf("f"),
  Policy: "{}",
  Tags: {},
  TagKeys: ["a"],
  InvokeArgs: "{}",
};

/** Operations by the resource that they are about; `Qualifier` where it is required. */
const RESOURCES: readonly { readonly resource: string; readonly more?: object; readonly operations: readonly Operation[] }[] = [
  {
    resource: arnOf("f"),
    operations: [
      "CreateFunction",
      "GetFunction",
      "GetFunctionConfiguration",
      "UpdateFunctionCode",
      "UpdateFunctionConfiguration",
      "DeleteFunction",
      "Invoke",
      "InvokeAsync",
      "InvokeWithResponseStream",
      "PublishVersion",
      "ListVersionsByFunction",
      "CreateAlias",
      "GetAlias",
      "UpdateAlias",
      "DeleteAlias",
      "ListAliases",
      "AddPermission",
      "RemovePermission",
      "GetPolicy",
      "PutResourcePolicy",
      "GetResourcePolicy",
      "DeleteResourcePolicy",
      "PutFunctionConcurrency",
      "GetFunctionConcurrency",
      "DeleteFunctionConcurrency",
      "ListProvisionedConcurrencyConfigs",
      "PutFunctionEventInvokeConfig",
      "UpdateFunctionEventInvokeConfig",
      "GetFunctionEventInvokeConfig",
      "DeleteFunctionEventInvokeConfig",
      "ListFunctionEventInvokeConfigs",
      "CreateFunctionUrlConfig",
      "GetFunctionUrlConfig",
      "UpdateFunctionUrlConfig",
      "DeleteFunctionUrlConfig",
      "ListFunctionUrlConfigs",
      "PutFunctionCodeSigningConfig",
      "GetFunctionCodeSigningConfig",
      "DeleteFunctionCodeSigningConfig",
      "PutRuntimeManagementConfig",
      "GetRuntimeManagementConfig",
      "PutFunctionRecursionConfig",
      "GetFunctionRecursionConfig",
      "ListTags",
      "TagResource",
      "UntagResource",
    ],
  },
  {
    resource: `${arnOf("f")}:live`,
    more: { Qualifier: "live" },
    operations: [
      "Invoke",
      "GetFunction",
      "AddPermission",
      "PutProvisionedConcurrencyConfig",
      "GetProvisionedConcurrencyConfig",
      "DeleteProvisionedConcurrencyConfig",
      "PutFunctionScalingConfig",
      "GetFunctionScalingConfig",
    ],
  },
  { resource: LAYER, operations: ["PublishLayerVersion"] },
  {
    resource: `${LAYER}:1`,
    operations: [
      "GetLayerVersion",
      "GetLayerVersionByArn",
      "DeleteLayerVersion",
      "AddLayerVersionPermission",
      "GetLayerVersionPolicy",
      "RemoveLayerVersionPermission",
    ],
  },
  {
    resource: arn(`event-source-mapping:${UUID}`),
    operations: ["GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping"],
  },
  {
    resource: CONFIG,
    operations: ["GetCodeSigningConfig", "UpdateCodeSigningConfig", "DeleteCodeSigningConfig", "ListFunctionsByCodeSigningConfig"],
  },
  {
    resource: "*",
    operations: [
      "ListFunctions",
      "ListLayers",
      "ListLayerVersions",
      "ListEventSourceMappings",
      "ListCodeSigningConfigs",
      "CreateEventSourceMapping",
      "CreateCodeSigningConfig",
      "GetAccountSettings",
    ],
  },
];

/** Operations whose action has another name. */
const ACTIONS: Partial<Record<Operation, string>> = {
  Invoke: "InvokeFunction",
  InvokeAsync: "InvokeFunction",
  InvokeWithResponseStream: "InvokeFunction",
  GetLayerVersionByArn: "GetLayerVersion",
};

test("every operation says which action on which resource is not allowed", async (t) => {
  const one = await startLambda(t);
  const asked = new Set<string>();
  const wrong: string[] = [];
  for (const { resource, more, operations } of RESOURCES)
    for (const operation of operations) {
      asked.add(operation);
      const action = `lambda:${ACTIONS[operation] ?? operation}`;
      const expected = `User: ${FAKE_STRANGER.caller.arn} is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`;
      const { name, message, $metadata } = await send(one.stranger, operation, { ...INPUT, ...more }).then(
        () => assert.fail(operation),
        (cause: ClientError) => cause,
      );
      if (name !== "AccessDeniedException" || $metadata.httpStatusCode !== 403 || message !== expected)
        wrong.push(`${operation}: ${name} ${message}`);
    }
  assert.deepEqual(wrong, []);
  const built = Object.entries(one.service.operations).flatMap(([name, perform]) => (typeof perform === "function" ? [name] : []));
  assert.deepEqual(
    built.filter((name) => !asked.has(name)),
    [],
    "never asked by a stranger",
  );
});
