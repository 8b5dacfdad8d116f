import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { Allowance } from "./allowance.ts";
import { Output } from "./output.ts";

function output() {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 });
  const clock = manualClock();
  const allowance = new Allowance();
  const lines: string[] = [];
  return {
    stream,
    clock,
    lines,
    allowance,
    output: new Output({ output: stream, clock, allowance, lines: (more) => void lines.push(...more) }),
  };
}

test("output becomes lines however it is cut, and the last one needs no newline", async () => {
  const { stream, lines, output: one } = output();
  for (const piece of ["a", "b\n\nc", "d", "\nno newline"]) stream.write(piece);
  await one.drained();
  assert.deepEqual(lines, ["ab", "", "cd", "no newline"]);
  await one.drained();
  assert.equal(lines.length, 4);
});

test("characters are not cut, wherever the pipe was", async () => {
  const { stream, lines, output: one } = output();
  const text = "Grüße, 世界 🌍\n";
  for (const byte of Buffer.from(text)) stream.write(Buffer.from([byte]));
  await one.drained();
  assert.deepEqual(lines, [text.trimEnd()]);
});

test("a long line is split at 256 KiB, between two characters", async () => {
  const { stream, lines, output: one } = output();
  const text = `${"x".repeat(262_143)}🌍${"y".repeat(300_000)}`;
  stream.write(`${text}\n`);
  await one.drained();
  assert.equal(lines.join(""), text);
  assert.deepEqual(
    lines.map((line) => Buffer.byteLength(line)),
    [262_143, 262_144, 37_860],
  );
});

test("what is no UTF-8 does no harm", async () => {
  const { stream, lines, output: one } = output();
  stream.write(Buffer.alloc(600_000, 0x80));
  stream.write("\n");
  await one.drained();
  assert.equal(
    lines.reduce((sum, line) => sum + line.length, 0),
    600_000,
  );
});

test("draining waits for what comes in the same moments as the answer", async () => {
  const { stream, lines, output: one } = output();
  const drained = one.drained();
  setImmediate(() => {
    stream.write("late\n");
    setImmediate(() => stream.write("later\n"));
  });
  await drained;
  assert.deepEqual(lines, ["late", "later"]);
});

test("draining ends while a thread goes on writing", async () => {
  const { stream, output: one } = output();
  let isOver = false;
  const writeOn = () => {
    stream.write("on and on\n");
    if (!isOver) setImmediate(writeOn);
  };
  writeOn();
  await one.drained();
  isOver = true;
});

test("a flood is read at a pace, and of one invocation no more than 32 MiB are kept", async () => {
  const { stream, clock, lines, allowance, output: one } = output();
  allowance.begin();
  const block = Buffer.from(`${"x".repeat(1023)}\n`.repeat(64));
  const total = 48 * 2 ** 20;
  let written = 0;
  const pump = async () => {
    while (written < total) {
      written += block.length;
      if (!stream.write(block)) await new Promise((resolve) => stream.once("drain", resolve));
    }
  };
  const pumping = pump();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.ok(written < 5 * 2 ** 20, `${written} bytes were read without a pause`);
  const writer = { isDone: false };
  void pumping.then(() => (writer.isDone = true));
  for (let round = 0; round < 200 && !writer.isDone; round++) {
    clock.advance(250);
    for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
  }
  assert.ok(writer.isDone, "the writer got rid of everything");
  clock.advance(250);
  await one.drained();
  const kept = lines.reduce((sum, line) => sum + line.length, 0);
  assert.ok(kept <= 33 * 2 ** 20 && kept > 20 * 2 ** 20, `${kept} bytes kept`);
  assert.match(lines.at(-1) ?? "", /^\[\d+ bytes of output dropped: more than 33554432 in one invocation\]$/);
  allowance.begin();
  stream.write("next\n");
  await one.drained();
  assert.equal(lines.at(-1), "next");
});
