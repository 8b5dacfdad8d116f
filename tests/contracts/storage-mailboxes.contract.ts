// What every Storage driver promises of its mailboxes.
import assert from "node:assert/strict";
import type { NewMail, ReceiveOptions } from "../../src/store/mailboxes.ts";
import { bytes, textOf, type WithStorage } from "./storage-values.ts";

const mail = (id: string, more: Partial<NewMail> = {}): NewMail => ({ mailbox: "m", id, body: bytes(`body of ${id}`), ...more });
const options = (more: Partial<ReceiveOptions> = {}): ReceiveOptions => ({
  limit: 10,
  visibilityMs: 1000,
  keptMs: 1_000_000,
  claimedMax: 100,
  ...more,
});
const ids = (received: { readonly mail: readonly { readonly id: string }[] }) => received.mail.map(({ id }) => id);

export function mailboxes(withStorage: WithStorage): void {
  claims(withStorage);
  groups(withStorage);
  keys(withStorage);
  moves(withStorage);
}

function claims(withStorage: WithStorage): void {
  withStorage("mail is received oldest first, hidden, and received again with its count", async ({ mailboxes: boxes }, clock) => {
    const sentAtMs = clock.now();
    const sent = await boxes.send([mail("1"), mail("2"), mail("3", { dueAtMs: clock.now() + 500 }), mail("x", { mailbox: "other" })]);
    assert.deepEqual(
      sent.map(({ id }) => id),
      ["1", "2", "3", "x"],
    );
    assert.ok((sent[0]?.sequence ?? 0) < (sent[1]?.sequence ?? 0));
    assert.deepEqual(await boxes.counts("m"), { visible: 2, claimed: 0, delayed: 1 });
    clock.advance(100);
    const first = await boxes.receive("m", options());
    assert.deepEqual(ids(first), ["1", "2"]);
    assert.deepEqual(
      [textOf(first.mail[0]?.body), first.mail[0]?.receives, first.mail[0]?.sentAtMs, first.mail[0]?.firstReceivedAtMs],
      ["body of 1", 1, sentAtMs, sentAtMs + 100],
    );
    const nothing = await boxes.receive("m", options());
    assert.deepEqual([ids(nothing), nothing.nextAtMs], [[], sentAtMs + 500]);
    clock.advance(1000);
    const second = await boxes.receive("m", options({ limit: 2 }));
    assert.deepEqual(
      second.mail.map(({ id, receives, firstReceivedAtMs }) => [id, receives, firstReceivedAtMs]),
      [
        ["1", 2, sentAtMs + 100],
        ["2", 2, sentAtMs + 100],
      ],
    );
    const [stale = "", latest = ""] = [first.mail[0]?.token, second.mail[0]?.token];
    assert.deepEqual(await boxes.remove("m", [stale, latest, latest, "nonsense"]), ["stale", "removed", "gone", "gone"]);
    assert.deepEqual(await boxes.remove("other", [second.mail[1]?.token ?? ""]), ["gone"]);
  });

  withStorage("a claim is renewed, given back, and not held longer than it may be", async ({ mailboxes: boxes }, clock) => {
    await boxes.send([mail("1")]);
    const [claimed] = (await boxes.receive("m", options())).mail;
    const hide = (visibilityMs: number, totalMs = 5000) => boxes.hide("m", [{ token: claimed?.token ?? "", visibilityMs }], totalMs);
    assert.deepEqual(await hide(4000), ["hidden"]);
    clock.advance(3999);
    assert.deepEqual(ids(await boxes.receive("m", options())), []);
    assert.deepEqual(await hide(1002), ["beyond"]);
    assert.deepEqual(await hide(0), ["hidden"]);
    const [again] = (await boxes.receive("m", options())).mail;
    assert.equal(again?.id, "1");
    assert.deepEqual(await hide(1), ["stale"]);
    // The claim is over and nobody has received it since.
    clock.advance(1000);
    assert.deepEqual(await boxes.hide("m", [{ token: again?.token ?? "", visibilityMs: 10 }], 5000), ["hidden"]);
    clock.advance(9);
    assert.deepEqual(ids(await boxes.receive("m", options())), []);
    assert.deepEqual(await boxes.counts("m"), { visible: 0, claimed: 1, delayed: 0 });
    assert.deepEqual(await boxes.remove("m", [again?.token ?? ""]), ["removed"]);
  });

  withStorage("a claim in a group that is over stays so", async ({ mailboxes: boxes }, clock) => {
    await boxes.send([mail("1", { group: "g" })]);
    const [claimed] = (await boxes.receive("m", options())).mail;
    clock.advance(1000);
    assert.deepEqual(await boxes.hide("m", [{ token: claimed?.token ?? "", visibilityMs: 10 }], 5000), ["stale"]);
  });

  withStorage("no more is claimed than may be, and what is too old is removed", async ({ mailboxes: boxes }, clock) => {
    await boxes.send(["1", "2", "3"].map((id) => mail(id)));
    assert.deepEqual(ids(await boxes.receive("m", options({ claimedMax: 2 }))), ["1", "2"]);
    assert.equal((await boxes.receive("m", options({ claimedMax: 2 }))).isFull, true);
    clock.advance(5000);
    await boxes.send([mail("young")]);
    assert.deepEqual(ids(await boxes.receive("m", options({ keptMs: 5000 }))), ["young"]);
    assert.deepEqual(await boxes.counts("m"), { visible: 0, claimed: 1, delayed: 0 });
    await boxes.send([mail("4"), mail("5"), mail("elsewhere", { mailbox: "n" })]);
    assert.equal(await boxes.expire("m", clock.now(), 2), 2);
    assert.equal(await boxes.expire("m", clock.now(), 2), 1);
    assert.deepEqual(await boxes.names(), ["n"]);
  });
}

function groups(withStorage: WithStorage): void {
  withStorage("a group is received in order, and by one at a time", async ({ mailboxes: boxes }, clock) => {
    const of = (id: string) => mail(id, { group: id.slice(0, 1) });
    await boxes.send(["a1", "b1", "a2", "a3", "b2"].map(of));
    const first = await boxes.receive("m", options({ limit: 2 }));
    assert.deepEqual(ids(first), ["a1", "a2"]);
    assert.deepEqual(ids(await boxes.receive("m", options())), ["b1", "b2"]);
    assert.deepEqual(await boxes.counts("m"), { visible: 1, claimed: 4, delayed: 0 });
    const [a1 = "", a2 = ""] = first.mail.map(({ token }) => token);
    assert.deepEqual(await boxes.remove("m", [a2]), ["removed"]);
    assert.deepEqual(ids(await boxes.receive("m", options())), []);
    clock.advance(1000);
    assert.deepEqual(await boxes.remove("m", [a1]), ["over"]);
    assert.deepEqual(ids(await boxes.receive("m", options())), ["a1", "a3", "b1", "b2"]);
  });

  withStorage("one that is delayed or removed by age does not hold up its group for longer", async ({ mailboxes: boxes }, clock) => {
    await boxes.send([mail("1", { group: "g", dueAtMs: clock.now() + 10 })]);
    clock.advance(5);
    await boxes.send([mail("2", { group: "g" }), mail("3", { group: "h" })]);
    assert.deepEqual(ids(await boxes.receive("m", options())), ["3"]);
    clock.advance(5);
    assert.deepEqual(ids(await boxes.receive("m", options({ limit: 1 }))), ["1"]);
    assert.equal(await boxes.expire("m", clock.now() - 10, 10), 1);
    assert.deepEqual(ids(await boxes.receive("m", options())), ["2"]);
  });
}

function keys(withStorage: WithStorage): void {
  withStorage(
    "the second of a key is dropped, also when the first is gone, until its time is over",
    async ({ mailboxes: boxes }, clock) => {
      const once = { key: "k", forMs: 1000 };
      const [first] = await boxes.send([mail("1", { once })]);
      const same = await boxes.send([mail("2", { once }), mail("3", { once: { ...once, key: "l" } }), mail("4", { once })]);
      assert.deepEqual([same[0], same[2]], [first, first]);
      assert.equal((await boxes.send([mail("5", { once, mailbox: "n" })]))[0]?.id, "5");
      const received = await boxes.receive("m", options());
      assert.deepEqual(ids(received), ["1", "3"]);
      await boxes.remove(
        "m",
        received.mail.map(({ token }) => token),
      );
      clock.advance(999);
      assert.deepEqual(await boxes.send([mail("6", { once })]), [first]);
      clock.advance(1);
      assert.equal((await boxes.send([mail("7", { once })]))[0]?.id, "7");
      await boxes.forget("m");
      assert.equal((await boxes.send([mail("8", { once })]))[0]?.id, "8");
    },
  );

  withStorage("a key is remembered no longer than it may be when the clock is set back", async ({ mailboxes: boxes }, clock) => {
    const once = { key: "k", forMs: 1000 };
    await boxes.send([mail("1", { once })]);
    clock.advance(-3_600_000);
    assert.equal((await boxes.send([mail("2", { once })]))[0]?.id, "2");
    clock.advance(999);
    assert.equal((await boxes.send([mail("3", { once })]))[0]?.id, "2");
    clock.advance(1);
    assert.equal((await boxes.send([mail("4", { once })]))[0]?.id, "4");
  });

  withStorage("an attempt gets the same again until something of it was touched", async ({ mailboxes: boxes }, clock) => {
    await boxes.send(["1", "2", "3"].map((id) => mail(id, { group: id })));
    const attempt = options({ limit: 2, attempt: { key: "a", forMs: 1500 } });
    const first = await boxes.receive("m", attempt);
    clock.advance(999);
    assert.deepEqual((await boxes.receive("m", attempt)).mail, first.mail);
    clock.advance(500);
    await boxes.remove("m", [first.mail[1]?.token ?? ""]);
    const over = await boxes.receive("m", attempt);
    assert.deepEqual([ids(over), over.isAttemptOver], [[], true]);
    // The time of the attempt is over, and that of the claims is not.
    clock.advance(1);
    assert.deepEqual(ids(await boxes.receive("m", attempt)), ["3"]);
  });
}

function moves(withStorage: WithStorage): void {
  withStorage("what was received too often moves in the same step, with where it came from", async ({ mailboxes: boxes }, clock) => {
    const withDead = (renewsAge = false) => options({ deadLetter: { mailbox: "dead", receives: 1, source: "arn of m", renewsAge } });
    await boxes.send([mail("1"), mail("2", { group: "g" }), mail("3", { group: "g" })]);
    const sentAtMs = clock.now();
    assert.deepEqual(ids(await boxes.receive("m", { ...withDead(), limit: 2 })), ["1", "2"]);
    clock.advance(1000);
    let woken = 0;
    const hint = boxes.onHint("dead", () => (woken += 1));
    const received = await boxes.receive("m", withDead());
    assert.deepEqual([ids(received), received.deadLetters, woken], [["3"], 2, 1]);
    hint.stop();
    const dead = await boxes.receive("dead", options());
    assert.deepEqual(
      dead.mail.map(({ id, group, source, receives, sentAtMs: sent }) => [id, group, source, receives, sent]),
      [
        ["1", undefined, "arn of m", 1, sentAtMs],
        ["2", "g", "arn of m", 1, sentAtMs],
      ],
    );
    clock.advance(1000);
    const moved = await boxes.forward("dead", ["n1", "n2", "n3"], { "arn of m": "m" });
    assert.deepEqual(moved, { moved: 2 });
    assert.deepEqual(ids(await boxes.receive("m", options())).toSorted(), ["3", "n1", "n2"]);
    await boxes.send([mail("own", { mailbox: "dead" })]);
    assert.deepEqual(await boxes.forward("dead", ["x"], { "arn of m": "m" }), { moved: 0, stop: "no-source" });
    assert.deepEqual(await boxes.forward("dead", ["x"], "other"), { moved: 1 });
    assert.deepEqual(await boxes.names(), ["m", "other"]);
  });
}
