// The load: clients of all services in a process of their own, that go on whatever becomes of the server, until SIGTERM.
//
// Words: the endpoint, the key pair, the ledger's path, and how the names of functions begin.
import { argv } from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { InvokeCommand } from "@aws-sdk/client-lambda";
import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { CreateScheduleCommand } from "@aws-sdk/client-scheduler";
import { PublishCommand } from "@aws-sdk/client-sns";
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { awsClients } from "../../support/aws-clients.ts";
import { Attempts } from "./attempts.ts";
import { consume } from "./consume.ts";
import { changeFunctions } from "./control-plane.ts";
import { openLedger } from "./ledger.ts";
import { BUCKET, FIFO, GROUPS, queueArn, queueUrl, SCHEDULER_ROLE, STANDARD, TOPIC, WORKER } from "./resources.ts";

const [endpoint = "", accessKeyId = "", secretAccessKey = "", path = "", prefix = ""] = argv.slice(2);
const clients = awsClients(endpoint, { accessKeyId, secretAccessKey });
const { lambda, sqs, sns, events, s3, scheduler } = clients;
const ledger = openLedger(path);
const attempts = new Attempts(ledger);
let next = 1;

/** One thing after the other, each with a number of its own. */
async function repeat(run: (n: number) => Promise<unknown>, gapMs = 0): Promise<void> {
  while (!attempts.isOver) {
    await run(next++);
    if (gapMs > 0) await pause(gapMs);
  }
}

const invoke = (n: number) =>
  attempts.once("invoke", String(n), () =>
    lambda.send(new InvokeCommand({ FunctionName: WORKER, InvocationType: "Event", Payload: JSON.stringify({ n }) })),
  );

const send = (n: number) =>
  attempts.once("standard", String(n), () =>
    sqs.send(new SendMessageCommand({ QueueUrl: queueUrl(endpoint, STANDARD), MessageBody: String(n) })),
  );

/** Numbers of a group have no gaps: each is sent again, with the same deduplication id, until the queue has taken it. */
async function sendInOrder(group: string): Promise<void> {
  for (let n = 1; !attempts.isOver; n++) {
    const id = `${group}/${n}`;
    const message = { QueueUrl: queueUrl(endpoint, FIFO), MessageBody: id, MessageGroupId: group, MessageDeduplicationId: id };
    await attempts.untilKnown("fifo", id, () => sqs.send(new SendMessageCommand(message)));
    await pause(15);
  }
}

const publish = (n: number) =>
  attempts.once("topic", String(n), () => sns.send(new PublishCommand({ TopicArn: TOPIC, Message: String(n) })));

const put = (n: number) =>
  attempts.once("events", String(n), () =>
    events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "made", Detail: JSON.stringify({ n }) }] })),
  );

/** For three seconds later, so that many fall into a time in which there is no server. */
async function schedule(n: number): Promise<void> {
  const at = new Date(Date.now() + 3000).toISOString().slice(0, 19);
  const input = {
    Name: `s${n}`,
    ScheduleExpression: `at(${at})`,
    FlexibleTimeWindow: { Mode: "OFF" as const },
    ActionAfterCompletion: "DELETE" as const,
    Target: { Arn: queueArn("ticks"), RoleArn: SCHEDULER_ROLE, Input: `{"n":${n},"execution":"<aws.scheduler.execution-id>"}` },
  };
  await attempts.once("ticks", String(n), async () => {
    await scheduler.send(new CreateScheduleCommand(input));
    // A schedule that comes too late for its time is kept and has nothing to fire.
    if (Date.now() >= Date.parse(`${at}Z`)) throw new Error("it may have come too late");
  });
}

/** Every fourth is removed again. */
async function store(n: number): Promise<void> {
  const key = { Bucket: BUCKET, Key: `o${n}` };
  const isThere = await attempts.once("put", String(n), () => s3.send(new PutObjectCommand({ ...key, Body: `object ${n}` })));
  if (isThere !== undefined && n % 4 === 0) await attempts.once("remove", String(n), () => s3.send(new DeleteObjectCommand(key)));
}

async function consumeAll(what: string, name: string): Promise<void> {
  while (!attempts.isOver) await consume(sqs, attempts, queueUrl(endpoint, name), what);
}

process.once("SIGTERM", () => attempts.end());
await Promise.all([
  ...Array.from({ length: 3 }, () => repeat(invoke)),
  repeat(send, 5),
  ...GROUPS.map((group) => sendInOrder(group)),
  repeat(publish, 5),
  repeat(put, 5),
  repeat(schedule, 50),
  repeat(store),
  changeFunctions(lambda, attempts, `${prefix}a`),
  changeFunctions(lambda, attempts, `${prefix}b`),
  consumeAll("standard", STANDARD),
  consumeAll("fifo", FIFO),
]);
ledger.close();
for (const client of Object.values(clients)) client.destroy();
