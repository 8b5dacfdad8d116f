// Schedules fire: what they send, when, once for each tick through restarts, and what becomes of them at their end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  UpdateScheduleCommand,
  type CreateScheduleCommandInput,
  type Target,
} from "@aws-sdk/client-scheduler";
import { assertRefused } from "../../src/aws/fake-service.ts";
import {
  ACCOUNT,
  arnOf,
  bodiesOf,
  makeQueue,
  queueArn,
  received,
  REGION,
  ROLE,
  startEvents,
  turn,
  type Started,
} from "./events.fixture.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const ARN = arnOf("scheduler", "schedule/default/s");

async function schedule(started: Started, more: Partial<CreateScheduleCommandInput>, target: Partial<Target> = {}) {
  const Target = { Arn: queueArn("q"), RoleArn: ROLE, Input: '"<aws.scheduler.scheduled-time>"', ...target };
  const input = { Name: "s", ScheduleExpression: "rate(1 hour)", FlexibleTimeWindow: { Mode: "OFF" as const }, Target, ...more };
  await started.scheduler.send(new CreateScheduleCommand(input));
  return input;
}

async function ticks(started: Started, url: string, afterMs: number, count: number) {
  started.clock.advance(afterMs);
  return bodiesOf(await received(started, url, count));
}

test("a rate begins at once, or at its start, and ends with its end", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await schedule(started, { ScheduleExpression: "rate(10 minutes)" });
  assert.deepEqual(await ticks(started, url, 1000, 1), ["2026-01-01T00:00:00Z"]);
  assert.deepEqual(await ticks(started, url, 10 * MINUTE_MS, 1), ["2026-01-01T00:10:00Z"]);
  await started.scheduler.send(new DeleteScheduleCommand({ Name: "s" }));
  await ticks(started, url, 20 * MINUTE_MS, 0);
  const [StartDate, EndDate] = [new Date("2026-01-01T01:00:00Z"), new Date("2026-01-01T02:30:00Z")];
  await schedule(started, { StartDate, EndDate, ActionAfterCompletion: "DELETE" });
  await ticks(started, url, 10 * MINUTE_MS, 0);
  assert.deepEqual(await ticks(started, url, 20 * MINUTE_MS, 1), ["2026-01-01T01:00:00Z"]);
  await started.scheduler.send(new GetScheduleCommand({ Name: "s" }));
  assert.deepEqual(await ticks(started, url, 60 * MINUTE_MS, 1), ["2026-01-01T02:00:00Z"]);
  await assertRefused(started.scheduler.send(new GetScheduleCommand({ Name: "s" })), "ResourceNotFoundException", 404);
});

test("a single time fires once, late if no server ran, and the schedule stays or goes", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await schedule(started, { ScheduleExpression: "at(2026-01-01T13:00:00)", ScheduleExpressionTimezone: "Asia/Tokyo" });
  await schedule(started, { Name: "gone", ScheduleExpression: "at(2026-01-01T05:00:00)", ActionAfterCompletion: "DELETE" });
  await schedule(started, { Name: "past", ScheduleExpression: "at(2025-12-31T05:00:00)" });
  assert.deepEqual(await ticks(started, url, 240 * MINUTE_MS, 1), ["2026-01-01T04:00:00Z"]);
  await started.stop();
  started.clock.advance(3 * DAY_MS);
  const again = await started.restart();
  assert.deepEqual(await ticks(again, url, 0, 1), ["2026-01-01T05:00:00Z"]);
  await assertRefused(again.scheduler.send(new GetScheduleCommand({ Name: "gone" })), "ResourceNotFoundException", 404);
  await again.scheduler.send(new GetScheduleCommand({ Name: "s" }));
});

test("a cron in a zone follows its clocks", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  started.clock.advance(Date.UTC(2026, 2, 27) - started.clock.now());
  await schedule(started, { ScheduleExpression: "cron(30 2 * * ? *)", ScheduleExpressionTimezone: "Europe/Berlin" });
  const times: unknown[] = [];
  for (const count of [1, 1, 0, 1]) times.push(...(await ticks(started, url, DAY_MS - 1000, count)));
  assert.deepEqual(times, ["2026-03-27T01:30:00Z", "2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]);
});

test("a changed schedule forgets the ticks of the one before, a disabled one has none", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  const input = await schedule(started, { ScheduleExpression: "cron(0 * * * ? *)" });
  await started.scheduler.send(new UpdateScheduleCommand({ ...input, ScheduleExpression: "cron(30 * * * ? *)" }));
  assert.deepEqual(await ticks(started, url, 61 * MINUTE_MS, 1), ["2026-01-01T00:30:00Z"]);
  await started.scheduler.send(new UpdateScheduleCommand({ ...input, State: "DISABLED" }));
  await ticks(started, url, 120 * MINUTE_MS, 0);
});

test("within a flexible window it fires at some time, also when windows overlap", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await schedule(started, {
    ScheduleExpression: "cron(0/5 0 * * ? *)",
    FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 15 },
  });
  for (let minute = 0; minute < 80; minute++) {
    started.clock.advance(MINUTE_MS);
    await turn();
  }
  const times = (await received(started, url, 11)).map(({ Body, Attributes }) => ({
    tick: Date.parse(JSON.parse(Body ?? "") as string),
    at: Number(Attributes?.SentTimestamp),
  }));
  assert.equal(new Set(times.map(({ tick }) => tick)).size, 11);
  for (const { tick, at } of times) assert.ok(at >= tick && at <= tick + 17 * MINUTE_MS, `${at - tick}`);
});

async function hours({ clock }: Started, count: number): Promise<void> {
  for (let hour = 0; hour < count; hour++) {
    clock.advance(60 * MINUTE_MS);
    await turn();
  }
}

const WINDOW = { FlexibleTimeWindow: { Mode: "FLEXIBLE" as const, MaximumWindowInMinutes: 1440 } };

for (const { what, change } of [
  { what: "deleted", change: { kind: "delete" } },
  { what: "disabled", change: { kind: "update", more: { State: "DISABLED" } } },
  { what: "changed", change: { kind: "update", more: { ScheduleExpression: "at(2026-06-01T00:00:00)" } } },
] as const)
  test(`a schedule that is ${what} within its flexible window does not fire any more`, async (t) => {
    const started = await startEvents(t);
    const url = await makeQueue(started, "q");
    const input = await schedule(started, { ScheduleExpression: "at(2026-01-01T00:01:00)", ...WINDOW });
    await ticks(started, url, MINUTE_MS, 0);
    const command =
      change.kind === "delete" ? new DeleteScheduleCommand({ Name: "s" }) : new UpdateScheduleCommand({ ...input, ...change.more });
    await started.scheduler.send(command as UpdateScheduleCommand);
    // Its whole window passes before the other one is due.
    await schedule(started, { Name: "other", ScheduleExpression: "at(2026-01-02T00:30:00)" });
    await hours(started, 25);
    assert.deepEqual(bodiesOf(await received(started, url, 1)), ["2026-01-02T00:30:00Z"]);
  });

test("with a flexible window, a schedule that is to be deleted stays until the window of its last tick is over", async (t) => {
  let started = await startEvents(t);
  const url = await makeQueue(started, "q");
  const [StartDate, EndDate] = [new Date("2026-01-01T00:30:00Z"), new Date("2026-01-01T02:30:00Z")];
  await schedule(started, { StartDate, EndDate, ActionAfterCompletion: "DELETE", ...WINDOW });
  await ticks(started, url, 30 * MINUTE_MS, 0);
  started = await started.restart();
  await started.scheduler.send(new GetScheduleCommand({ Name: "s" }));
  await hours(started, 28);
  const times = bodiesOf(await received(started, url, 3)) as string[];
  assert.deepEqual(new Set(times), new Set(["2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z", "2026-01-01T02:30:00Z"]));
  await assertRefused(started.scheduler.send(new GetScheduleCommand({ Name: "s" })), "ResourceNotFoundException", 404);
});

test("a tick fires once, however often the server is restarted around it", async (t) => {
  let started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await schedule(started, { ScheduleExpression: "cron(* * * * ? *)" });
  const times: unknown[] = [];
  for (let minute = 0; minute < 5; minute++) {
    started.clock.advance(MINUTE_MS);
    started = await started.restart();
    times.push(...bodiesOf(await received(started, url, 1)));
  }
  assert.equal(new Set(times).size, 5);
  started.clock.advance(-1000 + 90 * MINUTE_MS);
  assert.equal((await ticks(started, url, 0, 1)).length, 1, "of ninety missed ones the last");
});

test("each kind of target gets what it wants", async (t) => {
  const started = await startEvents(t);
  const [url, fifo, buses] = [await makeQueue(started, "q"), await makeQueue(started, "q.fifo"), await makeQueue(started, "bus")];
  await started.events.send(new PutRuleCommand({ Name: "all", EventPattern: '{"source":["shop"]}' }));
  await started.events.send(new PutTargetsCommand({ Rule: "all", Targets: [{ Id: "1", Arn: queueArn("bus") }] }));
  const ScheduleExpression = "at(2026-01-01T00:01:00)";
  const make = (Name: string, target: Partial<Target>) => schedule(started, { Name, ScheduleExpression }, target);
  await make("s", { Input: undefined });
  await make("fifo", { Arn: queueArn("q.fifo"), Input: "attempt <aws.scheduler.attempt-number>", SqsParameters: { MessageGroupId: "g" } });
  await make("bus", {
    Arn: arnOf("events", "event-bus/default"),
    Input: '{"n":1}',
    EventBridgeParameters: { Source: "shop", DetailType: "made" },
  });
  await make("sdk", {
    Arn: "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
    Input: JSON.stringify({
      QueueUrl: fifo,
      MessageBody: "<aws.scheduler.schedule-arn>",
      MessageGroupId: "h",
      MessageAttributes: { a: { DataType: "String", StringValue: "b" } },
    }),
  });
  await make("sdk-bus", {
    Arn: "arn:aws:scheduler:::aws-sdk:eventbridge:putEvents",
    Input: JSON.stringify({ Entries: [2, 3].map((n) => ({ Source: "shop", DetailType: "made", Detail: JSON.stringify({ n }) })) }),
  });
  started.clock.advance(MINUTE_MS);
  const [event] = bodiesOf(await received(started, url, 1)) as { id: string }[];
  assert.deepEqual(event, {
    version: "0",
    id: event?.id,
    "detail-type": "Scheduled Event",
    source: "aws.scheduler",
    account: ACCOUNT,
    time: "2026-01-01T00:01:00Z",
    region: REGION,
    resources: [ARN],
    detail: "{}",
  });
  const messages = await received(started, fifo, 2);
  const facts = messages.map(({ Body, Attributes, MessageAttributes }) => [
    Body,
    Attributes?.MessageGroupId,
    MessageAttributes?.["a"]?.StringValue,
  ]);
  assert.deepEqual(
    facts.toSorted(([, a = ""], [, b = ""]) => (a < b ? -1 : 1)),
    [
      ["attempt 1", "g", undefined],
      [arnOf("scheduler", "schedule/default/sdk"), "h", "b"],
    ],
  );
  const details = (bodiesOf(await received(started, buses, 3)) as { detail: { n: number } }[]).map(({ detail }) => detail.n);
  assert.deepEqual(
    details.toSorted((a, b) => a - b),
    [1, 2, 3],
  );
});

test("what can't be delivered is a dead letter with the Scheduler's attributes", async (t) => {
  const started = await startEvents(t);
  const dead = await makeQueue(started, "dead");
  await schedule(started, {}, { Arn: queueArn("none"), DeadLetterConfig: { Arn: queueArn("dead") } });
  started.clock.advance(1000);
  const [letter] = await received(started, dead, 1);
  assert.equal(letter?.Body, '"2026-01-01T00:00:00Z"');
  const texts = Object.fromEntries(Object.entries(letter.MessageAttributes ?? {}).map(([name, { StringValue }]) => [name, StringValue]));
  assert.equal(texts["SCHEDULE_ARN"], ARN);
  assert.equal(texts["TARGET_ARN"], queueArn("none"));
  assert.equal(texts["SCHEDULED_TIME"], "2026-01-01T00:00:00Z");
  assert.equal(texts["ERROR_CODE"], "QueueDoesNotExist");
  assert.equal(texts["ERROR_MESSAGE"], "The specified queue does not exist.");
  assert.equal(texts["IS_PAYLOAD_TRUNCATED"], "false");
  assert.ok(texts["EXECUTION_ID"] !== undefined);
});

test("the dead letter of a universal target is the request that was made", async (t) => {
  const started = await startEvents(t);
  const dead = await makeQueue(started, "dead");
  const Arn = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage";
  const Input = JSON.stringify({ QueueUrl: `http://localhost/${ACCOUNT}/none`, MessageBody: "<aws.scheduler.scheduled-time>" });
  await schedule(started, {}, { Arn, Input, DeadLetterConfig: { Arn: queueArn("dead") } });
  started.clock.advance(1000);
  const [letter] = await received(started, dead, 1);
  assert.equal(letter?.Body, Input.replace("<aws.scheduler.scheduled-time>", "2026-01-01T00:00:00Z"));
  assert.equal(letter.MessageAttributes?.["TARGET_ARN"]?.StringValue, Arn);
});

test("a clock that is set back is followed: rates and crons go on, a single time is waited for", async (t) => {
  const started = await startEvents(t);
  const { clock } = started;
  const url = await makeQueue(started, "q");
  const late = await makeQueue(started, "late");
  clock.advance(Date.UTC(2026, 0, 1, 13, 30, 30) - clock.now());
  await schedule(started, { Name: "rate", ScheduleExpression: "rate(40 minutes)" });
  await schedule(started, { Name: "cron", ScheduleExpression: "cron(0 * * * ? *)" });
  await schedule(started, { Name: "at", ScheduleExpression: "at(2026-01-01T14:20:00)" }, { Arn: queueArn("late") });
  assert.deepEqual(await ticks(started, url, 1000, 1), ["2026-01-01T13:30:30Z"]);
  clock.step(-60 * MINUTE_MS);
  // 12:30:32. In real time the hour is full when it would have been.
  await ticks(started, url, 29 * MINUTE_MS, 0);
  assert.deepEqual(await ticks(started, url, MINUTE_MS, 1), ["2026-01-01T13:00:00Z"]);
  assert.deepEqual(await ticks(started, url, 31 * MINUTE_MS, 1), ["2026-01-01T13:30:30Z"]);
  assert.deepEqual(await ticks(started, url, 29 * MINUTE_MS, 1), ["2026-01-01T14:00:00Z"]);
  await ticks(started, late, 10 * MINUTE_MS, 0);
  assert.deepEqual(await ticks(started, late, 10 * MINUTE_MS, 1), ["2026-01-01T14:20:00Z"]);
});

test("a clock that was years ahead is believed at once when it is put right", async (t) => {
  const started = await startEvents(t);
  const { clock } = started;
  const url = await makeQueue(started, "q");
  clock.step(4 * 365 * DAY_MS);
  await schedule(started, { ScheduleExpression: "cron(0 0 1 * ? *)" });
  await ticks(started, url, MINUTE_MS, 0);
  clock.step(-4 * 365 * DAY_MS);
  assert.deepEqual(await ticks(started, url, 31 * DAY_MS, 1), ["2026-02-01T00:00:00Z"]);
});
