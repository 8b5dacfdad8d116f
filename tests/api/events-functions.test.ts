// Rules and schedules invoke functions, and functions' results reach event buses: the whole server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateLogGroupCommand, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateEventBusCommand,
  DisableRuleCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import { AttachRolePolicyCommand, CreateRoleCommand, type IAMClient } from "@aws-sdk/client-iam";
import { AddPermissionCommand, InvokeCommand, PutFunctionEventInvokeConfigCommand } from "@aws-sdk/client-lambda";
import { CreateScheduleCommand } from "@aws-sdk/client-scheduler";
import { SetTopicAttributesCommand } from "@aws-sdk/client-sns";
import { CreateQueueCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";
import { makeQueue, makeTopic, receive, subscribe } from "./sns.fixture.ts";

const arnOf = (service: string, resource: string) => `arn:aws:${service}:us-east-1:000000000000:${resource}`;
const FUNCTION = arnOf("lambda", "function:f");

test("a rule invokes a function that admits it", async (t) => {
  const seen: unknown[] = [];
  const { clients } = await startApi(t, () => (event: unknown) => void seen.push(event));
  const { lambda, iam, events } = clients();
  await makeFunction(lambda, { name: "f", role: await makeRole(iam, "basic", []), code: "" });
  const { RuleArn } = await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["shop"]}' }));
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: FUNCTION, InputPath: "$.detail" }] }));
  const put = (n: number) =>
    events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "d", Detail: JSON.stringify({ n }) }] }));
  await put(1);
  const permission = { StatementId: "s", Action: "lambda:InvokeFunction", Principal: "events.amazonaws.com", SourceArn: RuleArn };
  await lambda.send(new AddPermissionCommand({ FunctionName: "f", ...permission }));
  await put(2);
  await eventually("the function has run", () => seen.length > 0);
  assert.deepEqual(seen, [{ n: 2 }], "what was not admitted is not tried again");
});

test("events come to a log group whose name begins with /aws/events/", async (t) => {
  const { clients } = await startApi(t);
  const { events, logs } = clients();
  const logGroupName = "/aws/events/shop";
  await logs.send(new CreateLogGroupCommand({ logGroupName }));
  await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["shop"]}' }));
  const Arn = arnOf("logs", `log-group:${logGroupName}`);
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn }] }));
  for (const n of [1, 2])
    await events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "d", Detail: JSON.stringify({ n }) }] }));
  const messages = await eventually("two events are in the log", async () => {
    const { events: found = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName, logStreamNames: ["rule/r"] }));
    return found.length >= 2 ? found.map(({ message = "" }) => message) : undefined;
  });
  const details = messages.map((message) => (JSON.parse(message) as { detail: unknown }).detail);
  assert.deepEqual(new Set(details.map((detail) => JSON.stringify(detail))), new Set(['{"n":1}', '{"n":2}']));
  await assertRefused(
    events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: arnOf("logs", "log-group:other") }] })),
    "ValidationException",
    400,
    /begins with \/aws\/events\//,
  );
});

test("a log group gets whatever a rule makes of an event, and what it does not keep is a dead letter", async (t) => {
  const { clients } = await startApi(t);
  const { events, logs, sqs } = clients();
  const logGroupName = "/aws/events/shop";
  await logs.send(new CreateLogGroupCommand({ logGroupName }));
  const principal = { Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sqs:SendMessage", Resource: "*" };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [principal] });
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "dead", Attributes: { Policy } }));
  await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["shop"]}' }));
  const target = { Arn: arnOf("logs", `log-group:${logGroupName}`), DeadLetterConfig: { Arn: arnOf("sqs", "dead") } };
  const Targets = [
    { ...target, Id: "nothing", Input: "null" },
    { ...target, Id: "lines", InputTransformer: { InputTemplate: '"one"\n"two"' } },
    { ...target, Id: "old", Input: '{"timestamp":1,"message":"of 1970"}' },
  ];
  await events.send(new PutTargetsCommand({ Rule: "r", Targets }));
  await events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "d", Detail: "{}" }] }));
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20, MessageAttributeNames: ["All"] }));
  const { ERROR_CODE: code, TARGET_ID: id } = Messages[0]?.MessageAttributes ?? {};
  assert.deepEqual([code?.StringValue, id?.StringValue], ["INVALID_PARAMETER", "old"]);
  const messages = await eventually("the others are in the log", async () => {
    const { events: found = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName, logStreamNames: ["rule/r"] }));
    return found.length >= 2 ? found.map(({ message }) => message) : undefined;
  });
  assert.deepEqual(new Set(messages), new Set(['"one"\n"two"', "null"]));
});

test("a rule and a schedule send to topics", async (t) => {
  const { clients } = await startApi(t);
  const { iam, events, scheduler, sns, sqs } = clients();
  const queue = await makeQueue(sqs, "q");
  const topic = await makeTopic(sns, "t");
  await subscribe(sns, topic, "sqs", arnOf("sqs", "q"));
  const next = async () => JSON.parse((await receive(sqs, queue))[0]?.Body ?? "{}") as { Message: string; Subject?: string };

  await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["shop"]}' }));
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: topic, InputPath: "$.detail" }] }));
  const put = (n: number) =>
    events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "d", Detail: JSON.stringify({ n }) }] }));
  await put(1);
  const Statement = [{ Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sns:Publish", Resource: topic }];
  const AttributeValue = JSON.stringify({ Version: "2012-10-17", Statement });
  await sns.send(new SetTopicAttributesCommand({ TopicArn: topic, AttributeName: "Policy", AttributeValue }));
  await put(2);
  assert.equal((await next()).Message, '{"n":2}', "what the topic's policy did not admit has not come");

  const RoleArn = await makeSchedulerRole(iam, "AmazonSNSFullAccess");
  const schedule = (Name: string, Arn: string, Input: string) =>
    scheduler.send(
      new CreateScheduleCommand({
        Name,
        ScheduleExpression: "rate(1 day)",
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { Arn, RoleArn, Input },
      }),
    );
  await schedule("templated", topic, '{"n":3}');
  assert.equal((await next()).Message, '{"n":3}');
  const Input = JSON.stringify({ TopicArn: topic, Message: "four", Subject: "of a schedule" });
  await schedule("universal", "arn:aws:scheduler:::aws-sdk:sns:publish", Input);
  const { Message, Subject } = await next();
  assert.deepEqual([Message, Subject], ["four", "of a schedule"]);
});

test("loops through event buses are not stopped, as on AWS", async (t) => {
  let runs = 0;
  const { clients } = await startApi(t, () => () => ++runs);
  const { lambda, iam, events } = clients();
  await makeFunction(lambda, { name: "f", role: await makeRole(iam, "sender", ["AmazonEventBridgeFullAccess"]), code: "" });
  await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["lambda"]}' }));
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: FUNCTION }] }));
  const permission = { StatementId: "s", Action: "lambda:InvokeFunction", Principal: "events.amazonaws.com" };
  await lambda.send(new AddPermissionCommand({ FunctionName: "f", ...permission }));
  const DestinationConfig = { OnSuccess: { Destination: arnOf("events", "event-bus/default") } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig }));
  await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: "{}" }));
  await eventually("it goes on", () => runs > 20);
  await events.send(new DisableRuleCommand({ Name: "r" }));
});

async function makeSchedulerRole(iam: IAMClient, policy: string): Promise<string> {
  const Statement = [{ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" }];
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "clockwork", AssumeRolePolicyDocument }));
  await iam.send(new AttachRolePolicyCommand({ RoleName: "clockwork", PolicyArn: `arn:aws:iam::aws:policy/${policy}` }));
  return Role?.Arn ?? "";
}

async function received(sqs: SQSClient, QueueUrl: string | undefined): Promise<Record<string, unknown>> {
  const { Messages: [message] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 10 }));
  return JSON.parse(message?.Body ?? "null") as Record<string, unknown>;
}

async function queueFor(sqs: SQSClient, QueueName: string): Promise<string | undefined> {
  const Statement = [{ Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sqs:SendMessage", Resource: "*" }];
  const Attributes = { Policy: JSON.stringify({ Version: "2012-10-17", Statement }) };
  return (await sqs.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl;
}

test("what a function returns goes to the event bus that is its destination", async (t) => {
  const { clients } = await startApi(t);
  const { lambda, iam, events, sqs } = clients();
  const QueueUrl = await queueFor(sqs, "q");
  await makeFunction(lambda, { name: "f", role: await makeRole(iam, "sender", ["AmazonEventBridgeFullAccess"]), code: "" });
  await events.send(new CreateEventBusCommand({ Name: "results" }));
  const bus = arnOf("events", "event-bus/results");
  await events.send(new PutRuleCommand({ Name: "r", EventBusName: "results", EventPattern: '{"source":["lambda"]}' }));
  await events.send(new PutTargetsCommand({ Rule: "r", EventBusName: "results", Targets: [{ Id: "1", Arn: arnOf("sqs", "q") }] }));
  const DestinationConfig = { OnSuccess: { Destination: bus } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: "f", DestinationConfig }));
  await lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: '{"n":1}' }));
  const { source, resources, detail, ...event } = await received(sqs, QueueUrl);
  assert.deepEqual(
    [source, event["detail-type"], resources],
    ["lambda", "Lambda Function Invocation Result - Success", [bus, `${FUNCTION}:$LATEST`]],
  );
  assert.deepEqual((detail as { requestPayload: unknown }).requestPayload, { n: 1 });
});

test("a schedule invokes a function in the name of its role, which must trust the Scheduler", async (t) => {
  const seen: unknown[] = [];
  const { clients } = await startApi(t, () => (event: unknown) => void seen.push(event));
  const { lambda, iam, scheduler } = clients();
  const basic = await makeRole(iam, "basic", []);
  await makeFunction(lambda, { name: "f", role: basic, code: "" });
  const schedule = (Name: string, RoleArn: string, target: object) =>
    scheduler.send(
      new CreateScheduleCommand({
        Name,
        ScheduleExpression: "rate(1 day)",
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { Arn: FUNCTION, RoleArn, ...target },
      }),
    );
  await assertRefused(schedule("s", basic, {}), "ValidationException", 400, /must allow AWS EventBridge Scheduler to assume the role/);
  const role = await makeSchedulerRole(iam, "AWSLambda_FullAccess");
  await schedule("s", role, { Input: '{"n":1}' });
  const Input = JSON.stringify({ FunctionName: "f", Payload: '{"n":2}' });
  await schedule("universal", role, { Arn: "arn:aws:scheduler:::aws-sdk:lambda:invoke", Input });
  await eventually("the function has run twice", () => seen.length === 2);
  assert.deepEqual(new Set(seen.map((event) => JSON.stringify(event))), new Set(['{"n":1}', '{"n":2}']));
});
