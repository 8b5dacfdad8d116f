// Topics, queues that they may send to, and web endpoints on this machine: what the tests of SNS share.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { CreateTopicCommand, SubscribeCommand, type SNSClient, type SubscribeCommandInput } from "@aws-sdk/client-sns";
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, type Message, type SQSClient } from "@aws-sdk/client-sqs";

const ACCOUNT = "000000000000";
export const topicArn = (name: string) => `arn:aws:sns:us-east-1:${ACCOUNT}:${name}`;
export const queueArn = (name: string) => `arn:aws:sqs:us-east-1:${ACCOUNT}:${name}`;

export async function makeTopic(sns: SNSClient, Name: string, Attributes: Record<string, string> = {}): Promise<string> {
  const fifo = Name.endsWith(".fifo") ? { FifoTopic: "true" } : {};
  const { TopicArn = "" } = await sns.send(new CreateTopicCommand({ Name, Attributes: { ...fifo, ...Attributes } }));
  return TopicArn;
}

/** A queue that takes messages of every topic of the account. */
export async function makeQueue(sqs: SQSClient, name: string, attributes: Record<string, string> = {}): Promise<string> {
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "sns.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource: queueArn(name),
        Condition: { ArnLike: { "aws:SourceArn": topicArn("*") } },
      },
    ],
  });
  const fifo = name.endsWith(".fifo") ? { FifoQueue: "true" } : {};
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { Policy, ...fifo, ...attributes } }));
  return QueueUrl;
}

/** The ARN of the subscription. */
export async function subscribe(
  sns: SNSClient,
  TopicArn: string,
  Protocol: string,
  Endpoint: string,
  more: Partial<SubscribeCommandInput> = {},
) {
  const { SubscriptionArn = "" } = await sns.send(
    new SubscribeCommand({ TopicArn, Protocol, Endpoint, ReturnSubscriptionArn: true, ...more }),
  );
  return SubscriptionArn;
}

/** Waits for so many messages, and takes them out of the queue. */
export async function receive(sqs: SQSClient, QueueUrl: string, count = 1): Promise<Message[]> {
  const all: Message[] = [];
  for (let tries = 0; tries < 3 * count && all.length < count; tries++) {
    const input = {
      QueueUrl,
      WaitTimeSeconds: 5,
      MaxNumberOfMessages: 10,
      MessageAttributeNames: ["All"],
      MessageSystemAttributeNames: ["All" as const],
    };
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(input));
    for (const { ReceiptHandle } of Messages) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    all.push(...Messages);
  }
  return all;
}

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly path: string;
  readonly body: string;
}

/** A web endpoint on loopback that keeps what it gets, and answers with the status that `answer` says. */
export async function startEndpoint(t: TestContext, answer: (request: Received, count: number) => number = () => 200) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const one = { headers: request.headers, path: request.url ?? "", body: Buffer.concat(pieces).toString() };
      received.push(one);
      response.writeHead(answer(one, received.length)).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}
