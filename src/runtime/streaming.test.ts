import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeContext } from "../sandbox/fake.ts";
import { environment, eventually, invocation, outcomeOf, type Running } from "./environment.fixture.ts";
import type { ResponseSink } from "./response-sink.ts";

/** A caller that keeps what it gets, and takes more only when it is told to. */
function caller(isSlow = false) {
  const seen = { types: [] as (string | undefined)[], text: "", bytes: 0 };
  let room: PromiseWithResolvers<void> | undefined;
  const response: ResponseSink = {
    begin: (type) => void seen.types.push(type),
    write(chunk) {
      seen.bytes += chunk.length;
      if (chunk.length < 100) seen.text += Buffer.from(chunk).toString();
      if (!isSlow) return undefined;
      room = Promise.withResolvers<void>();
      return room.promise;
    },
  };
  return { response, seen, goOn: () => room?.resolve() };
}

const chunk = ({ send, requestId }: FakeContext, bytes: string | Uint8Array, more: object = {}) =>
  send("C", { requestId, ...more }, Buffer.from(bytes));

async function started(handler: (event: unknown, context: FakeContext) => unknown): Promise<Running> {
  const running = environment({ script: handler });
  await running.environment.start();
  return running;
}

test("chunks reach the caller before the function has ended; the result has no payload then", async () => {
  const gate = Promise.withResolvers<void>();
  const running = await started(async (_event, context) => {
    chunk(context, "one ", { contentType: "text/html" });
    await gate.promise;
    chunk(context, "two");
  });
  const { response, seen } = caller();
  const answer = running.environment.invoke({ ...invocation("r1"), response });
  await eventually(() => seen.text === "one ");
  gate.resolve();
  const result = await answer;
  assert.deepEqual([seen.text, seen.types], ["one two", ["text/html"]]);
  assert.deepEqual([result.kind, "payload" in result && result.payload.length], ["returned", 0]);
  assert.equal(running.environment.state, "idle");
});

test("a function that does not stream answers a streaming caller with its payload", async () => {
  const running = await started(() => "whole");
  const { response, seen } = caller();
  const result = await running.environment.invoke({ ...invocation("r1"), response });
  assert.deepEqual([seen.types, "payload" in result && Buffer.from(result.payload).toString()], [[], '"whole"']);
});

test("an error in the middle of a stream is the result", async () => {
  const running = await started((_event, context) => {
    chunk(context, "first");
    throw new TypeError("then");
  });
  const { response, seen } = caller();
  const result = await running.environment.invoke({ ...invocation("r1"), response });
  assert.deepEqual([seen.text, result.kind, "errorType" in result && result.errorType], ["first", "failed", "TypeError"]);
});

test("a caller that reads no further stops the reading of the function's socket", async () => {
  const running = await started(async (_event, context) => {
    for (let count = 0; count < 20; count++) chunk(context, Buffer.alloc(60_000));
  });
  const { response, seen, goOn } = caller(true);
  const answer = running.environment.invoke({ ...invocation("r1"), response });
  await eventually(() => seen.bytes > 0);
  const { control } = [...running.host.sandboxes.values()][0] ?? assert.fail();
  await eventually(() => control.isPaused());
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.ok(seen.bytes < 20 * 60_000, "it has not read everything");
  while (seen.bytes < 20 * 60_000) {
    goOn();
    await new Promise(setImmediate);
  }
  goOn();
  assert.equal((await answer).kind, "returned");
});

test("a stream beyond 200 MiB is cut off, and its runtime is not used again", async () => {
  const running = await started(async (_event, context) => {
    const megabyte = Buffer.alloc(2 ** 20);
    for (let count = 0; count < 201; count++) {
      chunk(context, megabyte);
      await new Promise(setImmediate);
    }
  });
  const { response, seen } = caller();
  const result = await running.environment.invoke({ ...invocation("r1"), response });
  assert.equal(result.kind === "failed" && result.errorType, "Function.ResponseSizeTooLarge");
  assert.match("payload" in result ? Buffer.from(result.payload).toString() : "", /209715200 bytes/);
  assert.ok(seen.bytes <= 200 * 2 ** 20);
  await eventually(() => running.environment.state === "reset");
  await running.environment.stop();
});

test("chunks that nobody asked for, or of another invocation, have no effect", async () => {
  const running = await started((_event, context) => {
    chunk(context, "unasked");
    context.send("C", { requestId: "another" }, Buffer.from("x"));
    return "fine";
  });
  assert.equal((await outcomeOf(running)).text, '"fine"');
  assert.equal(running.seen.strange.length, 2);
});
