import assert from "node:assert/strict";
import { test } from "node:test";
import { responseStream } from "./response-stream.ts";

const CHUNK = Buffer.alloc(64 * 1024);

test("chunks come out in order, those included that came before the end", async () => {
  const stream = responseStream();
  stream.begin("text/html");
  void stream.write(Buffer.from("a"));
  const chunks = stream.chunks();
  assert.equal(await stream.begun, "text/html");
  assert.equal(String((await chunks.next()).value), "a");
  const waiting = chunks.next();
  void stream.write(Buffer.from("b"));
  assert.equal(String((await waiting).value), "b");
  void stream.write(Buffer.from("c"));
  stream.end();
  assert.equal(String((await chunks.next()).value), "c");
  assert.equal((await chunks.next()).done, true);
});

test("a writer waits when nobody reads, and goes on when somebody does", async () => {
  const stream = responseStream();
  for (let count = 0; count < 3; count++) assert.equal(stream.write(CHUNK), undefined);
  const room = stream.write(CHUNK);
  assert.ok(room !== undefined);
  let hasRoom = false;
  void room.then(() => (hasRoom = true));
  await new Promise(setImmediate);
  assert.equal(hasRoom, false);
  await stream.chunks().next();
  await room;
});

test("once cancelled it takes everything, keeps nothing and holds nobody up", async () => {
  const stream = responseStream();
  for (let count = 0; count < 3; count++) void stream.write(CHUNK);
  const room = stream.write(CHUNK);
  stream.cancel();
  await room;
  for (let count = 0; count < 100; count++) assert.equal(stream.write(CHUNK), undefined);
  assert.equal((await stream.chunks().next()).done, true);
});
