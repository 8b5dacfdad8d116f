// The Storage contract: journals, timers, leases, capacity.
import assert from "node:assert/strict";
import type { Budget, ClaimedTimer, Lease } from "../../src/store/storage.ts";
import { bytes, failsWith, key, message, ODD_NAMES, textOf, type WithStorage } from "./storage-values.ts";

export function journals(withStorage: WithStorage): void {
  withStorage("a journal grows only from where its writer thinks it is, together with the effects", async ({ journal, queue }) => {
    await journal.append("s", 0, [bytes("a"), bytes("b")], { enqueue: [message("1")] });
    await assert.rejects(journal.append("s", 1, [bytes("c")], { enqueue: [message("2")] }), failsWith("Conflict"));
    await assert.rejects(journal.append("s", 3, [bytes("c")]), failsWith("Conflict"));
    await assert.rejects(journal.append("new", 1, [bytes("c")]), failsWith("Conflict"));
    await journal.append("s", 2, [bytes("c")]);
    const read = async (after: number, limit: number) =>
      (await journal.read("s", after, limit)).map((event) => [event.sequence, textOf(event.body)]);
    assert.deepEqual(await read(1, 9), [
      [2, "b"],
      [3, "c"],
    ]);
    assert.deepEqual(await read(0, 1), [[1, "a"]]);
    assert.deepEqual(await read(3, 9), []);
    assert.equal((await queue.depth("q")).visible, 1);
    await journal.remove("s");
    assert.deepEqual(await read(0, 9), []);
    await journal.append("s", 0, [bytes("again")]);
  });

  withStorage("an effect that is refused keeps the journal where it was", async ({ journal, meta }) => {
    await meta.write([{ key: key("taken"), value: 0 }]);
    const writes = [{ key: key("taken"), value: 1, expect: "absent" as const }];
    await assert.rejects(journal.append("s", 0, [bytes("a")], { writes, enqueue: [message("1")] }), failsWith("Conflict"));
    assert.deepEqual(await journal.read("s", 0, 9), []);
    await journal.append("s", 0, [bytes("a")]);
  });

  withStorage("of concurrent writers of a journal one wins each place, and streams are separate", async ({ journal }) => {
    const won = new Map<string, number>();
    for (let place = 0; place < 5; place++)
      await Promise.all(
        ODD_NAMES.flatMap((stream) =>
          Array.from({ length: 4 }, async (_, writer) => {
            try {
              await journal.append(stream, place, [bytes(`${writer}`)]);
              won.set(stream, (won.get(stream) ?? 0) + 1);
            } catch (error) {
              if (!failsWith("Conflict")(error)) throw error;
            }
          }),
        ),
      );
    for (const stream of ODD_NAMES) {
      assert.equal(won.get(stream), 5);
      assert.deepEqual(
        (await journal.read(stream, 0, 99)).map((event) => event.sequence),
        [1, 2, 3, 4, 5],
      );
    }
  });
}

export function timers(withStorage: WithStorage): void {
  const idsOf = (claimed: readonly ClaimedTimer[]) => claimed.map((timer) => timer.id);

  withStorage("effects alone are one transaction too: an acknowledgement of nothing", async ({ meta, queue, timers: all }, clock) => {
    const due = { group: "g", id: "t", dueAtMs: clock.now(), body: bytes("t") };
    const effects = { writes: [{ key: key("k"), value: 1, expect: "absent" as const }], timers: [due], enqueue: [message("1")] };
    await all.acknowledge([], effects);
    for (const one of [all, queue])
      await assert.rejects(one.acknowledge([], { ...effects, enqueue: [message("2")] }), failsWith("Conflict"));
    await queue.acknowledge([], { enqueue: [message("3")] });
    assert.equal((await meta.get([key("k")]))[0]?.value, 1);
    assert.deepEqual(idsOf(await all.claimDue("g", 9, 1000)), ["t"]);
    assert.equal((await queue.depth("q")).visible, 2);
  });

  withStorage("timers fire once they are due, earliest first; replaced and cancelled ones do not", async (storage, clock) => {
    const at = (id: string, afterMs: number) => ({ group: "g", id, dueAtMs: clock.now() + afterMs, body: bytes(id) });
    await storage.timers.set([at("b", 20), at("a", 10), at("a2", 10), at("c", 5), at("gone", 1)]);
    await storage.timers.set([{ ...at("b", 5), group: "other" }]);
    await storage.timers.set([at("c", 1000)]);
    await storage.timers.cancel("g", ["gone", "unknown"]);
    clock.advance(9);
    assert.deepEqual(await storage.timers.claimDue("g", 9, 1000), []);
    clock.advance(11);
    assert.deepEqual(idsOf(await storage.timers.claimDue("g", 2, 1000)), ["a", "a2"]);
    const [due] = await storage.timers.claimDue("g", 9, 1000);
    assert.deepEqual([due?.group, due?.id, due?.dueAtMs, textOf(due?.body)], ["g", "b", clock.now(), "b"]);
    assert.deepEqual(await storage.timers.claimDue("g", 9, 1000), []);
    await storage.timers.acknowledge([due?.token ?? ""]);
    clock.advance(1000);
    assert.deepEqual(idsOf(await storage.timers.claimDue("g", 9, 1000)), ["a", "a2", "c"]);
  });

  withStorage("whoever holds a timer that was replaced, cancelled, fired or that it held too long is fenced", async (storage, clock) => {
    const timer = (id: string) => ({ group: "g", id, dueAtMs: clock.now(), body: bytes(id) });
    await storage.timers.set(["replaced", "cancelled", "fired", "late"].map(timer));
    const held = await storage.timers.claimDue("g", 9, 1000);
    const tokenOf = (id: string) => held.find((one) => one.id === id)?.token ?? "";
    await storage.timers.set([timer("replaced")]);
    await storage.timers.cancel("g", ["cancelled"]);
    await storage.timers.acknowledge([tokenOf("fired")]);
    for (const id of ["replaced", "cancelled", "fired"])
      await assert.rejects(storage.timers.acknowledge([tokenOf(id)]), failsWith("Fenced"), id);
    await assert.rejects(storage.timers.acknowledge([tokenOf("late"), tokenOf("fired")]), failsWith("Fenced"));
    clock.advance(1000);
    await assert.rejects(storage.timers.acknowledge([tokenOf("late")]), failsWith("Fenced"));
    assert.deepEqual(idsOf(await storage.timers.claimDue("g", 9, 1000)).toSorted(), ["late", "replaced"]);
  });

  withStorage("a timer and its effects are one", async ({ timers: clocked, queue, meta }, clock) => {
    const timer = (id: string) => ({ group: "g", id, dueAtMs: clock.now(), body: bytes(id) });
    await meta.write([{ key: key("taken"), value: 0 }]);
    await clocked.set([timer("1")]);
    const [fired] = await clocked.claimDue("g", 1, 1000);
    const writes = [{ key: key("taken"), value: 1, expect: "absent" as const }];
    await assert.rejects(clocked.acknowledge([fired?.token ?? ""], { enqueue: [message("1")], writes }), failsWith("Conflict"));
    assert.equal((await queue.depth("q")).visible, 0);
    await clocked.acknowledge([fired?.token ?? ""], { enqueue: [message("1")], timers: [timer("next")] });
    assert.equal((await queue.depth("q")).visible, 1);
    assert.deepEqual(idsOf(await clocked.claimDue("g", 9, 1000)), ["next"]);
  });
}

export function leases(withStorage: WithStorage): void {
  withStorage("a lease has one holder, its epoch rises with each, and a stale holder is fenced", async (storage, clock) => {
    const [first] = await storage.leases.acquire(["l"], "one", 1000);
    assert.deepEqual(first, { name: "l", epoch: first?.epoch, expiresAtMs: clock.now() + 1000 });
    assert.deepEqual(await storage.leases.acquire(["l"], "two", 1000), [undefined]);
    clock.advance(500);
    const [renewed] = await storage.leases.renew(first === undefined ? [] : [first], 1000);
    clock.advance(999);
    assert.deepEqual(await storage.leases.acquire(["l"], "two", 1000), [undefined]);
    clock.advance(1);
    const [second] = await storage.leases.acquire(["l"], "two", 1000);
    assert.ok(first !== undefined && renewed !== undefined && second !== undefined);
    assert.ok(second.epoch > first.epoch && renewed.epoch === first.epoch);
    assert.deepEqual(await storage.leases.renew([renewed], 1000), [undefined]);
    await assert.rejects(storage.leases.fenced(renewed, { writes: [{ key: key("x"), value: 1 }] }), failsWith("Fenced"));
    await storage.leases.release([renewed]);
    assert.deepEqual(await storage.leases.acquire(["l"], "three", 1000), [undefined], "a stale holder can't give away what it lost");
    await storage.leases.fenced(second, { writes: [{ key: key("x"), value: 2 }] });
    assert.equal((await storage.meta.get([key("x")]))[0]?.value, 2);
    await storage.leases.release([second]);
    await assert.rejects(storage.leases.fenced(second, {}), failsWith("Fenced"));
    const [third] = await storage.leases.acquire(["l"], "three", 1000);
    assert.ok(third !== undefined && third.epoch > second.epoch);
    clock.advance(1000);
    await assert.rejects(storage.leases.fenced(third, {}), failsWith("Fenced"), "run out, though nobody else has it");
    assert.deepEqual(await storage.leases.renew([third], 1000), [undefined]);
  });

  withStorage("leases are taken and kept in one call, each for itself", async (storage) => {
    const taken = await storage.leases.acquire(["b"], "other", 1000);
    const names = ["a", "b", ...ODD_NAMES.filter((name) => name !== "a")];
    const held = await storage.leases.acquire(names, "me", 1000);
    assert.deepEqual(
      held.map((lease) => lease?.name),
      names.map((name) => (name === "b" ? undefined : name)),
    );
    const mine = held.filter((lease): lease is Lease => lease !== undefined);
    const renewed = await storage.leases.renew(
      [...taken.filter((lease) => lease !== undefined), ...mine, { ...mine[0]!, epoch: 99 }],
      2000,
    );
    assert.equal(renewed.filter((lease) => lease === undefined).length, 1);
    assert.equal(renewed.at(-1), undefined);
  });

  withStorage("of many who want a lease one gets it", async (storage) => {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => storage.leases.acquire(["l"], String(n), 1000)));
    assert.equal(answers.flat().filter((lease) => lease !== undefined).length, 1);
  });
}

export function capacity(withStorage: WithStorage): void {
  const sum = (budgets: Iterable<Budget | undefined>) => [...budgets].reduce((total, budget) => total + (budget?.amount ?? 0), 0);

  withStorage("budgets never add up to more than the limit, under concurrent draws as well", async (storage, clock) => {
    await storage.capacity.limit("p", 10);
    const drawn = await Promise.all(Array.from({ length: 20 }, () => storage.capacity.draw("p", 3, 1000)));
    assert.equal(sum(drawn), 10);
    assert.equal(await storage.capacity.draw("p", 1, 1000), undefined);
    const [first] = drawn.filter((budget) => budget !== undefined);
    assert.deepEqual(first, { id: first?.id, pool: "p", amount: 3, expiresAtMs: clock.now() + 1000 });
    await storage.capacity.giveBack(first === undefined ? [] : [first, first]);
    await storage.capacity.giveBack(first === undefined ? [] : [first]);
    assert.equal((await storage.capacity.draw("p", 5, 1000))?.amount, 3);
    clock.advance(1000);
    assert.equal((await storage.capacity.draw("p", 99, 1000))?.amount, 10);
    assert.equal(await storage.capacity.draw("p", 0, 1000), undefined);
    assert.equal(await storage.capacity.draw("p", -5, 1000), undefined);
    assert.equal(await storage.capacity.draw("unknown", 1, 1000), undefined);
  });

  withStorage("a limit that is lowered holds for later draws", async (storage) => {
    await storage.capacity.limit("p", 10);
    const big = await storage.capacity.draw("p", 8, 1000);
    await storage.capacity.limit("p", 5);
    assert.equal(await storage.capacity.draw("p", 1, 1000), undefined);
    await storage.capacity.giveBack(big === undefined ? [] : [big]);
    assert.equal((await storage.capacity.draw("p", 99, 1000))?.amount, 5);
    await storage.capacity.limit("p", 7);
    assert.equal((await storage.capacity.draw("p", 99, 1000))?.amount, 2);
  });

  withStorage("at no time do budgets add up to more than the limit, whatever is drawn, given back or runs out", async (storage, clock) => {
    let seed = 20260131;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    const live = new Set<Budget>();
    await storage.capacity.limit("p", 25);
    for (let step = 0; step < 150; step++) {
      const drawn = await Promise.all(Array.from({ length: 4 }, () => storage.capacity.draw("p", 1 + random(6), 20 + random(200))));
      for (const budget of drawn) if (budget !== undefined) live.add(budget);
      const back = [...live].filter(() => random(3) === 0);
      await storage.capacity.giveBack(back);
      for (const budget of back) live.delete(budget);
      clock.advance(random(40));
      for (const budget of live) if (budget.expiresAtMs <= clock.now()) live.delete(budget);
      assert.ok(sum(live) <= 25, `step ${step}: ${sum(live)}`);
    }
  });
}
