// Topics through the real SDK: each operation with its errors.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as sns from "@aws-sdk/client-sns";
import { CreateAccessKeyCommand, CreateUserCommand } from "@aws-sdk/client-iam";
import { startApi } from "../support/api.ts";
import { makeTopic, subscribe, topicArn, queueArn } from "./sns.fixture.ts";

const invalid = (message: string) => ({ name: "InvalidParameterException", message: `Invalid parameter: ${message}` });
const NO_TOPIC = { name: "NotFoundException", message: "Topic does not exist" };
const NO_RESOURCE = { name: "ResourceNotFoundException", message: "Resource does not exist" };
const MISSING = topicArn("missing");

async function attributesOf(client: sns.SNSClient, TopicArn: string): Promise<Record<string, string>> {
  const { Attributes = {} } = await client.send(new sns.GetTopicAttributesCommand({ TopicArn }));
  return Attributes;
}

test("CreateTopic makes a topic once, and tells what differs the second time", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const create = (input: sns.CreateTopicCommandInput) => client.send(new sns.CreateTopicCommand(input));
  const Tags = [{ Key: "a", Value: "1" }];
  const { TopicArn } = await create({ Name: "t", Attributes: { DisplayName: "T" }, Tags });
  assert.equal(TopicArn, topicArn("t"));
  for (const input of [{ Name: "t" }, { Name: "t", Attributes: { DisplayName: "T" } }, { Name: "t", Tags }])
    assert.equal((await create(input)).TopicArn, TopicArn);
  for (const [input, message] of [
    [{ Name: "t", Attributes: { DisplayName: "U" } }, "Attributes Reason: Topic already exists with different attributes"],
    [{ Name: "t", Tags: [{ Key: "b", Value: "1" }] }, "Tags Reason: Topic already exists with different tags"],
    [{ Name: "u", Tags: [...Tags, ...Tags] }, "Duplicated keys are not allowed."],
    [{ Name: "a b" }, "Topic Name"],
    [{ Name: "t.fifo" }, "Topic Name"],
    [{ Name: "u", Attributes: { Wrong: "x" } }, "Attributes Reason: Unknown attribute Wrong"],
    [{ Name: "u", Attributes: { ContentBasedDeduplication: "true" } }, "Attributes Reason: Unknown attribute ContentBasedDeduplication"],
    [
      { Name: "u", Attributes: { FifoTopic: "true" } },
      "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
    ],
    [
      { Name: "u", Attributes: { DeliveryPolicy: '{"http":{"defaultHealthyRetryPolicy":{"numRetries":101}}}' } },
      "Attributes Reason: DeliveryPolicy: http.defaultHealthyRetryPolicy.numRetries must be less than or equal to 100",
    ],
    [
      { Name: "u", DataProtectionPolicy: "{}" },
      "DataProtectionPolicy Reason: Lambent does not look for personal data in messages: leave it out.",
    ],
  ] as const satisfies readonly (readonly [sns.CreateTopicCommandInput, string])[])
    await assert.rejects(create(input), invalid(message));
  const { Topics = [] } = await client.send(new sns.ListTopicsCommand({}));
  assert.deepEqual(Topics, [{ TopicArn }]);
});

test("ListTopics has pages of a hundred", async (t) => {
  const client = (await startApi(t)).clients().sns;
  await Promise.all(Array.from({ length: 105 }, (_, index) => makeTopic(client, `t${index}`)));
  const { Topics: first = [], NextToken } = await client.send(new sns.ListTopicsCommand({}));
  const { Topics: second = [], NextToken: end } = await client.send(new sns.ListTopicsCommand({ NextToken }));
  assert.deepEqual([first.length, second.length, end], [100, 5, undefined]);
  assert.equal(new Set([...first, ...second].map(({ TopicArn }) => TopicArn)).size, 105);
  await assert.rejects(client.send(new sns.ListTopicsCommand({ NextToken: "x" })), invalid("NextToken"));
});

test("attributes of a topic are set, told and refused", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const set = (AttributeName: string, AttributeValue: string, arn = TopicArn) =>
    client.send(new sns.SetTopicAttributesCommand({ TopicArn: arn, AttributeName, AttributeValue }));
  const { Policy = "", EffectiveDeliveryPolicy = "", ...rest } = await attributesOf(client, TopicArn);
  assert.deepEqual(rest, {
    TopicArn,
    Owner: "000000000000",
    DisplayName: "",
    SubscriptionsConfirmed: "0",
    SubscriptionsPending: "0",
    SubscriptionsDeleted: "0",
  });
  assert.equal((JSON.parse(Policy) as { Id: string }).Id, "__default_policy_ID");
  assert.deepEqual(JSON.parse(EffectiveDeliveryPolicy), {
    http: {
      defaultHealthyRetryPolicy: {
        minDelayTarget: 20,
        maxDelayTarget: 20,
        numRetries: 3,
        numMaxDelayRetries: 0,
        numNoDelayRetries: 0,
        numMinDelayRetries: 0,
        backoffFunction: "linear",
      },
      disableSubscriptionOverrides: false,
      defaultRequestPolicy: { headerContentType: "text/plain; charset=UTF-8" },
    },
  });
  await set("DisplayName", "A topic");
  await set("SignatureVersion", "2");
  await set("LambdaSuccessFeedbackSampleRate", "100");
  await set("DeliveryPolicy", '{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":5}}}');
  const told = await attributesOf(client, TopicArn);
  assert.deepEqual([told["DisplayName"], told["SignatureVersion"], told["LambdaSuccessFeedbackSampleRate"]], ["A topic", "2", "100"]);
  await set("DeliveryPolicy", "");
  assert.equal((await attributesOf(client, TopicArn))["DeliveryPolicy"], undefined);
  for (const [name, value, message] of [
    ["Wrong", "1", "AttributeName"],
    ["SignatureVersion", "3", "SignatureVersion: Invalid value [3]. Must be 1 or 2."],
    ["TracingConfig", "x", "TracingConfig: Invalid value [x]. Must be PassThrough or Active."],
    ["DisplayName", "x".repeat(101), "DisplayName: must be at most 100 characters long"],
    ["SQSSuccessFeedbackSampleRate", "101", "SQSSuccessFeedbackSampleRate: must be an integer between 0 and 100"],
    ["Policy", "{", "Policy: Policy Error: This policy contains invalid Json"],
    ["DeliveryPolicy", "{", "DeliveryPolicy: failed to parse JSON."],
    ["DeliveryPolicy", '{"x":{}}', "DeliveryPolicy: Unexpected JSON member: x"],
    ["KmsMasterKeyId", "alias/k", "KmsMasterKeyId: Lambent does not encrypt topics with keys of KMS: leave it out."],
    ["ContentBasedDeduplication", "true", "AttributeName"],
  ] as const)
    await assert.rejects(set(name, value), invalid(message), name);
  await assert.rejects(set("DisplayName", "x", MISSING), NO_TOPIC);
  await assert.rejects(attributesOf(client, MISSING), NO_TOPIC);
  await assert.rejects(attributesOf(client, "t"), invalid("TopicArn Reason: An ARN must have at least 6 elements, not 1"));
  await assert.rejects(attributesOf(client, topicArn("t").replace("us-east-1", "eu-west-1")), invalid("TopicArn"));
});

test("a FIFO topic tells what it is", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t.fifo", { ContentBasedDeduplication: "true" });
  const told = await attributesOf(client, TopicArn);
  assert.deepEqual([told["FifoTopic"], told["ContentBasedDeduplication"], told["FifoThroughputScope"]], ["true", "true", "Topic"]);
});

test("DeleteTopic takes the subscriptions along, and a new topic of the name begins without any", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  await subscribe(client, TopicArn, "sqs", queueArn("q"));
  assert.equal((await attributesOf(client, TopicArn))["SubscriptionsConfirmed"], "1");
  await client.send(new sns.DeleteTopicCommand({ TopicArn }));
  await client.send(new sns.DeleteTopicCommand({ TopicArn }));
  await assert.rejects(attributesOf(client, TopicArn), NO_TOPIC);
  assert.deepEqual((await client.send(new sns.ListSubscriptionsCommand({}))).Subscriptions, []);
  await makeTopic(client, "t");
  assert.equal((await attributesOf(client, TopicArn))["SubscriptionsConfirmed"], "0");
});

test("tags are added, listed, removed, and counted", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const ResourceArn = await makeTopic(client, "t");
  const tag = (Tags: sns.Tag[], arn = ResourceArn) => client.send(new sns.TagResourceCommand({ ResourceArn: arn, Tags }));
  const list = async (arn = ResourceArn) => (await client.send(new sns.ListTagsForResourceCommand({ ResourceArn: arn }))).Tags;
  await tag([
    { Key: "a", Value: "1" },
    { Key: "b", Value: "" },
  ]);
  await tag([{ Key: "a", Value: "2" }]);
  assert.deepEqual(await list(), [
    { Key: "a", Value: "2" },
    { Key: "b", Value: "" },
  ]);
  await client.send(new sns.UntagResourceCommand({ ResourceArn, TagKeys: ["b", "none"] }));
  assert.deepEqual(await list(), [{ Key: "a", Value: "2" }]);
  await assert.rejects(tag(Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: "" }))), {
    name: "TagLimitExceededException",
  });
  await assert.rejects(tag([{ Key: "aws:x", Value: "" }]), invalid("Tag key 'aws:x' is invalid."));
  await assert.rejects(tag([{ Key: "a", Value: "1" }], MISSING), NO_RESOURCE);
  await assert.rejects(list(MISSING), NO_RESOURCE);
  await assert.rejects(client.send(new sns.UntagResourceCommand({ ResourceArn: MISSING, TagKeys: ["a"] })), NO_RESOURCE);
});

test("AddPermission and RemovePermission change the policy's statements", async (t) => {
  const client = (await startApi(t)).clients().sns;
  const TopicArn = await makeTopic(client, "t");
  const add = (more: Partial<sns.AddPermissionCommandInput> = {}) =>
    client.send(new sns.AddPermissionCommand({ TopicArn, Label: "l", AWSAccountId: ["111111111111"], ActionName: ["Publish"], ...more }));
  await add();
  const { Policy = "" } = await attributesOf(client, TopicArn);
  assert.deepEqual((JSON.parse(Policy) as { Statement: unknown[] }).Statement[1], {
    Sid: "l",
    Effect: "Allow",
    Principal: { AWS: "arn:aws:iam::111111111111:root" },
    Action: "SNS:Publish",
    Resource: TopicArn,
  });
  await assert.rejects(add(), invalid("Statement already exists"));
  await assert.rejects(add({ Label: "a b" }), invalid("Label"));
  await assert.rejects(add({ Label: "m", AWSAccountId: ["1"] }), invalid("AWSAccountId"));
  await assert.rejects(add({ Label: "m", ActionName: ["Fly"] }), invalid("Policy statement action out of service scope!"));
  await assert.rejects(add({ TopicArn: MISSING }), NO_TOPIC);
  await client.send(new sns.RemovePermissionCommand({ TopicArn, Label: "l" }));
  await client.send(new sns.RemovePermissionCommand({ TopicArn, Label: "l" }));
  const after = JSON.parse((await attributesOf(client, TopicArn))["Policy"] ?? "") as { Statement: unknown[] };
  assert.equal(after.Statement.length, 1);
  await assert.rejects(client.send(new sns.RemovePermissionCommand({ TopicArn: MISSING, Label: "l" })), NO_TOPIC);
});

test("who has no permission is refused with SNS's own error", async (t) => {
  const { clients } = await startApi(t);
  const { iam, sns: root } = clients();
  const TopicArn = await makeTopic(root, "t");
  await iam.send(new CreateUserCommand({ UserName: "u" }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "u" }));
  const user = clients({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" }).sns;
  await assert.rejects(user.send(new sns.PublishCommand({ TopicArn, Message: "m" })), {
    name: "AuthorizationErrorException",
    message: `User: arn:aws:iam::000000000000:user/u is not authorized to perform: SNS:Publish on resource: ${TopicArn} because no identity-based policy allows the SNS:Publish action`,
  });
});

test("what is for phones and apps is refused by name", async (t) => {
  const client = (await startApi(t)).clients().sns;
  await assert.rejects(client.send(new sns.ListPlatformApplicationsCommand({})), { name: "NotImplementedException" });
  await assert.rejects(client.send(new sns.GetSMSAttributesCommand({})), { name: "NotImplementedException" });
  await assert.rejects(
    client.send(new sns.PublishCommand({ PhoneNumber: "+15550100", Message: "m" })),
    invalid("PhoneNumber Reason: Lambent sends no SMS: see docs/compatibility.md"),
  );
});
