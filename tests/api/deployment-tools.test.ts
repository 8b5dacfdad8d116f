// What deployment tools send, and what they wait for and read back after each step: nothing on their way is not built.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { eventually } from "../support/eventually.ts";
import { makeRole } from "../support/functions.ts";
import { zipOf } from "../support/zip.ts";
import { ACCOUNT, arnOf, isMissing, startTools } from "./deployment-tools.fixture.ts";

const f = { FunctionName: "app" } as const;

async function start(t: TestContext) {
  const tools = await startTools(t);
  return { ...tools, role: await makeRole(tools.iam) };
}

async function makeFunction({ lambda, role }: Awaited<ReturnType<typeof start>>, more: object = {}) {
  const ZipFile = await zipOf({ "index.mjs": "export const handler = () => 1;" });
  const made = await lambda.createFunction({
    ...f,
    Role: role,
    Runtime: "nodejs24.x",
    Handler: "index.handler",
    Code: { ZipFile },
    PackageType: "Zip",
    Architectures: ["x86_64"],
    MemorySize: 128,
    Timeout: 3,
    EphemeralStorage: { Size: 512 },
    LoggingConfig: { LogFormat: "Text" },
    TracingConfig: { Mode: "PassThrough" },
    Publish: false,
    Tags: { project: "shop" },
    ...more,
  });
  assert.equal(made.State, "Pending");
  await eventually("it is active", async () => (await lambda.getFunction(f)).Configuration?.State === "Active");
  return made;
}

/** As Terraform refreshes a function. */
async function refreshed({ lambda }: Awaited<ReturnType<typeof start>>) {
  const { Configuration, Code, Tags, Concurrency } = await lambda.getFunction(f);
  assert.equal(Code?.RepositoryType, "S3");
  const { Versions = [] } = await lambda.listVersionsByFunction({ ...f, MaxItems: 10_000 });
  const signing = await lambda.getFunctionCodeSigningConfig(f);
  assert.equal(signing.CodeSigningConfigArn, undefined);
  assert.deepEqual((await lambda.listTags({ Resource: Configuration?.FunctionArn })).Tags, Tags);
  return { Configuration, Tags, Concurrency, versions: Versions.map(({ Version }) => Version) };
}

test("a function is made, refreshed, changed step by step, published and removed", async (t) => {
  const one = await start(t);
  const { lambda } = one;
  await isMissing(lambda.getFunction(f), "ResourceNotFoundException");
  await makeFunction(one, { Publish: true, Environment: { Variables: { STAGE: "test" } } });
  await lambda.putFunctionConcurrency({ ...f, ReservedConcurrentExecutions: 5 });
  const made = await refreshed(one);
  assert.deepEqual(
    [made.versions, made.Concurrency, made.Tags],
    [["$LATEST", "1"], { ReservedConcurrentExecutions: 5 }, { project: "shop" }],
  );
  assert.equal(made.Configuration?.LastUpdateStatus, "Successful");

  const settled = async () =>
    await eventually("the update is complete", async () => (await lambda.getFunctionConfiguration(f)).LastUpdateStatus === "Successful");
  await lambda.updateFunctionConfiguration({
    ...f,
    Timeout: 10,
    Environment: { Variables: {} },
    DeadLetterConfig: { TargetArn: "" },
    Layers: [],
  });
  await settled();
  await lambda.updateFunctionCode({ ...f, ZipFile: await zipOf({ "index.mjs": "export const handler = () => 2;" }), Publish: false });
  await settled();
  await lambda.deleteFunctionConcurrency(f);
  assert.equal((await lambda.getFunctionConcurrency(f)).ReservedConcurrentExecutions, undefined);
  const { Version } = await lambda.publishVersion(f);
  const published = await eventually("the version is ready", async () => {
    const found = await lambda.getFunctionConfiguration({ ...f, Qualifier: Version });
    return found.LastUpdateStatus === "Successful" && found;
  });
  assert.deepEqual([published.Version, published.State, published.Timeout], ["2", "Active", 10]);
  await lambda.tagResource({ Resource: arnOf("lambda", "function:app"), Tags: { stage: "test" } });
  await lambda.untagResource({ Resource: arnOf("lambda", "function:app"), TagKeys: ["project"] });
  assert.deepEqual((await refreshed(one)).Tags, { stage: "test" });
  await lambda.deleteFunction(f);
  await isMissing(lambda.getFunction(f), "ResourceNotFoundException");
});

test("what belongs to a function is made, read, changed and removed", async (t) => {
  const one = await start(t);
  const { lambda } = one;
  await makeFunction(one, { Publish: true });

  await isMissing(lambda.getPolicy(f), "ResourceNotFoundException");
  await lambda.addPermission({
    ...f,
    StatementId: "AllowS3",
    Action: "lambda:InvokeFunction",
    Principal: "s3.amazonaws.com",
    SourceArn: "arn:aws:s3:::uploads",
    SourceAccount: ACCOUNT,
  });
  const { Statement } = JSON.parse((await lambda.getPolicy(f)).Policy ?? "{}") as { Statement: { Sid: string; Condition: object }[] };
  assert.deepEqual(Statement[0]?.Condition, {
    StringEquals: { "AWS:SourceAccount": ACCOUNT },
    ArnLike: { "AWS:SourceArn": "arn:aws:s3:::uploads" },
  });
  await lambda.removePermission({ ...f, StatementId: "AllowS3" });
  await isMissing(lambda.getPolicy(f), "ResourceNotFoundException");

  const alias = { ...f, Name: "live" };
  await lambda.createAlias({ ...alias, FunctionVersion: "1", Description: "" });
  await lambda.updateAlias({ ...alias, FunctionVersion: "1", RoutingConfig: { AdditionalVersionWeights: {} } });
  assert.deepEqual((await lambda.getAlias(alias)).RoutingConfig, undefined);

  const provisioned = { ...f, Qualifier: "live" };
  await isMissing(lambda.getProvisionedConcurrencyConfig(provisioned), "ProvisionedConcurrencyConfigNotFoundException");
  await lambda.putProvisionedConcurrencyConfig({ ...provisioned, ProvisionedConcurrentExecutions: 1 });
  await eventually("it is ready", async () => (await lambda.getProvisionedConcurrencyConfig(provisioned)).Status === "READY");
  await lambda.deleteProvisionedConcurrencyConfig(provisioned);

  const url = { ...f, Qualifier: "live" };
  await lambda.createFunctionUrlConfig({ ...url, AuthType: "NONE", InvokeMode: "BUFFERED" });
  await lambda.addPermission({
    ...url,
    StatementId: "FunctionURLAllowPublicAccess",
    Action: "lambda:InvokeFunctionUrl",
    Principal: "*",
    FunctionUrlAuthType: "NONE",
  });
  assert.match((await lambda.getFunctionUrlConfig(url)).FunctionUrl ?? "", /^http/);
  await lambda.updateFunctionUrlConfig({ ...url, Cors: { AllowOrigins: ["*"] } });
  await lambda.deleteFunctionUrlConfig(url);
  await isMissing(lambda.getFunctionUrlConfig(url), "ResourceNotFoundException");

  const invoke = { ...f, Qualifier: "$LATEST" };
  await isMissing(lambda.getFunctionEventInvokeConfig(invoke), "ResourceNotFoundException");
  await lambda.putFunctionEventInvokeConfig({ ...invoke, MaximumRetryAttempts: 0, DestinationConfig: {} });
  assert.equal((await lambda.getFunctionEventInvokeConfig(invoke)).MaximumRetryAttempts, 0);
  await lambda.deleteFunctionEventInvokeConfig(invoke);

  assert.equal((await lambda.getRuntimeManagementConfig(f)).UpdateRuntimeOn, "Auto");
  assert.equal((await lambda.getFunctionRecursionConfig(f)).RecursiveLoop, "Terminate");
  await lambda.deleteAlias(alias);
  await isMissing(lambda.getAlias(alias), "ResourceNotFoundException");
});

test("layers and event source mappings", async (t) => {
  const one = await start(t);
  const { lambda, sqs, iam } = one;
  const layer = { LayerName: "shared", VersionNumber: 1 } as const;
  const ZipFile = await zipOf({ "nodejs/node_modules/x/index.js": "module.exports = 1;" });
  await isMissing(lambda.getLayerVersion(layer), "ResourceNotFoundException");
  const { LayerVersionArn = "" } = await lambda.publishLayerVersion({
    LayerName: "shared",
    Content: { ZipFile },
    CompatibleRuntimes: ["nodejs24.x"],
  });
  assert.match((await lambda.getLayerVersion(layer)).Content?.CodeSha256 ?? "", /=$/);
  await lambda.addLayerVersionPermission({ ...layer, StatementId: "all", Action: "lambda:GetLayerVersion", Principal: "*" });
  assert.match((await lambda.getLayerVersionPolicy(layer)).Policy ?? "", /"all"/);
  await lambda.removeLayerVersionPermission({ ...layer, StatementId: "all" });
  await isMissing(lambda.getLayerVersionPolicy(layer), "ResourceNotFoundException");
  await makeFunction(one, { Layers: [LayerVersionArn] });
  await lambda.deleteLayerVersion(layer);

  await sqs.createQueue({ QueueName: "jobs" });
  await iam.putRolePolicy({
    RoleName: "test-role",
    PolicyName: "read",
    PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "sqs:*", Resource: "*" }] }),
  });
  const { UUID } = await lambda.createEventSourceMapping({ ...f, EventSourceArn: arnOf("sqs", "jobs"), BatchSize: 10, Enabled: true });
  const state = async () => (await lambda.getEventSourceMapping({ UUID })).State;
  await eventually("it is what tools wait for", async () => ["Enabled", "Disabled"].includes((await state()) ?? ""));
  assert.deepEqual((await lambda.listTags({ Resource: arnOf("lambda", `event-source-mapping:${UUID}`) })).Tags, {});
  await lambda.updateEventSourceMapping({ UUID, BatchSize: 5, FunctionName: "app" });
  await lambda.deleteEventSourceMapping({ UUID });
  await isMissing(lambda.getEventSourceMapping({ UUID }), "ResourceNotFoundException");
});

test("queues, topics, rules and schedules", async (t) => {
  const { sqs, sns, events, scheduler, iam } = await start(t);
  await isMissing(sqs.getQueueUrl({ QueueName: "q" }), "QueueDoesNotExist");
  const Attributes = {
    VisibilityTimeout: "60",
    MessageRetentionPeriod: "345600",
    SqsManagedSseEnabled: "true",
    RedrivePolicy: "",
    Policy: "",
  };
  const { QueueUrl } = await sqs.createQueue({ QueueName: "q", Attributes, tags: { project: "shop" } });
  const { Attributes: shown } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] });
  assert.deepEqual([shown?.["VisibilityTimeout"], shown?.["QueueArn"]], ["60", arnOf("sqs", "q")]);
  assert.deepEqual((await sqs.listQueueTags({ QueueUrl })).Tags, { project: "shop" });

  const { TopicArn } = await sns.createTopic({ Name: "t", Attributes: { DisplayName: "" }, Tags: [{ Key: "project", Value: "shop" }] });
  for (const AttributeName of ["DisplayName", "DeliveryPolicy"])
    await sns.setTopicAttributes({ TopicArn, AttributeName, AttributeValue: "" });
  assert.match((await sns.getTopicAttributes({ TopicArn })).Attributes?.["Policy"] ?? "", /__default_policy_ID/);
  assert.equal((await sns.listTagsForResource({ ResourceArn: TopicArn })).Tags?.length, 1);
  const { SubscriptionArn } = await sns.subscribe({ TopicArn, Protocol: "sqs", Endpoint: arnOf("sqs", "q"), ReturnSubscriptionArn: true });
  assert.equal((await sns.getSubscriptionAttributes({ SubscriptionArn })).Attributes?.["PendingConfirmation"], "false");
  await sns.setSubscriptionAttributes({ SubscriptionArn, AttributeName: "RawMessageDelivery", AttributeValue: "true" });
  await sns.setSubscriptionAttributes({ SubscriptionArn, AttributeName: "FilterPolicy", AttributeValue: '{"a":["b"]}' });
  await sns.unsubscribe({ SubscriptionArn });
  await isMissing(sns.getSubscriptionAttributes({ SubscriptionArn }), "NotFoundException");
  await sns.deleteTopic({ TopicArn });
  await isMissing(sns.getTopicAttributes({ TopicArn }), "NotFoundException");

  const rule = { Name: "r", EventBusName: "default" };
  await isMissing(events.describeRule(rule), "ResourceNotFoundException");
  await events.putRule({ ...rule, EventPattern: '{"source":["shop"]}', State: "ENABLED", Tags: [] });
  assert.equal((await events.describeRule(rule)).State, "ENABLED");
  assert.deepEqual((await events.listTagsForResource({ ResourceARN: arnOf("events", "rule/r") })).Tags, []);
  await events.putTargets({ Rule: "r", EventBusName: "default", Targets: [{ Id: "1", Arn: arnOf("sqs", "q") }] });
  assert.equal((await events.listTargetsByRule({ Rule: "r", EventBusName: "default" })).Targets?.length, 1);
  await events.removeTargets({ Rule: "r", EventBusName: "default", Ids: ["1"], Force: false });
  await events.deleteRule({ ...rule, Force: false });
  await events.createEventBus({ Name: "orders" });
  assert.equal((await events.describeEventBus({ Name: "orders" })).Arn, arnOf("events", "event-bus/orders"));
  await events.deleteEventBus({ Name: "orders" });

  const Statement = [{ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" }];
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
  const { Role } = await iam.createRole({ RoleName: "clockwork", AssumeRolePolicyDocument });
  await scheduler.createScheduleGroup({ Name: "g" });
  await eventually("the group is there", async () => (await scheduler.getScheduleGroup({ Name: "g" })).State === "ACTIVE");
  const Target = { Arn: arnOf("sqs", "q"), RoleArn: Role?.Arn };
  const schedule = { Name: "s", GroupName: "g" };
  await scheduler.createSchedule({ ...schedule, ScheduleExpression: "rate(1 hour)", FlexibleTimeWindow: { Mode: "OFF" }, Target });
  assert.equal((await scheduler.getSchedule(schedule)).State, "ENABLED");
  await scheduler.deleteSchedule(schedule);
  await scheduler.deleteScheduleGroup({ Name: "g" });
  await isMissing(scheduler.getScheduleGroup({ Name: "g" }), "ResourceNotFoundException");
  await sqs.deleteQueue({ QueueUrl });
  await isMissing(sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] }), "QueueDoesNotExist");
});

test("buckets, roles, policies and log groups, with everything that a refresh asks for", async (t) => {
  const { s3, iam, logs, sts } = await start(t);
  assert.equal((await sts.getCallerIdentity()).Account, ACCOUNT);
  const Bucket = "deployments";
  await isMissing(s3.headBucket({ Bucket }), "NotFound");
  await s3.createBucket({ Bucket, ObjectOwnership: "BucketOwnerEnforced" });
  await s3.headBucket({ Bucket });
  await s3.getBucketAcl({ Bucket });
  await s3.getBucketVersioning({ Bucket });
  await s3.getBucketAccelerateConfiguration({ Bucket });
  await s3.getBucketRequestPayment({ Bucket });
  await s3.getBucketLogging({ Bucket });
  await s3.getBucketLocation({ Bucket });
  const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" as const }, BucketKeyEnabled: false }];
  assert.deepEqual((await s3.getBucketEncryption({ Bucket })).ServerSideEncryptionConfiguration, { Rules });
  await s3.putBucketEncryption({ Bucket, ServerSideEncryptionConfiguration: { Rules } });
  await s3.getBucketOwnershipControls({ Bucket });
  await isMissing(s3.getBucketPolicy({ Bucket }), "NoSuchBucketPolicy");
  await isMissing(s3.getBucketCors({ Bucket }), "NoSuchCORSConfiguration");
  await isMissing(s3.getBucketWebsite({ Bucket }), "NoSuchWebsiteConfiguration");
  await isMissing(s3.getBucketLifecycleConfiguration({ Bucket }), "NoSuchLifecycleConfiguration");
  await isMissing(s3.getBucketReplication({ Bucket }), "ReplicationConfigurationNotFoundError");
  await isMissing(s3.getObjectLockConfiguration({ Bucket }), "ObjectLockConfigurationNotFoundError");
  await isMissing(s3.getBucketTagging({ Bucket }), "NoSuchTagSet");
  await s3.putBucketTagging({ Bucket, Tagging: { TagSet: [{ Key: "project", Value: "shop" }] } });
  await s3.putPublicAccessBlock({ Bucket, PublicAccessBlockConfiguration: { BlockPublicAcls: true } });
  await s3.getPublicAccessBlock({ Bucket });
  await s3.putObject({ Bucket, Key: "code.zip", Body: await zipOf({ a: "b" }), ServerSideEncryption: "AES256" });
  await s3.headObject({ Bucket, Key: "code.zip" });
  await s3.getObjectTagging({ Bucket, Key: "code.zip" });
  await s3.deleteObject({ Bucket, Key: "code.zip" });
  await s3.deleteBucket({ Bucket });

  const RoleName = "test-role";
  await iam.getRole({ RoleName });
  const document = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }] });
  await iam.putRolePolicy({ RoleName, PolicyName: "p", PolicyDocument: document });
  assert.deepEqual((await iam.listRolePolicies({ RoleName })).PolicyNames, ["p"]);
  assert.deepEqual((await iam.listAttachedRolePolicies({ RoleName })).AttachedPolicies, []);
  assert.deepEqual((await iam.listInstanceProfilesForRole({ RoleName })).InstanceProfiles, []);
  const { Policy: { Arn: PolicyArn } = {} } = await iam.createPolicy({ PolicyName: "wide", PolicyDocument: document });
  await iam.getPolicy({ PolicyArn });
  await iam.getPolicyVersion({ PolicyArn, VersionId: "v1" });
  assert.equal((await iam.listPolicyVersions({ PolicyArn })).Versions?.length, 1);
  await iam.attachRolePolicy({ RoleName, PolicyArn });
  await iam.detachRolePolicy({ RoleName, PolicyArn });
  await iam.deletePolicy({ PolicyArn });
  await iam.deleteRolePolicy({ RoleName, PolicyName: "p" });
  await iam.deleteRole({ RoleName });
  await isMissing(iam.getRole({ RoleName }), "NoSuchEntityException");

  const logGroupName = "/aws/lambda/app";
  await logs.createLogGroup({ logGroupName, tags: { project: "shop" } });
  await logs.putRetentionPolicy({ logGroupName, retentionInDays: 14 });
  const { logGroups = [] } = await logs.describeLogGroups({ logGroupNamePrefix: logGroupName });
  assert.deepEqual([logGroups[0]?.retentionInDays, logGroups[0]?.logGroupClass], [14, "STANDARD"]);
  assert.deepEqual((await logs.listTagsForResource({ resourceArn: arnOf("logs", `log-group:${logGroupName}`) })).tags, { project: "shop" });
  await logs.deleteRetentionPolicy({ logGroupName });
  await logs.deleteLogGroup({ logGroupName });
});
