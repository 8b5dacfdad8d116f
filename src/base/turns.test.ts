import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "./turns.ts";

test("one at a time for a key, in order, also after a failure; keys do not wait for each other", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run("a", async () => {
    await gate.promise;
    seen.push("a1");
    throw new Error("failed");
  });
  const second = turns.run("a", () => Promise.resolve(seen.push("a2")));
  await turns.run("b", () => Promise.resolve(seen.push("b")));
  assert.deepEqual(seen, ["b"]);
  gate.resolve();
  await assert.rejects(first, /failed/);
  await second;
  assert.deepEqual(seen, ["b", "a1", "a2"]);
});
