// What the load works on: a queue for each way in which something is delivered, a function, a topic, a rule, a bucket.
import { CreateTopicCommand, SubscribeCommand } from "@aws-sdk/client-sns";
import { PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { AttachRolePolicyCommand, CreateRoleCommand } from "@aws-sdk/client-iam";
import { AddPermissionCommand, PutFunctionEventInvokeConfigCommand } from "@aws-sdk/client-lambda";
import { CreateBucketCommand, PutBucketNotificationConfigurationCommand } from "@aws-sdk/client-s3";
import { CreateQueueCommand } from "@aws-sdk/client-sqs";
import { makeFunction, makeRole } from "../../support/functions.ts";
import type { LambentProcess } from "../../support/lambent-process.ts";

export type Clients = ReturnType<LambentProcess["clients"]>;

export const BUCKET = "objects";
export const WORKER = "worker";
export const SCHEDULER_ROLE = "arn:aws:iam::000000000000:role/clockwork";
export const ROLE = "arn:aws:iam::000000000000:role/worker";
export const TOPIC = "arn:aws:sns:us-east-1:000000000000:topic";
const RULE = "arn:aws:events:us-east-1:000000000000:rule/rule";
const WORKER_ARN = `arn:aws:lambda:us-east-1:000000000000:function:${WORKER}`;

/** What arrives, by the way on which it came. */
export const DELIVERIES = ["results", "topic", "events", "ticks", "objects"] as const;
export const STANDARD = "standard";
export const FIFO = "orders.fifo";
export const GROUPS = ["a", "b"] as const;
/** Short, so that what a killed server has handed out comes again soon. */
const VISIBILITY_SECONDS = "4";

export const queueArn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
export const queueUrl = (endpoint: string, name: string) => `${endpoint}/000000000000/${name}`;

/** Of the things whose number ends in 5 or 0 the function fails; the fake of fake-lambent.ts does the same. */
const CODE = `
def handler(event, context):
    n = event["n"] if "n" in event else event["detail"]["n"]
    if n % 5 == 0:
        raise Exception("five")
    return n
`;
export const failsFor = (n: number) => n % 5 === 0;

const document = (...Statement: readonly object[]) => JSON.stringify({ Version: "2012-10-17", Statement });

async function makeQueues({ sqs }: Clients): Promise<void> {
  const senders = { Service: ["sns.amazonaws.com", "events.amazonaws.com", "s3.amazonaws.com"] };
  for (const QueueName of [...DELIVERIES, STANDARD, FIFO]) {
    const Policy = document({ Effect: "Allow", Principal: senders, Action: "sqs:SendMessage", Resource: queueArn(QueueName) });
    const fifo = QueueName === FIFO ? { FifoQueue: "true" } : {};
    await sqs.send(new CreateQueueCommand({ QueueName, Attributes: { Policy, VisibilityTimeout: VISIBILITY_SECONDS, ...fifo } }));
  }
}

async function makeWorker({ lambda, iam }: Clients): Promise<void> {
  const role = await makeRole(iam, "worker", ["AmazonSQSFullAccess"]);
  await makeFunction(lambda, { name: WORKER, role, code: CODE });
  const Destination = queueArn("results");
  const DestinationConfig = { OnSuccess: { Destination }, OnFailure: { Destination } };
  await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: WORKER, MaximumRetryAttempts: 0, DestinationConfig }));
  const permission = { StatementId: "events", Action: "lambda:InvokeFunction", Principal: "events.amazonaws.com", SourceArn: RULE };
  await lambda.send(new AddPermissionCommand({ FunctionName: WORKER, ...permission }));
}

async function makeEvents({ events, iam }: Clients): Promise<void> {
  await events.send(new PutRuleCommand({ Name: "rule", EventPattern: '{"source":["shop"]}' }));
  const Targets = [
    { Id: "queue", Arn: queueArn("events"), InputPath: "$.detail.n" },
    { Id: "function", Arn: WORKER_ARN },
  ];
  await events.send(new PutTargetsCommand({ Rule: "rule", Targets }));
  const trust = document({ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" });
  await iam.send(new CreateRoleCommand({ RoleName: "clockwork", AssumeRolePolicyDocument: trust }));
  await iam.send(new AttachRolePolicyCommand({ RoleName: "clockwork", PolicyArn: "arn:aws:iam::aws:policy/AmazonSQSFullAccess" }));
}

async function makeBucket({ s3 }: Clients): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const all = { QueueArn: queueArn("objects"), Events: ["s3:ObjectCreated:*" as const, "s3:ObjectRemoved:*" as const] };
  const NotificationConfiguration = { QueueConfigurations: [all] };
  await s3.send(new PutBucketNotificationConfigurationCommand({ Bucket: BUCKET, NotificationConfiguration }));
}

export async function makeResources(clients: Clients): Promise<void> {
  await makeQueues(clients);
  await makeWorker(clients);
  await makeEvents(clients);
  await makeBucket(clients);
  await clients.sns.send(new CreateTopicCommand({ Name: "topic" }));
  const Attributes = { RawMessageDelivery: "true" };
  await clients.sns.send(new SubscribeCommand({ TopicArn: TOPIC, Protocol: "sqs", Endpoint: queueArn("topic"), Attributes }));
}
