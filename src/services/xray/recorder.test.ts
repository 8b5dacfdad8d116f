// What is recorded is written soon and together, within a bound, and never in the way of who records.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log, LogFields } from "../../base/log.ts";
import { manualClock } from "../../base/manual-clock.ts";
import { memoryTraces } from "../../store/memory/memory-traces.ts";
import type { TraceSegment, TraceStore } from "../../store/trace-store.ts";
import { TraceRecorder } from "./recorder.ts";

const PLACE = { account: "000000000000", region: "us-east-1" };
const documentOf = (number: number, metadata = "") =>
  JSON.stringify({
    trace_id: "1-697d4200-000000000000000000000001",
    id: String(number).padStart(16, "0"),
    name: "n",
    start_time: 1,
    end_time: 2,
    metadata,
  });

function start(put?: TraceStore["put"]) {
  const clock = manualClock();
  const written: (readonly TraceSegment[])[] = [];
  const told: [string, LogFields | undefined][] = [];
  const tell = (message: string, fields?: LogFields) => void told.push([message, fields]);
  const log: Log = { debug: tell, info: tell, warn: tell, error: tell, with: () => log };
  const store = memoryTraces();
  const traces: TraceStore = {
    ...store,
    put(segments, nowMs) {
      written.push(segments);
      return put === undefined ? store.put(segments, nowMs) : put(segments, nowMs);
    },
  };
  return { clock, written, told, recorder: new TraceRecorder({ traces, clock, log }) };
}

test("what comes within a moment is written together, by itself", async () => {
  const { clock, written, recorder } = start();
  for (const number of [1, 2, 3]) recorder.record(PLACE, documentOf(number));
  clock.advance(199);
  assert.equal(written.length, 0);
  clock.advance(1);
  await recorder.flush();
  assert.deepEqual(
    written.map((segments) => segments.map(({ id }) => Number(id))),
    [[1, 2, 3]],
  );
});

test("beyond its bound it drops, and says so once; what is written makes room", async () => {
  const { told, written, recorder } = start();
  const large = "x".repeat(60_000);
  for (let number = 0; number < 100; number++) recorder.record(PLACE, documentOf(number, large));
  await recorder.flush();
  const kept = written[0]?.length ?? 0;
  assert.ok(kept > 60 && kept < 75, String(kept));
  const dropped = told.filter(([message]) => message.includes("dropped"));
  assert.deepEqual(
    dropped.map(([, fields]) => fields),
    [{ segments: 100 - kept }],
  );
  recorder.record(PLACE, documentOf(1));
  await recorder.flush();
  assert.equal(written.length, 2);
});

test("what is no segment, or has no room in its trace, is counted in the log", async () => {
  const { told, recorder } = start((segments) => Promise.resolve(segments.length > 1 ? [1] : []));
  for (const document of ["{", "[]", "[]", documentOf(1), documentOf(2)]) recorder.record(PLACE, document);
  await recorder.flush();
  assert.deepEqual(told, [["segments of traces were refused", { ParseError: 1, MissingId: 2, TraceTooLarge: 1 }]]);
});

test("a store that fails loses segments and nothing else", async () => {
  const { told, written, recorder } = start(() => Promise.reject(new Error("the disk is full")));
  recorder.record(PLACE, documentOf(1));
  await recorder.flush();
  recorder.record(PLACE, documentOf(2));
  await recorder.flush();
  assert.deepEqual([written.length, told.map(([message]) => message)], [2, Array(2).fill("segments of traces could not be written")]);
});
