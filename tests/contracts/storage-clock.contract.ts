// The Storage contract: what waits for a time when the clock is put back or ahead.
import assert from "node:assert/strict";
import { bytes, message, type WithStorage } from "./storage-values.ts";

const HOUR_MS = 3_600_000;
const RECEIVE = { limit: 10, visibilityMs: 30_000, keptMs: 4 * 24 * HOUR_MS, claimedMax: 100 };

export function clockSteps(withStorage: WithStorage): void {
  withStorage("messages wait no longer when the clock is set back, however often, and none comes early", async ({ queue }, clock) => {
    await queue.enqueue([{ ...message("delayed"), visibleAtMs: clock.now() + 60_000 }, message("claimed")]);
    const [claimed] = await queue.claim("q", 1, 15_000);
    clock.advance(5000);
    clock.step(-HOUR_MS);
    assert.deepEqual(await queue.depth("q"), { visible: 0, claimed: 1, delayed: 1 });
    assert.deepEqual(await queue.extend([claimed?.token ?? ""], 15_000), [true]);
    await queue.enqueue([{ ...message("since then"), visibleAtMs: clock.now() + 60_000 }]);
    clock.advance(15_000);
    clock.step(-24 * HOUR_MS);
    assert.deepEqual(await queue.depth("q"), { visible: 1, claimed: 0, delayed: 2 });
    clock.advance(39_999);
    assert.deepEqual(await queue.depth("q"), { visible: 1, claimed: 0, delayed: 2 });
    clock.advance(1);
    assert.deepEqual(await queue.depth("q"), { visible: 2, claimed: 0, delayed: 1 });
    clock.advance(5000);
    assert.deepEqual(
      (await queue.claim("q", 9, 1000)).map(({ id }) => id),
      ["delayed", "claimed", "since then"],
    );
  });

  withStorage("a message that is given back after a step waits as long as it was told to", async ({ queue }, clock) => {
    await queue.enqueue([message("1")]);
    const [claimed] = await queue.claim("q", 1, 15_000);
    clock.step(-HOUR_MS);
    await queue.release([claimed?.token ?? ""], 60_000);
    clock.advance(59_999);
    assert.equal((await queue.depth("q")).delayed, 1);
    clock.advance(1);
    assert.equal((await queue.depth("q")).visible, 1);
  });

  withStorage("mail waits no longer when the clock is set back, nor is it hidden longer", async ({ mailboxes }, clock) => {
    const mail = (id: string, more = {}) => ({ mailbox: "m", id, body: bytes(id), ...more });
    await mailboxes.send([mail("received")]);
    await mailboxes.receive("m", RECEIVE);
    const dueAtMs = clock.now() + 60_000;
    await mailboxes.send([mail("delayed", { dueAtMs }), mail("first", { group: "g" }), mail("behind", { group: "g", dueAtMs })]);
    clock.step(-HOUR_MS);
    assert.deepEqual(await mailboxes.counts("m"), { visible: 1, claimed: 1, delayed: 2 });
    clock.advance(30_000);
    const { mail: received } = await mailboxes.receive("m", { ...RECEIVE, visibilityMs: 1_000_000 });
    assert.deepEqual(
      received.map(({ id }) => id),
      ["received", "first"],
    );
    await mailboxes.remove(
      "m",
      received.map(({ token }) => token),
    );
    assert.equal((await mailboxes.receive("m", RECEIVE)).nextAtMs, clock.now() + 30_000);
    clock.advance(30_000);
    assert.equal((await mailboxes.receive("m", RECEIVE)).mail.length, 2);
  });

  withStorage("what was sent before a step is old, and not of the future", async ({ mailboxes }, clock) => {
    await mailboxes.send([{ mailbox: "m", id: "1", body: bytes("1") }]);
    clock.advance(60_000);
    clock.step(-HOUR_MS);
    const { mail } = await mailboxes.receive("m", RECEIVE);
    assert.equal(mail[0]?.sentAtMs, clock.now() - 60_000);
    assert.equal(await mailboxes.expire("m", clock.now(), 9), 1);
  });

  withStorage("keys and attempts are remembered for as long as they may be", async ({ mailboxes }, clock) => {
    const send = async (id: string) =>
      (await mailboxes.send([{ mailbox: "m", id, body: bytes(id), group: "g", once: { key: "k", forMs: 300_000 } }]))[0]?.id;
    await send("1");
    const attempt = { ...RECEIVE, attempt: { key: "a", forMs: 300_000 }, visibilityMs: 600_000 };
    const first = await mailboxes.receive("m", attempt);
    clock.step(-HOUR_MS);
    clock.advance(299_999);
    assert.equal(await send("2"), "1");
    assert.equal((await mailboxes.receive("m", attempt)).mail[0]?.token, first.mail[0]?.token);
    clock.advance(1);
    assert.equal(await send("3"), "3");
    assert.deepEqual((await mailboxes.receive("m", attempt)).mail, []);
  });

  withStorage("timers come when they would have come; after more than three hours they come at once", async ({ timers }, clock) => {
    const at = (id: string, afterMs: number) => ({ group: "g", id, dueAtMs: clock.now() + afterMs, body: bytes(id) });
    const due = async () => (await timers.claimDue("g", 9, 15_000)).map(({ id, dueAtMs }) => [id, dueAtMs - clock.now()]);
    await timers.set([at("claimed", 0)]);
    assert.deepEqual(await due(), [["claimed", 0]]);
    await timers.set([at("minute", 60_000), at("month", 720 * HOUR_MS)]);
    clock.step(-HOUR_MS);
    assert.deepEqual(await due(), []);
    clock.advance(15_000);
    assert.deepEqual(await due(), [["claimed", -15_000]]);
    clock.advance(45_000);
    assert.deepEqual(await due(), [
      ["claimed", -60_000],
      ["minute", 0],
    ]);
    clock.step(-3 * HOUR_MS - 1);
    assert.deepEqual(await due(), [["month", 0]]);
  });

  withStorage("leases and budgets end no later", async ({ leases, capacity }, clock) => {
    await leases.acquire(["l"], "one", 10_000);
    await capacity.limit("p", 1);
    await capacity.draw("p", 1, 10_000);
    clock.step(-HOUR_MS);
    assert.deepEqual(await leases.acquire(["l"], "two", 10_000), [undefined]);
    clock.advance(10_000);
    assert.ok((await leases.acquire(["l"], "two", 10_000))[0] !== undefined);
    assert.ok((await capacity.draw("p", 1, 10_000)) !== undefined);
  });

  withStorage("put ahead, the clock makes due what it passes; less than a second changes nothing", async ({ queue }, clock) => {
    await queue.enqueue([{ ...message("1"), visibleAtMs: clock.now() + 60_000 }]);
    for (const ms of [-999, 500, -400]) clock.step(ms);
    clock.advance(60_000);
    assert.equal((await queue.depth("q")).delayed, 1);
    clock.step(HOUR_MS);
    assert.equal((await queue.depth("q")).visible, 1);
  });
}
