// Errors that operations document and that need no story to be told: one row each, through the official clients.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { EventBridge } from "@aws-sdk/client-eventbridge";
import { IAM } from "@aws-sdk/client-iam";
import { Scheduler } from "@aws-sdk/client-scheduler";
import { SNS } from "@aws-sdk/client-sns";
import type { ClientError } from "../../src/aws/fake-service.ts";
import { startApi, type Credentials } from "../support/api.ts";

const ACCOUNT = "000000000000";
const arn = (service: string, resource: string) => `arn:aws:${service}:us-east-1:${ACCOUNT}:${resource}`;

async function start(t: TestContext) {
  const { server } = await startApi(t);
  const as = (credentials: Credentials = server.keys) => {
    const settings = { endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 };
    const clients = {
      sns: new SNS(settings),
      iam: new IAM(settings),
      events: new EventBridge(settings),
      scheduler: new Scheduler(settings),
    };
    t.after(() => {
      for (const client of Object.values(clients)) client.destroy();
    });
    return clients;
  };
  return { as, ...as() };
}

type Row = readonly [error: string, ...calls: (() => Promise<unknown>)[]];

async function checkAll(rows: readonly Row[]): Promise<void> {
  const wrong: string[] = [];
  for (const [error, ...calls] of rows)
    for (const call of calls) {
      const name = await call().then(
        () => "success",
        (cause: ClientError) => cause.name,
      );
      if (name !== error) wrong.push(`${String(call)}: ${name}, not ${error}`);
    }
  assert.deepEqual(wrong, []);
}

test("SNS: whoever has no right is told so by each operation", async (t) => {
  const { as, iam } = await start(t);
  await iam.createUser({ UserName: "ann" });
  const { AccessKey } = await iam.createAccessKey({ UserName: "ann" });
  const { sns } = as({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  const TopicArn = arn("sns", "t");
  const SubscriptionArn = `${TopicArn}:0d8f7f0a-0000-4000-8000-000000000000`;
  await checkAll([
    [
      "AuthorizationErrorException",
      () => sns.createTopic({ Name: "t" }),
      () => sns.deleteTopic({ TopicArn }),
      () => sns.listTopics({}),
      () => sns.getTopicAttributes({ TopicArn }),
      () => sns.setTopicAttributes({ TopicArn, AttributeName: "DisplayName", AttributeValue: "x" }),
      () => sns.addPermission({ TopicArn, Label: "l", AWSAccountId: [ACCOUNT], ActionName: ["Publish"] }),
      () => sns.removePermission({ TopicArn, Label: "l" }),
      () => sns.tagResource({ ResourceArn: TopicArn, Tags: [{ Key: "a", Value: "b" }] }),
      () => sns.untagResource({ ResourceArn: TopicArn, TagKeys: ["a"] }),
      () => sns.listTagsForResource({ ResourceArn: TopicArn }),
      () => sns.subscribe({ TopicArn, Protocol: "email", Endpoint: "a@example.com" }),
      () => sns.confirmSubscription({ TopicArn, Token: "t" }),
      () => sns.listSubscriptions({}),
      () => sns.listSubscriptionsByTopic({ TopicArn }),
      () => sns.getSubscriptionAttributes({ SubscriptionArn }),
      () => sns.setSubscriptionAttributes({ SubscriptionArn, AttributeName: "RawMessageDelivery", AttributeValue: "true" }),
      () => sns.publishBatch({ TopicArn, PublishBatchRequestEntries: [{ Id: "a", Message: "m" }] }),
    ],
  ]);
});

test("SNS: ARNs that are none, and topics that are not there", async (t) => {
  const { sns } = await start(t);
  const [TopicArn, SubscriptionArn] = ["nonsense", "nonsense"];
  const missing = arn("sns", "missing");
  const Tags = Array.from({ length: 51 }, (_, at) => ({ Key: `k${at}`, Value: "v" }));
  await checkAll([
    [
      "InvalidParameterException",
      () => sns.deleteTopic({ TopicArn }),
      () => sns.removePermission({ TopicArn, Label: "l" }),
      () => sns.untagResource({ ResourceArn: TopicArn, TagKeys: ["a"] }),
      () => sns.listTagsForResource({ ResourceArn: TopicArn }),
      () => sns.unsubscribe({ SubscriptionArn }),
      () => sns.listSubscriptions({ NextToken: "nonsense" }),
      () => sns.listSubscriptionsByTopic({ TopicArn }),
      () => sns.getSubscriptionAttributes({ SubscriptionArn }),
      () => sns.publishBatch({ TopicArn, PublishBatchRequestEntries: [{ Id: "a", Message: "m" }] }),
    ],
    ["NotFoundException", () => sns.listSubscriptionsByTopic({ TopicArn: missing })],
    ["TagLimitExceededException", () => sns.createTopic({ Name: "t", Tags })],
  ]);
});

test("SNS: a topic has 200 filter policies at most", async (t) => {
  const { sns } = await start(t);
  const { TopicArn } = await sns.createTopic({ Name: "t" });
  const subscribe = (at: number, Attributes?: Record<string, string>) =>
    sns.subscribe({
      TopicArn,
      Protocol: "sqs",
      Endpoint: arn("sqs", `q${at}`),
      ReturnSubscriptionArn: true,
      ...(Attributes === undefined ? {} : { Attributes }),
    });
  const policy = { FilterPolicy: '{"a":["b"]}' };
  for (let at = 0; at < 200; at++) await subscribe(at, policy);
  const { SubscriptionArn } = await subscribe(200);
  const set = { SubscriptionArn, AttributeName: "FilterPolicy", AttributeValue: policy.FilterPolicy };
  await checkAll([["FilterPolicyLimitExceededException", () => subscribe(201, policy), () => sns.setSubscriptionAttributes(set)]]);
});

test("EventBridge: buses and rules that are not there, and one too many", async (t) => {
  const { events } = await start(t);
  const EventBusName = "missing";
  const [Name, Rule] = ["r", "r"];
  const ResourceARN = arn("events", "rule/missing");
  await checkAll([
    [
      "ResourceNotFoundException",
      () => events.listRules({ EventBusName }),
      () => events.listRuleNamesByTarget({ EventBusName, TargetArn: arn("sqs", "q") }),
      () => events.enableRule({ Name, EventBusName }),
      () => events.disableRule({ Name, EventBusName }),
      () => events.deleteRule({ Name, EventBusName }),
      () => events.listTargetsByRule({ Rule, EventBusName }),
      () => events.removeTargets({ Rule, EventBusName, Ids: ["a"] }),
      () => events.tagResource({ ResourceARN, Tags: [{ Key: "a", Value: "b" }] }),
      () => events.untagResource({ ResourceARN, TagKeys: ["a"] }),
    ],
  ]);
  await events.createArchive({ ArchiveName: "a", EventSourceArn: arn("events", "event-bus/default") });
  await checkAll([["InvalidEventPatternException", () => events.updateArchive({ ArchiveName: "a", EventPattern: '{"a":[]}' })]]);
  for (let at = 0; at < 100; at++) await events.createEventBus({ Name: `b${at}` });
  for (let at = 0; at < 300; at++) await events.putRule({ Name: `r${at}`, ScheduleExpression: "rate(1 day)" });
  await checkAll([
    [
      "LimitExceededException",
      () => events.createEventBus({ Name: "one-too-many" }),
      () => events.putRule({ Name: "one-too-many", ScheduleExpression: "rate(1 day)" }),
    ],
  ]);
});

test("Scheduler: names that are none, and groups that are not there, or one too many", async (t) => {
  const { scheduler, iam } = await start(t);
  const Name = "no good";
  const ResourceArn = arn("scheduler", "schedule-group/missing");
  const trust = { Statement: [{ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" }] };
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", ...trust });
  const { Role } = await iam.createRole({ RoleName: "r", AssumeRolePolicyDocument });
  const Target = { Arn: arn("sqs", "q"), RoleArn: Role?.Arn ?? "" };
  await checkAll([
    [
      "ValidationException",
      () => scheduler.getSchedule({ Name }),
      () => scheduler.deleteSchedule({ Name }),
      () => scheduler.updateSchedule({ Name, ScheduleExpression: "rate(1 hour)", FlexibleTimeWindow: { Mode: "OFF" }, Target }),
      () => scheduler.createScheduleGroup({ Name }),
      () => scheduler.getScheduleGroup({ Name }),
      () => scheduler.listScheduleGroups({ NextToken: "nonsense" }),
      () => scheduler.listTagsForResource({ ResourceArn: "nonsense" }),
      () => scheduler.untagResource({ ResourceArn: "nonsense", TagKeys: ["a"] }),
    ],
    [
      "ResourceNotFoundException",
      () => scheduler.deleteScheduleGroup({ Name: "missing" }),
      () => scheduler.tagResource({ ResourceArn, Tags: [{ Key: "a", Value: "b" }] }),
      () => scheduler.untagResource({ ResourceArn, TagKeys: ["a"] }),
    ],
  ]);
  for (let at = 0; at < 500; at++) await scheduler.createScheduleGroup({ Name: `g${at}` });
  await checkAll([["ServiceQuotaExceededException", () => scheduler.createScheduleGroup({ Name: "one-too-many" })]]);
});

test("IAM: quotas of groups, and what only AWS may change", async (t) => {
  const { iam } = await start(t);
  const statement = (...Action: string[]) =>
    JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*" }] });
  await iam.createGroup({ GroupName: "g" });
  for (let at = 0; at < 10; at++) {
    const { Policy } = await iam.createPolicy({ PolicyName: `p${at}`, PolicyDocument: statement("s3:*") });
    await iam.attachGroupPolicy({ GroupName: "g", PolicyArn: Policy?.Arn });
  }
  await iam.createServiceLinkedRole({ AWSServiceName: "ecs.amazonaws.com" });
  const RoleName = "AWSServiceRoleForECS";
  const PolicyArn = "arn:aws:iam::aws:policy/AdministratorAccess";
  await checkAll([
    [
      "LimitExceededException",
      () => iam.attachGroupPolicy({ GroupName: "g", PolicyArn }),
      () =>
        iam.putGroupPolicy({
          GroupName: "g",
          PolicyName: "p",
          PolicyDocument: statement(...Array.from({ length: 400 }, (_, at) => `s3:GetObject${at}`)),
        }),
    ],
    [
      "UnmodifiableEntityException",
      () => iam.updateRoleDescription({ RoleName, Description: "x" }),
      () => iam.deleteRolePolicy({ RoleName, PolicyName: "p" }),
      () => iam.detachRolePolicy({ RoleName, PolicyArn }),
    ],
    [
      "InvalidInputException",
      () => iam.getContextKeysForCustomPolicy({ PolicyInputList: ["{"] }),
      () => iam.getContextKeysForPrincipalPolicy({ PolicySourceArn: `arn:aws:iam::${ACCOUNT}:group/g`, PolicyInputList: ["{"] }),
    ],
  ]);
});
