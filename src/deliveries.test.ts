import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Deliver, DeliveryContext, DeliveryOutcome } from "./aws/deliver.ts";
import { silentLog } from "./base/log.ts";
import { manualClock } from "./base/manual-clock.ts";
import { deliveries, type Delivery } from "./deliveries.ts";
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
  return { outgoing: one, queue, calls, minute };
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
