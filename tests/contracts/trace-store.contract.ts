// What every TraceStore promises.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TRACE_BYTES_MAX, type TraceList, type TraceSegment, type TraceStore } from "../../src/store/trace-store.ts";

const PLACE = { account: "000000000000", region: "us-east-1" };
export const NOW = Date.UTC(2026, 0, 31);
const traceId = (number: number) => `1-697d4200-${String(number).padStart(24, "0")}`;
const segmentId = (number: number) => String(number).padStart(16, "0");
export function segment(trace: number, id: number, startMs: number, more: Partial<TraceSegment> = {}): TraceSegment {
  const document = JSON.stringify({ trace_id: traceId(trace), id: segmentId(id), name: "n", start_time: startMs / 1000 });
  return { ...PLACE, traceId: traceId(trace), id: segmentId(id), startMs, endMs: startMs + 100, document, ...more };
}
export const documents = async (store: TraceStore, ...traces: number[]) =>
  (await store.ofTraces(PLACE.account, PLACE.region, traces.map(traceId))).map((one) => one.segments.map(({ document }) => document));

export function traceStoreContract(driver: string, open: () => Promise<TraceStore> | TraceStore): void {
  const check = (name: string, run: (store: TraceStore) => Promise<void>) =>
    void test(`${driver}: ${name}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });
  const listed = async (store: TraceStore, more: Partial<TraceList> = {}) => {
    const found = await store.list({ ...PLACE, by: "start", fromMs: NOW, toMs: NOW + 1000, limit: 100, ...more });
    return found.map((one) => Number(one.traceId.slice(-24)));
  };

  check("segments come back by trace, in order of their starts; places are kept apart", async (store) => {
    const [late, early] = [segment(1, 1, NOW + 5.25), segment(1, 2, NOW)];
    assert.deepEqual(await store.put([late, early, segment(2, 1, NOW), segment(3, 1, NOW, { region: "eu-west-1" })], NOW), []);
    assert.deepEqual(await store.ofTraces(PLACE.account, PLACE.region, [traceId(1), traceId(3), traceId(9)]), [
      { traceId: traceId(1), isFull: false, segments: [early, late] },
    ]);
    assert.deepEqual(
      (await store.ofTraces(PLACE.account, "eu-west-1", [traceId(3)])).map(({ segments }) => segments.length),
      [1],
    );
    assert.deepEqual(await store.ofTraces("111111111111", PLACE.region, [traceId(1)]), []);
  });

  check("a segment replaces the one with its id, but one in progress not a complete one", async (store) => {
    const { endMs: _, ...begun } = segment(1, 1, NOW, { document: "begun" });
    await store.put([begun], NOW);
    assert.deepEqual(await documents(store, 1), [["begun"]]);
    await store.put([segment(1, 1, NOW, { document: "done" }), begun], NOW);
    assert.deepEqual(await documents(store, 1), [["done"]]);
    await store.put([segment(1, 1, NOW, { document: "done again" })], NOW);
    assert.deepEqual(await documents(store, 1), [["done again"]]);
  });

  check("lists traces by their first start, their last end and the last arrival, the newest first, in pages", async (store) => {
    await store.put([segment(1, 1, NOW + 10), segment(1, 2, NOW + 300), segment(2, 1, NOW + 20)], NOW + 700);
    const { endMs: _, ...running } = segment(3, 1, NOW + 20);
    await store.put([running, segment(4, 1, NOW - 1), segment(5, 1, NOW + 1000)], NOW + 600);
    assert.deepEqual(await listed(store), [3, 2, 1]);
    assert.deepEqual(await listed(store, { by: "end" }), [1, 2, 4]);
    assert.deepEqual(await listed(store, { by: "written" }), [2, 1, 5, 4, 3]);
    assert.deepEqual(await listed(store, { by: "written", fromMs: NOW + 650 }), [2, 1]);
    assert.deepEqual(await listed(store, { account: "111111111111" }), []);
    assert.deepEqual(await listed(store, { region: "eu-west-1" }), []);
    const [first] = await store.list({ ...PLACE, by: "start", fromMs: NOW, toMs: NOW + 1000, limit: 1 });
    assert.ok(first);
    assert.deepEqual(await listed(store, { after: first, limit: 1 }), [2]);
    assert.deepEqual(await listed(store, { after: { atMs: NOW + 20, sequence: 2 } }), [1]);
  });

  check("a trace takes no more than its bytes, which are given back by what becomes shorter", async (store) => {
    const large = "x".repeat(64 * 1024);
    const fit = Math.floor(TRACE_BYTES_MAX / large.length);
    const many = Array.from({ length: fit + 2 }, (_, index) => segment(1, index, NOW, { document: large }));
    assert.deepEqual(await store.put([...many, segment(2, 1, NOW)], NOW), [fit, fit + 1]);
    assert.deepEqual(
      (await store.ofTraces(PLACE.account, PLACE.region, [traceId(1), traceId(2)])).map(({ isFull, segments }) => [
        isFull,
        segments.length,
      ]),
      [
        [true, fit],
        [false, 1],
      ],
    );
    assert.deepEqual(await store.put([segment(1, 0, NOW, { document: "short" }), segment(1, fit, NOW, { document: large })], NOW), []);
  });

  check("what has got nothing since goes, and comes as new", async (store) => {
    await store.put([segment(1, 1, NOW), segment(2, 1, NOW), segment(3, 1, NOW)], NOW);
    await store.put([segment(2, 2, NOW)], NOW + 1);
    await store.expire(NOW + 1);
    assert.deepEqual(await listed(store), [2]);
    assert.deepEqual(
      (await documents(store, 1, 2, 3)).map((found) => found.length),
      [2],
    );
    await store.put([segment(1, 9, NOW)], NOW + 2);
    assert.deepEqual(
      (await documents(store, 1)).map((found) => found.length),
      [1],
    );
  });

  check("many old traces go in steps", async (store) => {
    await store.put(
      Array.from({ length: 1200 }, (_, index) => segment(index, 1, NOW)),
      NOW,
    );
    await store.expire(NOW + 1);
    assert.deepEqual(await listed(store, { limit: 2000 }), []);
  });
}
