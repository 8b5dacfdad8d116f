// Which processors a sandbox gets on machines that have more than it may see.
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { leastUsed, numbersOf, ownProcessors, type ProcessorUse } from "./processors.ts";

test("the kernel's lists of processors", () => {
  assert.deepEqual(numbersOf("0-2,5,8-9"), [0, 1, 2, 5, 8, 9]);
  assert.deepEqual(numbersOf("3\n"), [3]);
  assert.deepEqual(numbersOf(""), []);
  assert.equal(ownProcessors().length, availableParallelism());
});

test("a machine that has no more than a sandbox may see gives all of them", () => {
  assert.deepEqual(leastUsed([0, 1], 2, [{ processors: [0, 1], isFrozen: false }]), [0, 1]);
  assert.deepEqual(leastUsed([4], 2, []), [4]);
});

test("the least used are taken, whoever is frozen counts for less, and the load is spread evenly", () => {
  const own = [0, 1, 2, 3, 4, 5];
  assert.deepEqual(leastUsed(own, 2, []), [0, 1]);
  const others: ProcessorUse[] = [
    { processors: [0, 1], isFrozen: false },
    { processors: [2, 3], isFrozen: true },
    { processors: [2, 3], isFrozen: true },
    { processors: [63, 4], isFrozen: true },
  ];
  assert.deepEqual(leastUsed(own, 2, others), [4, 5]);
  assert.deepEqual(leastUsed(own, 3, others), [2, 4, 5]);
  const started: ProcessorUse[] = [];
  for (let count = 0; count < 30; count++) started.push({ processors: leastUsed(own, 2, started), isFrozen: count % 3 === 0 });
  for (const number of own) {
    const uses = started.filter(({ processors }) => processors.includes(number));
    assert.ok(uses.length >= 8 && uses.length <= 12, `processor ${number}: ${uses.length}`);
  }
});
