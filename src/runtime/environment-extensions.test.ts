// Extensions of an execution environment: their life beside the runtime's, and what becomes of an invocation.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeInit, FakeProgram, FakeSandbox } from "../sandbox/fake.ts";
import { COLD, END, eventually, INIT_START, invocation, outcomeOf, plain, SETTINGS, START, turns } from "./environment.fixture.ts";
import { call, EXTENSION, extension, isIdle, next, register, running, start, stop, type Reply } from "./extension.fixture.ts";

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
