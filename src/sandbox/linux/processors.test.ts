// Which processors a sandbox gets on machines that have more than it may see.
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { leastUsed, machineTexts, numbersOf, ownProcessors, processorView, type ProcessorUse } from "./processors.ts";

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

const paragraph = (number: number) => `processor\t: ${number}\nmodel name\t: Some\nflags\t\t: fpu\n\n`;

test("a sandbox is shown its processors, by the machine's numbers and words, and nothing of what they do", () => {
  const lists = [{ path: "/sys/devices/system/cpu/possible", text: "0-7\n" }];
  const cpuinfo = `${[0, 1, 5, 15].map(paragraph).join("")}Hardware\t: Board\n`;
  const shown = processorView({ cpuinfo, stat: "cpu  1 2 3\ncpu0 1 2 3\nbtime 1700000000\nprocesses 9\n", lists })([1, 5]);
  const textOf = (path: string) => shown.find((file) => file.path === path)?.text;
  assert.equal(textOf("/sys/devices/system/cpu/possible"), "0-7\n");
  assert.equal(textOf("/sys/devices/system/cpu/online"), "1,5\n");
  assert.equal(textOf("/proc/cpuinfo"), paragraph(1) + paragraph(5));
  assert.deepEqual(textOf("/proc/stat")?.split("\n").slice(0, 6), [
    "cpu  0 0 0 0 0 0 0 0 0 0",
    "cpu1 0 0 0 0 0 0 0 0 0 0",
    "cpu5 0 0 0 0 0 0 0 0 0 0",
    "intr 0",
    "ctxt 0",
    "btime 1700000000",
  ]);
});

test("of this machine, every processor has its paragraph", () => {
  const own = ownProcessors();
  const text = processorView(machineTexts())(own).find(({ path }) => path === "/proc/cpuinfo")?.text ?? "";
  assert.deepEqual(
    [...text.matchAll(/^processor\s*:\s*(\d+)$/gm)].map(([, number]) => Number(number)),
    own,
  );
});
