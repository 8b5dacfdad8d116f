// The Storage contract: queues.
import assert from "node:assert/strict";
import type { ClaimedMessage, Storage } from "../../src/store/storage.ts";
import { eventually } from "../support/eventually.ts";
import { bytes, failsWith, key, message, ODD_NAMES, textOf, type WithStorage } from "./storage-values.ts";

const idsOf = (claimed: readonly ClaimedMessage[]) => claimed.map((one) => one.id);
const tokensOf = (claimed: readonly ClaimedMessage[]) => claimed.map((one) => one.token);
const claimOne = async ({ queue }: Storage, name = "q", visibilityMs = 1000): Promise<ClaimedMessage> => {
  const [claimed] = await queue.claim(name, 1, visibilityMs);
  assert.ok(claimed !== undefined, "nothing to claim");
  return claimed;
};

export function queues(withStorage: WithStorage): void {
  claims(withStorage);
  fences(withStorage);
  effects(withStorage);
  times(withStorage);
  bodies(withStorage);
}

function claims(withStorage: WithStorage): void {
  withStorage("the queues of a prefix that have something to claim", async ({ queue }, clock) => {
    assert.deepEqual(await queue.waiting("a/"), []);
    await queue.enqueue(["a/2", "a/1", "a", "a0", "b/1", "a/1", "a/\u{10fffe}", "a/late"].map((name, n) => message(String(n), name)));
    await queue.enqueue([{ ...message("later", "a/delayed"), visibleAtMs: clock.now() + 500 }]);
    assert.deepEqual(await queue.waiting("a/"), ["a/1", "a/2", "a/late", "a/\u{10fffe}"]);
    const [claimed] = await queue.claim("a/2", 1, 1000);
    await queue.claim("a/1", 1, 1000);
    assert.deepEqual(await queue.waiting("a/"), ["a/1", "a/late", "a/\u{10fffe}"]);
    await queue.acknowledge([claimed?.token ?? ""]);
    clock.advance(500);
    assert.deepEqual(await queue.waiting("a/d"), ["a/delayed"]);
    clock.advance(500);
    assert.deepEqual(await queue.waiting("a/"), ["a/1", "a/delayed", "a/late", "a/\u{10fffe}"]);
    assert.deepEqual((await queue.waiting("")).length, 7);
  });

  withStorage("messages that follow from writes are there with them, or not at all", async ({ meta, queue }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: 1 }], [message("1")]);
    await assert.rejects(meta.write([{ key: key("a"), value: 2, expect: "absent" }], [message("2")]), failsWith("Conflict"));
    await meta.write([], [message("3")]);
    assert.deepEqual((await meta.get([key("a")]))[0]?.revision, revision);
    assert.deepEqual(
      (await queue.claim("q", 10, 1000)).map(({ id }) => id),
      ["1", "3"],
    );
  });

  withStorage("messages are claimed oldest first, hidden while claimed, gone when acknowledged", async ({ queue }, clock) => {
    await queue.enqueue([message("1"), message("2")]);
    await queue.enqueue([message("elsewhere", "other")]);
    clock.advance(5);
    await queue.enqueue([message("0")]);
    const [first] = await queue.claim("q", 1, 1000);
    assert.deepEqual(
      [first?.queue, first?.id, textOf(first?.body), first?.attempt, first?.enqueuedAtMs],
      ["q", "1", "1", 1, clock.now() - 5],
    );
    assert.deepEqual(idsOf(await queue.claim("q", 10, 1000)), ["2", "0"]);
    assert.deepEqual(await queue.claim("q", 10, 1000), []);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 3, delayed: 0 });
    await queue.acknowledge([first?.token ?? ""]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 2, delayed: 0 });
    assert.deepEqual(await queue.depth("other"), { visible: 1, claimed: 0, delayed: 0 });
    clock.advance(10_000);
    assert.deepEqual(idsOf(await queue.claim("q", 10, 1000)), ["2", "0"]);
    assert.deepEqual(await queue.claim("unknown", 10, 1000), []);
    assert.deepEqual(await queue.claim("other", 0, 1000), []);
  });

  withStorage("a second enqueue of an id changes nothing, also while it is claimed or delayed", async ({ queue }, clock) => {
    await queue.enqueue([message("1")]);
    await queue.enqueue([{ ...message("1"), body: bytes("again") }, message("1", "other")]);
    const [claimed] = await queue.claim("q", 9, 1000);
    assert.equal(textOf(claimed?.body), "1");
    await queue.enqueue([{ ...message("1"), body: bytes("again") }]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 1, delayed: 0 });
    await queue.enqueue([{ ...message("2"), visibleAtMs: clock.now() + 500 }]);
    await queue.enqueue([message("2"), message("2")]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 1, delayed: 1 });
    assert.deepEqual(idsOf(await queue.claim("other", 9, 1000)), ["1"]);
  });

  withStorage("a message may be claimed as it is enqueued: hidden, fenced and acknowledged like any other", async (storage, clock) => {
    const { queue } = storage;
    const [stale = "", other = ""] = [await queue.enqueueClaimed(message("1"), 1000), await queue.enqueueClaimed(message("2"), 9000)];
    assert.equal(await queue.enqueueClaimed(message("1"), 1000), undefined);
    await queue.enqueue([message("2")]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 2, delayed: 0 });
    assert.deepEqual(await queue.extend([stale], 2000), [true]);
    clock.advance(2000);
    const again = await claimOne(storage);
    assert.deepEqual([again.id, textOf(again.body), again.attempt, again.enqueuedAtMs], ["1", "1", 2, clock.now() - 2000]);
    await assert.rejects(queue.acknowledge([stale]), failsWith("Fenced"));
    await queue.acknowledge([again.token, other]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 0 });
  });

  withStorage("concurrent claimers never get the same message", async ({ queue }) => {
    await queue.enqueue(Array.from({ length: 300 }, (_, n) => message(String(n))));
    const claimed = (await Promise.all(Array.from({ length: 40 }, () => queue.claim("q", 10, 1000)))).flat();
    assert.equal(claimed.length, 300);
    assert.equal(new Set(idsOf(claimed)).size, 300);
    assert.equal(new Set(tokensOf(claimed)).size, 300);
  });

  withStorage("queues and ids may have any name", async ({ queue }) => {
    await queue.enqueue(ODD_NAMES.flatMap((name) => ODD_NAMES.map((id) => message(id, name))));
    for (const name of ODD_NAMES) {
      const claimed = await queue.claim(name, 99, 1000);
      assert.deepEqual(idsOf(claimed), ODD_NAMES);
      await queue.acknowledge(tokensOf(claimed));
      assert.deepEqual(await queue.depth(name), { visible: 0, claimed: 0, delayed: 0 });
    }
  });
}

function fences(withStorage: WithStorage): void {
  withStorage("a claim that has run out is given to another, and the first holder is fenced", async (storage, clock) => {
    const { queue, meta } = storage;
    await queue.enqueue([message("1")]);
    const stale = await claimOne(storage);
    clock.advance(1000);
    await assert.rejects(queue.acknowledge([stale.token]), failsWith("Fenced"), "run out, though nobody has claimed it again");
    const fresh = await claimOne(storage);
    assert.deepEqual([fresh.id, fresh.attempt], ["1", 2]);
    assert.notEqual(fresh.token, stale.token);
    await assert.rejects(queue.acknowledge([stale.token], { writes: [{ key: key("effect"), value: 1 }] }), failsWith("Fenced"));
    assert.deepEqual(await meta.get([key("effect")]), [undefined]);
    await queue.release([stale.token], 0);
    assert.deepEqual(await queue.extend([stale.token, fresh.token], 5000), [false, true]);
    clock.advance(4999);
    assert.deepEqual(await queue.claim("q", 1, 1000), []);
    await queue.acknowledge([fresh.token]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 0 });
  });

  withStorage("a token counts once, and one that nobody was given never", async (storage) => {
    const { queue } = storage;
    await queue.enqueue([message("1"), message("2"), message("3")]);
    const first = await claimOne(storage);
    const second = await claimOne(storage);
    await queue.acknowledge([first.token]);
    await assert.rejects(queue.acknowledge([first.token]), failsWith("Fenced"));
    for (const token of ["", "1", "0.", "__proto__", `${second.token}x`, second.token.toUpperCase().replace(".", ".A"), "1e999.x"])
      await assert.rejects(queue.acknowledge([token]), failsWith("Fenced"), token);
    await assert.rejects(queue.acknowledge([second.token, second.token]), failsWith("Fenced"));
    assert.deepEqual(await queue.depth("q"), { visible: 1, claimed: 1, delayed: 0 });
    await queue.acknowledge([]);
  });

  withStorage("one stale token among several: none is acknowledged", async (storage, clock) => {
    const { queue } = storage;
    await queue.enqueue([message("1"), message("2"), message("3")]);
    const stale = await claimOne(storage, "q", 10);
    clock.advance(10);
    const fresh = await queue.claim("q", 9, 1000);
    await assert.rejects(queue.acknowledge([...tokensOf(fresh), stale.token]), failsWith("Fenced"));
    assert.equal((await queue.depth("q")).claimed, 3);
    await queue.acknowledge(tokensOf(fresh));
  });
}

function effects(withStorage: WithStorage): void {
  withStorage("effects and acknowledgement are one", async (storage, clock) => {
    const { queue, meta, timers } = storage;
    await meta.write([{ key: key("taken"), value: 0 }]);
    await queue.enqueue([message("1")]);
    const claimed = await claimOne(storage);
    const all = {
      enqueue: [message("1", "dead")],
      timers: [{ group: "g", id: "1", dueAtMs: clock.now(), body: bytes("x") }],
      writes: [{ key: key("effect"), value: 1 }],
    };
    const conflicting = { ...all, writes: [...all.writes, { key: key("taken"), value: 1, expect: "absent" as const }] };
    await assert.rejects(queue.acknowledge([claimed.token], conflicting), failsWith("Conflict"));
    assert.equal((await queue.depth("q")).claimed, 1);
    assert.equal((await queue.depth("dead")).visible, 0);
    assert.deepEqual(await timers.claimDue("g", 9, 1000), []);
    assert.deepEqual(await meta.get([key("effect")]), [undefined]);
    await queue.acknowledge([claimed.token], all);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 0 });
    assert.equal(textOf((await claimOne(storage, "dead")).body), "1");
    assert.equal((await timers.claimDue("g", 9, 1000)).length, 1);
    assert.equal((await meta.get([key("effect")]))[0]?.value, 1);
  });
}

function times(withStorage: WithStorage): void {
  withStorage("released and delayed messages come when their time has come", async (storage, clock) => {
    const { queue } = storage;
    await queue.enqueue([{ ...message("later"), visibleAtMs: clock.now() + 500 }]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 1 });
    clock.advance(499);
    assert.deepEqual(await queue.claim("q", 1, 1000), []);
    clock.advance(1);
    assert.deepEqual(await queue.depth("q"), { visible: 1, claimed: 0, delayed: 0 });
    const claimed = await claimOne(storage);
    await queue.release([claimed.token, "unknown"], 200);
    await assert.rejects(queue.acknowledge([claimed.token]), failsWith("Fenced"));
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 1 });
    clock.advance(200);
    const again = await claimOne(storage);
    assert.deepEqual([again.id, again.attempt], ["later", 2]);
    await queue.release([again.token], 0);
    await queue.enqueue([message("younger")]);
    assert.deepEqual(idsOf(await queue.claim("q", 9, 1000)), ["later", "younger"]);
  });

  withStorage("a thousand messages that become visible at once are all claimed, one time each", async ({ queue }, clock) => {
    await queue.enqueue(Array.from({ length: 2500 }, (_, n) => ({ ...message(String(n)), visibleAtMs: clock.now() + 100 })));
    clock.advance(100);
    const seen = new Set<string>();
    for (;;) {
      const claimed = await queue.claim("q", 400, 60_000);
      if (claimed.length === 0) break;
      for (const { id } of claimed) seen.add(id);
    }
    assert.equal(seen.size, 2500);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 2500, delayed: 0 });
  });

  withStorage("hints wake whoever listens: at an enqueue, a release, the end of a delay, once for a batch", async (storage, clock) => {
    const { queue } = storage;
    let woken = 0;
    const hint = queue.onHint("q", () => (woken += 1));
    await queue.enqueue([message("1"), message("2"), message("3", "other")]);
    await eventually("a hint of the enqueue", () => woken === 1);
    await queue.enqueue([{ ...message("later"), visibleAtMs: clock.now() + 500 }]);
    assert.equal(woken, 1);
    clock.advance(510);
    assert.equal(woken, 2);
    const claimed = await claimOne(storage);
    await queue.release([claimed.token], 0);
    await eventually("a hint of the release", () => woken === 3);
    await queue.release([(await claimOne(storage)).token], 300);
    clock.advance(310);
    assert.equal(woken, 4);
    const last = await claimOne(storage);
    await queue.acknowledge([last.token], { enqueue: [message("4")] });
    await eventually("a hint of an effect", () => woken === 5);
    hint.stop();
    await queue.enqueue([message("5")]);
    assert.equal(woken, 5);
  });
}

function bodies(withStorage: WithStorage): void {
  withStorage("bodies of any size come back as they were, also when the caller uses its buffer again", async ({ queue }) => {
    const sizes = [0, 1, 4095, 4096, 4097, 70_000, 6 * 2 ** 20];
    const pool = Buffer.alloc(6 * 2 ** 20);
    const writing: Promise<void>[] = [];
    for (const size of sizes) {
      pool.fill(size % 251);
      writing.push(queue.enqueue([{ queue: "q", id: String(size), body: pool.subarray(0, size) }]));
    }
    pool.fill(255);
    await Promise.all(writing);
    const claimed = await queue.claim("q", 99, 1000);
    for (const [index, size] of sizes.entries()) {
      const body = claimed[index]?.body;
      assert.equal(body?.byteLength, size);
      assert.ok(Buffer.alloc(size, size % 251).equals(body), `${size} bytes`);
    }
  });

  withStorage("one call takes thousands of messages", async ({ queue }) => {
    await queue.enqueue(Array.from({ length: 5000 }, (_, n) => message(String(n))));
    assert.equal((await queue.depth("q")).visible, 5000);
    const claimed = await queue.claim("q", 5000, 1000);
    await queue.acknowledge(tokensOf(claimed));
    assert.equal((await queue.depth("q")).claimed, 0);
  });
}
