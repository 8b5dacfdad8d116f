// What every LogSink driver promises; called with a way to make a fresh one.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { manualClock, type ManualClock } from "../../src/base/manual-clock.ts";
import type { LogEvent, LogSink, LogStreamName } from "../../src/store/log-sink.ts";

const WHERE = { account: "000000000000", region: "us-east-1", group: "/aws/lambda/f" };
const stream = (name: string): LogStreamName => ({ ...WHERE, stream: name });
const line = (timestampMs: number, message: string): LogEvent => ({ timestampMs, message });
const messages = (events: readonly { message: string }[]) => events.map((event) => event.message);

export function logSinkContract(name: string, open: (clock: ManualClock) => Promise<LogSink>): void {
  const withSink = (title: string, run: (sink: LogSink, clock: ManualClock) => Promise<void>) => {
    void test(title, async () => {
      const clock = manualClock();
      const sink = await open(clock);
      try {
        await run(sink, clock);
      } finally {
        await sink.close();
      }
    });
  };

  suite(`LogSink: ${name}`, () => {
    withSink("what was appended is read in order of time, and of arrival within a millisecond", async (sink) => {
      sink.append(stream("a"), [line(3, "third"), line(1, "first")]);
      sink.append(stream("b"), [line(1, "second")]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, limit: 10 })), ["first", "second", "third"]);
    });

    withSink("what was put is there when it returns, behind what was appended before", async (sink) => {
      const seen: string[] = [];
      sink.tail(WHERE.account, WHERE.region, WHERE.group, (_stream, events) => seen.push(...messages(events)));
      sink.append(stream("a"), [line(1, "first")]);
      await sink.put(stream("a"), [line(1, "second"), line(1, "third")]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, limit: 10 })), ["first", "second", "third"]);
      assert.deepEqual(seen, ["first", "second", "third"]);
    });

    withSink("a cursor goes on where the page ended, in both directions", async (sink) => {
      sink.append(
        stream("a"),
        Array.from({ length: 25 }, (_, n) => line(Math.floor(n / 3), `line ${n}`)),
      );
      const forwards: string[] = [];
      for (let page = await sink.query({ ...WHERE, limit: 4 }); page.length > 0;) {
        forwards.push(...messages(page));
        const cursor = page.at(-1);
        page = cursor === undefined ? [] : await sink.query({ ...WHERE, limit: 4, cursor });
      }
      assert.deepEqual(
        forwards,
        Array.from({ length: 25 }, (_, n) => `line ${n}`),
      );
      const backwards: string[] = [];
      for (let page = await sink.query({ ...WHERE, limit: 4, backwards: true }); page.length > 0;) {
        backwards.push(...messages(page));
        const cursor = page.at(-1);
        page = cursor === undefined ? [] : await sink.query({ ...WHERE, limit: 4, backwards: true, cursor });
      }
      assert.deepEqual(backwards, forwards.toReversed());
    });

    withSink("streams, prefixes and times narrow a query", async (sink) => {
      sink.append(stream("red/1"), [line(1, "r1"), line(5, "r5")]);
      sink.append(stream("red/2"), [line(2, "s2")]);
      sink.append(stream("blue"), [line(3, "b3")]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, streams: ["blue", "red/2"], limit: 9 })), ["s2", "b3"]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, streamPrefix: "red/", limit: 9 })), ["r1", "s2", "r5"]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, fromMs: 2, toMs: 5, limit: 9 })), ["s2", "b3"]);
    });

    withSink("accounts, regions and groups never see each other", async (sink) => {
      sink.append(stream("a"), [line(1, "mine")]);
      sink.append({ ...stream("a"), account: "111111111111" }, [line(1, "theirs")]);
      sink.append({ ...stream("a"), region: "eu-west-1" }, [line(1, "elsewhere")]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, limit: 9 })), ["mine"]);
      assert.deepEqual(await sink.groups("222222222222", "us-east-1"), []);
    });

    withSink("streams say when they were made and what they span", async (sink, clock) => {
      assert.equal(await sink.createStream(stream("empty")), "created");
      assert.equal(await sink.createStream(stream("empty")), "exists");
      const createdAtMs = clock.now();
      clock.advance(10);
      sink.append(stream("full"), [line(7, "x"), line(9, "y")]);
      const found = await sink.streams(WHERE.account, WHERE.region, WHERE.group);
      assert.deepEqual(
        found.find((info) => info.stream === "empty"),
        { stream: "empty", createdAtMs },
      );
      const full = { stream: "full", createdAtMs: createdAtMs + 10, firstEventMs: 7, lastEventMs: 9, lastIngestedMs: createdAtMs + 10 };
      assert.deepEqual(
        found.find((info) => info.stream === "full"),
        full,
      );
    });

    withSink("deleting takes a stream, a group or what is old, and the bytes with it", async (sink) => {
      sink.append(stream("a"), [line(1, "four"), line(100, "später")]);
      sink.append(stream("b"), [line(1, "xy")]);
      assert.equal(await sink.storedBytes(WHERE.account, WHERE.region, WHERE.group), 4 + 7 + 2);
      await sink.deleteStream(stream("b"));
      await sink.expire(WHERE.account, WHERE.region, WHERE.group, 50);
      assert.deepEqual(messages(await sink.query({ ...WHERE, limit: 9 })), ["später"]);
      assert.equal(await sink.storedBytes(WHERE.account, WHERE.region, WHERE.group), 7);
      await sink.deleteGroup(WHERE.account, WHERE.region, WHERE.group);
      assert.deepEqual(await sink.groups(WHERE.account, WHERE.region), []);
    });

    withSink("a tail sees what is appended to its group until it stops", async (sink) => {
      const seen: string[] = [];
      const tail = sink.tail(WHERE.account, WHERE.region, WHERE.group, (_stream, events) => seen.push(...messages(events)));
      sink.append(stream("a"), [line(1, "one")]);
      sink.append({ ...stream("a"), group: "other" }, [line(1, "not this")]);
      tail.stop();
      sink.append(stream("a"), [line(2, "two")]);
      assert.deepEqual(seen, ["one"]);
    });

    withSink("any text survives: quotes, NUL, emoji, newlines", async (sink) => {
      const text = `'"; DROP TABLE log_event; -- \u0000 \u{1f600} \n \\`;
      sink.append(stream("__proto__"), [line(1, text)]);
      assert.deepEqual(messages(await sink.query({ ...WHERE, streams: ["__proto__"], limit: 1 })), [text]);
    });
  });
}
