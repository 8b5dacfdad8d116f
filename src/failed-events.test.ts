// What is kept of failed events is bounded by number, by bytes and by days, and survives a restart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { silentLog, type LogFields } from "./base/log.ts";
import { manualClock } from "./base/manual-clock.ts";
import { FailedEvents, KEPT_MAX, type FailedEvent } from "./failed-events.ts";
import { memoryStorage } from "./store/memory/memory-storage.ts";

const HERE = { account: "000000000000", region: "us-east-1" };
const failed = (requestId: string): FailedEvent => ({
  ...HERE,
  kind: "invocation",
  sourceArn: "arn:aws:lambda:us-east-1:000000000000:function:f:live",
  requestId,
  reason: "RetriesExhausted",
  error: "no",
  attempts: 3,
  acceptedMs: 0,
});
const message = (id: string, bytes = 3) => ({ queue: "q", id, body: new Uint8Array(bytes) });
const forms = {
  payloadOf: (_kind: unknown, body: Uint8Array) => body,
  renewed: (_kind: unknown, one: ReturnType<typeof message>) => one,
  wake() {},
};

async function open(max: { entries: number; bytes: number } = KEPT_MAX) {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const events = () => FailedEvents.open({ meta: storage.meta, clock, log: silentLog }, max);
  return { clock, storage, events, first: await events() };
}

test("kept over a restart, found by function, sent again once", async () => {
  const { storage, events, first } = await open();
  await storage.meta.write(first.keep(failed("a"), message("a")));
  await first.stop();
  const second = await events();
  const [entry] = second.list(HERE);
  assert.ok(entry);
  assert.equal(second.list(HERE, { functionArn: "arn:aws:lambda:us-east-1:000000000000:function:f" }).length, 1);
  assert.equal(second.list(HERE, { functionArn: "arn:aws:lambda:us-east-1:000000000000:function:f2" }).length, 0);
  assert.equal(second.list({ ...HERE, account: "111111111111" }).length, 0);
  assert.deepEqual(await Promise.all([second.redrive(entry, forms), second.redrive(entry, forms)]), [true, false]);
  assert.deepEqual(
    (await storage.queue.claim("q", 9, 1000)).map(({ id }) => id),
    ["a"],
  );
  assert.deepEqual(second.list(HERE), []);
  await second.stop();
  await storage.close();
});

test("the oldest make room when there are too many or too large ones", async () => {
  const { storage, events } = await open({ entries: 10, bytes: 1000 });
  const kept = await events();
  const ids = () => new Set(kept.list(HERE).map(({ value }) => value.requestId));
  const keep = (id: string, bytes: number) => storage.meta.write(kept.keep(failed(id), message(id, bytes)));
  for (let n = 0; n < 11; n++) await keep(String(n), 50);
  assert.deepEqual(ids(), new Set(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]));
  await keep("large", 700);
  assert.deepEqual(ids(), new Set(["5", "6", "7", "8", "9", "10", "large"]));
  await keep("as large as all together", 1000);
  assert.deepEqual(ids(), new Set(["as large as all together"]));
  await kept.stop();
  await storage.close();
});

test("the log says that entries had to make room, not for each of them, and how many in an hour", async () => {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const lines: [message: string, fields: LogFields | undefined][] = [];
  const log = { ...silentLog, warn: (...line: [string, LogFields?]) => void lines.push([line[0], line[1]]) };
  const kept = await FailedEvents.open({ meta: storage.meta, clock, log }, { entries: 2, bytes: 1000 });
  for (let n = 0; n < 5; n++) await storage.meta.write(kept.keep(failed(String(n)), message(String(n))));
  assert.deepEqual(lines, [["the list of failed events is full: the oldest make room for new ones", { entries: 2, bytes: 1000 }]]);
  for (let hour = 0; hour < 3; hour++) {
    clock.advance(3_600_000);
    for (let turns = 0; turns < 20; turns++) await turn();
  }
  assert.deepEqual(lines.slice(1), [["failed events were forgotten to make room for new ones", { count: 3 }]]);
  await kept.stop();
  await storage.close();
});

test("what is older than its days goes", async () => {
  const { clock, storage, first } = await open();
  await storage.meta.write(first.keep(failed("old"), message("a")));
  clock.advance((KEPT_MAX.days - 1) * 86_400_000);
  await storage.meta.write(first.keep(failed("new"), message("b")));
  for (let hour = 0; hour < 48 && first.list(HERE).length > 1; hour++) {
    clock.advance(3_600_000);
    for (let turns = 0; turns < 20; turns++) await turn();
  }
  assert.deepEqual(
    first.list(HERE).map(({ value }) => value.requestId),
    ["new"],
  );
  await first.stop();
  await storage.close();
});
