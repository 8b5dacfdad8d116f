// Streamed results: a prelude that comes in pieces, streams without one, and functions that fail before or behind the first byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { streamedResponse } from "./http-stream.ts";

const WITH_PRELUDE = "application/vnd.awslambda.http-integration-response";
const END = "\0".repeat(8);

/** What was written, in these pieces; `ended` tells whether its reader has let it go. */
function stream(pieces: readonly string[], failure?: Error) {
  const state = { ended: false };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (const piece of pieces) yield await Promise.resolve(Buffer.from(piece));
      if (failure !== undefined) throw failure;
    } finally {
      state.ended = true;
    }
  }
  return { chunks: chunks(), state };
}

test("a prelude gives status, headers and cookies, however it is cut", async () => {
  const whole = `{"statusCode":201,"headers":{"X-A":"b"},"cookies":["c=1"]}${END}body`;
  for (const size of [1, 7, whole.length]) {
    const pieces = whole.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    const { chunks, state } = stream(pieces);
    const { body, ...head } = await streamedResponse({ contentType: WITH_PRELUDE, chunks });
    assert.deepEqual(head, { status: 201, headers: { "content-type": "application/json", "x-a": "b" }, cookies: ["c=1"] });
    assert.ok(body instanceof Readable);
    assert.deepEqual([await text(body), state.ended], ["body", true]);
  }
});

test("a stream without a prelude goes out as it is, under its own type", async () => {
  for (const contentType of ["text/event-stream", undefined]) {
    const { status, headers, body } = await streamedResponse({ contentType, ...stream(["a", "b"]) });
    assert.deepEqual([status, headers["content-type"]], [200, contentType ?? "application/octet-stream"]);
    assert.equal(await text(body as Readable), "ab");
  }
  const empty = await streamedResponse({ contentType: "text/plain", ...stream([]) });
  assert.equal(await text(empty.body as Readable), "");
});

test("what fails before its head is 502, and what fails behind it is cut", async () => {
  const failure = new Error("the function failed");
  const bad = [
    { contentType: "text/plain", ...stream([], failure) },
    { contentType: WITH_PRELUDE, ...stream(["{"], failure) },
  ];
  for (const one of bad) assert.equal((await streamedResponse(one)).status, 502);
  for (const prelude of ["{", "[]", '{"statusCode":"x"}', "x".repeat(70_000)]) {
    const { chunks, state } = stream([...Array.from({ length: 1 }, () => prelude), END, "more", "more"]);
    assert.equal((await streamedResponse({ contentType: WITH_PRELUDE, chunks })).status, 502, prelude.slice(0, 20));
    assert.ok(state.ended);
  }
  const late = await streamedResponse({ contentType: "text/plain", ...stream(["a"], failure) });
  await assert.rejects(text(late.body as Readable), failure);
});

test("a body that nobody wants is let go", async () => {
  const { chunks, state } = stream(["a", "b", "c"]);
  const { body } = await streamedResponse({ contentType: "text/plain", chunks });
  assert.ok(body instanceof Readable);
  const closed = new Promise((resolve) => body.once("close", resolve));
  body.destroy();
  await closed;
  await setImmediate();
  assert.ok(state.ended);
});
