// What every Storage driver promises; called with a way to make a fresh one.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import type { Change, Key, Storage, StorageFailure } from "../../src/store/storage.ts";
import { View } from "../../src/store/view.ts";
import { eventually } from "../support/eventually.ts";

const key = (id: string, kind = "thing"): Key => ({ account: "000000000000", region: "us-east-1", kind, id });
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const text = (body: Uint8Array | undefined) => Buffer.from(body ?? []).toString();
const fails = (failure: StorageFailure) => (error: unknown) => (error as { failure?: string }).failure === failure;

export function storageContract(name: string, open: (clock: ManualClock) => Promise<Storage>): void {
  const withStorage = (title: string, run: (storage: Storage, clock: ManualClock) => Promise<void>) => {
    void test(title, async () => {
      const clock = manualClock();
      const storage = await open(clock);
      try {
        await run(storage, clock);
      } finally {
        await storage.close();
      }
    });
  };

  suite(`Storage: ${name}`, () => {
    records(withStorage);
    queues(withStorage);
    journalAndTimers(withStorage);
    leasesAndCapacity(withStorage);
  });
}

type WithStorage = (title: string, run: (storage: Storage, clock: ManualClock) => Promise<void>) => void;

function records(withStorage: WithStorage): void {
  withStorage("a record is written, read, replaced and deleted, each time with a higher revision", async ({ meta }) => {
    const [first = 0] = await meta.write([{ key: key("a"), value: { n: 1, nested: [null, "x"] } }]);
    assert.deepEqual(await meta.get([key("a"), key("b")]), [
      { key: key("a"), revision: first, value: { n: 1, nested: [null, "x"] } },
      undefined,
    ]);
    const [second = 0] = await meta.write([{ key: key("a"), value: { n: 2 } }]);
    const [third = 0] = await meta.write([{ key: key("a") }]);
    assert.ok(first < second && second < third);
    assert.deepEqual(await meta.get([key("a")]), [undefined]);
  });

  withStorage("compare-and-set refuses a stale revision, and nothing of the batch is written", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: 1, expect: "absent" }]);
    await assert.rejects(
      meta.write([
        { key: key("b"), value: 1 },
        { key: key("a"), value: 2, expect: "absent" },
      ]),
      fails("Conflict"),
    );
    await assert.rejects(meta.write([{ key: key("a"), value: 2, expect: revision + 1 }]), fails("Conflict"));
    assert.deepEqual(await meta.get([key("b")]), [undefined]);
    await meta.write([{ key: key("a"), value: 2, expect: revision }]);
  });

  withStorage("of many concurrent compare-and-set writes of one revision exactly one wins", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: 0 }]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => meta.write([{ key: key("a"), value: n, expect: revision }])),
    );
    assert.equal(outcomes.filter((one) => one.status === "fulfilled").length, 1);
  });

  withStorage("lists are in UTF-8 byte order, by prefix, after an id, within a limit, and per account and region", async ({ meta }) => {
    const ids = ["a", "a/b", "a/c", "b", "ä", "\u{1f600}", "\uffee", "__proto__", "quote'\"", "nul\0l"];
    await meta.write(ids.map((id) => ({ key: key(id), value: id })));
    await meta.write([
      { key: { ...key("a"), region: "eu-west-1" }, value: 0 },
      { key: { ...key("a"), account: "111111111111" }, value: 0 },
    ]);
    const where = { account: "000000000000", region: "us-east-1", kind: "thing" };
    const sorted = ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(
      (await meta.list({ ...where, limit: 99 })).map((entry) => entry.key.id),
      sorted,
    );
    assert.deepEqual(
      (await meta.list({ ...where, prefix: "a/", limit: 99 })).map((entry) => entry.value),
      ["a/b", "a/c"],
    );
    assert.deepEqual(
      (await meta.list({ ...where, after: "a", limit: 2 })).map((entry) => entry.value),
      ["a/b", "a/c"],
    );
  });

  withStorage("followers get what is there, then every change in order, before the write resolves", async ({ meta }) => {
    await meta.write([
      { key: key("old"), value: 0 },
      { key: key("other", "other"), value: 0 },
    ]);
    const seen: Change[] = [];
    const followed = await meta.follow(["thing"], (changes) => seen.push(...changes));
    assert.deepEqual(
      seen.map((change) => change.key.id),
      ["old"],
    );
    await meta.write([{ key: key("new"), value: 1 }]);
    await meta.write([{ key: key("old") }]);
    assert.deepEqual(
      seen.map((change) => [change.key.id, change.value]),
      [
        ["old", 0],
        ["new", 1],
        ["old", undefined],
      ],
    );
    assert.ok(seen.every((change, index) => index === 0 || change.revision > (seen[index - 1]?.revision ?? 0)));
    followed.stop();
    await meta.write([{ key: key("later"), value: 1 }]);
    assert.equal(seen.length, 3);
  });

  withStorage("a view answers at once what was written", async ({ meta }) => {
    const view = await View.open<number>(meta, "thing");
    await meta.write([
      { key: key("b"), value: 2 },
      { key: key("a"), value: 1 },
    ]);
    assert.equal(view.get("000000000000", "us-east-1", "a")?.value, 1);
    assert.deepEqual(
      view.list("000000000000", "us-east-1", { limit: 9 }).map((entry) => entry.value),
      [1, 2],
    );
    await meta.write([{ key: key("a") }]);
    assert.equal(view.get("000000000000", "us-east-1", "a"), undefined);
    assert.deepEqual(
      view.list("000000000000", "us-east-1", { limit: 9, after: "a" }).map((entry) => entry.value),
      [2],
    );
    view.close();
  });
}

function queues(withStorage: WithStorage): void {
  withStorage("messages are claimed oldest first, hidden while claimed, gone when acknowledged", async ({ queue }) => {
    await queue.enqueue([
      { queue: "q", id: "1", body: bytes("one") },
      { queue: "q", id: "2", body: bytes("two") },
    ]);
    await queue.enqueue([{ queue: "q", id: "1", body: bytes("again") }]);
    const [first] = await queue.claim("q", 1, 1000);
    assert.deepEqual([first?.id, text(first?.body), first?.attempt], ["1", "one", 1]);
    assert.deepEqual(
      (await queue.claim("q", 10, 1000)).map((one) => one.id),
      ["2"],
    );
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 2, delayed: 0 });
    await queue.acknowledge([first?.token ?? ""]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 1, delayed: 0 });
  });

  withStorage("a claim that has run out is given to another, and the first holder is fenced", async ({ queue, meta }, clock) => {
    await queue.enqueue([{ queue: "q", id: "1", body: bytes("x") }]);
    const [stale] = await queue.claim("q", 1, 1000);
    clock.advance(1001);
    const [fresh] = await queue.claim("q", 1, 1000);
    assert.equal(fresh?.attempt, 2);
    await assert.rejects(queue.acknowledge([stale?.token ?? ""], { writes: [{ key: key("effect"), value: 1 }] }), fails("Fenced"));
    assert.deepEqual(await meta.get([key("effect")]), [undefined]);
    assert.deepEqual(await queue.extend([stale?.token ?? "", fresh?.token ?? ""], 5000), [false, true]);
    clock.advance(4000);
    await queue.acknowledge([fresh?.token ?? ""], {
      writes: [{ key: key("effect"), value: 1 }],
      enqueue: [{ queue: "dead", id: "1", body: bytes("x") }],
    });
    assert.equal((await meta.get([key("effect")]))[0]?.value, 1);
    assert.equal((await queue.depth("dead")).visible, 1);
  });

  withStorage("released and delayed messages come when their time has come, and hints wake", async ({ queue }, clock) => {
    let woken = 0;
    const hint = queue.onHint("q", () => (woken += 1));
    await queue.enqueue([{ queue: "q", id: "later", body: bytes("x"), visibleAtMs: clock.now() + 500 }]);
    assert.deepEqual(await queue.claim("q", 1, 1000), []);
    clock.advance(500);
    await eventually("the hint", () => woken === 1);
    const [claimed] = await queue.claim("q", 1, 1000);
    await queue.release([claimed?.token ?? "", "unknown"], 200);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 1 });
    clock.advance(200);
    assert.equal((await queue.claim("q", 1, 1000))[0]?.attempt, 2);
    hint.stop();
  });

  withStorage("a message of a megabyte survives", async ({ queue }) => {
    const body = new Uint8Array(2 ** 20).fill(7);
    await queue.enqueue([{ queue: "q", id: "1", body }]);
    assert.deepEqual(Buffer.from((await queue.claim("q", 1, 1))[0]?.body ?? []), Buffer.from(body));
  });
}

function journalAndTimers(withStorage: WithStorage): void {
  withStorage("a journal grows only from where its writer thinks it is, together with the effects", async ({ journal, queue }) => {
    await journal.append("s", 0, [bytes("a"), bytes("b")], { enqueue: [{ queue: "q", id: "1", body: bytes("x") }] });
    await assert.rejects(journal.append("s", 1, [bytes("c")], { enqueue: [{ queue: "q", id: "2", body: bytes("x") }] }), fails("Conflict"));
    await journal.append("s", 2, [bytes("c")]);
    assert.deepEqual(
      (await journal.read("s", 1, 9)).map((event) => [event.sequence, text(event.body)]),
      [
        [2, "b"],
        [3, "c"],
      ],
    );
    assert.equal((await queue.depth("q")).visible, 1);
    await journal.remove("s");
    assert.deepEqual(await journal.read("s", 0, 9), []);
  });

  withStorage("timers fire once they are due, earliest first; replaced and cancelled ones do not", async ({ timers }, clock) => {
    const at = (id: string, afterMs: number) => ({ group: "g", id, dueAtMs: clock.now() + afterMs, body: bytes(id) });
    await timers.set([at("b", 20), at("a", 10), at("c", 5), at("gone", 1)]);
    await timers.set([at("c", 1000)]);
    await timers.cancel("g", ["gone"]);
    clock.advance(30);
    const due = await timers.claimDue("g", 9, 1000);
    assert.deepEqual(
      due.map((timer) => timer.id),
      ["a", "b"],
    );
    assert.deepEqual(await timers.claimDue("g", 9, 1000), []);
    await timers.acknowledge([due[0]?.token ?? ""]);
    clock.advance(1001);
    assert.deepEqual(
      (await timers.claimDue("g", 9, 1000)).map((timer) => timer.id),
      ["b", "c"],
    );
    await assert.rejects(timers.acknowledge([due[1]?.token ?? ""]), fails("Fenced"));
  });
}

function leasesAndCapacity(withStorage: WithStorage): void {
  withStorage("a lease has one holder, its epoch rises with each, and a stale holder is fenced", async ({ leases, meta }, clock) => {
    const [first] = await leases.acquire(["l"], "one", 1000);
    assert.deepEqual(await leases.acquire(["l"], "two", 1000), [undefined]);
    clock.advance(500);
    const [renewed] = await leases.renew(first === undefined ? [] : [first], 1000);
    clock.advance(999);
    assert.deepEqual(await leases.acquire(["l"], "two", 1000), [undefined]);
    clock.advance(1);
    const [second] = await leases.acquire(["l"], "two", 1000);
    assert.equal(second?.epoch, (first?.epoch ?? 0) + 1);
    assert.ok(renewed !== undefined && second !== undefined);
    assert.deepEqual(await leases.renew([renewed], 1000), [undefined]);
    await assert.rejects(leases.fenced(renewed, { writes: [{ key: key("x"), value: 1 }] }), fails("Fenced"));
    await leases.fenced(second, { writes: [{ key: key("x"), value: 2 }] });
    assert.equal((await meta.get([key("x")]))[0]?.value, 2);
    await leases.release([second]);
    const [third] = await leases.acquire(["l"], "three", 1000);
    assert.equal(third?.epoch, second.epoch + 1);
  });

  withStorage("budgets never add up to more than the limit, under concurrent draws as well", async ({ capacity }, clock) => {
    await capacity.limit("p", 10);
    const drawn = await Promise.all(Array.from({ length: 20 }, () => capacity.draw("p", 3, 1000)));
    assert.equal(
      drawn.reduce((sum, budget) => sum + (budget?.amount ?? 0), 0),
      10,
    );
    assert.equal(await capacity.draw("p", 1, 1000), undefined);
    await capacity.giveBack(drawn.flatMap((budget) => (budget === undefined ? [] : [budget])).slice(0, 1));
    assert.equal((await capacity.draw("p", 5, 1000))?.amount, 3);
    clock.advance(1001);
    assert.equal((await capacity.draw("p", 99, 1000))?.amount, 10);
    assert.equal(await capacity.draw("unknown", 1, 1000), undefined);
  });
}
