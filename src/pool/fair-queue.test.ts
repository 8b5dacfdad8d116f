import assert from "node:assert/strict";
import { test } from "node:test";
import { FairQueue } from "./fair-queue.ts";

const all = (queue: FairQueue<string>) => {
  const out: string[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) out.push(item);
  return out.join(" ");
};

test("keys take turns, and within a key the first comes first", () => {
  const queue = new FairQueue<string>(10);
  for (const item of ["a1", "a2", "a3", "b1", "c1", "b2"]) assert.ok(queue.push(item.charAt(0), item));
  assert.equal(queue.nextKey, "a");
  assert.equal(all(queue), "a1 b1 c1 a2 b2 a3");
  assert.equal(queue.nextKey, undefined);
  assert.equal(queue.length, 0);
});

test("a full queue takes no more, and what was removed is never seen", () => {
  const queue = new FairQueue<string>(2);
  assert.deepEqual([queue.push("a", "a1"), queue.push("a", "a2"), queue.push("b", "b1")], [true, true, false]);
  queue.remove("a", "a1");
  queue.remove("a", "a1");
  queue.remove("z", "z1");
  assert.ok(queue.push("b", "b1"));
  assert.deepEqual(queue.items(), ["a2", "b1"]);
  assert.equal(all(queue), "a2 b1");
});
