// What subscribers of the Telemetry and Logs APIs hear of an execution environment.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import type { FakeProgram, FakeSandbox } from "../sandbox/fake.ts";
import { eventually, invocation, outcomeOf, passing, plain, turns, type Running } from "./environment.fixture.ts";
import type { ResponseSink } from "./response-sink.ts";
import { call, next, register, running, start, stop, type Reply } from "./extension.fixture.ts";

const TELEMETRY = "/2022-07-01/telemetry";
const INVOCATION = "/2018-06-01/runtime/invocation";
const subscription = (changes: object = {}) => ({
  schemaVersion: "2022-12-13",
  types: ["platform", "function", "extension"],
  buffering: { timeoutMs: 25 },
  destination: { protocol: "HTTP", URI: "http://sandbox.localdomain:4243/take" },
  ...changes,
});

/** Subscribes and takes batches at port 4243. */
function listener(
  body: object,
  into: Record<string, unknown>[],
  path = TELEMETRY,
  status = 200,
  wanted = ["INVOKE", "SHUTDOWN"],
): FakeProgram {
  return async (context) => {
    const { sandbox } = context;
    const server = createServer((incoming, reply) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      incoming.on("end", () => {
        if (status === 200) into.push(...(JSON.parse(text) as Record<string, unknown>[]));
        reply.writeHead(status).end();
      });
    });
    sandbox.listen(4243, (connection) => void server.emit("connection", connection));
    const { id } = await register(sandbox, "x", wanted);
    const reply = await call(sandbox, "PUT", path, { "Lambda-Extension-Identifier": id }, JSON.stringify(body));
    assert.deepEqual([reply.status, reply.body], [200, { text: "OK" }]);
    for (;;) if ((await next(sandbox, id)).body["eventType"] === "SHUTDOWN") return 0;
  };
}

/** Lets so much time pass, in small steps. */
async function advance(one: Running, ms: number): Promise<void> {
  for (let step = 0; step < ms; step++) {
    await turns(5);
    one.clock.advance(1);
  }
}

const typesOf = (events: readonly Record<string, unknown>[]) => events.map(({ type }) => type);

test("a subscriber of the Telemetry API hears everything from the start to the report, in its schema", async () => {
  const events: Record<string, unknown>[] = [];
  const one = running({ x: listener(subscription(), events) }, { handler: (_event, { print }) => (print("hello\n"), 1) });
  await start(one);
  await outcomeOf(one);
  await stop(one);
  const platform = typesOf(events).filter((type) => type !== "extension");
  assert.deepEqual(platform, [
    "platform.initStart",
    "platform.telemetrySubscription",
    "platform.extension",
    "platform.initRuntimeDone",
    "platform.initReport",
    "platform.start",
    "function",
    "platform.runtimeDone",
    "platform.report",
  ]);
  const find = (type: string) => events.find((event) => event["type"] === type)?.["record"] as Record<string, unknown>;
  assert.deepEqual(find("platform.telemetrySubscription"), {
    name: "x",
    state: "Subscribed",
    types: ["platform", "function", "extension"],
  });
  assert.deepEqual(find("platform.extension"), { name: "x", state: "Ready", events: ["INVOKE", "SHUTDOWN"] });
  assert.equal(find("function"), "hello\n");
  const { tracing, ...began } = find("platform.start");
  assert.deepEqual(began, { requestId: "r1", version: "$LATEST" });
  assert.match((tracing as { value: string }).value, /^Root=1-/);
  assert.equal(find("platform.runtimeDone")["status"], "success");
  assert.equal((find("platform.report")["metrics"] as { memorySizeMB: number }).memorySizeMB, 128);
  assert.ok(plain(one.seen.messages).includes("TELEMETRY\tName: x\tState: Subscribed\tTypes: [Platform, Function, Extension]"));
});

test("of a response that is streamed, a subscriber hears how long it took to begin, and to end", async () => {
  const events: Record<string, unknown>[] = [];
  const one = running(
    { x: listener(subscription(), events) },
    {
      async handler(_event, { send, requestId }) {
        one.clock.advance(20);
        send("C", { requestId }, Buffer.from("one "));
        await eventually(() => text === "one ");
        one.clock.advance(30);
      },
    },
  );
  let text = "";
  const response: ResponseSink = { begin: () => undefined, write: (chunk) => void (text += Buffer.from(chunk).toString()) };
  await start(one);
  await one.environment.invoke({ ...invocation("r1"), response });
  await stop(one);
  const done = events.find(({ type }) => type === "platform.runtimeDone")?.["record"] as { spans: { start: string }[]; metrics: object };
  const [latency, duration, overhead] = done.spans;
  assert.deepEqual(done.metrics, { durationMs: 50, producedBytes: 4 });
  assert.deepEqual(latency, { name: "responseLatency", start: latency?.start, durationMs: 20 });
  const start20 = new Date(Date.parse(latency?.start ?? "") + 20).toISOString();
  assert.deepEqual(duration, { name: "responseDuration", start: start20, durationMs: 30 });
  // Our own bootstraps are ready with the last byte of their answer.
  const start50 = new Date(Date.parse(latency?.start ?? "") + 50).toISOString();
  assert.deepEqual(overhead, { name: "runtimeOverhead", start: start50, durationMs: 0 });
});

for (const events of [["INVOKE", "SHUTDOWN"], ["SHUTDOWN"]])
  test(`a subscriber to ${events.join(" and ")} hears how long a runtime took to ask for its next invocation`, async () => {
    const heard: Record<string, unknown>[] = [];
    const layout = { argv: ["/bin/own"], mounts: [], env: {}, protocol: "runtime-api", version: "1" } as const;
    const one = running({ x: listener(subscription(), heard, TELEMETRY, 200, events) }, {}, 3000, { layout });
    const sandbox = async () => {
      await eventually(() => one.host.sandboxes.size === 1);
      return [...one.host.sandboxes.values()][0] ?? assert.fail();
    };
    const ask = async () => await call(await sandbox(), "GET", `${INVOCATION}/next`, {});
    const started = one.environment.start();
    const first = ask();
    await passing(one, started, 1);
    const answer = one.environment.invoke(invocation("r1"));
    await first;
    one.clock.advance(20);
    await call(await sandbox(), "POST", `${INVOCATION}/r1/response`, {}, "1");
    assert.equal((await answer).kind, "returned");
    await turns(20);
    assert.equal(one.environment.state, "busy", "it is over when the runtime has asked again");
    one.clock.advance(7);
    void ask().catch(() => undefined); // it is hung up on at the end
    await eventually(() => one.environment.state === "idle");
    await stop(one);
    const done = heard.find(({ type }) => type === "platform.runtimeDone")?.["record"] as { spans: object[]; metrics: object };
    assert.deepEqual(done.metrics, { durationMs: 20, producedBytes: 1 });
    assert.deepEqual(
      done.spans.map((span) => ({ ...span, start: undefined })),
      [
        { name: "responseLatency", start: undefined, durationMs: 20 },
        { name: "responseDuration", start: undefined, durationMs: 0 },
        { name: "runtimeOverhead", start: undefined, durationMs: 7 },
      ],
    );
  });

test("the Logs API has its own events", async () => {
  const events: Record<string, unknown>[] = [];
  const body = subscription({ schemaVersion: "2021-03-18", types: ["platform", "function"] });
  const one = running({ x: listener(body, events, "/2020-08-15/logs") });
  await start(one);
  await outcomeOf(one);
  await stop(one);
  const expected = ["logsSubscription", "extension", "start", "runtimeDone", "end", "report"].map((type) => `platform.${type}`);
  assert.deepEqual(typesOf(events), expected);
  assert.deepEqual(events[2]?.["record"], { requestId: "r1", version: "$LATEST" });
});

test("what a listener does not take is dropped, and counted when it listens again", async () => {
  const lines: string[] = [];
  const listen = (sandbox: FakeSandbox) =>
    sandbox.listen(4244, (connection: Duplex) => {
      connection.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trim().split("\n")));
    });
  const tcp: FakeProgram = async ({ sandbox }) => {
    const { id } = await register(sandbox, "x", ["INVOKE", "SHUTDOWN"]);
    const body = JSON.stringify(subscription({ types: ["platform"], destination: { protocol: "TCP", port: 4244 } }));
    await call(sandbox, "PUT", TELEMETRY, { "Lambda-Extension-Identifier": id }, body);
    for (;;) if ((await next(sandbox, id)).body["eventType"] === "SHUTDOWN") return 0;
  };
  const one = running({ x: tcp }, { handler: (_event, { sandbox }) => (listen(sandbox), "answer") });
  await start(one);
  await advance(one, 300); // three tries, each after 25 ms
  await outcomeOf(one);
  await stop(one);
  const events = lines.map((line) => JSON.parse(line) as { type: string; record: Record<string, unknown> });
  assert.ok(events.some(({ type }) => type === "platform.start"));
  assert.equal(
    events.some(({ type }) => type === "platform.initStart"),
    false,
  );
  const dropped = events.find(({ type }) => type === "platform.logsDropped")?.record;
  assert.ok(Number(dropped?.["droppedRecords"]) > 0 && Number(dropped?.["droppedBytes"]) > 0);
  assert.equal(dropped?.["reason"], "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.");
});

for (const [what, changes, message] of [
  ["a bound", { buffering: { maxItems: 999 } }, /maxItems must be an integer between 1000 and 10000/],
  ["a type", { types: ["other"] }, /types must be some of/],
  ["a host", { destination: { protocol: "HTTP", URI: "http://example.com:80" } }, /sandbox\.localdomain/],
  ["a schema", { schemaVersion: "2020-01-01" }, /schemaVersion/],
  ["a protocol", { destination: { protocol: "UDP" } }, /HTTP or TCP/],
] as const)
  test(`a subscription with a wrong ${what} is refused`, async () => {
    let reply: Reply | undefined;
    const one = running({
      x: async ({ sandbox }) => {
        const { id } = await register(sandbox, "x", []);
        reply = await call(sandbox, "PUT", TELEMETRY, { "Lambda-Extension-Identifier": id }, JSON.stringify(subscription(changes)));
        return 1;
      },
    });
    await start(one);
    assert.deepEqual([reply?.status, reply?.body["errorType"]], [400, "ValidationError"]);
    assert.match(String(reply?.body["errorMessage"]), message);
    await stop(one);
  });
