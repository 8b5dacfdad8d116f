// GetTraceSummaries: what it finds, and what it says of each; the sampling rule that clients ask for.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as xray from "@aws-sdk/client-xray";
import { assertRefused, FAKE_ACCOUNT } from "../../src/aws/fake-service.ts";
import { at, NOW, SECONDS, segment, segmentId, startXRay, traceId } from "./xray.fixture.ts";

const { GetSamplingRulesCommand, GetSamplingTargetsCommand } = xray;
const idsOf = ({ TraceSummaries = [] }: xray.GetTraceSummariesCommandOutput) => TraceSummaries.map(({ Id }) => Number(Id?.slice(-24)));

test("a summary tells what the segments do", async (t) => {
  const { put, summaries } = await startXRay(t);
  const { end_time: _, ...running } = segment(1, 3, { name: "later", start_time: SECONDS + 1, parent_id: segmentId(2) });
  const http = {
    request: { url: "http://shop/", method: "GET", user_agent: "curl", client_ip: "10.0.0.1" },
    response: { status: 502, content_length: 1 },
  };
  const inner = { id: segmentId(9), name: "inner", start_time: SECONDS, annotations: { deep: true, list: [1] } };
  await put(
    segment(1, 1, { origin: "AWS::Lambda", fault: true, http, user: "ann", resource_arn: "arn:r", annotations: { n: 1, colour: "red" } }),
    segment(1, 2, {
      name: "worker",
      parent_id: segmentId(1),
      start_time: SECONDS + 0.1,
      end_time: SECONDS + 3,
      throttle: true,
      error: true,
      annotations: { colour: "red", n: 2 },
      subsegments: [inner],
    }),
    running,
  );
  const [summary] = (await summaries()).TraceSummaries ?? [];
  const shop = { Name: "shop", Names: ["shop"], AccountId: FAKE_ACCOUNT, Type: "AWS::Lambda" };
  const [worker, later] = ["worker", "later"].map((Name) => ({ Name, Names: [Name], AccountId: FAKE_ACCOUNT }));
  assert.deepEqual(summary, {
    Id: traceId(1),
    StartTime: at(0),
    Duration: 3,
    ResponseTime: 0.5,
    HasFault: true,
    HasError: false,
    HasThrottle: true,
    IsPartial: true,
    Http: { HttpURL: "http://shop/", HttpMethod: "GET", UserAgent: "curl", ClientIp: "10.0.0.1", HttpStatus: 502 },
    Annotations: {
      n: [
        { AnnotationValue: { NumberValue: 1 }, ServiceIds: [shop] },
        { AnnotationValue: { NumberValue: 2 }, ServiceIds: [worker] },
      ],
      colour: [{ AnnotationValue: { StringValue: "red" }, ServiceIds: [shop, worker] }],
      deep: [{ AnnotationValue: { BooleanValue: true }, ServiceIds: [worker] }],
      list: [],
    },
    Users: [{ UserName: "ann", ServiceIds: [shop] }],
    ServiceIds: [shop, worker, later],
    ResourceARNs: [{ ARN: "arn:r" }],
    EntryPoint: shop,
  });
});

test("traces are found by their start, their last arrival or their end, the newest first", async (t) => {
  const { put, summaries, clock } = await startXRay(t);
  await put(segment(1, 1, { start_time: SECONDS - 120, end_time: SECONDS + 1 }), segment(2, 1));
  clock.advance(3600_000);
  await put(segment(3, 1, { start_time: SECONDS + 1, end_time: SECONDS + 90 }));
  assert.deepEqual(idsOf(await summaries()), [3, 2]);
  assert.deepEqual(idsOf(await summaries({ TimeRangeType: "TraceId" })), [3, 2]);
  assert.deepEqual(idsOf(await summaries({ TimeRangeType: "Service" })), [1, 2]);
  assert.deepEqual(idsOf(await summaries({ TimeRangeType: "Event" })), [2, 1]);
  assert.deepEqual(idsOf(await summaries({ TimeRangeType: "Event", EndTime: new Date(NOW + 3600_001) })), [3, 2, 1]);
  assert.deepEqual(idsOf(await summaries({ Sampling: true, SamplingStrategy: { Name: "PartialScan", Value: 1 } })), [3, 2]);
});

test("pages hold a hundred traces, or what is not too long, and lose none", async (t) => {
  const { put, summaries } = await startXRay(t);
  for (let from = 0; from < 250; from += 50)
    await put(...Array.from({ length: 50 }, (_, index) => segment(from + index, 1, { start_time: SECONDS + (from % 100) / 100 })));
  const metadata = "x".repeat(60_000);
  for (let trace = 300; trace < 312; trace++)
    await put(...Array.from({ length: 8 }, (_, id) => segment(trace, id, { start_time: SECONDS - 30, metadata })));
  const sizes: number[] = [];
  const found = new Set<number>();
  let NextToken: string | undefined;
  do {
    const page = await summaries({ NextToken });
    for (const id of idsOf(page)) found.add(id);
    sizes.push(page.TracesProcessedCount ?? 0);
    NextToken = page.NextToken;
  } while (NextToken !== undefined && sizes.length < 20);
  assert.equal(found.size, 262);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    262,
  );
  assert.deepEqual(sizes.slice(0, 2), [100, 100]);
  assert.ok(sizes.length > 3);
});

test("GetTraceSummaries refuses spans of time that are none or too long, tokens, and filters", async (t) => {
  const { summaries } = await startXRay(t);
  assert.deepEqual((await summaries()).TraceSummaries, []);
  await assertRefused(summaries({ StartTime: at(60) }), "InvalidRequestException", 400, "Start time must be before end time");
  const day = { StartTime: at(0), EndTime: at(86_400) };
  assert.equal((await summaries(day)).TracesProcessedCount, 0);
  await assertRefused(
    summaries({ ...day, EndTime: at(86_401) }),
    "InvalidRequestException",
    400,
    "Time range cannot be longer than 24 hours",
  );
  await assertRefused(summaries({ NextToken: "x" }), "InvalidRequestException", 400, /token/);
  await assertRefused(summaries({ StartTime: undefined }), "ValidationException", 400, /startTime/);
  await assertRefused(summaries({ TimeRangeType: "x" as "Event" }), "ValidationException", 400, /enum value set/);
  await assertRefused(summaries({ FilterExpression: "ok = false" }), "NotImplementedException", 501, /FilterExpression/);
});

test("sampling: the default rule, and a quota for each client that asks by it", async (t) => {
  const { client } = await startXRay(t);
  const { SamplingRuleRecords: [record] = [] } = await client.send(new GetSamplingRulesCommand({}));
  assert.deepEqual(
    [record?.SamplingRule?.RuleName, record?.SamplingRule?.FixedRate, record?.SamplingRule?.ReservoirSize, record?.SamplingRule?.RuleARN],
    ["Default", 0.05, 1, `arn:aws:xray:us-east-1:${FAKE_ACCOUNT}:sampling-rule/Default`],
  );
  await assertRefused(client.send(new GetSamplingRulesCommand({ NextToken: "x" })), "InvalidRequestException", 400, /token/);
  const statistics = { ClientID: "0".repeat(24), Timestamp: at(0), RequestCount: 5, SampledCount: 1 };
  const targets = await client.send(
    new GetSamplingTargetsCommand({
      SamplingStatisticsDocuments: ["Default", "mine"].map((RuleName) => ({ ...statistics, RuleName })),
      SamplingBoostStatisticsDocuments: [
        { RuleName: "boost", ServiceName: "s", Timestamp: at(0), AnomalyCount: 0, TotalCount: 0, SampledAnomalyCount: 0 },
      ],
    }),
  );
  assert.deepEqual(targets.SamplingTargetDocuments, [
    { RuleName: "Default", FixedRate: 0.05, ReservoirQuota: 1, ReservoirQuotaTTL: at(10), Interval: 10 },
  ]);
  assert.deepEqual(
    targets.UnprocessedStatistics?.map(({ RuleName }) => RuleName),
    ["mine"],
  );
  assert.deepEqual(
    targets.UnprocessedBoostStatistics?.map(({ RuleName }) => RuleName),
    ["boost"],
  );
  assert.deepEqual(targets.LastRuleModification, new Date(0));
});
