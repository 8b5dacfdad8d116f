// What every Storage driver promises; called with a way to make a fresh one.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import type { Storage } from "../../src/store/storage.ts";
import { clockSteps } from "./storage-clock.contract.ts";
import { capacity, journals, leases, timers } from "./storage-coordination.contract.ts";
import { follows } from "./storage-follow.contract.ts";
import { mailboxes } from "./storage-mailboxes.contract.ts";
import { queues } from "./storage-queue.contract.ts";
import { records } from "./storage-records.contract.ts";
import { failsWith, key, type WithStorage } from "./storage-values.ts";

export function storageContract(name: string, open: (clock: ManualClock) => Promise<Storage>): void {
  const withStorage: WithStorage = (title, run) => {
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
    for (const part of [records, follows, queues, mailboxes, journals, timers, leases, capacity, clockSteps]) part(withStorage);

    withStorage("after close everything is refused, and what was accepted before is answered", async (storage) => {
      const accepted = storage.meta.write([{ key: key("a"), value: 1 }]);
      await storage.close();
      assert.deepEqual(await accepted, [1]);
      await assert.rejects(storage.meta.get([key("a")]), failsWith("Unavailable"));
      await assert.rejects(storage.queue.enqueue([{ queue: "q", id: "1", body: new Uint8Array(1) }]), failsWith("Unavailable"));
      await storage.close();
    });
  });
}
