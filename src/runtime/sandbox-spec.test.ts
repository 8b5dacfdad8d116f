// How many CPUs a function sees, by its memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuMillisOf, processorsOf } from "./sandbox-spec.ts";

test("two CPUs up to 3,008 MB, six at 10,240 MB, and never fewer than the share fills", () => {
  const steps = [128, 1769, 3008, 3009, 3538, 5307, 5308, 7076, 7077, 8845, 8846, 10_240].map((memory) => [memory, processorsOf(memory)]);
  assert.deepEqual(steps, [
    [128, 2],
    [1769, 2],
    [3008, 2],
    [3009, 3],
    [3538, 3],
    [5307, 3],
    [5308, 4],
    [7076, 4],
    [7077, 5],
    [8845, 5],
    [8846, 6],
    [10_240, 6],
  ]);
  for (let memory = 128; memory <= 10_240; memory++) assert.ok(processorsOf(memory) * 1000 >= cpuMillisOf(memory), String(memory));
});
