// CloudWatch's metrics as clients see them: what they put, what Lambda counts, in all three protocols.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as cloudwatch from "@aws-sdk/client-cloudwatch";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import { assertRefused, FAKE_ROOT, FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { silentLog } from "../../src/base/log.ts";
import { manualClock } from "../../src/base/manual-clock.ts";
import { cbor } from "../../src/aws/smithy.ts";
import { cloudWatchService } from "../../src/services/cloudwatch/service.ts";
import { memoryMetrics } from "../../src/store/memory/memory-metrics.ts";
import { startApi } from "../support/api.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";

const { GetMetricDataCommand, GetMetricStatisticsCommand, ListMetricsCommand, PutMetricDataCommand } = cloudwatch;
/** A whole hour. */
const NOW = Date.UTC(2026, 10, 20);
const MINUTE = 60_000;
const at = (minutes: number) => new Date(NOW + minutes * MINUTE);

async function start(t: TestContext) {
  const clock = manualClock(NOW);
  const metrics = memoryMetrics();
  const service = cloudWatchService({ metrics, clock, log: silentLog });
  const door = await fakeDoor([service.definition]);
  const client = new cloudwatch.CloudWatchClient(door.settings());
  const stranger = new cloudwatch.CloudWatchClient(door.settings(FAKE_STRANGER));
  t.after(async () => {
    client.destroy();
    stranger.destroy();
    await door.door.close();
    await service.stop();
    await metrics.close();
  });
  const put = (...MetricData: cloudwatch.MetricDatum[]) => client.send(new PutMetricDataCommand({ Namespace: "Shop", MetricData }));
  const statistics = async (more: Partial<cloudwatch.GetMetricStatisticsCommandInput>) => {
    const asked = { Namespace: "Shop", MetricName: "m", StartTime: at(-60), EndTime: at(60), Period: 60, ...more };
    const { Datapoints = [] } = await client.send(new GetMetricStatisticsCommand(asked));
    return Datapoints.toSorted((a, b) => Number(a.Timestamp) - Number(b.Timestamp));
  };
  const data = (MetricDataQueries: cloudwatch.MetricDataQuery[], more: Partial<cloudwatch.GetMetricDataCommandInput> = {}) =>
    client.send(new GetMetricDataCommand({ StartTime: at(-60), EndTime: at(60), MetricDataQueries, ...more }));
  return { client, stranger, clock, service, door, put, statistics, data };
}

const statOf = (Id: string, MetricName: string, Stat = "Sum", more: Partial<cloudwatch.MetricDataQuery> = {}) => ({
  Id,
  MetricStat: { Metric: { Namespace: "Shop", MetricName }, Period: 60, Stat },
  ...more,
});

test("values, values with counts and statistic sets come back as statistics", async (t) => {
  const { put, statistics } = await start(t);
  await put({ MetricName: "m", Value: 2.5, Unit: "Seconds" }, { MetricName: "m", Values: [1, 4], Counts: [3, 1], Unit: "Seconds" });
  await put({ MetricName: "m", StatisticValues: { SampleCount: 2, Sum: 10, Minimum: 5, Maximum: 5 }, Unit: "Seconds", Timestamp: at(0) });
  const all = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"] as const;
  assert.deepEqual(await statistics({ Statistics: [...all] }), [
    { Timestamp: at(0), Unit: "Seconds", SampleCount: 7, Sum: 19.5, Average: 19.5 / 7, Minimum: 1, Maximum: 5 },
  ]);
  const [extended] = await statistics({ ExtendedStatistics: ["p50", "p100"] });
  assert.deepEqual(Object.keys(extended?.ExtendedStatistics ?? {}), ["p50", "p100"]);
  assert.ok(Math.abs((extended?.ExtendedStatistics?.["p50"] ?? 0) - 2.5) < 0.03);
  assert.deepEqual(await statistics({ Statistics: ["Sum"], Unit: "Bytes" }), []);
  await put({ MetricName: "m", StatisticValues: { SampleCount: 2, Sum: 3, Minimum: 1, Maximum: 2 }, Unit: "Seconds" });
  assert.deepEqual(await statistics({ ExtendedStatistics: ["p50"] }), []);
});

test("dimensions and units keep metrics apart; without dimensions means without dimensions", async (t) => {
  const { put, statistics } = await start(t);
  const a = [{ Name: "A", Value: "1" }];
  const ab = [...a, { Name: "B", Value: "2" }];
  await put({ MetricName: "m", Value: 1 }, { MetricName: "m", Value: 10, Dimensions: a }, { MetricName: "m", Value: 100, Dimensions: ab });
  const sum = async (Dimensions?: cloudwatch.Dimension[]) => (await statistics({ Statistics: ["Sum"], Dimensions })).map(({ Sum }) => Sum);
  assert.deepEqual([await sum(), await sum(a), await sum(ab.toReversed()), await sum([{ Name: "B", Value: "2" }])], [[1], [10], [100], []]);
});

test("a resolution of a second is kept by the second", async (t) => {
  const { put, statistics } = await start(t);
  for (const second of [0, 1, 12]) await put({ MetricName: "m", Value: 1, StorageResolution: 1, Timestamp: new Date(NOW + second * 1000) });
  const near = { Statistics: ["Sum" as const], StartTime: at(-1), EndTime: at(1) };
  assert.equal((await statistics({ ...near, Period: 1 })).length, 3);
  assert.deepEqual(
    (await statistics({ ...near, Period: 10 })).map(({ Sum, Timestamp }) => [Sum, Number(Timestamp) - NOW]),
    [
      [2, 0],
      [1, 10_000],
    ],
  );
});

test("GetMetricData: several metrics, both orders, arithmetic, pages", async (t) => {
  const { put, data } = await start(t);
  for (const minute of [0, 1, 2])
    await put(
      { MetricName: "calls", Value: 10, Timestamp: at(minute) },
      ...(minute === 1 ? [] : [{ MetricName: "errors", Value: minute, Timestamp: at(minute) }]),
    );
  const queries = [
    statOf("calls", "calls"),
    statOf("errors", "errors", "Sum", { ReturnData: false }),
    { Id: "rate", Expression: "100 * errors / (calls + -0)" },
  ];
  const { MetricDataResults = [], NextToken } = await data(queries, { ScanBy: "TimestampAscending" });
  assert.deepEqual(
    MetricDataResults.map(({ Id, Label, Timestamps, Values, StatusCode }) => [
      Id,
      Label,
      Timestamps?.map((time) => (Number(time) - NOW) / MINUTE),
      Values,
      StatusCode,
    ]),
    [
      ["calls", "calls", [0, 1, 2], [10, 10, 10], "Complete"],
      ["rate", "rate", [0, 2], [0, 20], "Complete"],
    ],
  );
  assert.equal(NextToken, undefined);
  const seen: [string | undefined, number[]][] = [];
  let token: string | undefined;
  for (let page = 0; page < 10; page++) {
    const answer = await data(queries, { MaxDatapoints: 2, ...(token === undefined ? {} : { NextToken: token }) });
    for (const { Id, Timestamps = [] } of answer.MetricDataResults ?? [])
      seen.push([Id, Timestamps.map((time) => (Number(time) - NOW) / MINUTE)]);
    token = answer.NextToken;
    if (token === undefined) break;
  }
  assert.deepEqual(
    seen.flatMap(([id, times]) => times.map((time) => `${id}${time}`)),
    ["calls2", "calls1", "calls0", "rate2", "rate0"],
  );
});

test("ListMetrics: filters, pages of 500, what is recently active", async (t) => {
  const { client, clock, put } = await start(t);
  const list = async (input: cloudwatch.ListMetricsCommandInput = {}) => (await client.send(new ListMetricsCommand(input))).Metrics ?? [];
  await put({ MetricName: "a", Value: 1 }, { MetricName: "b", Value: 1, Dimensions: [{ Name: "D", Value: "d" }] });
  assert.deepEqual(await list(), [
    { Namespace: "Shop", MetricName: "a", Dimensions: [] },
    { Namespace: "Shop", MetricName: "b", Dimensions: [{ Name: "D", Value: "d" }] },
  ]);
  assert.equal((await list({ MetricName: "a" })).length, 1);
  assert.equal((await list({ Dimensions: [{ Name: "D" }] })).length, 1);
  assert.equal((await list({ Dimensions: [{ Name: "D", Value: "x" }] })).length, 0);
  assert.equal((await list({ Namespace: "Other" })).length, 0);
  clock.advance(4 * 3_600_000);
  assert.equal((await list({ RecentlyActive: "PT3H" })).length, 0);
  assert.equal((await list()).length, 2);
  clock.advance(15 * 86_400_000);
  assert.equal((await list()).length, 0);
  await put(...Array.from({ length: 600 }, (_, index) => ({ MetricName: `many${index}`, Value: 1 })));
  const first = await client.send(new ListMetricsCommand({}));
  const second = await client.send(new ListMetricsCommand({ NextToken: first.NextToken }));
  assert.deepEqual([first.Metrics?.length, second.Metrics?.length, second.NextToken], [500, 100, undefined]);
});

test("what is too coarse for its age has no points at a finer period", async (t) => {
  const { clock, put, statistics } = await start(t);
  await put({ MetricName: "m", Value: 1 });
  clock.advance(16 * 86_400_000);
  assert.deepEqual(await statistics({ Statistics: ["Sum"] }), []);
  assert.equal((await statistics({ Statistics: ["Sum"], Period: 300 })).length, 1);
});

test("bad input gets CloudWatch's errors, and nothing of it is kept", async (t) => {
  const { client, stranger, put, statistics, data } = await start(t);
  const good = { MetricName: "good", Value: 1 };
  const bad: readonly (readonly [cloudwatch.MetricDatum, string, RegExp])[] = [
    [{ MetricName: "m" }, "MissingRequiredParameterException", /MetricData\.member\.2\.Value is required/],
    [{ MetricName: undefined, Value: 1 }, "ValidationException", /metricName/],
    [{ MetricName: "m", Value: 1, Values: [1] }, "InvalidParameterCombinationException", /mutually exclusive/],
    [
      { MetricName: "m", Value: Infinity },
      "InvalidParameterValueException",
      /Infinity for parameter MetricData\.member\.2\.Value is invalid/,
    ],
    [{ MetricName: "m", Value: 2 ** 361 }, "InvalidParameterValueException", /is invalid/],
    [{ MetricName: "m", Values: [1, 2], Counts: [1] }, "InvalidParameterValueException", /must be of the same size/],
    [{ MetricName: "m", Values: Array.from({ length: 151 }, () => 1) }, "InvalidParameterValueException", /size greater than 150/],
    [{ MetricName: "m", Values: [1], Counts: [0] }, "InvalidParameterValueException", /is invalid/],
    [
      { MetricName: "m", StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 2, Maximum: 1 } },
      "InvalidParameterValueException",
      /Maximum must be/,
    ],
    [{ MetricName: "m", Value: 1, Timestamp: at(121) }, "InvalidParameterValueException", /two hours in the future/],
    [{ MetricName: "m", Value: 1, Timestamp: at(-14 * 24 * 60 - 1) }, "InvalidParameterValueException", /two weeks in the past/],
    [{ MetricName: "m", Value: 1, StorageResolution: 30 }, "InvalidParameterValueException", /StorageResolution/],
    [{ MetricName: "m", Value: 1, Unit: "Apples" as "Count" }, "ValidationException", /enum value set/],
    [{ MetricName: "x".repeat(256), Value: 1 }, "ValidationException", /less than or equal to 255/],
    [{ MetricName: "m", Value: 1, Dimensions: [1, 2].map(() => ({ Name: "A", Value: "1" })) }, "InvalidParameterValueException", /twice/],
  ];
  for (const [datum, name, message] of bad) await assertRefused(put(good, datum), name, 400, message);
  const puts = (input: Partial<cloudwatch.PutMetricDataCommandInput>) =>
    client.send(new PutMetricDataCommand({ Namespace: "Shop", ...input }));
  await assertRefused(puts({}), "MissingRequiredParameterException", 400);
  await assertRefused(puts({ Namespace: "AWS/Lambda", MetricData: [good] }), "InvalidParameterValueException", 400, /AWS\/Lambda/);
  await assertRefused(
    puts({ MetricData: Array.from({ length: 1001 }, () => good) }),
    "InvalidParameterValueException",
    400,
    /greater than 1000/,
  );
  await assertRefused(puts({ MetricData: [good], EntityMetricData: [{}] }), "InvalidParameterValueException", 400, /entities/);
  assert.deepEqual((await client.send(new ListMetricsCommand({}))).Metrics, []);

  const asks: readonly (readonly [Partial<cloudwatch.GetMetricStatisticsCommandInput>, string])[] = [
    [{}, "InvalidParameterCombinationException"],
    [{ Statistics: ["Sum"], ExtendedStatistics: ["p50"] }, "InvalidParameterCombinationException"],
    [{ Statistics: ["Sum"], Period: 7 }, "InvalidParameterValueException"],
    [{ Statistics: ["Sum"], StartTime: at(60) }, "InvalidParameterValueException"],
    [{ Statistics: ["Sum"], StartTime: at(-1441), EndTime: at(0) }, "InvalidParameterCombinationException"],
    [{ ExtendedStatistics: ["tm99"] }, "InvalidParameterValueException"],
  ];
  for (const [input, name] of asks) await assertRefused(statistics(input), name, 400);

  const queries: readonly (readonly [cloudwatch.MetricDataQuery[], string])[] = [
    [[], "MissingRequiredParameterException"],
    [[statOf("Bad", "m")], "InvalidParameterValueException"],
    [[statOf("a", "m"), statOf("a", "m")], "InvalidParameterValueException"],
    [[{ Id: "a" }], "InvalidParameterCombinationException"],
    [[statOf("a", "m", "median")], "InvalidParameterValueException"],
    [[{ Id: "a", Expression: "SUM(METRICS())" }], "InvalidParameterValueException"],
    [
      [
        { Id: "a", Expression: "b + 1" },
        { Id: "b", Expression: "a + 1" },
      ],
      "InvalidParameterValueException",
    ],
    [[{ Id: "a", Expression: "1 + 1" }], "InvalidParameterValueException"],
    [[statOf("m", "m"), { Id: "a", Expression: "((m)" }], "InvalidParameterValueException"],
  ];
  for (const [input, name] of queries) await assertRefused(data(input), name, 400);
  await assertRefused(data([statOf("a", "m")], { NextToken: "x" }), "InvalidNextToken", 400);
  await assertRefused(data([statOf("a", "m")], { MaxDatapoints: 0 }), "InvalidParameterValueException", 400);
  await assertRefused(client.send(new ListMetricsCommand({ NextToken: "x" })), "InvalidNextToken", 400);
  await assertRefused(client.send(new ListMetricsCommand({ OwningAccount: "1" })), "InvalidParameterValueException", 400);
  await assertRefused(stranger.send(new ListMetricsCommand({})), "AccessDenied", 400);
  await assertRefused(
    client.send(new cloudwatch.DescribeAlarmsCommand({})),
    "NotImplementedException",
    501,
    /implement cloudwatch:DescribeAlarms\./,
  );
});

interface Sent {
  readonly path?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

async function signed(door: { port: number; endpoint: string }, { path = "/", headers, body }: Sent): Promise<Response> {
  const signer = new SignatureV4({
    credentials: { accessKeyId: FAKE_ROOT.caller.accessKeyId, secretAccessKey: FAKE_ROOT.secretAccessKey },
    region: "eu-west-1",
    service: "monitoring",
    sha256: Sha256,
  });
  const host = `127.0.0.1:${door.port}`;
  const request = await signer.sign({
    method: "POST",
    protocol: "http:",
    hostname: "127.0.0.1",
    port: door.port,
    path,
    headers: { host, ...headers },
    body,
  });
  return await fetch(door.endpoint + path, { method: "POST", headers: request.headers, body: body as string });
}

test("forms and XML, as older clients speak", async (t) => {
  const { door, statistics } = await start(t);
  const form = (fields: Record<string, string>) =>
    signed(door, {
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ Version: "2010-08-01", ...fields }).toString(),
    });
  const datum = {
    "MetricData.member.1.MetricName": "m",
    "MetricData.member.1.Value": "1.5",
    "MetricData.member.1.Dimensions.member.1.Name": "A",
  };
  const put = await form({ Action: "PutMetricData", Namespace: "Shop", ...datum, "MetricData.member.1.Dimensions.member.1.Value": "b" });
  assert.equal(put.status, 200, await put.text());
  assert.deepEqual(
    (await statistics({ Statistics: ["Sum"], Dimensions: [{ Name: "A", Value: "b" }] })).map(({ Sum }) => Sum),
    [1.5],
  );
  const list = await (await form({ Action: "ListMetrics" })).text();
  assert.match(list, /<Metrics><member><Namespace>Shop<\/Namespace><MetricName>m<\/MetricName><Dimensions><member><Name>A<\/Name>/);
  const asked = { Namespace: "Shop", MetricName: "m", StartTime: at(-5).toISOString(), EndTime: at(5).toISOString(), Period: "60" };
  const got = await form({
    Action: "GetMetricStatistics",
    ...asked,
    "Statistics.member.1": "Average",
    "Dimensions.member.1.Name": "A",
    "Dimensions.member.1.Value": "b",
  });
  assert.match(await got.text(), /<Average>1\.5<\/Average>/);
  const refused = await form({ Action: "PutMetricData", Namespace: "Shop" });
  assert.deepEqual([refused.status, /<Code>MissingParameter<\/Code>/.test(await refused.text())], [400, true]);
});

test("CBOR, as boto3 speaks", async (t) => {
  const { door, statistics } = await start(t);
  const send = async (operation: string, input: object) => {
    const path = `/service/GraniteServiceVersion20100801/operation/${operation}`;
    const headers = { "smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor", accept: "application/cbor" };
    const answer = await signed(door, { path, headers, body: Buffer.from(cbor.serialize(input)) });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { answer, document: bytes.length === 0 ? {} : (cbor.deserialize(bytes) as Record<string, unknown>) };
  };
  const put = await send("PutMetricData", { Namespace: "Shop", MetricData: [{ MetricName: "m", Values: [1.25, 2], Counts: [2, 1] }] });
  assert.equal(put.answer.status, 200);
  assert.deepEqual(
    (await statistics({ Statistics: ["Sum"] })).map(({ Sum }) => Sum),
    [4.5],
  );
  const listed = await send("ListMetrics", {});
  assert.deepEqual(listed.document, { Metrics: [{ Namespace: "Shop", MetricName: "m", Dimensions: [] }] });
  const refused = await send("PutMetricData", { Namespace: "Shop", MetricData: [] });
  assert.equal(refused.answer.headers.get("x-amzn-query-error"), "MissingParameter;Sender");
  assert.match(String(refused.document["__type"]), /#MissingRequiredParameterException$/);
});

test("a large put comes packed", async (t) => {
  const { put, client } = await start(t);
  await put(...Array.from({ length: 1000 }, (_, index) => ({ MetricName: `metric number ${index}`, Value: index })));
  assert.equal((await client.send(new ListMetricsCommand({ Namespace: "Shop" }))).Metrics?.length, 500);
});

test("Lambda counts invocations, errors, durations and events, with AWS's dimensions", async (t) => {
  const { clients } = await startApi(t, () => (event: unknown) => {
    if (event === "fail") throw new Error("no");
    return event;
  });
  const { lambda, iam, cloudwatch: client } = clients();
  await makeFunction(lambda, { name: "f", role: await makeRole(iam), code: "" });
  for (const event of [1, 2, "fail"]) await call(lambda, "f", event);
  const sum = async (MetricName: string, Dimensions: cloudwatch.Dimension[], Stat = "Sum") => {
    const Metric = { Namespace: "AWS/Lambda", MetricName, Dimensions };
    const nowMs = Date.now();
    const { MetricDataResults } = await client.send(
      new GetMetricDataCommand({
        StartTime: new Date(nowMs - 600_000),
        EndTime: new Date(nowMs + 60_000),
        MetricDataQueries: [{ Id: "m", MetricStat: { Metric, Period: 3600, Stat } }],
      }),
    );
    return MetricDataResults?.[0]?.Values?.reduce((total, value) => total + value, 0);
  };
  const f = [{ Name: "FunctionName", Value: "f" }];
  for (const dimensions of [[], f, [...f, { Name: "Resource", Value: "f" }]]) {
    assert.equal(await sum("Invocations", dimensions), 3);
    assert.equal(await sum("Errors", dimensions), 1);
    assert.equal(await sum("Throttles", dimensions), 0);
    assert.equal(await sum("Duration", dimensions, "SampleCount"), 3);
  }
  assert.ok(((await sum("Duration", f, "p99")) ?? 0) > 0);
  assert.equal(await sum("ConcurrentExecutions", f, "Maximum"), 1);
  assert.equal(await sum("ConcurrentExecutions", [], "Maximum"), 1);
  assert.equal(await sum("UnreservedConcurrentExecutions", [], "Maximum"), 1);
});
