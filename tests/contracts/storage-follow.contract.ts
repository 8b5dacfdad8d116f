// The Storage contract: the change feed, and views that follow it.
import assert from "node:assert/strict";
import type { Change } from "../../src/store/storage.ts";
import { View } from "../../src/store/view.ts";
import { ACCOUNT, bytes, failsWith, key, message, ODD_NAMES, REGION, type WithStorage } from "./storage-values.ts";

const namesAndValues = (changes: readonly Change[]) => changes.map((change) => [change.key.id, change.value]);

export function follows(withStorage: WithStorage): void {
  feeds(withStorage);
  views(withStorage);
}

function feeds(withStorage: WithStorage): void {
  withStorage("followers get what is there, then every change in order, before the write resolves", async ({ meta }) => {
    await meta.write([
      { key: key("old"), value: 0 },
      { key: key("other", "other"), value: 0 },
      { key: key("third", "third"), value: 0 },
    ]);
    const seen: Change[] = [];
    const followed = await meta.follow(["thing", "third"], (changes) => seen.push(...changes));
    assert.deepEqual(
      namesAndValues(seen).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
      [
        ["old", 0],
        ["third", 0],
      ],
    );
    seen.length = 0;
    await meta.write([
      { key: key("new"), value: 1 },
      { key: key("other", "other"), value: 1 },
    ]);
    assert.deepEqual(namesAndValues(seen), [["new", 1]]);
    const [revision] = await meta.write([{ key: key("old") }]);
    assert.deepEqual(seen.at(-1), { key: key("old"), revision });
    await meta.write([{ key: key("third", "third"), value: null }]);
    assert.deepEqual(seen.at(-1)?.value, null);
    followed.stop();
    await meta.write([{ key: key("later"), value: 1 }]);
    assert.equal(seen.length, 3);
  });

  withStorage("a follower of very many records loses no change that is made while it is told of them", async ({ meta }) => {
    const names = Array.from({ length: 2_500 }, (_, n) => String(n).padStart(5, "0"));
    await meta.write(names.map((name) => ({ key: key(name), value: 0 })));
    const known = new Map<string, unknown>();
    const revisions: number[] = [];
    const following = meta.follow(["thing"], (changes) => {
      for (const { revision } of changes) revisions.push(revision);
      for (const { key: of, value } of changes)
        if (value === undefined) known.delete(of.id);
        else known.set(of.id, value);
    });
    const writes = ["00001", "02400"].map((name) =>
      meta.write([
        { key: key(name), value: 1 },
        { key: key(`${name}+`), value: 1 },
      ]),
    );
    const removals = ["00002", "02401"].map((name) => meta.write([{ key: key(name) }]));
    await Promise.all([...writes, ...removals]);
    (await following).stop();
    assert.equal(known.size, 2_500);
    const changed = [...known].filter(([, value]) => value === 1).map(([name]) => name);
    assert.deepEqual(changed.toSorted(), ["00001", "00001+", "02400", "02400+"]);
    assert.ok(!known.has("00002") && !known.has("02401"));
    assert.equal(new Set(revisions).size, revisions.length, "something was told twice");
  });

  withStorage("what is refused or only compared is not a change", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: 0 }]);
    const seen: Change[] = [];
    await meta.follow(["thing"], (changes) => seen.push(...changes));
    seen.length = 0;
    await assert.rejects(
      meta.write([
        { key: key("b"), value: 1 },
        { key: key("a"), value: 1, expect: "absent" },
      ]),
    );
    await meta.write([
      { key: key("a"), expect: revision, keep: true },
      { key: key("c"), value: 1 },
    ]);
    assert.deepEqual(namesAndValues(seen), [["c", 1]]);
  });

  withStorage("writes that join other calls are changes too", async ({ meta, queue, journal, timers, leases }, clock) => {
    const seen: Change[] = [];
    await meta.follow(["thing"], (changes) => seen.push(...changes));
    await queue.enqueue([message("1")]);
    const [claimed] = await queue.claim("q", 1, 1000);
    await queue.acknowledge([claimed?.token ?? ""], { writes: [{ key: key("of queue"), value: 1 }] });
    await journal.append("s", 0, [bytes("x")], { writes: [{ key: key("of journal"), value: 2 }] });
    await timers.set([{ group: "g", id: "1", dueAtMs: clock.now(), body: bytes("x") }]);
    const [fired] = await timers.claimDue("g", 1, 1000);
    await timers.acknowledge([fired?.token ?? ""], { writes: [{ key: key("of timer"), value: 3 }] });
    const [lease] = await leases.acquire(["l"], "me", 1000);
    assert.ok(lease !== undefined);
    await leases.fenced(lease, { writes: [{ key: key("of lease"), value: 4 }] });
    await assert.rejects(journal.append("s", 0, [bytes("x")], { writes: [{ key: key("refused"), value: 5 }] }), failsWith("Conflict"));
    assert.deepEqual(namesAndValues(seen), [
      ["of queue", 1],
      ["of journal", 2],
      ["of timer", 3],
      ["of lease", 4],
    ]);
    const found = await meta.get(seen.map((change) => change.key));
    assert.deepEqual(
      found.map((entry) => entry?.revision),
      seen.map((change) => change.revision),
    );
  });

  withStorage("whoever begins to follow amid writes misses nothing, sees all in order and nothing twice", async ({ meta }) => {
    // Portions: the first one is what was there.
    const seen: (readonly Change[])[][] = Array.from({ length: 5 }, () => []);
    const writing = Array.from({ length: 200 }, (_, n) => meta.write([{ key: key(String(n % 40)), value: n }]));
    const following = seen.map(async (changes, index) => {
      await writing[index * 30];
      const more = Array.from({ length: 20 }, (_, n) => meta.write([{ key: key(String(n)), value: `${index} ${n}` }]));
      await meta.follow(["thing"], (some) => changes.push(some));
      await Promise.all(more);
    });
    await Promise.all([...writing, ...following]);
    const stored = await meta.list({ account: ACCOUNT, region: REGION, kind: "thing", limit: 99 });
    for (const [present = [], ...later] of seen) {
      const changes = [...present.toSorted((one, other) => one.revision - other.revision), ...later.flat()];
      assert.ok(changes.every((change, index) => index === 0 || change.revision > (changes[index - 1]?.revision ?? 0)));
      const last = new Map(changes.map((change) => [change.key.id, change.value]));
      assert.deepEqual(last, new Map(stored.map((entry) => [entry.key.id, entry.value])));
    }
  });
}

function views(withStorage: WithStorage): void {
  withStorage("a view answers at once what was written, and tells its listener", async ({ meta }) => {
    const told: unknown[] = [];
    await meta.write([{ key: key("b"), value: 2 }]);
    const view = await View.open<number>(meta, "thing", (changed, entry) => told.push([changed.id, entry?.value]));
    await meta.write([{ key: key("a"), value: 1 }]);
    assert.equal(view.get(ACCOUNT, REGION, "a")?.value, 1);
    assert.equal(view.get(ACCOUNT, "eu-west-1", "a"), undefined);
    assert.equal(view.get(ACCOUNT, REGION, "__proto__"), undefined);
    assert.deepEqual(
      [...view.all()].map((entry) => entry.value),
      [2, 1],
    );
    await meta.write([{ key: key("a") }]);
    assert.equal(view.get(ACCOUNT, REGION, "a"), undefined);
    assert.deepEqual(told, [
      ["b", 2],
      ["a", 1],
      ["a", undefined],
    ]);
    view.close();
    await meta.write([{ key: key("c"), value: 3 }]);
    assert.equal(view.get(ACCOUNT, REGION, "c"), undefined);
  });

  withStorage("a view lists what the store lists, while records come and go", async ({ meta }) => {
    const view = await View.open<string>(meta, "thing");
    const ranges = [
      {},
      { prefix: "a" },
      { prefix: "a", after: "a" },
      { after: "a" },
      { after: "b" },
      { prefix: "ä" },
      { after: "\u{1f600}" },
    ];
    const check = async () => {
      for (const range of ranges)
        for (const limit of [0, 2, 99]) {
          const stored = await meta.list({ account: ACCOUNT, region: REGION, kind: "thing", limit, ...range });
          assert.deepEqual(view.list(ACCOUNT, REGION, { limit, ...range }), stored);
        }
    };
    await check();
    await meta.write(ODD_NAMES.toReversed().map((id) => ({ key: key(id), value: id })));
    await check();
    await meta.write(ODD_NAMES.filter((_name, index) => index % 2 === 0).map((id) => ({ key: key(id) })));
    await check();
    await meta.write(
      ODD_NAMES.flatMap((id) => [
        { key: key(id), value: 1 },
        { key: key(`${id}+`), value: 2 },
      ]),
    );
    await check();
  });
}
