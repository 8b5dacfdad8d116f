// CreateFunction: every member that is accepted, and every way in which it can be refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as lambda from "@aws-sdk/client-lambda";
import { arnOf, check, covered, REGION, ROLE, send, startLambda, UNTRUSTED_ROLE, type Row } from "./lambda.fixture.ts";

const LASTING = "1 validation error detected: Value ";
const NAME_PATTERN =
  "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";
const notYet = (member: string) =>
  [400, "InvalidParameterValueException", `Lambent does not support ${member} yet: leave it out. See docs/compatibility.md.`] as const;
const layer = `arn:aws:lambda:${REGION}:000000000000:layer:l:1`;

test("CreateFunction: what is accepted and what is refused", async (t) => {
  const started = await startLambda(t);
  const { zip } = started;
  let made = 0;
  const input = (more: Record<string, unknown> = {}) => ({
    FunctionName: `f${made++}`,
    Runtime: "nodejs24.x",
    Handler: "index.handler",
    Role: ROLE,
    Code: { ZipFile: zip },
    ...more,
  });
  const long = "x".repeat(65);
  const rows: readonly (Omit<Row, "call"> & { readonly given: Record<string, unknown> })[] = [
    { name: "64 letters", given: { FunctionName: "x".repeat(64) }, expect: { FunctionName: "x".repeat(64) } },
    { name: "a name that looks like a part of an ARN", given: { FunctionName: "function" }, expect: { FunctionArn: arnOf("function") } },
    { name: "an ARN as name", given: { FunctionName: arnOf("by-arn") }, expect: { FunctionName: "by-arn" } },
    { name: "a partial ARN as name", given: { FunctionName: "000000000000:function:partial" }, expect: { FunctionName: "partial" } },
    { name: "a name of JavaScript's", given: { FunctionName: "__proto__" }, expect: { FunctionArn: arnOf("__proto__") } },
    { name: "arm64", given: { Architectures: ["arm64"] }, expect: { Architectures: ["arm64"] } },
    { name: "a deprecated runtime", given: { Runtime: "python3.10" }, expect: { Runtime: "python3.10" } },
    { name: "storage", given: { EphemeralStorage: { Size: 10_240 } }, expect: { EphemeralStorage: { Size: 10_240 } } },
    { name: "most memory and time", given: { MemorySize: 10_240, Timeout: 900 }, expect: { MemorySize: 10_240, Timeout: 900 } },
    { name: "tracing", given: { TracingConfig: { Mode: "Active" } }, expect: { TracingConfig: { Mode: "Active" } } },
    {
      name: "JSON logs",
      given: { FunctionName: "logs", LoggingConfig: { LogFormat: "JSON" } },
      expect: { LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "INFO", SystemLogLevel: "INFO", LogGroup: "/aws/lambda/logs" } },
    },
    { name: "no variables", given: { Environment: { Variables: {} } }, expect: { Environment: undefined } },
    {
      name: "variables",
      given: { Environment: { Variables: { PATH: "/x", A1: "" } } },
      expect: { Environment: { Variables: { PATH: "/x", A1: "" } } },
    },
    {
      name: "empty forms of what is not built",
      given: {
        Layers: [],
        VpcConfig: { SubnetIds: [], SecurityGroupIds: [] },
        DeadLetterConfig: { TargetArn: "" },
        FileSystemConfigs: [],
        SnapStart: { ApplyOn: "None" },
        KMSKeyArn: "",
        Publish: false,
        PackageType: "Zip",
        ImageConfig: {},
      },
      expect: { PackageType: "Zip", VpcConfig: undefined, Layers: undefined, DeadLetterConfig: undefined },
    },
    {
      name: "65 letters",
      given: { FunctionName: long },
      fault: [
        400,
        "InvalidParameterValueException",
        `${LASTING}'${long}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64`,
      ],
    },
    {
      name: "141 letters",
      given: { FunctionName: arnOf("x".repeat(100)) },
      fault: [
        400,
        "ValidationException",
        /at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 140$/,
      ],
    },
    {
      name: "a name that is none",
      given: { FunctionName: "invalid:function:name" },
      fault: [
        400,
        "ValidationException",
        `${LASTING}'invalid:function:name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ${NAME_PATTERN}`,
      ],
    },
    {
      name: "another region's ARN",
      given: { FunctionName: "arn:aws:lambda:ap-southeast-1:000000000000:function:f" },
      fault: [404, "ResourceNotFoundException", `Functions from 'ap-southeast-1' are not reachable in this region ('${REGION}')`],
    },
    {
      name: "another account's ARN",
      given: { FunctionName: `arn:aws:lambda:${REGION}:111111111111:function:f` },
      fault: [
        403,
        "AccessDeniedException",
        /is not authorized to perform: lambda:CreateFunction on resource: arn:aws:lambda:eu-west-1:111111111111:function:f/,
      ],
    },
    {
      name: "an alias as name",
      given: { FunctionName: "f:live" },
      fault: [400, "InvalidParameterValueException", /^This operation is permitted on Lambda functions only\./],
    },
    {
      name: "no such runtime",
      given: { Runtime: "cobol85" },
      fault: [
        400,
        "InvalidParameterValueException",
        "Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs24.x, python3.13, python3.10] or be a valid ARN",
      ],
    },
    {
      name: "a runtime of the past",
      given: { Runtime: "nodejs14.x" },
      fault: [
        400,
        "InvalidParameterValueException",
        "The runtime parameter of nodejs14.x is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
      ],
    },
    ...["Runtime", "Handler"].map((member) => ({
      name: `no ${member}`,
      given: { [member]: undefined },
      fault: [
        400,
        "InvalidParameterValueException",
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
      ] as const,
    })),
    {
      name: "no role",
      given: { Role: undefined },
      fault: [400, "ValidationException", `${LASTING}null at 'role' failed to satisfy constraint: Member must not be null`],
    },
    {
      name: "a role that is none",
      given: { Role: "r1" },
      fault: [
        400,
        "ValidationException",
        `${LASTING}'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+`,
      ],
    },
    {
      name: "a role that trusts others",
      given: { Role: UNTRUSTED_ROLE },
      fault: [400, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."],
    },
    { name: "no code", given: { Code: {} }, fault: [400, "InvalidParameterValueException", "Please provide a source for function code."] },
    {
      name: "half a source",
      given: { Code: { S3Bucket: "bucket" } },
      fault: [400, "InvalidParameterValueException", "Please provide a source for function code."],
    },
    {
      name: "two sources",
      given: { Code: { ZipFile: zip, S3Bucket: "bucket", S3Key: "key" } },
      fault: [400, "InvalidParameterValueException", "Please do not provide other FunctionCode parameters when providing a ZipFile."],
    },
    {
      name: "no zip",
      given: { Code: { ZipFile: Buffer.from("hello") } },
      fault: [400, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again."],
    },
    {
      name: "two architectures",
      given: { Architectures: ["x86_64", "arm64"] },
      fault: [
        400,
        "ValidationException",
        `${LASTING}'[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1`,
      ],
    },
    {
      name: "an unknown architecture",
      given: { Architectures: ["X86_64"] },
      fault: [
        400,
        "ValidationException",
        `${LASTING}'[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]`,
      ],
    },
    {
      name: "little memory",
      given: { MemorySize: 127 },
      fault: [400, "ValidationException", /'127' at 'memorySize' .* greater than or equal to 128$/],
    },
    {
      name: "much memory",
      given: { MemorySize: 10_241 },
      fault: [400, "ValidationException", /'10241' at 'memorySize' .* less than or equal to 10240$/],
    },
    { name: "no time", given: { Timeout: 0 }, fault: [400, "ValidationException", /'0' at 'timeout' .* greater than or equal to 1$/] },
    {
      name: "much of all",
      given: { MemorySize: 10241, Timeout: 901, EphemeralStorage: { Size: 10241 } },
      fault: [
        400,
        "ValidationException",
        /^3 validation errors detected: Value '10241' at 'memorySize' .*; .* 'timeout' .*; .* 'ephemeralStorage.size' /,
      ],
    },
    { name: "much time", given: { Timeout: 901 }, fault: [400, "ValidationException", /'901' at 'timeout' .* less than or equal to 900$/] },
    {
      name: "little storage",
      given: { EphemeralStorage: { Size: 511 } },
      fault: [400, "ValidationException", /'511' at 'ephemeralStorage.size'/],
    },
    {
      name: "much storage",
      given: { EphemeralStorage: { Size: 10_241 } },
      fault: [400, "ValidationException", /'10241' at 'ephemeralStorage.size'/],
    },
    {
      name: "levels of text logs",
      given: { LoggingConfig: { LogFormat: "Text", ApplicationLogLevel: "DEBUG" } },
      fault: [
        400,
        "InvalidParameterValueException",
        'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the LogFormat to "JSON" and try again.',
      ],
    },
    {
      name: "reserved variables",
      given: { Environment: { Variables: { AWS_REGION: "x", GOOD: "y", LAMBDA_TASK_ROOT: "z" } } },
      fault: [
        400,
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT",
      ],
    },
    {
      name: "more than 4 KB of variables",
      given: { Environment: { Variables: { KEY: "v".repeat(4087) } } },
      fault: [400, "InvalidParameterValueException", /^Lambda was unable .* exceeded the 4KB limit\. String measured: {"KEY":"v+"}$/],
    },
    { name: "4 KB of variables", given: { Environment: { Variables: { KEY: "v".repeat(4086) } } }, expect: { State: "Pending" } },
    {
      name: "a variable without a proper name",
      given: { Environment: { Variables: { "1x": "" } } },
      fault: [400, "ValidationException", /at 'environment.variables'/],
    },
    {
      name: "51 tags",
      given: { Tags: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`k${n}`, "v"])) },
      fault: [400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit."],
    },
    { name: "PublishTo", given: { PublishTo: "LATEST_PUBLISHED" }, fault: notYet("PublishTo") },
    { name: "VpcConfig", given: { VpcConfig: { SubnetIds: ["subnet-1"], SecurityGroupIds: ["sg-1"] } }, fault: notYet("VpcConfig") },
    {
      name: "DeadLetterConfig",
      given: { DeadLetterConfig: { TargetArn: "arn:aws:sqs:eu-west-1:000000000000:q" } },
      fault: [
        400,
        "InvalidParameterValueException",
        "Lambent cannot deliver to sqs yet: leave DeadLetterConfig out. See docs/compatibility.md.",
      ],
    },
    {
      name: "dead letters to a bucket",
      given: { DeadLetterConfig: { TargetArn: "arn:aws:s3:::b" } },
      fault: [
        400,
        "InvalidParameterValueException",
        "The dead letter target arn:aws:s3:::b is invalid: it must be an SQS queue or an SNS topic.",
      ],
    },
    {
      name: "Layers",
      given: { Layers: [layer] },
      fault: [400, "InvalidParameterValueException", `Layer version ${layer} does not exist.`],
    },
    { name: "SnapStart", given: { SnapStart: { ApplyOn: "PublishedVersions" } }, fault: notYet("SnapStart PublishedVersions") },
    { name: "KMSKeyArn", given: { KMSKeyArn: "arn:aws:kms:eu-west-1:000000000000:key/1" }, fault: notYet("KMSKeyArn") },
    { name: "DurableConfig", given: { DurableConfig: { ExecutionTimeout: 60 } }, fault: notYet("DurableConfig") },
  ];
  for (const { given, ...row } of rows) await check(started, { ...row, call: ["CreateFunction", input(given)] });
  // Nothing of what was refused is there.
  const accepted = rows.filter(({ fault }) => fault === undefined).length;
  const { AccountUsage } = await send(started.client, "GetAccountSettings", {});
  assert.equal((AccountUsage as lambda.AccountUsage).FunctionCount, accepted);
});

test("CreateFunction has been seen to succeed and to fail", () => {
  assert.ok(covered.success.has("CreateFunction") && covered.fault.has("CreateFunction"));
});
