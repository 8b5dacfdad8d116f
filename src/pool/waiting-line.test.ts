import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitingLine } from "./waiting-line.ts";

const line = (callers: number, events: number) => {
  const waiting = new WaitingLine<{ readonly isEvent: boolean; readonly n: number }>(1000);
  for (let n = 0; n < events; n++) assert.ok(waiting.push("f", { isEvent: true, n }));
  for (let n = 0; n < callers; n++) assert.ok(waiting.push("f", { isEvent: false, n }));
  return waiting;
};
const turns = (waiting: ReturnType<typeof line>, count: number) =>
  Array.from({ length: count }, () => (waiting.shift()?.isEvent === true ? "e" : "c")).join("");

test("callers come before events that came earlier, and every eighth turn is an event's", () => {
  const waiting = line(20, 5);
  assert.equal(turns(waiting, 25), "ccccccceccccccceccccccee".padEnd(25, "e"));
  assert.equal(waiting.length, 0);
  assert.equal(waiting.shift(), undefined);
});

test("events have all turns when no caller waits, and callers when no event does", () => {
  assert.equal(turns(line(0, 3), 3), "eee");
  assert.equal(turns(line(20, 0), 20), "c".repeat(20));
});

test("each kind has its bound, and who gives up is gone", () => {
  const waiting = new WaitingLine<{ readonly isEvent: boolean }>(1);
  const caller = { isEvent: false };
  assert.ok(waiting.push("f", caller));
  assert.ok(!waiting.push("f", { isEvent: false }));
  assert.ok(waiting.push("g", { isEvent: true }));
  assert.ok(!waiting.push("g", { isEvent: true }));
  waiting.remove("f", caller);
  assert.equal(waiting.nextKey, "g");
  assert.equal(waiting.items().length, 1);
});
