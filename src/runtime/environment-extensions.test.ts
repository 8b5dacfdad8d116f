import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";
import type { FakeFunction, FakeInit, FakeProgram, FakeSandbox } from "../sandbox/fake.ts";
import { RUNTIME_API_PORT } from "./environment-api.ts";
import {
  COLD,
  END,
  environment,
  eventually,
  INIT_START,
  invocation,
  outcomeOf,
  passing,
  plain,
  SETTINGS,
  START,
  turns,
  type Running,
} from "./environment.fixture.ts";
import type { Environment } from "./environment.ts";
import type { ResponseSink } from "./response-sink.ts";

const directory = mkdtempSync(join(tmpdir(), "lambent-extensions-"));
after(() => rmSync(directory, { recursive: true }));

/** A directory of layers with files of these names in `extensions/`. */
function layers(names: readonly string[]): string {
  const made = mkdtempSync(join(directory, "layers-"));
  mkdirSync(join(made, "extensions"));
  for (const name of names) writeFileSync(join(made, "extensions", name), "");
  return made;
}

interface Reply {
  readonly status: number;
  readonly id: string;
  readonly body: Record<string, unknown>;
}

/** One call from inside, as an extension makes it. */
async function call(sandbox: FakeSandbox, method: string, path: string, headers: Record<string, string>, body = ""): Promise<Reply> {
  const socket = await sandbox.connect(RUNTIME_API_PORT);
  return await new Promise((resolve, reject) => {
    const outgoing = request({ createConnection: () => socket, method, path, headers: { ...headers, Connection: "close" } }, (reply) => {
      let text = "";
      reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
      reply.on("error", reject);
      reply.on("end", () => {
        const parsed: unknown = text.startsWith("{") ? JSON.parse(text) : { text };
        const id = String(reply.headers["lambda-extension-identifier"] ?? "");
        resolve({ status: reply.statusCode ?? 0, id, body: parsed as Record<string, unknown> });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const EXTENSION = "/2020-01-01/extension";

async function register(sandbox: FakeSandbox, name: string, events: readonly string[], headers: Record<string, string> = {}) {
  return await call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": name, ...headers }, JSON.stringify({ events }));
}

const next = (sandbox: FakeSandbox, id: string) => call(sandbox, "GET", `${EXTENSION}/event/next`, { "Lambda-Extension-Identifier": id });

/** Registers, and takes events until SHUTDOWN; `on` may do something about each. */
function extension(
  name: string,
  events: readonly string[],
  on: (event: Record<string, unknown>, context: FakeInit) => unknown = () => undefined,
): FakeProgram {
  return async (context) => {
    const { id } = await register(context.sandbox, name, events);
    for (;;) {
      const { body } = await next(context.sandbox, id);
      const code: unknown = await on(body, context);
      if (typeof code === "number") return code;
      if (body["eventType"] === "SHUTDOWN") return 0;
    }
  };
}

function running(programs: Record<string, FakeProgram>, script: Partial<FakeFunction> = {}, timeoutMs = 3000): Running {
  const extensions = Object.fromEntries(Object.entries(programs).map(([name, program]) => [`/opt/extensions/${name}`, program]));
  const settings = { ...SETTINGS, timeoutMs, variables: { OWN: "mine" }, layersDirectory: layers(Object.keys(programs)) };
  return environment({ script: { handler: () => "answer", ...script, extensions }, timeoutMs, options: { settings } });
}

const start = (one: Running, stepMs = 50) => passing(one, one.environment.start(), stepMs);
const stop = (one: Running, stepMs = 50) => passing(one, one.environment.stop(), stepMs);
const isIdle = (one: Environment) => () => one.state === "idle";

test("an extension registers, gets its events, and has the last word", async () => {
  const seen: Record<string, unknown>[] = [];
  let variables: Readonly<Record<string, string>> = {};
  const one = running({
    x: extension("x", ["INVOKE", "SHUTDOWN"], (event, { env, print }) => {
      variables = env;
      seen.push(event);
      print(`got ${String(event["eventType"])}\n`);
    }),
  });
  await start(one);
  assert.equal(one.environment.state, "idle");
  assert.equal((await outcomeOf(one)).text, '"answer"');
  await eventually(isIdle(one.environment));
  await stop(one);
  const [invoke, shutdown] = seen;
  assert.equal(typeof invoke?.["deadlineMs"], "number");
  const tracing = invoke?.["tracing"] as { type: string; value: string };
  assert.equal(tracing.type, "X-Amzn-Trace-Id");
  assert.match(tracing.value, /^Root=1-.*;Parent=.*;Sampled=0;Lineage=/);
  assert.deepEqual([invoke?.["eventType"], invoke?.["requestId"], invoke?.["invokedFunctionArn"]], ["INVOKE", "r1", SETTINGS.functionArn]);
  assert.deepEqual([shutdown?.["eventType"], shutdown?.["shutdownReason"]], ["SHUTDOWN", "SPINDOWN"]);
  const messages = plain(one.seen.messages);
  assert.deepEqual(messages.slice(0, 3), [INIT_START, "EXTENSION\tName: x\tState: Ready\tEvents: [INVOKE, SHUTDOWN]", START]);
  assert.deepEqual(messages.filter((line) => line === END || line.startsWith(COLD.slice(0, 20))).length, 2);
  assert.ok(messages.includes("got INVOKE"));
  assert.equal(variables["OWN"], "mine");
  assert.equal(variables["AWS_LAMBDA_FUNCTION_NAME"], "f");
  for (const name of ["_HANDLER", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "LAMBDA_TASK_ROOT", "AWS_XRAY_DAEMON_ADDRESS"])
    assert.equal(variables[name], undefined, name);
  assert.equal(one.host.ledger().runningNow, 0);
});

test("the answer does not wait for an extension, the environment does", async () => {
  const gate = Promise.withResolvers<void>();
  const one = running({ x: extension("x", ["INVOKE"], (event) => (event["eventType"] === "INVOKE" ? gate.promise : undefined)) });
  await start(one);
  const result = await one.environment.invoke(invocation("r1"));
  assert.equal(result.kind, "returned");
  await eventually(() => plain(one.seen.messages).includes(START));
  assert.equal(one.environment.state, "busy");
  assert.equal(plain(one.seen.messages).includes(END), false);
  gate.resolve();
  await eventually(isIdle(one.environment));
  await eventually(() => plain(one.seen.messages).includes(END));
  await stop(one);
});

test("an extension that goes on beyond the timeout is a timeout in the report, and the runtime is made anew", async () => {
  const reasons: unknown[] = [];
  const one = running({
    x: extension("x", ["INVOKE", "SHUTDOWN"], (event, { hang }) => {
      if (event["eventType"] === "INVOKE" && event["requestId"] === "r1") return hang();
      reasons.push(event["shutdownReason"] ?? event["requestId"]);
      return undefined;
    }),
  });
  await start(one);
  assert.equal((await one.environment.invoke(invocation("r1"))).kind, "returned");
  for (let step = 0; step < 200 && one.environment.state !== "reset"; step++) {
    await turns(20);
    one.clock.advance(100);
  }
  assert.equal(one.environment.state, "reset");
  assert.match(plain(one.seen.messages).join("\n"), /REPORT RequestId: r1.*Status: timeout/);
  assert.equal((await outcomeOf(one, "r2")).text, '"answer"');
  assert.deepEqual(reasons, ["r2"]);
  await stop(one);
});

for (const [what, program, errorType, text] of [
  ["ends", extension("x", ["INVOKE"], () => 3), "Extension.Crash", "exit status 3"],
  ["says that it can't go on", failing("exit"), "Extension.ExitError", "Extension.Mine"],
] as const)
  test(`an extension that ${what} within an invocation fails it`, async () => {
    const one = running({ x: program }, { handler: (_event, { hang }) => hang() });
    await start(one);
    const outcome = await outcomeOf(one);
    assert.deepEqual([outcome.cause, outcome.errorType], ["exit", errorType]);
    assert.equal(outcome.text, `{"errorType":"${errorType}","errorMessage":"RequestId: r1 Error: ${text}"}`);
    await eventually(() => one.environment.state === "reset");
    await stop(one);
  });

function failing(phase: "init" | "exit"): FakeProgram {
  return async ({ sandbox, hang }) => {
    const { id } = await register(sandbox, "x", ["INVOKE"]);
    if (phase === "exit") await next(sandbox, id);
    const headers = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Mine" };
    await call(sandbox, "POST", `${EXTENSION}/${phase}/error`, headers, "{}");
    return await hang();
  };
}

for (const [what, programs, errorType, text] of [
  ["ends before it registers", { x: () => 0 }, "Extension.Crash", "exit code 0"],
  ["reports that its initialisation failed", { x: failing("init") }, "Extension.InitError", "Extension.Mine"],
] as const)
  test(`an extension that ${what} fails the initialisation, and the one within the invocation`, async () => {
    const one = running(programs);
    await start(one);
    assert.equal(one.environment.state, "reset");
    const outcome = await outcomeOf(one);
    assert.deepEqual([outcome.cause, outcome.errorType], ["init", errorType]);
    assert.match(outcome.text, new RegExp(`Error: ${text}"`));
    await stop(one);
    assert.equal(one.host.ledger().runningNow, 0);
  });

test("an extension that never registers uses up the init phase, and then the function's time", async () => {
  const one = running({ x: ({ hang }) => hang() });
  await start(one, 500);
  assert.equal(one.environment.state, "reset");
  assert.equal((await outcomeOf(one)).errorType, "Sandbox.Timedout");
  await stop(one);
});

test("who ignores its SHUTDOWN is killed after 2 s; the runtime has a part of them", async () => {
  const one = running({ x: extension("x", ["SHUTDOWN"], (_event, { hang }) => hang()) }, { ignoresSigterm: true });
  await start(one);
  const before = one.clock.monotonic();
  await stop(one, 50);
  const tookMs = one.clock.monotonic() - before;
  assert.ok(tookMs >= 1950 && tookMs <= 2200, `${tookMs} ms`);
  assert.equal(one.host.ledger().runningNow, 0);
});

test("an internal extension gets INVOKE only; after the runtime is ready nobody registers", async () => {
  const replies: Reply[] = [];
  const invoked: unknown[] = [];
  const one = running(
    {},
    {
      init: async ({ sandbox }) => {
        replies.push(await register(sandbox, "inside", ["INVOKE", "SHUTDOWN"]));
        replies.push(await register(sandbox, "inside", ["INVOKE"], { "Lambda-Extension-Accept-Feature": "accountId" }));
        const id = replies[1]?.id ?? "";
        const goOn = ({ body }: Reply) => (invoked.push(body["requestId"]), next(sandbox, id));
        next(sandbox, id)
          .then(goOn)
          .catch(() => undefined); // its sandbox ends
      },
      handler: async (_event, { sandbox }) => (await register(sandbox, "late", ["INVOKE"])).body["errorType"],
    },
  );
  await start(one);
  assert.equal((await outcomeOf(one)).text, '"Extension.RegistrationClosed"');
  await eventually(() => invoked.length === 1);
  assert.deepEqual(
    replies.map(({ status }) => status),
    [403, 200],
  );
  assert.equal(replies[0]?.body["errorType"], "Extension.InvalidEventType");
  assert.deepEqual(replies[1]?.body, {
    functionName: "f",
    functionVersion: "$LATEST",
    handler: "index.handler",
    accountId: "000000000000",
  });
  assert.deepEqual(invoked, ["r1"]);
  await stop(one);
});

const REFUSALS: readonly [name: string, ask: (sandbox: FakeSandbox) => Promise<Reply>, status: number, errorType: string][] = [
  ["no identifier", (sandbox) => call(sandbox, "GET", `${EXTENSION}/event/next`, {}), 403, "Extension.MissingExtensionIdentifier"],
  ["a wrong identifier", (sandbox) => next(sandbox, "x"), 403, "Extension.InvalidExtensionIdentifier"],
  ["an unknown one", (sandbox) => next(sandbox, "8f5d2f0e-0000-4000-8000-000000000001"), 403, "Extension.UnknownExtensionIdentifier"],
  ["no name", (sandbox) => call(sandbox, "POST", `${EXTENSION}/register`, {}, '{"events":[]}'), 403, "Extension.InvalidExtensionName"],
  [
    "no JSON",
    (sandbox) => call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": "a" }, "{"),
    403,
    "InvalidRequestFormat",
  ],
  [
    "keys of a configuration",
    (sandbox) =>
      call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": "a" }, '{"events":[],"configurationKeys":["k"]}'),
    403,
    "InvalidRequestFormat",
  ],
  [
    "events that are no list",
    (sandbox) => call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": "a" }, '{"events":"INVOKE"}'),
    403,
    "InvalidRequestFormat",
  ],
  ["a strange event", (sandbox) => register(sandbox, "a", ["STOP"]), 403, "Extension.InvalidEventType"],
  [
    "one that is there",
    async (sandbox) => (await register(sandbox, "a", []), register(sandbox, "a", [])),
    403,
    "Extension.InvalidExtensionState",
  ],
  [
    "an error without its type",
    async (sandbox) =>
      call(sandbox, "POST", `${EXTENSION}/exit/error`, { "Lambda-Extension-Identifier": (await register(sandbox, "b", [])).id }),
    403,
    "Extension.MissingHeader",
  ],
  [
    "too many",
    async (sandbox) => {
      for (let count = 0; count < 10; count++) await register(sandbox, `e${count}`, []);
      return await register(sandbox, "last", []);
    },
    403,
    "Extension.TooManyExtensions",
  ],
];
for (const [name, ask, status, errorType] of REFUSALS)
  test(`the Extensions API refuses ${name}`, async () => {
    let reply: Reply | undefined;
    const one = running({}, { init: async ({ sandbox, exit }) => ((reply = await ask(sandbox)), exit(1)) });
    await start(one);
    assert.deepEqual([reply?.status, reply?.body["errorType"]], [status, errorType]);
    await stop(one);
  });

test("refusals have RAPID's sentences, and events may be left out", async () => {
  let said: unknown[] = [];
  let id = "";
  const init = async ({ sandbox, exit }: FakeInit) => {
    const first = await call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": "a" }, "{}");
    id = first.id;
    const again = await register(sandbox, "a", []);
    const typeless = await call(sandbox, "POST", `${EXTENSION}/init/error`, { "Lambda-Extension-Identifier": id });
    const error = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Own" };
    await call(sandbox, "POST", `${EXTENSION}/init/error`, error);
    const late = await next(sandbox, id);
    said = [first.status, ...[again, typeless, late].map(({ body }) => body["errorMessage"])];
    return await exit(1);
  };
  const one = running({}, { init });
  await start(one);
  await eventually(() => said.length > 0);
  assert.deepEqual(said, [
    200,
    "Extension with this name already registered",
    "Lambda-Extension-Function-Error-Type not found",
    `State transition from InitError to Ready failed for extension ${id}. Error: State transition is not allowed`,
  ]);
  await stop(one);
});

const TELEMETRY = "/2022-07-01/telemetry";
const subscription = (changes: object = {}) => ({
  schemaVersion: "2022-12-13",
  types: ["platform", "function", "extension"],
  buffering: { timeoutMs: 25 },
  destination: { protocol: "HTTP", URI: "http://sandbox.localdomain:4243/take" },
  ...changes,
});

/** Subscribes and takes batches at port 4243. */
function listener(body: object, into: Record<string, unknown>[], path = TELEMETRY, status = 200): FakeProgram {
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
    const { id } = await register(sandbox, "x", ["INVOKE", "SHUTDOWN"]);
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
  const [latency, duration] = done.spans;
  assert.deepEqual(done.metrics, { durationMs: 50, producedBytes: 4 });
  assert.deepEqual(latency, { name: "responseLatency", start: latency?.start, durationMs: 20 });
  const start20 = new Date(Date.parse(latency?.start ?? "") + 20).toISOString();
  assert.deepEqual(duration, { name: "responseDuration", start: start20, durationMs: 30 });
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
