// Rules with a schedule fire, once for each tick, through restarts.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DeleteRuleCommand,
  DisableRuleCommand,
  EnableRuleCommand,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import { ACCOUNT, arnOf, bodiesOf, makeQueue, queueArn, received, REGION, startEvents, type Started } from "./events.fixture.ts";

const MINUTE_MS = 60_000;

/** The clock of these tests begins at midnight. */
async function scheduled(started: Started, ScheduleExpression: string) {
  const url = await makeQueue(started, "q");
  await started.events.send(new PutRuleCommand({ Name: "r", ScheduleExpression }));
  await started.events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: queueArn("q") }] }));
  return url;
}

const timesOf = (bodies: readonly unknown[]) => (bodies as { time: string }[]).map(({ time }) => time);

async function ticks(started: Started, url: string, afterMs: number, count: number) {
  started.clock.advance(afterMs);
  return timesOf(bodiesOf(await received(started, url, count)));
}

test("a rate fires when its time has passed, again and again, with AWS's event", async (t) => {
  const started = await startEvents(t);
  const url = await scheduled(started, "rate(5 minutes)");
  await ticks(started, url, 4 * MINUTE_MS, 0);
  started.clock.advance(MINUTE_MS);
  const [event] = bodiesOf(await received(started, url, 1)) as { id: string }[];
  assert.deepEqual(event, {
    version: "0",
    id: event?.id,
    "detail-type": "Scheduled Event",
    source: "aws.events",
    account: ACCOUNT,
    time: "2026-01-01T00:05:00Z",
    region: REGION,
    resources: [arnOf("events", "rule/r")],
    detail: {},
  });
  assert.deepEqual(await ticks(started, url, 5 * MINUTE_MS, 1), ["2026-01-01T00:10:00Z"]);
});

test("a cron fires at its minute; switched off it does not, and what it missed meanwhile stays so", async (t) => {
  const started = await startEvents(t);
  const url = await scheduled(started, "cron(0/10 * * * ? *)");
  assert.deepEqual(await ticks(started, url, 10 * MINUTE_MS, 1), ["2026-01-01T00:10:00Z"]);
  await started.events.send(new DisableRuleCommand({ Name: "r" }));
  await ticks(started, url, 10 * MINUTE_MS, 0);
  await started.events.send(new EnableRuleCommand({ Name: "r" }));
  await ticks(started, url, 2 * MINUTE_MS, 0);
  assert.deepEqual(await ticks(started, url, 8 * MINUTE_MS, 1), ["2026-01-01T00:30:00Z"]);
  await started.events.send(new PutRuleCommand({ Name: "r", ScheduleExpression: "cron(0 * * * ? *)" }));
  await ticks(started, url, 10 * MINUTE_MS, 0);
  assert.deepEqual(await ticks(started, url, 20 * MINUTE_MS, 1), ["2026-01-01T01:00:00Z"]);
  await started.events.send(new RemoveTargetsCommand({ Rule: "r", Ids: ["1"] }));
  await started.events.send(new DeleteRuleCommand({ Name: "r" }));
  await ticks(started, url, 60 * MINUTE_MS, 0);
});

test("of the ticks that no server saw the last one is made up for, if it is not older than a day", async (t) => {
  const started = await startEvents(t);
  const url = await scheduled(started, "cron(0 6 * * ? *)");
  await started.stop();
  started.clock.advance(4 * 24 * 60 * MINUTE_MS);
  const second = await started.restart();
  assert.deepEqual(await ticks(second, url, 0, 1), ["2026-01-04T06:00:00Z"]);
  assert.deepEqual(await ticks(second, url, 6 * 60 * MINUTE_MS, 1), ["2026-01-05T06:00:00Z"]);
  await second.events.send(new PutRuleCommand({ Name: "r", ScheduleExpression: "cron(0 6 8 1 ? *)" }));
  await second.stop();
  second.clock.advance(10 * 24 * 60 * MINUTE_MS);
  const third = await second.restart();
  await ticks(third, url, 1000, 0);
  await ticks(third, url, 0, 0);
});

test("a tick fires once, however often the server is restarted around it", async (t) => {
  let started = await startEvents(t);
  const url = await scheduled(started, "rate(1 minute)");
  const times: string[] = [];
  for (let minute = 0; minute < 5; minute++) {
    started.clock.advance(MINUTE_MS);
    started = await started.restart();
    times.push(...timesOf(bodiesOf(await received(started, url, 1))));
  }
  assert.deepEqual(
    times,
    [1, 2, 3, 4, 5].map((minute) => `2026-01-01T00:0${minute}:00Z`),
  );
});
