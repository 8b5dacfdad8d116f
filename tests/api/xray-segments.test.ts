// Segments as clients send them and read them back: by PutTraceSegments, by the recorder, and what is refused.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as xray from "@aws-sdk/client-xray";
import { assertRefused, FAKE_ACCOUNT } from "../../src/aws/fake-service.ts";
import { sqliteTraces } from "../../src/store/sqlite/sqlite-traces.ts";
import { startApi } from "../support/api.ts";
import { at, SECONDS, segment, segmentId, startXRay, traceId } from "./xray.fixture.ts";

const { BatchGetTracesCommand, GetTraceSummariesCommand, PutTelemetryRecordsCommand, PutTraceSegmentsCommand } = xray;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const parsed = ({ Segments = [] }: xray.Trace = {}) => Segments.map(({ Document = "" }) => JSON.parse(Document) as Record<string, unknown>);

test("segments come back as they were sent, by trace", async (t) => {
  const { put, get } = await startXRay(t);
  const [first, second] = [segment(1, 1), segment(1, 2, { start_time: SECONDS + 0.25, end_time: SECONDS + 2, parent_id: segmentId(1) })];
  assert.deepEqual(await put(second, first, segment(2, 1)), []);
  const { Traces, UnprocessedTraceIds, NextToken } = await get(1, 9);
  assert.deepEqual(Traces, [
    {
      Id: traceId(1),
      Duration: 2,
      LimitExceeded: false,
      Segments: [first, second].map((one) => ({ Id: one.id, Document: JSON.stringify(one) })),
    },
  ]);
  assert.deepEqual([UnprocessedTraceIds, NextToken], [[], undefined]);
  assert.equal((await get(2, 1)).Traces?.length, 2);
});

test("a segment in progress is replaced by the complete one, and never the other way round", async (t) => {
  const { put, get } = await startXRay(t);
  const { end_time: _, ...begun } = segment(1, 1, { in_progress: true });
  await put(begun);
  const [running] = (await get(1)).Traces ?? [];
  assert.deepEqual([parsed(running), running?.Duration], [[begun], undefined]);
  await put(segment(1, 1));
  await put(begun);
  assert.deepEqual(parsed((await get(1)).Traces?.[0]), [segment(1, 1)]);
});

test("subsegments that were sent by themselves stand where they belong, each once", async (t) => {
  const { put, get } = await startXRay(t);
  const own = (id: number, parent: number) => segment(1, id, { type: "subsegment", parent_id: segmentId(parent), name: `s${id}` });
  await put(own(4, 3), own(3, 2), own(5, 99), own(7, 8), own(8, 7));
  await put(segment(1, 1, { subsegments: [{ id: segmentId(2), name: "inner", start_time: SECONDS, end_time: SECONDS + 1 }] }), own(2, 1));
  const found = parsed((await get(1)).Traces?.[0]);
  const names = (document: Record<string, unknown>): unknown => {
    const below = (document["subsegments"] ?? []) as Record<string, unknown>[];
    return [document["name"], ...below.map(names)];
  };
  assert.deepEqual(found.map(names), [["shop", ["inner", ["s3", ["s4"]]]], ["s5"], ["s7", ["s8"]]]);
});

test("what is no segment is told for itself; the others are kept", async (t) => {
  const { put, putTexts, get } = await startXRay(t);
  const refusals = async (text: string) => (await putTexts(text))[0];
  const without = (field: string, more: object = {}) => JSON.stringify({ ...segment(1, 1), ...more, [field]: undefined });
  const withField = (field: string, value: unknown, more: object = {}) => JSON.stringify({ ...segment(1, 1), ...more, [field]: value });
  const subsegment = { type: "subsegment", parent_id: segmentId(2) };
  const cases: readonly (readonly [text: string, code: string])[] = [
    ["", "ParseError"],
    ["{", "ParseError"],
    ["7", "ParseError"],
    ["null", "ParseError"],
    [withField("metadata", JSON.parse("[".repeat(100) + "]".repeat(100))), "ParseError"],
    ["[]", "MissingId"],
    [without("id"), "MissingId"],
    [without("trace_id"), "MissingTraceId"],
    [without("name"), "MissingName"],
    [without("start_time"), "MissingStartTime"],
    [without("parent_id", subsegment), "MissingParentId"],
    [withField("id", "1"), "InvalidId"],
    [withField("id", 7), "InvalidId"],
    [withField("trace_id", "1-1-1"), "InvalidTraceId"],
    [withField("trace_id", "4efaaf4d1e8720b39541901950019ee5"), "InvalidTraceId"],
    [withField("name", "a?"), "InvalidName"],
    [withField("name", "a".repeat(201)), "InvalidName"],
    [withField("start_time", "now"), "InvalidStartTime"],
    [withField("start_time", -1), "InvalidStartTime"],
    [withField("end_time", SECONDS - 1), "InvalidEndTime"],
    [withField("parent_id", "x"), "InvalidParentId"],
    [withField("metadata", "x".repeat(64 * 1024)), "SegmentTooLarge"],
  ];
  for (const [text, code] of cases) {
    const refusal = await refusals(text);
    assert.deepEqual([refusal?.ErrorCode, refusal?.Message?.endsWith(`segment. ErrorCode: ${code}`)], [code, true], text.slice(0, 200));
  }
  assert.deepEqual(await refusals(withField("trace_id", "x")), {
    Id: segmentId(1),
    ErrorCode: "InvalidTraceId",
    Message: "Invalid segment. ErrorCode: InvalidTraceId",
  });
  assert.equal((await refusals(withField("name", "?", subsegment)))?.Message, "Invalid subsegment. ErrorCode: InvalidName");
  assert.deepEqual((await get(1)).Traces, []);
  assert.equal((await putTexts("{", JSON.stringify(segment(1, 1)))).length, 1);
  assert.deepEqual(await put(segment(1, 2, { name: "Größe 1_.:/%&#=+\\-@" })), []);
  assert.equal(parsed((await get(1)).Traces?.[0]).length, 2);
});

test("a trace takes 500 KiB, and says that there was more", async (t) => {
  const { put, get } = await startXRay(t);
  const large = (id: number) => segment(1, id, { metadata: "x".repeat(60 * 1024) });
  const ids = Array.from({ length: 10 }, (_, index) => index);
  const refused = await put(...ids.map(large));
  assert.deepEqual(
    refused.map(({ Id, ErrorCode }) => [Id, ErrorCode]),
    [8, 9].map((id) => [segmentId(id), "TraceTooLarge"]),
  );
  const [trace] = (await get(1)).Traces ?? [];
  assert.deepEqual([trace?.LimitExceeded, trace?.Segments?.length], [true, 8]);
});

test("BatchGetTraces: five at a time, the next token, ids that are none", async (t) => {
  const { client, put, get } = await startXRay(t);
  await put(segment(1, 1));
  await assertRefused(get(1, 2, 3, 4, 5, 6), "InvalidRequestException", 400, /^At most 5 trace IDs/);
  await assertRefused(client.send(new BatchGetTracesCommand({ TraceIds: [], NextToken: "x" })), "InvalidRequestException", 400, /token/);
  await assertRefused(
    client.send(new BatchGetTracesCommand({ TraceIds: ["x".repeat(36)] })),
    "ValidationException",
    400,
    /length less than/,
  );
  const { Traces, UnprocessedTraceIds } = await client.send(new BatchGetTracesCommand({ TraceIds: ["x", traceId(1), traceId(1)] }));
  assert.deepEqual([Traces?.length, UnprocessedTraceIds], [1, ["x"]]);
});

test("PutTelemetryRecords is taken", async (t) => {
  const { client } = await startXRay(t);
  const { $metadata } = await client.send(
    new PutTelemetryRecordsCommand({ TelemetryRecords: [{ Timestamp: at(0), SegmentsSentCount: 1 }], Hostname: "h" }),
  );
  assert.equal($metadata.httpStatusCode, 200);
});

test("what is recorded can be read at once, and is written by itself; what is none is not", async (t) => {
  const { clock, service, get } = await startXRay(t);
  const place = { account: FAKE_ACCOUNT, region: "us-east-1" };
  for (const document of [JSON.stringify(segment(1, 1)), "{", JSON.stringify(segment(1, 2))]) service.recorder.record(place, document);
  assert.equal((await get(1)).Traces?.[0]?.Segments?.length, 2);
  service.recorder.record({ ...place, region: "eu-west-1" }, JSON.stringify(segment(2, 1)));
  clock.advance(200);
  assert.deepEqual((await get(2)).Traces, []);
});

test("traces are there after a restart", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-xray-"));
  t.after(() => rm(directory, { recursive: true }));
  const first = sqliteTraces({ directory });
  await t.test("before", async (inner) => {
    const { put } = await startXRay(inner, first);
    await put(segment(1, 1));
  });
  await t.test("after", async (inner) => {
    const { get } = await startXRay(inner, sqliteTraces({ directory }));
    assert.deepEqual(parsed((await get(1)).Traces?.[0]), [segment(1, 1)]);
  });
});

test("a trace goes thirty days after its last segment", async (t) => {
  const { put, get, clock } = await startXRay(t);
  await put(segment(1, 1));
  clock.advance(2 * DAY_MS);
  await put(segment(1, 2), segment(2, 1));
  clock.advance(29 * DAY_MS);
  // Its turn comes every ten minutes.
  await get(1);
  clock.advance(HOUR_MS);
  assert.equal((await get(1, 2)).Traces?.length, 2);
  clock.advance(DAY_MS);
  await get(1);
  clock.advance(HOUR_MS);
  assert.deepEqual((await get(1, 2)).Traces, []);
});

test("a stranger may do nothing; accounts and regions are kept apart", async (t) => {
  const { stranger, put, get } = await startXRay(t);
  const TraceSegmentDocuments = [JSON.stringify(segment(1, 1))];
  await assertRefused(
    stranger.send(new PutTraceSegmentsCommand({ TraceSegmentDocuments })),
    "AccessDeniedException",
    403,
    /xray:PutTraceSegments/,
  );
  await assertRefused(stranger.send(new BatchGetTracesCommand({ TraceIds: [] })), "AccessDeniedException", 403, /xray:BatchGetTraces/);
  await put(segment(1, 1));
  assert.equal((await get(1)).Traces?.length, 1);
});

test("the whole server has it, each region for itself", async (t) => {
  const { server, clients } = await startApi(t);
  const TraceSegmentDocuments = [JSON.stringify(segment(1, 1))];
  await clients().xray.send(new PutTraceSegmentsCommand({ TraceSegmentDocuments }));
  const ask = { StartTime: at(-1), EndTime: at(1) };
  const here = await clients().xray.send(new GetTraceSummariesCommand(ask));
  assert.deepEqual(
    here.TraceSummaries?.map(({ Id }) => Id),
    [traceId(1)],
  );
  const there = await clients(server.keys, "eu-west-1").xray.send(new GetTraceSummariesCommand(ask));
  assert.deepEqual(there.TraceSummaries, []);
});
