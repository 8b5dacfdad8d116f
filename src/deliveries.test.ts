import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Deliver, DeliveryContext, DeliveryOutcome } from "./aws/deliver.ts";
import { silentLog } from "./base/log.ts";
import { manualClock } from "./base/manual-clock.ts";
import { deliveries, type Delivery } from "./deliveries.ts";
import type { DurableQueue } from "./store/storage.ts";
import { memoryStorage } from "./store/memory/memory-storage.ts";

const TARGET = "arn:aws:lambda:us-east-1:000000000000:function:f";
const DEAD = "arn:aws:sqs:us-east-1:000000000000:dead";
const CONTEXT: DeliveryContext = {
  id: "0196b2a0-0000-4000-8000-000000000000",
  account: "000000000000",
  region: "us-east-1",
  sourceArn: "arn:aws:events:us-east-1:000000000000:rule/r",
  sender: { principal: "events.amazonaws.com" },
};
const BUSY: DeliveryOutcome = { kind: "unavailable", code: "Throttled", message: "not now" };
const text = (StringValue: string) => ({ DataType: "String", StringValue });

function setUp(t: TestContext, answer: (target: string) => DeliveryOutcome) {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const { queue } = storage;
  const calls: { target: string; event: string; context: DeliveryContext }[] = [];
  const deliver: Deliver = async (target, event, context) => {
    calls.push({ target, event: Buffer.from(event).toString(), context });
    return await Promise.resolve(answer(target));
  };
  const one = deliveries({ queue, clock, log: silentLog, deliver });
  t.after(async () => {
    await one.stop();
    await storage.close();
  });
  /** Lets a minute pass in steps of a second, with time for what becomes due. */
  const minute = async () => {
    for (let second = 0; second < 60; second++) {
      clock.advance(1000);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    }
  };
  return { outgoing: one, queue, calls, minute, clock };
}

const delivery = (more: Partial<Delivery> = {}): Delivery => ({ target: TARGET, event: Buffer.from("{}"), context: CONTEXT, ...more });

test("what was sent before the beginning is delivered, once", async (t) => {
  const { outgoing, calls, minute } = setUp(t, () => ({ kind: "delivered" }));
  await outgoing.send([delivery()]);
  assert.deepEqual(calls, []);
  outgoing.begin();
  await minute();
  assert.deepEqual(calls, [{ target: TARGET, event: "{}", context: CONTEXT }]);
});

test("a retry comes in time when the clock is set back meanwhile", async (t) => {
  const { outgoing, calls, minute, clock } = setUp(t, () => (calls.length === 7 ? { kind: "delivered" } : BUSY));
  outgoing.begin();
  await outgoing.send([delivery()]);
  await minute();
  clock.step(-3_600_000);
  // At once, after 1, 3, 7, 15 and 31 s; the next one is due after 63.
  assert.equal(calls.length, 6);
  await minute();
  assert.equal(calls.length, 7);
});

test("large ones are sent in several transactions, made when there is room for them, with the writes in the last", async () => {
  const storage = memoryStorage({ clock: manualClock() });
  const sent: { megabytes: number; writes: number }[] = [];
  let [made, most] = [0, 0];
  const queue: DurableQueue = {
    ...storage.queue,
    acknowledge(_tokens, { enqueue = [], writes = [] } = {}) {
      sent.push({ megabytes: enqueue.length, writes: writes.length });
      most = Math.max(most, made);
      made = 0;
      return Promise.resolve();
    },
  };
  const outgoing = deliveries({ queue, clock: manualClock(), log: silentLog, deliver: () => assert.fail("nothing has begun") });
  function* large() {
    for (let n = 0; n < 20; n++, made++) yield delivery({ event: new Uint8Array(2 ** 20) });
  }
  const key = { account: "000000000000", region: "us-east-1", kind: "k", id: "i" };
  await outgoing.send(large(), [{ key, value: 1 }]);
  assert.deepEqual(sent, [
    { megabytes: 7, writes: 0 },
    { megabytes: 7, writes: 0 },
    { megabytes: 6, writes: 1 },
  ]);
  assert.ok(most <= 8, `${most} at once`);
  sent.length = 0;
  await outgoing.send([]);
  assert.deepEqual(sent, []);
  await storage.close();
});

test("as many attempts as the rules have, then a dead letter that tells why", async (t) => {
  const { outgoing, calls, minute } = setUp(t, (target) => (target === DEAD ? { kind: "delivered" } : BUSY));
  outgoing.begin();
  const deadLetter = { target: DEAD, attributes: { RULE_ARN: text("r") }, tellsFailure: "EventBridge" } as const;
  await outgoing.send([delivery({ retry: { retriesMax: 2, ageMaxMs: 86_400_000 }, deadLetter })]);
  await minute();
  assert.deepEqual(
    calls.map(({ target }) => target),
    [TARGET, TARGET, TARGET, DEAD],
  );
  assert.deepEqual(calls.at(-1)?.context.attributes, {
    RULE_ARN: text("r"),
    ERROR_CODE: text("THROTTLING"),
    ERROR_MESSAGE: text("not now"),
    RETRY_ATTEMPTS: { DataType: "Number", StringValue: "2" },
    EXHAUSTED_RETRY_CONDITION: text("MaximumRetryAttempts"),
  });
});

test("what a queue can't hold of a failure's text does not keep the dead letter from it", async (t) => {
  const outcome = { kind: "refused", code: "Bad", message: "" } as const;
  let message = "a \0 in it";
  const { outgoing, calls, minute } = setUp(t, (target) => (target === DEAD ? { kind: "delivered" } : { ...outcome, message }));
  outgoing.begin();
  const deadLetter = { target: DEAD, tellsFailure: "EventBridge" } as const;
  await outgoing.send([delivery({ deadLetter })]);
  await minute();
  assert.deepEqual(calls.at(-1)?.context.attributes?.["ERROR_MESSAGE"], text("a \ufffd in it"));
  message = "";
  await outgoing.send([delivery({ deadLetter, context: { ...CONTEXT, id: "0196b2a0-0000-4000-8000-000000000001" } })]);
  await minute();
  assert.deepEqual(Object.keys(calls.at(-1)?.context.attributes ?? {}), ["ERROR_CODE"]);
});

test("a delivery that meets a bug is tried again by its rules, and ends", async (t) => {
  const { outgoing, calls, minute } = setUp(t, (target) => {
    if (target !== DEAD) throw new TypeError("no such thing");
    return { kind: "delivered" };
  });
  outgoing.begin();
  await outgoing.send([
    delivery({ retry: { retriesMax: 1, ageMaxMs: 86_400_000 }, deadLetter: { target: DEAD, tellsFailure: "EventBridge" } }),
  ]);
  await minute();
  assert.deepEqual(
    calls.map(({ target }) => target),
    [TARGET, TARGET, DEAD],
  );
  assert.deepEqual(calls.at(-1)?.context.attributes?.["ERROR_CODE"], text("INTERNAL_ERROR"));
});

test("what is too old is not tried again", async (t) => {
  const { outgoing, calls, minute } = setUp(t, (target) => (target === DEAD ? { kind: "delivered" } : BUSY));
  outgoing.begin();
  await outgoing.send([
    delivery({ retry: { retriesMax: 185, ageMaxMs: 10_000 }, deadLetter: { target: DEAD, tellsFailure: "EventBridge" } }),
  ]);
  await minute();
  // After 0, 1, 3 and 7 s; the next would be after 15.
  assert.equal(calls.filter(({ target }) => target === TARGET).length, 4);
  assert.deepEqual(calls.at(-1)?.context.attributes?.["EXHAUSTED_RETRY_CONDITION"], text("MaximumEventAgeInSeconds"));
});

test("what is refused goes to the dead letters at once, and without them is gone", async (t) => {
  const { outgoing, calls, queue, minute } = setUp(t, (target) =>
    target === DEAD ? { kind: "delivered" } : { kind: "refused", code: "NoSuch", message: "no" },
  );
  outgoing.begin();
  await outgoing.send([delivery({ deadLetter: { target: DEAD } })]);
  await outgoing.send([delivery({ context: { ...CONTEXT, id: "0196b2a0-0000-4000-8000-000000000001" } })]);
  await minute();
  assert.deepEqual(calls.map(({ target }) => target).toSorted(), [TARGET, TARGET, DEAD].toSorted());
  assert.deepEqual(await queue.depth(`delivery/${TARGET}`), { visible: 0, claimed: 0, delayed: 0 });
});

test("event, context and dead letter tell the number of the attempt where they name it", async (t) => {
  const { outgoing, calls, minute } = setUp(t, (target) => (target === DEAD ? { kind: "delivered" } : BUSY));
  outgoing.begin();
  const deadLetter = { target: DEAD, event: Buffer.from("the <n>th") };
  const retry = { retriesMax: 1, ageMaxMs: 86_400_000 };
  const context = { ...CONTEXT, subject: "Try <n>" };
  await outgoing.send([delivery({ event: Buffer.from("<n>, <n>"), context, attemptMark: "<n>", retry, deadLetter })]);
  await minute();
  assert.deepEqual(
    calls.map(({ event, context: { subject } }) => [event, subject]),
    [
      ["1, 1", "Try 1"],
      ["2, 2", "Try 2"],
      ["the 2th", "Try 2"],
    ],
  );
});

test("a dead letter may have an event of its own, and retries their own pace", async (t) => {
  const { outgoing, calls, minute } = setUp(t, (target) => (target === DEAD ? { kind: "delivered" } : BUSY));
  outgoing.begin();
  const pace = { noDelay: 0, minDelay: 1, backoff: 0, minMs: 1000, maxMs: 50_000, curve: "linear" } as const;
  const retry = { retriesMax: 2, ageMaxMs: Infinity, pace };
  await outgoing.send([delivery({ retry, deadLetter: { target: DEAD, event: Buffer.from("letter") } })]);
  await minute();
  // After 0, 1 and 51 s.
  assert.deepEqual(
    calls.map(({ event }) => event),
    ["{}", "{}", "{}", "letter"],
  );
});

test("nothing waits for web addresses that don't answer, and what has a time is not delivered before it", async () => {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const delivered: string[] = [];
  const { promise: never, resolve: release } = Promise.withResolvers<DeliveryOutcome>();
  const deliver: Deliver = (target) => {
    delivered.push(target);
    return target.startsWith("https:") ? never : Promise.resolve({ kind: "delivered" });
  };
  const one = deliveries({ queue: storage.queue, clock, log: silentLog, deliver });
  one.begin();
  const slow = Array.from({ length: 100 }, (_, index) => {
    const id = `0196b2a0-0000-4000-8000-${String(index).padStart(12, "0")}`;
    return delivery({ target: `https://slow.example/${index}`, context: { ...CONTEXT, id } });
  });
  await one.send(slow);
  await one.send([delivery(), delivery({ target: DEAD, dueAtMs: clock.now() + 10_000 })]);
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    }
  };
  await pass(5);
  assert.deepEqual([delivered.includes(TARGET), delivered.includes(DEAD)], [true, false]);
  await pass(10);
  assert.ok(delivered.includes(DEAD));
  release({ kind: "delivered" });
  await one.stop();
  await storage.close();
});

test("an address that answers slowly, with much that waits for it, keeps no other address waiting", async () => {
  const clock = manualClock();
  const storage = memoryStorage({ clock });
  const reached: string[] = [];
  const { promise: late, resolve: release } = Promise.withResolvers<DeliveryOutcome>();
  const deliver: Deliver = (target) => {
    reached.push(target);
    // At first it is quick, and is given more and more.
    return target.includes("slow") && reached.length > 100 ? late : Promise.resolve({ kind: "delivered" });
  };
  const one = deliveries({ queue: storage.queue, clock, log: silentLog, deliver });
  one.begin();
  const many = Array.from({ length: 200 }, (_, index) => {
    const id = `0196b2a0-0000-4000-8000-${String(index).padStart(12, "0")}`;
    return delivery({ target: "https://slow.example/", context: { ...CONTEXT, id } });
  });
  await one.send(many);
  const until = async (isSo: () => boolean) => {
    for (let turn = 0; turn < 1000 && !isSo(); turn++) {
      if (turn % 20 === 0) clock.advance(1000);
      await new Promise(setImmediate);
    }
  };
  await until(() => false);
  assert.equal(reached.length, 132);
  await one.send([delivery({ target: "https://other.example/" })]);
  await until(() => reached.includes("https://other.example/"));
  assert.ok(reached.includes("https://other.example/"));
  release({ kind: "delivered" });
  await one.stop();
  await storage.close();
});
