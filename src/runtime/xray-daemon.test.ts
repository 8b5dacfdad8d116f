// Which datagrams are segments, how many are taken, and that an environment's arrive where they should.
import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import type { FakeHandler } from "../sandbox/fake.ts";
import { environment, invocation, SETTINGS } from "./environment.fixture.ts";
import { XRAY_DAEMON_PORT, XrayDaemon } from "./xray-daemon.ts";

const HEAD = '{"format":"json","version":1}\n';
const SEGMENT = '{"name":"f","id":"70de5b6f19ff9a0a","trace_id":"1-581cf771-a006649127e371903a2de979","start_time":1.5}';

function daemon() {
  const clock = manualClock();
  const seen = { segments: [] as string[], strange: [] as string[] };
  const segment = (document: string) => void seen.segments.push(document);
  const one = new XrayDaemon({ clock, segment, strange: (message) => void seen.strange.push(message) });
  return { seen, clock, take: (text: string) => one.take(Buffer.from(text)) };
}

void test("a header of format json and version 1, then one JSON object: that is a segment", () => {
  const { seen, take } = daemon();
  for (const head of [HEAD, '{"format": "json", "version": 1}\n', '{ "version" : 1, "format" : "json" } \n'])
    assert.equal(take(head + SEGMENT), true);
  const lines = JSON.stringify({ name: "Grün", metadata: { a: "x\ny" } }, undefined, 2);
  take(`${HEAD}${lines}\n`);
  assert.deepEqual(seen, { segments: [SEGMENT, SEGMENT, SEGMENT, `${lines}\n`], strange: [] });
});

void test("everything else is dropped, and told once", () => {
  const { seen, take } = daemon();
  const wrong = [
    "",
    "\n",
    HEAD,
    HEAD.trim(),
    SEGMENT,
    `\n${SEGMENT}`,
    `{"format":"json","version":2}\n${SEGMENT}`,
    `{"format":"xml","version":1}\n${SEGMENT}`,
    `{"format":"json","version":"1"}\n${SEGMENT}`,
    `[]\n${SEGMENT}`,
    `null\n${SEGMENT}`,
    `${HEAD}[${SEGMENT}]`,
    `${HEAD}null`,
    `${HEAD}${SEGMENT}${SEGMENT}`,
    `${HEAD}${SEGMENT.slice(0, -1)}`,
    `${HEAD}T1SCgQKAhIA`,
    `${HEAD}${"[".repeat(60_000)}`,
    "\0\u{1F600}\0",
  ];
  for (const text of wrong) assert.equal(take(text), true, text.slice(0, 100));
  take(HEAD + SEGMENT);
  assert.deepEqual(seen.segments, [SEGMENT]);
  assert.deepEqual(seen.strange, ["what it sends to the X-Ray daemon's address is no segment in JSON; it is dropped"]);
});

void test("a thousand in a second are taken, second after second; one more, and it is over", () => {
  const { seen, clock, take } = daemon();
  for (let second = 0; second < 3; second++, clock.advance(1000))
    for (let count = 0; count < 1000; count++) assert.equal(take(HEAD + SEGMENT), true);
  for (let count = 0; count < 1000; count++) take("");
  assert.equal(take(HEAD + SEGMENT), false);
  clock.advance(3_600_000);
  assert.equal(take(HEAD + SEGMENT), false);
  assert.equal(seen.segments.length, 3000);
  assert.equal(seen.strange.length, 2);
  assert.match(seen.strange[1] ?? "", /nothing is taken there any more/);
});

void test("so it is with four MiB in a second", () => {
  const { seen, take } = daemon();
  const document = JSON.stringify({ name: "x".repeat(65_000) });
  let taken = 0;
  while (take(HEAD + document)) taken++;
  assert.equal(taken, Math.floor(2 ** 22 / (HEAD.length + document.length)));
  assert.equal(seen.segments.length, taken);
});

/** A function that sends datagrams. */
const sender =
  (text: (sent: number) => string, count = 1): FakeHandler =>
  (_event, { sandbox }) => {
    for (let sent = 0; sent < count; sent++) sandbox.sendDatagram(XRAY_DAEMON_PORT, Buffer.from(text(sent)));
    return "sent";
  };

void test("a traced function's segments arrive, and nothing listens for any other", async () => {
  for (const isTraced of [true, false]) {
    const settings = isTraced ? ({ ...SETTINGS, isTraced } as const) : SETTINGS;
    const one = environment({ script: sender(() => HEAD + SEGMENT), options: { settings } });
    await one.environment.start();
    await one.environment.invoke(invocation("r"));
    assert.deepEqual(one.seen.segments, isTraced ? [SEGMENT] : []);
    await one.environment.stop();
  }
});

void test("a flood costs the server a thousand datagrams and two lines of its log, and the function goes on", async () => {
  const flood = sender((sent) => (sent % 2 === 0 ? HEAD + SEGMENT : "?"), 100_000);
  const one = environment({ script: flood, options: { settings: { ...SETTINGS, isTraced: true } } });
  await one.environment.start();
  for (const requestId of ["a", "b"]) {
    const { kind } = await one.environment.invoke(invocation(requestId));
    assert.equal(kind, "returned");
    one.clock.advance(10_000);
  }
  assert.equal(one.seen.segments.length, 500);
  assert.equal(one.seen.strange.length, 2);
  await one.environment.stop();
});
