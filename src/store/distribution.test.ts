// Percentiles are right to a hundredth, over many orders of magnitude, and stay so when gathered in parts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gathered, percentile } from "./distribution.ts";

const near = (found: number | undefined, value: number) =>
  assert.ok(Math.abs((found ?? Number.NaN) - value) <= Math.abs(value) * 0.011 + 1e-300, `${found} is not about ${value}`);

test("percentiles of one to a thousand", () => {
  const [whole, odd, even] = [new Gathered(), new Gathered(), new Gathered()];
  for (let value = 1; value <= 1000; value++) {
    whole.add(value);
    (value % 2 === 0 ? even : odd).add(value);
  }
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999]) near(percentile(whole.distribution(), share), share * 1000);
  assert.deepEqual([percentile(whole.distribution(), 0), percentile(whole.distribution(), 1)], [1, 1000]);
  odd.merge(even.distribution());
  assert.deepEqual(odd.distribution(), whole.distribution());
  assert.deepEqual([whole.count, whole.sum, whole.min, whole.max], [1000, 500_500, 1, 1000]);
});

test("zero, negative, tiny and huge values keep their order", () => {
  const values = [-1e300, -5, -1e-300, 0, 1e-300, 3, 1e100];
  const gathered = new Gathered();
  for (const value of values) gathered.add(value);
  const found = values.map((_, index) => percentile(gathered.distribution(), (index + 1) / values.length));
  for (const [index, value] of values.entries()) near(found[index], value);
});

test("without single values there are no percentiles, also after a merge", () => {
  const gathered = new Gathered();
  gathered.add(1);
  gathered.merge({ count: 2, sum: 3, min: 1, max: 2 });
  gathered.add(5);
  assert.deepEqual(gathered.distribution(), { count: 4, sum: 9, min: 1, max: 5 });
  assert.equal(percentile(gathered.distribution(), 0.5), undefined);
});
