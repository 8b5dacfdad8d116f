// The Storage contract: records, compare-and-set, lists.
import assert from "node:assert/strict";
import type { Write } from "../../src/store/storage.ts";
import { ACCOUNT, failsWith, key, ODD_NAMES, REGION, type WithStorage } from "./storage-values.ts";

export function records(withStorage: WithStorage): void {
  written(withStorage);
  compared(withStorage);
  alone(withStorage);
  listed(withStorage);
}

function written(withStorage: WithStorage): void {
  withStorage("a record is written, read, replaced and deleted, each time with a higher revision", async ({ meta }) => {
    const value = { n: 1, nested: [null, "x", true], empty: {} };
    const [first = 0] = await meta.write([{ key: key("a"), value }]);
    assert.deepEqual(await meta.get([key("a"), key("b"), key("a")]), [
      { key: key("a"), revision: first, value },
      undefined,
      { key: key("a"), revision: first, value },
    ]);
    const [second = 0] = await meta.write([{ key: key("a"), value: { n: 2 } }]);
    const [third = 0] = await meta.write([{ key: key("a") }]);
    const [fourth = 0] = await meta.write([{ key: key("b"), value: 0 }]);
    assert.ok(0 < first && first < second && second < third && third < fourth);
    assert.deepEqual(await meta.get([key("a")]), [undefined]);
  });

  withStorage("every JSON value is a value: null, false, 0 and the empty text are not absent", async ({ meta }) => {
    const values = [null, false, 0, "", [], {}, -1.5, "\0", "'\"\u{1f600}", JSON.parse('{"__proto__":{"x":1}}') as unknown];
    await meta.write(values.map((value, index) => ({ key: key(String(index)), value })));
    const found = await meta.get(values.map((_value, index) => key(String(index))));
    assert.deepEqual(
      found.map((entry) => entry?.value),
      values,
    );
  });

  withStorage("kinds, accounts and regions are separate", async ({ meta }) => {
    const keys = [
      key("a"),
      key("a", "other"),
      { ...key("a"), region: "" },
      { ...key("a"), account: "111111111111" },
      { account: "0", region: "0", kind: "a", id: "b/c" },
      { account: "0", region: "0", kind: "a/b", id: "c" },
    ];
    await meta.write(keys.map((one, index) => ({ key: one, value: index })));
    assert.deepEqual(
      (await meta.get(keys)).map((entry) => entry?.value),
      [0, 1, 2, 3, 4, 5],
    );
  });

  withStorage("what the caller does to its value after the call changes nothing, and neither does what a reader does", async ({ meta }) => {
    const value = { list: ["before"] };
    const writing = meta.write([{ key: key("a"), value }]);
    value.list.push("after");
    await writing;
    const [found] = await meta.get<typeof value>([key("a")]);
    assert.deepEqual(found?.value, { list: ["before"] });
    found?.value.list.push("read");
    assert.deepEqual((await meta.get<typeof value>([key("a")]))[0]?.value, { list: ["before"] });
  });

  withStorage("a record of two megabytes is one record", async ({ meta }) => {
    const value = { text: "ä".repeat(2 ** 20) };
    await meta.write([{ key: key("big"), value }]);
    assert.deepEqual((await meta.get([key("big")]))[0]?.value, value);
  });
}

function compared(withStorage: WithStorage): void {
  withStorage("compare-and-set refuses a stale revision, and nothing of the batch is written", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: 1, expect: "absent" }]);
    const refused: Write[] = [
      { key: key("a"), value: 2, expect: "absent" },
      { key: key("a"), value: 2, expect: revision + 1 },
      { key: key("a"), expect: revision - 1 },
      { key: key("absent"), value: 2, expect: revision },
      { key: key("absent"), expect: 1 },
    ];
    for (const write of refused) {
      await assert.rejects(meta.write([{ key: key("b"), value: 1 }, { key: key("a"), value: 3 }, write]), failsWith("Conflict"));
      await assert.rejects(meta.write([write, { key: key("b"), value: 1 }]), failsWith("Conflict"));
    }
    assert.deepEqual(
      (await meta.get([key("a"), key("b"), key("absent")])).map((entry) => entry?.value),
      [1, undefined, undefined],
    );
    await meta.write([{ key: key("a"), value: 2, expect: revision }]);
    assert.equal((await meta.get([key("a")]))[0]?.value, 2);
  });

  withStorage("a record that is kept is only compared", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("parent"), value: "parent" }]);
    await meta.write([
      { key: key("parent"), expect: revision, keep: true },
      { key: key("child"), value: 1 },
    ]);
    assert.deepEqual((await meta.get([key("parent")]))[0], { key: key("parent"), revision, value: "parent" });
    await meta.write([{ key: key("parent"), value: "changed" }]);
    await assert.rejects(
      meta.write([
        { key: key("second"), value: 1 },
        { key: key("parent"), expect: revision, keep: true },
      ]),
      failsWith("Conflict"),
    );
    await assert.rejects(meta.write([{ key: key("parent"), expect: "absent", keep: true }]), failsWith("Conflict"));
    assert.deepEqual(await meta.get([key("second")]), [undefined]);
  });

  withStorage("totals are added to by everybody at once, within transactions, and followers are not told", async ({ meta }) => {
    const seen: unknown[] = [];
    const follower = await meta.follow([key("n").kind], (changes) => seen.push(...changes.map((change) => change.key.id)));
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        meta.write([
          { key: key(`event ${n}`), value: n },
          { key: key("n"), add: { events: 1, bytes: n } },
          { key: key("n"), add: { events: 1 } },
        ]),
      ),
    );
    await assert.rejects(
      meta.write([
        { key: key("n"), add: { events: 1 } },
        { key: key("event 0"), value: 0, expect: "absent" },
      ]),
      failsWith("Conflict"),
    );
    await meta.write([{ key: key("n"), add: { events: -10 } }]);
    assert.deepEqual((await meta.get([key("n")]))[0]?.value, { events: 90, bytes: 1225 });
    assert.deepEqual([seen.length, seen.includes("n")], [50, false]);
    follower.stop();
  });

  withStorage("of many concurrent compare-and-set writes of one revision exactly one wins", async ({ meta }) => {
    const [revision = 0] = await meta.write([{ key: key("a"), value: -1 }]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => meta.write([{ key: key("a"), value: n, expect: revision }])),
    );
    const winners = outcomes.flatMap((outcome, n) => (outcome.status === "fulfilled" ? [n] : []));
    assert.equal(winners.length, 1);
    assert.equal((await meta.get([key("a")]))[0]?.value, winners[0]);
  });

  withStorage("a counter under concurrent compare-and-set loses no increment", async ({ meta }) => {
    await meta.write([{ key: key("n"), value: 0 }]);
    const increment = async (): Promise<void> => {
      const [entry] = await meta.get<number>([key("n")]);
      assert.ok(entry !== undefined);
      try {
        await meta.write([{ key: key("n"), value: entry.value + 1, expect: entry.revision }]);
      } catch (error) {
        if (!failsWith("Conflict")(error)) throw error;
        await increment();
      }
    };
    await Promise.all(Array.from({ length: 20 }, increment));
    assert.equal((await meta.get([key("n")]))[0]?.value, 20);
  });
}

function alone(withStorage: WithStorage): void {
  withStorage("calls that fail leave nothing, and those made at the same time succeed", async ({ meta, queue }) => {
    await meta.write([{ key: key("taken"), value: 0 }]);
    const calls = Array.from({ length: 30 }, (_, n) =>
      n % 3 === 0
        ? meta.write([
            { key: key(`half ${n}`), value: n },
            { key: key("taken"), value: n, expect: "absent" },
          ])
        : n % 3 === 1
          ? meta.write([{ key: key(`whole ${n}`), value: n, expect: "absent" }])
          : queue.enqueue([{ queue: "q", id: String(n), body: new Uint8Array(8) }]),
    );
    const outcomes = await Promise.allSettled(calls);
    for (const [n, outcome] of outcomes.entries()) assert.equal(outcome.status, n % 3 === 0 ? "rejected" : "fulfilled", `call ${n}`);
    const where = { account: ACCOUNT, region: REGION, kind: "thing", limit: 99 };
    assert.deepEqual(await meta.list({ ...where, prefix: "half" }), []);
    assert.equal((await meta.list({ ...where, prefix: "whole" })).length, 10);
    assert.equal((await queue.depth("q")).visible, 10);
  });

  withStorage("a call with impossible arguments is the caller's error and nothing else", async ({ meta, queue }) => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    for (const value of [cycle, 1n, () => 0, Symbol("s")]) await assert.rejects(meta.write([{ key: key("a"), value }]), TypeError);
    const wrong = [
      meta.write([
        { key: key("half"), value: 1 },
        { key: key("lone \ud800 surrogate"), value: 1 },
      ]),
      meta.get([key("\udc00")]),
      queue.enqueue([
        { queue: "q", id: "half", body: new Uint8Array(1) },
        { queue: undefined as unknown as string, id: "1", body: new Uint8Array(1) },
      ]),
      queue.claim("q", -1, 1000),
      queue.claim("q", Number.NaN, 1000),
      meta.list({ account: ACCOUNT, region: REGION, kind: "thing", limit: -1 }),
    ];
    const right = meta.write([{ key: key("right"), value: 1 }]);
    for (const outcome of await Promise.allSettled(wrong)) assert.equal(outcome.status, "rejected");
    await right;
    assert.deepEqual(await meta.get([key("a"), key("half")]), [undefined, undefined]);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 0, delayed: 0 });
  });
}

function listed(withStorage: WithStorage): void {
  const where = { account: ACCOUNT, region: REGION, kind: "thing" };

  withStorage("lists are in UTF-8 byte order, by prefix, after an id, within a limit, and per account and region", async ({ meta }) => {
    await meta.write(ODD_NAMES.toReversed().map((id) => ({ key: key(id), value: id })));
    await meta.write([
      { key: { ...key("a"), region: "eu-west-1" }, value: 0 },
      { key: { ...key("a"), account: "111111111111" }, value: 0 },
      { key: key("a", "things"), value: 0 },
    ]);
    const list = async (range: { prefix?: string; after?: string; limit: number }) =>
      (await meta.list({ ...where, ...range })).map((entry) => entry.value);
    assert.deepEqual(await list({ limit: 99 }), ODD_NAMES);
    assert.deepEqual(await list({ prefix: "a", limit: 99 }), ["a", "a\0b", "a/b"]);
    assert.deepEqual(await list({ prefix: "a", after: "a", limit: 1 }), ["a\0b"]);
    assert.deepEqual(await list({ prefix: "\u{1f600}", limit: 9 }), ["\u{1f600}"]);
    assert.deepEqual(await list({ after: "b", limit: 2 }), ["constructor", 'quote"']);
    assert.deepEqual(await list({ limit: 0 }), []);
    assert.deepEqual(await list({ prefix: "%", limit: 9 }), ["%"]);
    const found = await meta.get(ODD_NAMES.map((id) => key(id)));
    assert.deepEqual(
      found.map((entry) => entry?.value),
      ODD_NAMES,
    );
  });

  withStorage("a list that is read page by page is whole", async ({ meta }) => {
    await meta.write(Array.from({ length: 250 }, (_, n) => ({ key: key(`${n}`), value: n })));
    const seen: string[] = [];
    for (;;) {
      const after = seen.at(-1);
      const page = await meta.list({ ...where, limit: 37, ...(after === undefined ? {} : { after }) });
      if (page.length === 0) break;
      seen.push(...page.map((entry) => entry.key.id));
    }
    assert.equal(new Set(seen).size, 250);
    assert.deepEqual(seen, seen.toSorted());
  });
}
