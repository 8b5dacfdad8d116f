// SIGKILL of the server while events are put and schedules fire: what was accepted reaches its queue, and every tick is fired.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { test } from "node:test";
import { PutEventsCommand, PutRuleCommand, PutTargetsCommand, type EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { AttachRolePolicyCommand, CreateRoleCommand } from "@aws-sdk/client-iam";
import { CreateScheduleCommand } from "@aws-sdk/client-scheduler";
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { eventually } from "../support/eventually.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

const KILLS = Number(env["EVENTS_KILLS"] ?? 4);
const EVENTS_BETWEEN = 60;
const CALLERS = 4;
const SCHEDULES = 60;
const QUEUE = "arn:aws:sqs:us-east-1:000000000000:q";

const document = (...Statement: readonly object[]) => JSON.stringify({ Version: "2012-10-17", Statement });

/** A rule to the queue, and schedules of a single time, four for each second to come. */
async function setUp({ events, iam, scheduler, sqs }: ReturnType<LambentProcess["clients"]>): Promise<string> {
  const Policy = document({ Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sqs:SendMessage", Resource: QUEUE });
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: "q", Attributes: { Policy } }));
  await events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"source":["shop"]}' }));
  await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: QUEUE, InputPath: "$.detail.n" }] }));
  const trust = document({ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" });
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "clockwork", AssumeRolePolicyDocument: trust }));
  await iam.send(new AttachRolePolicyCommand({ RoleName: "clockwork", PolicyArn: "arn:aws:iam::aws:policy/AmazonSQSFullAccess" }));
  const startMs = Date.now() + 3000;
  for (let index = 0; index < SCHEDULES; index++) {
    const time = new Date(startMs + Math.floor(index / 4) * 1000).toISOString().slice(0, 19);
    await scheduler.send(
      new CreateScheduleCommand({
        Name: `s${index}`,
        ScheduleExpression: `at(${time})`,
        FlexibleTimeWindow: { Mode: "OFF" },
        ActionAfterCompletion: "DELETE",
        Target: { Arn: QUEUE, RoleArn: Role?.Arn, Input: `"s${index}"` },
      }),
    );
  }
  return QueueUrl;
}

let next = 0;

/** Puts events until the server is gone; the numbers of those that were accepted go into the ledger. */
async function put(events: EventBridgeClient, ledger: Set<string>, accepted: () => void): Promise<void> {
  for (;;) {
    const n = String(next++);
    const Entries = [{ Source: "shop", DetailType: "made", Detail: JSON.stringify({ n }) }];
    const answer = await events.send(new PutEventsCommand({ Entries })).catch(() => undefined);
    if (answer === undefined) return;
    assert.equal(answer.FailedEntryCount, 0);
    ledger.add(n);
    accepted();
  }
}

async function receiveInto(sqs: SQSClient, QueueUrl: string, counts: Map<string, number>): Promise<void> {
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }));
  if (Messages.length === 0) return;
  for (const { Body = '""' } of Messages) {
    const name = JSON.parse(Body) as string;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
  await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
}

test(`${KILLS} times SIGKILL while events are put and schedules fire: none is lost`, { timeout: 200_000 }, async (t) => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-events-"));
  const ledger = new Set<string>();
  let server: LambentProcess | undefined;
  let QueueUrl = "";
  t.after(async () => {
    await server?.end("SIGKILL");
    await rm(dataDirectory, { recursive: true });
  });
  for (let round = 0; round < KILLS; round++) {
    server = await startLambent({ dataDirectory });
    const clients = server.clients();
    if (round === 0) QueueUrl = await setUp(clients);
    const reached = Promise.withResolvers<void>();
    let count = 0;
    const putting = Array.from({ length: CALLERS }, () =>
      put(clients.events, ledger, () => ++count >= EVENTS_BETWEEN && reached.resolve()),
    );
    await reached.promise;
    await server.end("SIGKILL");
    await Promise.all(putting);
  }
  server = await startLambent({ dataDirectory });
  const { sqs } = server.clients();
  const expected = [...ledger, ...Array.from({ length: SCHEDULES }, (_, index) => `s${index}`)];
  const counts = new Map<string, number>();
  await eventually(
    "every accepted event and every tick has come",
    async () => {
      await receiveInto(sqs, QueueUrl, counts);
      return expected.every((name) => counts.has(name));
    },
    90_000,
  );
  const again = [...counts.values()].reduce((sum, times) => sum + times - 1, 0);
  t.diagnostic(`${ledger.size} events and ${SCHEDULES} ticks, 0 lost, ${again} more than once`);
  assert.equal(await server.end(), 0);
});
