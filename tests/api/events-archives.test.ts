// Archives keep what was on a bus, and replays put it there once more, through restarts.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CancelReplayCommand,
  CreateArchiveCommand,
  CreateEventBusCommand,
  DeleteArchiveCommand,
  DescribeArchiveCommand,
  DescribeReplayCommand,
  ListArchivesCommand,
  ListReplaysCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
  StartReplayCommand,
  UpdateArchiveCommand,
} from "@aws-sdk/client-eventbridge";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { arnOf, bodiesOf, eventually, makeQueue, queueArn, received, startEvents, turn, type Started } from "./events.fixture.ts";

const BUS = arnOf("events", "event-bus/default");
const ARCHIVE = arnOf("events", "archive/kept");
const DAY_MS = 86_400_000;

async function put({ events }: Started, ...numbers: number[]) {
  for (const n of numbers)
    await events.send(new PutEventsCommand({ Entries: [{ Source: "shop", DetailType: "made", Detail: JSON.stringify({ n }) }] }));
}

async function ruleTo({ events }: Started, Name: string, queue: string) {
  const { RuleArn } = await events.send(new PutRuleCommand({ Name, EventPattern: '{"source":["shop"]}' }));
  await events.send(new PutTargetsCommand({ Rule: Name, Targets: [{ Id: "1", Arn: queueArn(queue) }] }));
  return RuleArn ?? "";
}

const between = (fromMs: number, toMs: number) => ({ EventStartTime: new Date(fromMs), EventEndTime: new Date(toMs) });

test("an archive is made, changed, listed and deleted with its events", async (t) => {
  const started = await startEvents(t);
  const { events, clock } = started;
  const made = await events.send(
    new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS, EventPattern: '{"detail":{"n":[1,2]}}', RetentionDays: 1 }),
  );
  assert.deepEqual([made.ArchiveArn, made.State], [ARCHIVE, "ENABLED"]);
  await put(started, 1, 2, 3);
  const { $metadata: _metadata, SizeBytes = 0, ...archive } = await events.send(new DescribeArchiveCommand({ ArchiveName: "kept" }));
  assert.deepEqual(archive, {
    ArchiveArn: ARCHIVE,
    ArchiveName: "kept",
    EventSourceArn: BUS,
    EventPattern: '{"detail":{"n":[1,2]}}',
    State: "ENABLED",
    RetentionDays: 1,
    EventCount: 2,
    CreationTime: new Date(clock.now()),
  });
  assert.ok(SizeBytes > 300);
  const sizes = async () => {
    const { Archives = [] } = await events.send(new ListArchivesCommand({}));
    return Archives.map((one) => [one.EventCount, one.SizeBytes]);
  };
  assert.deepEqual(await sizes(), [[2, SizeBytes]]);
  await events.send(new UpdateArchiveCommand({ ArchiveName: "kept", EventPattern: "", Description: "all" }));
  clock.advance(DAY_MS / 2);
  await put(started, 3);
  const countOf = async () => (await events.send(new DescribeArchiveCommand({ ArchiveName: "kept" }))).EventCount;
  assert.equal(await countOf(), 3);
  for (let hour = 0; hour < 13; hour++) {
    clock.advance(3_600_000);
    await eventually("the sweep has ended", async () => (await countOf()) !== undefined);
  }
  await eventually("what is older than a day is gone", async () => {
    clock.advance(1000);
    return (await countOf()) === 1;
  });
  assert.deepEqual(await sizes(), [[1, SizeBytes / 2]]);
  const { Archives } = await events.send(new ListArchivesCommand({ EventSourceArn: BUS }));
  assert.deepEqual(
    Archives?.map(({ ArchiveName, EventCount }) => [ArchiveName, EventCount]),
    [["kept", 1]],
  );
  await events.send(new DeleteArchiveCommand({ ArchiveName: "kept" }));
  await assertRefused(
    events.send(new DescribeArchiveCommand({ ArchiveName: "kept" })),
    "ResourceNotFoundException",
    400,
    "Archive kept does not exist.",
  );
  await events.send(new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS }));
  assert.equal(await countOf(), 0);
});

test("a replay puts the events of a time on their bus again, for the rules that it names", async (t) => {
  const started = await startEvents(t);
  const { events, clock } = started;
  const [one, two] = [await makeQueue(started, "one"), await makeQueue(started, "two")];
  const [rule] = [await ruleTo(started, "r1", "one"), await ruleTo(started, "r2", "two")];
  await events.send(new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS }));
  await put(started, 1);
  clock.advance(60_000);
  const fromMs = clock.now();
  await put(started, 2, 3);
  clock.advance(60_000);
  const toMs = clock.now();
  await put(started, 4);
  await received(started, one, 4);
  const first = bodiesOf(await received(started, two, 4));
  const Destination = { Arn: BUS, FilterArns: [rule] };
  const input = { ReplayName: "again", EventSourceArn: ARCHIVE, ...between(fromMs, toMs), Destination };
  const { State, ReplayArn } = await events.send(new StartReplayCommand({ ...input, Description: "once more" }));
  assert.deepEqual([State, ReplayArn], ["STARTING", arnOf("events", "replay/again")]);
  const replayedEvents = bodiesOf(await replayedInto(started, one, 2)) as { detail: { n: number } }[];
  const original = (first as { detail: { n: number } }[]).filter(({ detail }) => detail.n === 2 || detail.n === 3);
  const byNumber = (all: { detail: { n: number } }[]) => all.toSorted((a, b) => a.detail.n - b.detail.n);
  assert.deepEqual(
    byNumber(replayedEvents),
    byNumber(original).map((event) => ({ ...event, "replay-name": "again" })),
  );
  await received(started, two, 0);
  const replay = await ended(started, "again");
  assert.deepEqual([replay.State, replay.Description, replay.Destination], ["COMPLETED", "once more", Destination]);
  assert.equal((await events.send(new DescribeArchiveCommand({ ArchiveName: "kept" }))).EventCount, 4, "replayed events are not archived");
  assert.deepEqual(
    (await events.send(new ListReplaysCommand({ State: "COMPLETED" }))).Replays?.map(({ ReplayName }) => ReplayName),
    ["again"],
  );
  await assertRefused(events.send(new StartReplayCommand(input)), "ResourceAlreadyExistsException", 400, "Replay again already exists.");
  await assertRefused(
    events.send(new CancelReplayCommand({ ReplayName: "again" })),
    "IllegalStatusException",
    400,
    "Replay again is not in a valid state for this operation.",
  );
});

const ended = (started: Started, ReplayName: string) =>
  eventually("the replay ends", async () => {
    started.clock.advance(1000);
    const replay = await started.events.send(new DescribeReplayCommand({ ReplayName }));
    return ["COMPLETED", "CANCELLED", "FAILED"].includes(replay.State ?? "") ? replay : undefined;
  });

async function replayedInto(started: Started, url: string, count: number) {
  started.clock.advance(1000);
  return await received(started, url, count);
}

test("a replay goes on with the next server, each event once", async (t) => {
  const started = await startEvents(t);
  const { events, clock } = started;
  const url = await makeQueue(started, "one");
  await events.send(new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS }));
  const fromMs = clock.now();
  const Entries = Array.from({ length: 10 }, () => ({ Source: "shop", DetailType: "made", Detail: "{}" }));
  for (let batch = 0; batch < 25; batch++) await events.send(new PutEventsCommand({ Entries }));
  await ruleTo(started, "r", "one");
  const input = { EventSourceArn: ARCHIVE, ...between(fromMs, fromMs + 1000), Destination: { Arn: BUS } };
  await events.send(new StartReplayCommand({ ReplayName: "again", ...input }));
  const again = await started.restart();
  assert.equal((await ended(again, "again")).State, "COMPLETED");
  assert.equal((await received(again, url, 250)).length, 250);
  await again.events.send(new StartReplayCommand({ ReplayName: "stopped", ...input }));
  assert.equal((await again.events.send(new CancelReplayCommand({ ReplayName: "stopped" }))).State, "CANCELLING");
  assert.equal((await ended(again, "stopped")).State, "CANCELLED");
});

test("a replay is kept for 90 days after its end; then its name is free", async (t) => {
  const started = await startEvents(t);
  const { events, clock } = started;
  await events.send(new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS }));
  const input = { ReplayName: "r", EventSourceArn: ARCHIVE, ...between(0, clock.now()), Destination: { Arn: BUS } };
  await events.send(new StartReplayCommand(input));
  await ended(started, "r");
  clock.advance(89 * DAY_MS);
  const again = await started.restart();
  await again.events.send(new DescribeReplayCommand({ ReplayName: "r" }));
  clock.step(-60 * DAY_MS);
  clock.advance(2 * DAY_MS);
  await turn();
  await again.events.send(new DescribeReplayCommand({ ReplayName: "r" }));
  clock.advance(60 * DAY_MS);
  await eventually("the replay is removed", async () => {
    clock.advance(1000);
    return (await again.events.send(new ListReplaysCommand({}))).Replays?.length === 0;
  });
  await again.events.send(new StartReplayCommand(input));
});

test("what is no archive and no replay is refused", async (t) => {
  const { events, clock } = await startEvents(t);
  const create = (more = {}) => events.send(new CreateArchiveCommand({ ArchiveName: "kept", EventSourceArn: BUS, ...more }));
  await create();
  await assertRefused(create(), "ResourceAlreadyExistsException", 400, "Archive kept already exists.");
  await assertRefused(create({ EventSourceArn: arnOf("events", "event-bus/none") }), "ResourceNotFoundException", 400);
  await assertRefused(create({ EventPattern: "{}" }), "InvalidEventPatternException", 400);
  await assertRefused(create({ KmsKeyIdentifier: "alias/k" }), "ValidationException", 400);
  await assertRefused(events.send(new UpdateArchiveCommand({ ArchiveName: "none" })), "ResourceNotFoundException", 400);
  await assertRefused(events.send(new DeleteArchiveCommand({ ArchiveName: "none" })), "ResourceNotFoundException", 400);
  await events.send(new CreateEventBusCommand({ Name: "second" }));
  const start = (more = {}) =>
    events.send(
      new StartReplayCommand({ ReplayName: "r", EventSourceArn: ARCHIVE, ...between(0, clock.now()), Destination: { Arn: BUS }, ...more }),
    );
  await assertRefused(
    events.send(new ListArchivesCommand({ EventSourceArn: arnOf("events", "event-bus/none") })),
    "ResourceNotFoundException",
    400,
    "Event bus none does not exist.",
  );
  await assertRefused(
    start({ Destination: { Arn: arnOf("events", "event-bus/none") } }),
    "ResourceNotFoundException",
    400,
    "Event bus none does not exist.",
  );
  await assertRefused(
    start({ EventSourceArn: arnOf("events", "archive/none") }),
    "ValidationException",
    400,
    "Parameter EventSourceArn is not valid. Reason: Archive none does not exist.",
  );
  await assertRefused(
    start({ Destination: { Arn: arnOf("events", "event-bus/second") } }),
    "ValidationException",
    400,
    "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
  );
  await assertRefused(start(between(1000, 1000)), "ValidationException", 400, /EventStartTime must be before EventEndTime/);
  await assertRefused(
    events.send(new DescribeReplayCommand({ ReplayName: "r" })),
    "ResourceNotFoundException",
    400,
    "Replay r does not exist.",
  );
  await assertRefused(events.send(new CancelReplayCommand({ ReplayName: "r" })), "ResourceNotFoundException", 400);
});
