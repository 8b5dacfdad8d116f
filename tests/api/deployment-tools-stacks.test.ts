// What the AWS CDK and AWS SAM ask for, by themselves and through the handlers of CloudFormation: all but CloudFormation itself is there.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import { waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2, waitUntilPublishedVersionActive } from "@aws-sdk/client-lambda";
import { eventually } from "../support/eventually.ts";
import { sender } from "../support/raw-requests.ts";
import { zipOf } from "../support/zip.ts";
import { ACCOUNT, arnOf, isMissing, startTools, type Tools } from "./deployment-tools.fixture.ts";

const Bucket = `cdk-hnb659fds-assets-${ACCOUNT}-us-east-1`;
const f = { FunctionName: "stack-Api-1A2B3C" } as const;
const logGroupName = `/aws/lambda/${f.FunctionName}`;
const CODE = "export const handler = () => 1;";

const document = (...Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const trust = (Principal: object) => document({ Effect: "Allow", Principal, Action: "sts:AssumeRole" });
const OF_LAMBDA = trust({ Service: "lambda.amazonaws.com" });
const OF_ACCOUNT = trust({ AWS: `arn:aws:iam::${ACCOUNT}:root` });

test("CloudFormation and the Parameter Store are refused by name, in their own protocols", async (t) => {
  const { server } = await startTools(t);
  const endpoint = new URL(server.endpoint);
  const form = "application/x-www-form-urlencoded; charset=utf-8";
  const rows = [
    ["cloudformation", { "content-type": form }, "Action=DescribeStacks&Version=2010-05-15", /^<ErrorResponse .*<Code>NotImplemented/s],
    ["ssm", { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter" }, "{}", /"__type":"NotImplemented/],
  ] as const;
  for (const [service, headers, body, error] of rows) {
    const answer = await sender(
      service,
      endpoint,
      server.keys,
    )({ operation: "", method: "POST", path: "/", query: {}, headers: { ...headers }, body });
    assert.equal(answer.status, 501);
    assert.match(answer.body, error);
    assert.match(answer.body, new RegExp(`Lambent does not implement the service .*${service}.* \\(see docs/compatibility\\.md\\)`));
  }
});

/** `cdk bootstrap`: the bucket, the repository and the role that publishes files, as the template of version 2 has them. */
async function bootstrap({ s3, ecr, iam }: Tools): Promise<string> {
  await s3.createBucket({ Bucket });
  const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" as const } }];
  await s3.putBucketEncryption({ Bucket, ServerSideEncryptionConfiguration: { Rules } });
  const PublicAccessBlockConfiguration = {
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  };
  await s3.putPublicAccessBlock({ Bucket, PublicAccessBlockConfiguration });
  await s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Enabled" } });
  const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];
  const onlySecure = { Sid: "AllowSSLRequestsOnly", Effect: "Deny", Action: "s3:*", Resource, Principal: "*" };
  await s3.putBucketPolicy({ Bucket, Policy: document({ ...onlySecure, Condition: { Bool: { "aws:SecureTransport": "false" } } }) });
  await ecr.createRepository({
    repositoryName: `cdk-hnb659fds-container-assets-${ACCOUNT}-us-east-1`,
    imageTagMutability: "IMMUTABLE",
    imageScanningConfiguration: { scanOnPush: true },
  });
  const RoleName = `cdk-hnb659fds-file-publishing-role-${ACCOUNT}-us-east-1`;
  const { Role } = await iam.createRole({
    RoleName,
    AssumeRolePolicyDocument: OF_ACCOUNT,
    Tags: [{ Key: "aws-cdk:bootstrap-role", Value: "file-publishing" }],
  });
  const Action = [
    "s3:GetObject*",
    "s3:GetBucket*",
    "s3:GetEncryptionConfiguration",
    "s3:List*",
    "s3:DeleteObject*",
    "s3:PutObject*",
    "s3:Abort*",
  ];
  const Condition = { StringEquals: { "aws:ResourceAccount": [ACCOUNT] } };
  await iam.putRolePolicy({
    RoleName,
    PolicyName: "cdk-hnb659fds-file-publishing-role-default-policy",
    PolicyDocument: document({ Effect: "Allow", Action, Resource, Condition }),
  });
  const deployer = `cdk-hnb659fds-cfn-exec-role-${ACCOUNT}-us-east-1`;
  await iam.createRole({ RoleName: deployer, AssumeRolePolicyDocument: trust({ Service: "cloudformation.amazonaws.com" }) });
  await iam.attachRolePolicy({ RoleName: deployer, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" });
  return Role?.Arn ?? "";
}

/** A user who may do no more than assume the roles of the bootstrap. */
async function developer({ iam }: Tools): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }> {
  await iam.createUser({ UserName: "dev" });
  const PolicyDocument = document({ Effect: "Allow", Action: "sts:AssumeRole", Resource: `arn:aws:iam::${ACCOUNT}:role/cdk-*` });
  await iam.putUserPolicy({ UserName: "dev", PolicyName: "cdk", PolicyDocument });
  const { AccessKey } = await iam.createAccessKey({ UserName: "dev" });
  return { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
}

test("cdk: an asset is published with the role of the bootstrap, once", async (t) => {
  const tools = await startTools(t);
  const RoleArn = await bootstrap(tools);
  const session = { RoleArn, RoleSessionName: "aws-cdk-dev" };
  // At AWS a root assumes no roles; here it has the only keys of a new installation.
  await tools.sts.assumeRole(session);
  const dev = tools.as(await developer(tools));
  assert.equal((await dev.sts.getCallerIdentity()).Account, ACCOUNT);
  const { Credentials } = await dev.sts.assumeRole(session);
  const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = Credentials ?? {};
  const publisher = tools.as({ accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken });

  const Key = `${randomBytes(32).toString("hex")}.zip`;
  const isThere = async () => (await publisher.s3.listObjectsV2({ Bucket, Prefix: Key, MaxKeys: 1 })).Contents?.[0]?.Key === Key;
  await publisher.s3.getBucketLocation({ Bucket });
  const { ServerSideEncryptionConfiguration } = await publisher.s3.getBucketEncryption({ Bucket });
  assert.equal(ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm, "AES256");
  assert.equal(await isThere(), false);
  await publisher.s3.putObject({
    Bucket,
    Key,
    Body: await zipOf({ "index.mjs": CODE }),
    ContentType: "application/zip",
    ChecksumAlgorithm: "SHA256",
  });
  assert.equal(await isThere(), true);
  await assert.rejects(publisher.s3.listBuckets(), { name: "AccessDenied" });
});

/** Also what `sam package` sends: looks for the key, and uploads what is not there. */
async function upload({ s3 }: Tools, code: string): Promise<{ readonly S3Bucket: string; readonly S3Key: string }> {
  const Body = await zipOf({ "index.mjs": code });
  const Key = `stack/${randomBytes(16).toString("hex")}`;
  await isMissing(s3.headObject({ Bucket: "sam", Key }), "NotFound");
  await s3.putObject({ Bucket: "sam", Key, Body });
  assert.equal((await s3.headObject({ Bucket: "sam", Key })).ContentLength, Body.length);
  return { S3Bucket: "sam", S3Key: Key };
}

const CANNOT_BE_ASSUMED = "The role defined for the function cannot be assumed by Lambda.";

/** As the handler of AWS::Lambda::Function: again and again while the role is not known everywhere; how often it was. */
async function untilAssumed(call: () => Promise<unknown>, between: () => Promise<unknown>): Promise<number> {
  for (let tries = 1; tries <= 10; tries++)
    try {
      await call();
      return tries;
    } catch (cause) {
      const { name, message } = cause as Error;
      assert.deepEqual([name, message], ["InvalidParameterValueException", CANNOT_BE_ASSUMED]);
      await between();
    }
  return assert.fail("it can't be made");
}

async function makeRole({ iam }: Tools, RoleName: string): Promise<void> {
  await iam.createRole({ RoleName, Path: "/", AssumeRolePolicyDocument: OF_LAMBDA, Tags: [{ Key: "lambda:createdBy", Value: "SAM" }] });
  await eventually("the role is there", async () => (await iam.getRole({ RoleName })).Role?.Arn);
  await iam.attachRolePolicy({ RoleName, PolicyArn: "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole" });
  await iam.putRolePolicy({
    RoleName,
    PolicyName: "inline",
    PolicyDocument: document({ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }),
  });
}

async function makeFunction(tools: Tools): Promise<void> {
  const { lambda, s3, logs } = tools;
  await s3.createBucket({ Bucket: "sam" });
  await logs.createLogGroup({ logGroupName, tags: { stack: "api" } });
  await logs.putRetentionPolicy({ logGroupName, retentionInDays: 7 });
  const input = {
    ...f,
    Code: await upload(tools, CODE),
    Handler: "index.handler",
    Runtime: "nodejs24.x",
    Role: arnOf("iam", "role/stack-Role").replace("us-east-1", ""),
    Tags: { "lambda:createdBy": "SAM" },
    LoggingConfig: { LogGroup: logGroupName },
    Environment: { Variables: {} },
  } as const;
  assert.equal(
    await untilAssumed(
      () => lambda.createFunction(input),
      () => makeRole(tools, "stack-Role"),
    ),
    2,
  );
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, f);
  await lambda.putFunctionConcurrency({ ...f, ReservedConcurrentExecutions: 5 });
  const { Configuration, Concurrency, Tags } = await lambda.getFunction(f);
  assert.deepEqual([Configuration?.State, Concurrency, Tags], ["Active", { ReservedConcurrentExecutions: 5 }, input.Tags]);
  assert.equal((await lambda.getFunctionCodeSigningConfig(f)).CodeSigningConfigArn, undefined);
  assert.equal((await lambda.getRuntimeManagementConfig(f)).UpdateRuntimeOn, "Auto");
  assert.equal((await lambda.getFunctionRecursionConfig(f)).RecursiveLoop, "Terminate");
}

/** As AWS::Lambda::Version: a hash that must be that of $LATEST, and a version that is ready. */
async function publish({ lambda }: Tools): Promise<string> {
  const { CodeSha256 } = await lambda.getFunctionConfiguration(f);
  const { Version = "" } = await lambda.publishVersion({ ...f, CodeSha256, Description: "by the stack" });
  await waitUntilPublishedVersionActive({ client: lambda, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, { ...f, Qualifier: Version });
  return Version;
}

const STATEMENTS = ["ApiPermissionA", "ApiPermissionB", "ApiPermissionC"];

/** Handlers of one stack run side by side. */
async function permit({ lambda }: Tools): Promise<void> {
  const one = { ...f, Qualifier: "live", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com" };
  await Promise.all(
    STATEMENTS.map((StatementId) =>
      lambda.addPermission({ ...one, StatementId, SourceArn: arnOf("execute-api", `a/*/GET/${StatementId}`) }),
    ),
  );
  const { Policy = "{}" } = await lambda.getPolicy({ ...f, Qualifier: "live" });
  const { Statement } = JSON.parse(Policy) as { Statement: { Sid: string }[] };
  assert.deepEqual(Statement.map(({ Sid }) => Sid).toSorted(), STATEMENTS);
}

async function updateCode(tools: Tools): Promise<void> {
  const { lambda } = tools;
  await lambda.updateFunctionCode({ ...f, ...(await upload(tools, "export const handler = () => 2;")), Publish: false });
  const settled = () => waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, f);
  await settled();
  await lambda.updateFunctionConfiguration({ ...f, MemorySize: 256, Environment: { Variables: { STAGE: "prod" } } });
  await settled();
  await lambda.tagResource({ Resource: arnOf("lambda", `function:${f.FunctionName}`), Tags: { version: "2" } });
  await lambda.untagResource({ Resource: arnOf("lambda", `function:${f.FunctionName}`), TagKeys: ["lambda:createdBy"] });
  assert.deepEqual((await lambda.listTags({ Resource: arnOf("lambda", `function:${f.FunctionName}`) })).Tags, { version: "2" });
}

/** In the order in which CloudFormation deletes: what refers to others first. */
async function remove({ lambda, iam, logs }: Tools, versions: readonly string[]): Promise<void> {
  const live = { ...f, Qualifier: "live" };
  for (const StatementId of STATEMENTS) await lambda.removePermission({ ...live, StatementId });
  await isMissing(lambda.getPolicy(live), "ResourceNotFoundException");
  await lambda.deleteAlias({ ...f, Name: "live" });
  await isMissing(lambda.getAlias({ ...f, Name: "live" }), "ResourceNotFoundException");
  for (const version of versions) await lambda.deleteFunction({ FunctionName: arnOf("lambda", `function:${f.FunctionName}:${version}`) });
  await lambda.deleteFunction(f);
  await isMissing(lambda.getFunction(f), "ResourceNotFoundException");
  const RoleName = "stack-Role";
  await assert.rejects(iam.deleteRole({ RoleName }), { name: "DeleteConflictException" });
  for (const { PolicyArn } of (await iam.listAttachedRolePolicies({ RoleName })).AttachedPolicies ?? [])
    await iam.detachRolePolicy({ RoleName, PolicyArn });
  for (const PolicyName of (await iam.listRolePolicies({ RoleName })).PolicyNames ?? [])
    await iam.deleteRolePolicy({ RoleName, PolicyName });
  await iam.deleteRole({ RoleName });
  await isMissing(iam.getRole({ RoleName }), "NoSuchEntityException");
  await logs.deleteLogGroup({ logGroupName });
  assert.deepEqual((await logs.describeLogGroups({ logGroupNamePrefix: logGroupName })).logGroups, []);
}

test("a stack with a function, its version and its alias is made, updated with shifting traffic, and deleted", async (t: TestContext) => {
  const tools = await startTools(t);
  const { lambda } = tools;
  await makeFunction(tools);
  assert.equal(await publish(tools), "1");
  await lambda.createAlias({ ...f, Name: "live", FunctionVersion: "1" });
  await permit(tools);
  await lambda.putFunctionEventInvokeConfig({ ...f, Qualifier: "live", MaximumRetryAttempts: 0 });

  await updateCode(tools);
  assert.equal(await publish(tools), "2");
  // A function that has not changed has no new version, and a handler learns that by the number.
  assert.equal(await publish(tools), "2");
  const alias = { ...f, Name: "live" };
  await lambda.updateAlias({ ...alias, FunctionVersion: "1", RoutingConfig: { AdditionalVersionWeights: { "2": 0.1 } } });
  await assert.rejects(lambda.deleteFunction({ ...f, Qualifier: "2" }), { name: "ResourceConflictException" });
  const { FunctionVersion, RoutingConfig } = await lambda.updateAlias({ ...alias, FunctionVersion: "2", RoutingConfig: {} });
  assert.deepEqual([FunctionVersion, RoutingConfig], ["2", undefined]);
  // Its former version is cleaned up when the update is complete.
  await lambda.deleteFunction({ ...f, Qualifier: "1" });
  await isMissing(lambda.getFunctionConfiguration({ ...f, Qualifier: "1" }), "ResourceNotFoundException");
  assert.equal((await lambda.getFunctionEventInvokeConfig({ ...f, Qualifier: "live" })).MaximumRetryAttempts, 0);
  await remove(tools, ["2"]);
});
