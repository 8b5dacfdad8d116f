// CloudWatch Logs as its official client sees it.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  DeleteLogGroupCommand,
  DeleteLogStreamCommand,
  DeleteRetentionPolicyCommand,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  GetLogEventsCommand,
  ListTagsForResourceCommand,
  ListTagsLogGroupCommand,
  paginateDescribeLogGroups,
  paginateFilterLogEvents,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
  StartLiveTailCommand,
  StartQueryCommand,
  TagLogGroupCommand,
  TagResourceCommand,
  UntagLogGroupCommand,
  UntagResourceCommand,
  type InputLogEvent,
} from "@aws-sdk/client-cloudwatch-logs";
import { assertRefused, FAKE_ACCOUNT, FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { logsService } from "../../src/services/logs/service.ts";
import { memoryLogSink } from "../../src/store/memory/memory-log-sink.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { eventually } from "../support/eventually.ts";

const GROUP = "/app/orders";
const STREAM = "node-1";
const ARN = `arn:aws:logs:eu-west-1:${FAKE_ACCOUNT}:log-group:${GROUP}`;
const NO_GROUP = "The specified log group does not exist.";
const DAY_MS = 86_400_000;

async function start(t: TestContext, clock: Clock = systemClock) {
  const storage = memoryStorage({ clock });
  const sink = memoryLogSink({ clock });
  const service = await logsService({ meta: storage.meta, logs: sink, clock });
  const { door, settings } = await fakeDoor([service.definition]);
  // The name `stream-127.0.0.1`, which SDKs make of the host for a live tail, leads nowhere.
  const client = new CloudWatchLogsClient({ ...settings(), disableHostPrefix: true });
  const stranger = new CloudWatchLogsClient({ ...settings(FAKE_STRANGER), disableHostPrefix: true });
  t.after(async () => {
    client.destroy();
    stranger.destroy();
    await door.close();
    await service.stop();
    await storage.close();
  });
  return { client, stranger, sink, operations: service.operations };
}

async function startWithStream(t: TestContext) {
  const started = await start(t);
  await started.client.send(new CreateLogGroupCommand({ logGroupName: GROUP }));
  await started.client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName: STREAM }));
  const put = (logEvents: InputLogEvent[], logStreamName = STREAM) =>
    started.client.send(new PutLogEventsCommand({ logGroupName: GROUP, logStreamName, logEvents }));
  return { ...started, put };
}

/** Messages `text 0` … with a millisecond between them, the last one now. */
function lines(count: number, text = "line"): InputLogEvent[] {
  const endMs = systemClock.now();
  return Array.from({ length: count }, (_, n) => ({ timestamp: endMs - count + n + 1, message: `${text} ${n}` }));
}

const messages = (events: readonly { message?: string | undefined }[] | undefined) => (events ?? []).map((event) => event.message);

test("groups: create, describe in pages, delete", async (t) => {
  const { client } = await start(t);
  for (const name of ["/a/1", "/a/2", "/b/1"]) await client.send(new CreateLogGroupCommand({ logGroupName: name, tags: { name } }));
  await assertRefused(
    client.send(new CreateLogGroupCommand({ logGroupName: "/a/1" })),
    "ResourceAlreadyExistsException",
    400,
    "The specified log group already exists",
  );
  const names: (string | undefined)[] = [];
  for await (const page of paginateDescribeLogGroups({ client, pageSize: 2 }, {})) {
    assert.ok((page.logGroups?.length ?? 0) <= 2);
    names.push(...(page.logGroups ?? []).map((one) => one.logGroupName));
  }
  assert.deepEqual(names, ["/a/1", "/a/2", "/b/1"]);
  const { logGroups: [one] = [], ...rest } = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: "/b" }));
  assert.equal("nextToken" in rest, false);
  assert.equal(one?.arn, `arn:aws:logs:eu-west-1:${FAKE_ACCOUNT}:log-group:/b/1:*`);
  assert.equal(one.logGroupArn, `arn:aws:logs:eu-west-1:${FAKE_ACCOUNT}:log-group:/b/1`);
  assert.deepEqual([one.storedBytes, one.metricFilterCount, one.logGroupClass, "retentionInDays" in one], [0, 0, "STANDARD", false]);
  const matching = await client.send(new DescribeLogGroupsCommand({ logGroupNamePattern: "A/" }));
  assert.deepEqual(matching.logGroups?.length, 2);
  await client.send(new DeleteLogGroupCommand({ logGroupName: "/a/1" }));
  await assertRefused(client.send(new DeleteLogGroupCommand({ logGroupName: "/a/1" })), "ResourceNotFoundException", 400, NO_GROUP);
});

test("of two that create the same group at once, one is told that it exists", async (t) => {
  const { client } = await start(t);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, () => client.send(new CreateLogGroupCommand({ logGroupName: GROUP }))),
  );
  assert.equal(outcomes.filter((one) => one.status === "fulfilled").length, 1);
  for (const one of outcomes)
    if (one.status === "rejected") assert.equal((one.reason as Error).name, "ResourceAlreadyExistsException", String(one.reason));
});

test("group names are checked, and what Lambent does not have is refused", async (t) => {
  const { client } = await start(t);
  await assertRefused(
    client.send(new CreateLogGroupCommand({ logGroupName: "no spaces" })),
    "InvalidParameterException",
    400,
    /'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern/,
  );
  await assertRefused(
    client.send(new CreateLogGroupCommand({ logGroupName: "x".repeat(513) })),
    "InvalidParameterException",
    400,
    /Member must have length less than or equal to 512/,
  );
  await assertRefused(client.send(new CreateLogGroupCommand({ logGroupName: GROUP, kmsKeyId: "k" })), "InvalidParameterException", 400);
  await assertRefused(client.send(new StartQueryCommand({ queryString: "x", startTime: 0, endTime: 1 })), "NotImplementedException", 501);
  assert.deepEqual((await client.send(new DescribeLogGroupsCommand({}))).logGroups, []);
});

test("retention: set, shown, taken away, and only AWS's values", async (t) => {
  const { client } = await startWithStream(t);
  await client.send(new PutRetentionPolicyCommand({ logGroupName: GROUP, retentionInDays: 7 }));
  const described = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: GROUP }));
  assert.equal(described.logGroups?.[0]?.retentionInDays, 7);
  await assertRefused(
    client.send(new PutRetentionPolicyCommand({ logGroupName: GROUP, retentionInDays: 8 })),
    "InvalidParameterException",
    400,
    /'retentionInDays' failed to satisfy constraint/,
  );
  await client.send(new DeleteRetentionPolicyCommand({ logGroupName: GROUP }));
  const after = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: GROUP }));
  assert.equal(after.logGroups?.[0]?.retentionInDays, undefined);
  const missing = { logGroupName: "missing", retentionInDays: 7 };
  await assertRefused(client.send(new PutRetentionPolicyCommand(missing)), "ResourceNotFoundException", 400, NO_GROUP);
  await assertRefused(client.send(new DeleteRetentionPolicyCommand({ logGroupName: "missing" })), "ResourceNotFoundException", 400);
});

test("tags, by ARN and by name", async (t) => {
  const { client } = await startWithStream(t);
  await client.send(new TagResourceCommand({ resourceArn: ARN, tags: { team: "a", stage: "x" } }));
  await client.send(new TagLogGroupCommand({ logGroupName: GROUP, tags: { stage: "y" } }));
  assert.deepEqual((await client.send(new ListTagsForResourceCommand({ resourceArn: ARN }))).tags, { team: "a", stage: "y" });
  await client.send(new UntagResourceCommand({ resourceArn: ARN, tagKeys: ["team", "none"] }));
  assert.deepEqual((await client.send(new ListTagsLogGroupCommand({ logGroupName: GROUP }))).tags, { stage: "y" });
  await client.send(new UntagLogGroupCommand({ logGroupName: GROUP, tags: ["stage"] }));
  assert.deepEqual((await client.send(new ListTagsForResourceCommand({ resourceArn: ARN }))).tags, {});
  const missing = `arn:aws:logs:eu-west-1:${FAKE_ACCOUNT}:log-group:missing`;
  await assertRefused(client.send(new ListTagsForResourceCommand({ resourceArn: missing })), "ResourceNotFoundException", 400);
  await assertRefused(client.send(new TagResourceCommand({ resourceArn: missing, tags: { a: "b" } })), "ResourceNotFoundException", 400);
  await assertRefused(client.send(new UntagResourceCommand({ resourceArn: missing, tagKeys: ["a"] })), "ResourceNotFoundException", 400);
});

test("streams: create, describe by name and by last event, delete", async (t) => {
  const { client, put } = await startWithStream(t);
  await client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName: "node-2" }));
  await assertRefused(
    client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName: "node-2" })),
    "ResourceAlreadyExistsException",
    400,
    "The specified log stream already exists",
  );
  await assertRefused(
    client.send(new CreateLogStreamCommand({ logGroupName: "no", logStreamName: "x" })),
    "ResourceNotFoundException",
    400,
  );
  const [event] = lines(1);
  assert.ok(event !== undefined);
  await put([event], "node-2");
  const byName = await client.send(new DescribeLogStreamsCommand({ logGroupName: GROUP, limit: 1 }));
  assert.deepEqual(
    byName.logStreams?.map((one) => one.logStreamName),
    ["node-1"],
  );
  const { nextToken } = byName;
  const next = await client.send(new DescribeLogStreamsCommand({ logGroupName: GROUP, limit: 1, nextToken }));
  assert.deepEqual(
    next.logStreams?.map((one) => [one.logStreamName, one.lastEventTimestamp, one.firstEventTimestamp]),
    [["node-2", event.timestamp, event.timestamp]],
  );
  assert.equal(next.nextToken, undefined);
  const latest = new DescribeLogStreamsCommand({ logGroupName: GROUP, orderBy: "LastEventTime", descending: true, limit: 1 });
  assert.equal((await client.send(latest)).logStreams?.[0]?.logStreamName, "node-2");
  const both = new DescribeLogStreamsCommand({ logGroupName: GROUP, orderBy: "LastEventTime", logStreamNamePrefix: "n" });
  await assertRefused(client.send(both), "InvalidParameterException", 400, "Cannot order by LastEventTime with a logStreamNamePrefix.");
  await client.send(new DeleteLogStreamCommand({ logGroupName: GROUP, logStreamName: "node-2" }));
  await assertRefused(
    client.send(new DeleteLogStreamCommand({ logGroupName: GROUP, logStreamName: "node-2" })),
    "ResourceNotFoundException",
    400,
    "The specified log stream does not exist.",
  );
});

test("events come back in both directions, page by page, and the token at an end stays what it is", async (t) => {
  const { client, put } = await startWithStream(t);
  const events = lines(7);
  await put(events);
  const get = (nextToken?: string, startFromHead = true) =>
    client.send(new GetLogEventsCommand({ logGroupName: GROUP, logStreamName: STREAM, limit: 3, startFromHead, nextToken }));
  const first = await get();
  const second = await get(first.nextForwardToken);
  const third = await get(second.nextForwardToken);
  const end = await get(third.nextForwardToken);
  assert.deepEqual(
    [first, second, third].flatMap((page) => messages(page.events)),
    messages(events),
  );
  assert.deepEqual([end.events, end.nextForwardToken], [[], third.nextForwardToken]);
  assert.deepEqual(messages((await get(third.nextBackwardToken)).events), ["line 3", "line 4", "line 5"]);
  assert.deepEqual(messages((await get(undefined, false)).events), ["line 4", "line 5", "line 6"]);
  const at = events[2]?.timestamp ?? 0;
  const between = await client.send(
    new GetLogEventsCommand({ logGroupIdentifier: ARN, logStreamName: STREAM, startTime: at, endTime: at + 2, startFromHead: true }),
  );
  assert.deepEqual(messages(between.events), ["line 2", "line 3"]);
  assert.ok((between.events?.[0]?.ingestionTime ?? 0) >= at);
  await assertRefused(get("x/1"), "InvalidParameterException", 400, "The specified nextToken is invalid.");
  const missing = new GetLogEventsCommand({ logGroupName: GROUP, logStreamName: "missing" });
  await assertRefused(client.send(missing), "ResourceNotFoundException", 400, "The specified log stream does not exist.");
});

test("a batch is in order of time, no larger than 1 MiB and no longer than a day; what is too old or too new is told", async (t) => {
  const { client, put } = await startWithStream(t);
  const nowMs = systemClock.now();
  const at = (timestamp: number, message = "x") => ({ timestamp, message });
  await assertRefused(put([at(nowMs), at(nowMs - 1)]), "InvalidParameterException", 400, /must be in chronological order/);
  await assertRefused(put([at(nowMs - DAY_MS - 1), at(nowMs)]), "InvalidParameterException", 400, /cannot span more than 24 hours/);
  const large = Array.from({ length: 5 }, () => at(nowMs, "x".repeat(250_000)));
  await assertRefused(put(large), "InvalidParameterException", 400, /Upload too large: \d+ bytes exceeds limit of 1048576/);
  await assertRefused(put([]), "InvalidParameterException", 400, /'logEvents' failed to satisfy constraint/);
  await assertRefused(put([at(nowMs, "")]), "InvalidParameterException", 400, /length greater than or equal to 1/);
  await assertRefused(put([at(nowMs)], "missing"), "ResourceNotFoundException", 400, "The specified log stream does not exist.");
  const old = await put([at(nowMs - 15 * DAY_MS, "old"), at(nowMs - 14.5 * DAY_MS, "old too")]);
  assert.deepEqual(old.rejectedLogEventsInfo, { tooOldLogEventEndIndex: 2 });
  const future = await put([at(nowMs, "kept"), at(nowMs + 3 * 3_600_000, "new")]);
  assert.deepEqual(future.rejectedLogEventsInfo, { tooNewLogEventStartIndex: 1 });
  const { events } = await client.send(new GetLogEventsCommand({ logGroupName: GROUP, logStreamName: STREAM }));
  assert.deepEqual(messages(events), ["kept"]);
});

test("filters look through all streams, by terms, prefix and time, in pages", async (t) => {
  const { client, put } = await startWithStream(t);
  await client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName: "other" }));
  await put(lines(20, "ERROR disk"));
  await put(lines(20, "INFO disk"), "other");
  const found: (string | undefined)[] = [];
  for await (const page of paginateFilterLogEvents({ client, pageSize: 7 }, { logGroupName: GROUP, filterPattern: "ERROR disk" }))
    found.push(...messages(page.events));
  assert.deepEqual(found, messages(lines(20, "ERROR disk")));
  const filter = async (more: object) =>
    (await client.send(new FilterLogEventsCommand({ logGroupName: GROUP, ...more }))).events?.map((one) => one.logStreamName) ?? [];
  assert.deepEqual(new Set(await filter({ logStreamNamePrefix: "oth" })), new Set(["other"]));
  assert.equal((await filter({ logStreamNames: [STREAM], filterPattern: '-"line 1"' })).length, 20);
  assert.equal((await filter({ filterPattern: "?ERROR ?INFO" })).length, 40);
  assert.deepEqual(await filter({ endTime: 1000 }), []);
  const both = { logStreamNames: [STREAM], logStreamNamePrefix: "n" };
  await assertRefused(filter(both), "InvalidParameterException", 400, /cannot be specified together/);
  await assertRefused(filter({ filterPattern: "{ $.a = 1 }" }), "InvalidParameterException", 400, /JSON/);
  await assertRefused(filter({ nextToken: "x" }), "InvalidParameterException", 400, "The specified nextToken is invalid.");
  const missing = new FilterLogEventsCommand({ logGroupName: "missing" });
  await assertRefused(client.send(missing), "ResourceNotFoundException", 400, NO_GROUP);
});

test("a live tail shows what is put while it runs", async (t) => {
  const { client, put } = await startWithStream(t);
  const { responseStream } = await client.send(new StartLiveTailCommand({ logGroupIdentifiers: [ARN], logEventFilterPattern: "ERROR" }));
  assert.ok(responseStream !== undefined);
  const seen: (string | undefined)[] = [];
  let isStarted = false;
  const reading = (async () => {
    for await (const event of responseStream) {
      if (event.sessionStart !== undefined) isStarted = true;
      for (const one of event.sessionUpdate?.sessionResults ?? []) seen.push(`${one.logStreamName} ${one.message}`);
      if (seen.length === 2) return;
    }
  })();
  await eventually("the session has started", () => isStarted);
  await put([...lines(1, "ERROR a"), ...lines(1, "INFO b")]);
  await put(lines(1, "ERROR c"));
  await reading;
  assert.deepEqual(seen, [`${STREAM} ERROR a 0`, `${STREAM} ERROR c 0`]);
});

/** Every operation that is built and names a group, on one group and stream. */
const ON_GROUP: Readonly<Record<string, (client: CloudWatchLogsClient, logGroupName: string, arn: string) => Promise<unknown>>> = {
  DeleteLogGroup: (client, logGroupName) => client.send(new DeleteLogGroupCommand({ logGroupName })),
  PutRetentionPolicy: (client, logGroupName) => client.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays: 7 })),
  DeleteRetentionPolicy: (client, logGroupName) => client.send(new DeleteRetentionPolicyCommand({ logGroupName })),
  TagLogGroup: (client, logGroupName) => client.send(new TagLogGroupCommand({ logGroupName, tags: { a: "b" } })),
  UntagLogGroup: (client, logGroupName) => client.send(new UntagLogGroupCommand({ logGroupName, tags: ["a"] })),
  ListTagsLogGroup: (client, logGroupName) => client.send(new ListTagsLogGroupCommand({ logGroupName })),
  TagResource: (client, _name, resourceArn) => client.send(new TagResourceCommand({ resourceArn, tags: { a: "b" } })),
  UntagResource: (client, _name, resourceArn) => client.send(new UntagResourceCommand({ resourceArn, tagKeys: ["a"] })),
  ListTagsForResource: (client, _name, resourceArn) => client.send(new ListTagsForResourceCommand({ resourceArn })),
  CreateLogStream: (client, logGroupName) => client.send(new CreateLogStreamCommand({ logGroupName, logStreamName: "x" })),
  DeleteLogStream: (client, logGroupName) => client.send(new DeleteLogStreamCommand({ logGroupName, logStreamName: STREAM })),
  DescribeLogStreams: (client, logGroupName) => client.send(new DescribeLogStreamsCommand({ logGroupName })),
  PutLogEvents: (client, logGroupName) =>
    client.send(new PutLogEventsCommand({ logGroupName, logStreamName: STREAM, logEvents: lines(1) })),
  GetLogEvents: (client, logGroupName) => client.send(new GetLogEventsCommand({ logGroupName, logStreamName: STREAM })),
  FilterLogEvents: (client, logGroupName) => client.send(new FilterLogEventsCommand({ logGroupName })),
  StartLiveTail: (client, _name, arn) => client.send(new StartLiveTailCommand({ logGroupIdentifiers: [arn] })),
};

/** Those that name none that must be there. */
const ON_NONE: typeof ON_GROUP = {
  CreateLogGroup: (client, logGroupName) => client.send(new CreateLogGroupCommand({ logGroupName })),
  DescribeLogGroups: (client) => client.send(new DescribeLogGroupsCommand({})),
};

test("every operation that is built stands in these tests", async (t) => {
  const { operations } = await start(t);
  const built = Object.entries(operations).filter(([, operation]) => typeof operation === "function");
  assert.deepEqual(built.map(([name]) => name).toSorted(), Object.keys({ ...ON_GROUP, ...ON_NONE }).toSorted());
});

test("a group that is missing is told of by every operation that names one", async (t) => {
  const { client } = await start(t);
  for (const [operation, call] of Object.entries(ON_GROUP))
    await t.test(operation, async () => {
      await assertRefused(call(client, "/missing", ARN.replace(GROUP, "/missing")), "ResourceNotFoundException", 400, NO_GROUP);
    });
  assert.deepEqual((await client.send(new DescribeLogGroupsCommand({}))).logGroups, []);
});

test("a group of another account is missing, and one of another region too", async (t) => {
  const { client } = await startWithStream(t);
  for (const foreign of [ARN.replace(FAKE_ACCOUNT, "111111111111"), ARN.replace("eu-west-1", "us-east-1")])
    for (const operation of ["ListTagsForResource", "TagResource", "UntagResource", "StartLiveTail"] as const)
      await assertRefused(ON_GROUP[operation]?.(client, GROUP, foreign) ?? assert.fail(), "ResourceNotFoundException", 400);
  assert.deepEqual((await client.send(new ListTagsForResourceCommand({ resourceArn: ARN }))).tags, {});
});

test("who has no policy is told so by every operation, whatever is there", async (t) => {
  const { client, stranger } = await startWithStream(t);
  for (const [operation, call] of Object.entries({ ...ON_GROUP, ...ON_NONE }))
    for (const name of [GROUP, "/missing"])
      await assertRefused(
        call(stranger, name, ARN.replace(GROUP, name)),
        "AccessDeniedException",
        400,
        new RegExp(`not authorized to perform: logs:${operation} on resource: arn:aws:logs:`),
      );
  const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({}));
  assert.deepEqual(
    logGroups.map((one) => [one.logGroupName, one.retentionInDays]),
    [[GROUP, undefined]],
  );
});

test("tags are bounded: fifty of a group, their keys and values as AWS allows them", async (t) => {
  const { client } = await startWithStream(t);
  const many = (count: number, prefix: string) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}${n}`, "x"]));
  await client.send(new TagResourceCommand({ resourceArn: ARN, tags: many(50, "a") }));
  await client.send(new TagResourceCommand({ resourceArn: ARN, tags: { a1: "again" } }));
  await assertRefused(client.send(new TagResourceCommand({ resourceArn: ARN, tags: { more: "x" } })), "TooManyTagsException", 400);
  await assertRefused(client.send(new TagLogGroupCommand({ logGroupName: GROUP, tags: { more: "x" } })), "InvalidParameterException", 400);
  for (const tags of [{ ["k".repeat(129)]: "x" }, { k: "v".repeat(257) }, {}, many(51, "b")])
    await assertRefused(client.send(new TagResourceCommand({ resourceArn: ARN, tags })), "InvalidParameterException", 400);
  await assertRefused(
    client.send(new CreateLogGroupCommand({ logGroupName: "/t", tags: many(51, "c") })),
    "InvalidParameterException",
    400,
  );
  const { tags = {} } = await client.send(new ListTagsForResourceCommand({ resourceArn: ARN }));
  assert.deepEqual([Object.keys(tags).length, tags["a1"]], [50, "again"]);
});

test("of many that change the same group at once, no change is lost: it is made, or its caller is told to try again", async (t) => {
  const { client } = await startWithStream(t);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => client.send(new TagResourceCommand({ resourceArn: ARN, tags: { [`k${n}`]: "x" } }))),
  );
  const refused = outcomes.flatMap((one) => (one.status === "rejected" ? [(one.reason as Error).name] : []));
  assert.ok(
    refused.every((name) => name === "OperationAbortedException"),
    refused.join(),
  );
  const { tags = {} } = await client.send(new ListTagsForResourceCommand({ resourceArn: ARN }));
  assert.equal(Object.keys(tags).length, 20 - refused.length);
});

test("limits and tokens that are none are refused", async (t) => {
  const { client } = await startWithStream(t);
  const where = { logGroupName: GROUP, logStreamName: STREAM };
  for (const call of [
    () => client.send(new DescribeLogGroupsCommand({ limit: 51 })),
    () => client.send(new DescribeLogGroupsCommand({ limit: 0 })),
    () => client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: "a", logGroupNamePattern: "b" })),
    () => client.send(new DescribeLogStreamsCommand({ logGroupName: GROUP, limit: 51 })),
    () => client.send(new DescribeLogStreamsCommand({})),
    () => client.send(new GetLogEventsCommand({ ...where, limit: 10_001 })),
    () => client.send(new GetLogEventsCommand({ logStreamName: STREAM })),
    () => client.send(new GetLogEventsCommand({ ...where, nextToken: "f/1" })),
    () => client.send(new FilterLogEventsCommand({ logGroupName: GROUP, limit: 10_001 })),
    () => client.send(new FilterLogEventsCommand({})),
    () => client.send(new StartLiveTailCommand({ logGroupIdentifiers: [] })),
    () => client.send(new StartLiveTailCommand({ logGroupIdentifiers: [ARN], logEventFilterPattern: "{ $.a = 1 }" })),
    () => client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName: "a:b" })),
    () => client.send(new DescribeLogGroupsCommand({ includeLinkedAccounts: true })),
  ])
    await assertRefused(call(), "InvalidParameterException", 400);
});
