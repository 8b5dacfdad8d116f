import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeSandboxHost, type FakeFunction, type FakeHandler, type FakeInit } from "../sandbox/fake.ts";
import { ProgramError, SandboxError } from "../sandbox/sandbox.ts";
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
  REPORT,
  START,
  type Running,
} from "./environment.fixture.ts";
import { LEGAL, type EnvironmentState } from "./environment.ts";

test("an invocation of a new environment: its log, its answer, its states", async () => {
  const running = environment({ script: { init: ({ print }) => print("init\n"), handler: (event, { print }) => (print("raw"), event) } });
  const { environment: one, seen } = running;
  assert.equal(one.state, "starting");
  await one.start();
  assert.equal(one.state, "idle");
  assert.deepEqual(await outcomeOf(running, "r1", { a: 1 }), { kind: "returned", cause: undefined, errorType: undefined, text: '{"a":1}' });
  assert.equal(one.state, "idle");
  assert.deepEqual(plain(seen.messages), [INIT_START, "init", START, "raw", END, COLD]);
  assert.match([...seen.streams].join(), /^2026\/01\/01\/\[\$LATEST\][0-9a-f]{32}$/);
  await one.stop();
  assert.equal(one.state, "dead");
  assert.deepEqual(seen.events, ["initialised", "released", "stopping", "dead"]);
  assert.equal(running.host.ledger().runningNow, 0);
});

test("what an invocation needs of memory stands in its report, unless it is over at once and the figure is fresh", async () => {
  const running: Running = environment({
    script: (event, { useMemory }) => {
      const { mebibytes, ms } = event as { mebibytes: number; ms: number };
      useMemory(mebibytes * 2 ** 20);
      running.clock.advance(ms);
    },
  });
  const { environment: one, seen, clock } = running;
  const reports = () => seen.messages.filter((message) => message.startsWith("REPORT"));
  const reported = async (event: { mebibytes: number; ms: number }, wantsTail = false) => {
    const before = reports().length;
    await one.invoke(invocation("r1", event, wantsTail));
    await eventually(() => reports().length > before);
    return /Used: (\d+) MB/.exec(reports().at(-1) ?? "")?.[1];
  };
  await one.start();
  assert.equal(await reported({ mebibytes: 31, ms: 1 }), "31");
  assert.equal(await reported({ mebibytes: 32, ms: 1 }), "31", "one of some thousand a second");
  assert.equal(await reported({ mebibytes: 33, ms: 11 }), "33", "it had the time");
  assert.equal(await reported({ mebibytes: 34, ms: 1 }, true), "34", "somebody reads it");
  clock.advance(100);
  assert.equal(await reported({ mebibytes: 35, ms: 1 }), "35", "the figure was old");
  await one.stop();
});

const IGNORED = [
  { name: "a second answer", send: ["S", { requestId: "r1" }], problem: /an answer to r1/ },
  { name: "a foreign answer", send: ["S", { requestId: "r0" }], problem: /an answer to r0/ },
  { name: "an answer to nothing", send: ["E", {}], problem: /an answer to nothing/ },
  { name: "an answer to an object", send: ["E", { requestId: { toString: 1 } }], problem: /an answer to nothing/ },
  { name: "a second ready", send: ["R", {}], problem: /a second end of initialisation/ },
  { name: "an init error after ready", send: ["F", { errorType: "X" }], problem: /a second end of initialisation/ },
  { name: "a frame of unknown type", send: ["Z", {}], problem: /unknown type 90/ },
  { name: "a head that is no object", send: ["S", null as unknown as object], problem: /no JSON object/ },
] as const;
for (const { name, send, problem } of IGNORED)
  test(`${name} is ignored and logged`, async () => {
    const running = environment({
      script: (event, context) => {
        const isFirst = (event as { first?: boolean }).first === true;
        if (!isFirst) return "second";
        if (name === "a second answer") context.send("S", { requestId: "r1" }, Buffer.from('"first"'));
        context.send(send[0], send[1], Buffer.from('"evil"'));
        return "first";
      },
    });
    await running.environment.start();
    assert.equal((await outcomeOf(running, "r1", { first: true })).text, '"first"');
    await eventually(() => running.seen.strange.length > 0);
    assert.match(String(running.seen.strange[0]), problem);
    assert.equal((await outcomeOf(running, "r2")).text, '"second"');
    await running.environment.stop();
  });

test("a late answer of the invocation before does not answer the next one", async () => {
  const running = environment({
    script: async (event, { send, requestId }) => {
      if (event === "early") return "first";
      send("S", { requestId: "r1" }, Buffer.from('"stolen"'));
      send("S", { requestId }, Buffer.from('"own"'));
      return "again";
    },
  });
  await running.environment.start();
  assert.equal((await outcomeOf(running, "r1", "early")).text, '"first"');
  assert.equal((await outcomeOf(running, "r2", "later")).text, '"own"');
  await running.environment.stop();
});

test("an init that fails is made again within the invocation, and its error is the answer", async () => {
  let inits = 0;
  const script: FakeFunction = {
    init: ({ print }) => {
      inits++;
      print(`try ${inits}\n`);
      throw new SyntaxError("bad module");
    },
    handler: () => "never",
  };
  const running = environment({ script });
  await running.environment.start();
  assert.equal(running.environment.state, "reset");
  const { cause, errorType, text } = await outcomeOf(running);
  assert.deepEqual([cause, errorType, text], ["init", "SyntaxError", '{"errorType":"SyntaxError","errorMessage":"bad module","trace":[]}']);
  assert.deepEqual(plain(running.seen.messages), [
    INIT_START,
    "try 1",
    "INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown",
    START,
    "try 2",
    "INIT_REPORT Init Duration: # ms\tPhase: invoke\tStatus: error\tError Type: Runtime.Unknown",
    END,
    `${REPORT}\tStatus: error\tError Type: Runtime.Unknown`,
  ]);
  await eventually(() => running.environment.state === "reset");
  assert.deepEqual(
    [...running.host.sandboxes.values()].map(({ clears }) => clears),
    [2],
    "one sandbox for all",
  );
  assert.equal(running.host.ledger().killed, 0);
  await running.environment.stop();
});

test("an init that works the second time serves the invocation, and its time is the function's", async () => {
  let inits = 0;
  const running = environment({
    script: { init: ({ exit }) => (inits++ === 0 ? exit(1) : new Promise((resolve) => setImmediate(resolve))), handler: () => "well" },
  });
  await running.environment.start();
  const result = await running.environment.invoke(invocation("r1"));
  assert.ok(result.kind === "returned" && result.report.initMs === undefined);
  assert.equal(running.environment.state, "idle");
  await eventually(() => running.seen.messages.at(-1)?.startsWith("REPORT") === true);
  assert.deepEqual(plain(running.seen.messages), [
    INIT_START,
    "INIT_REPORT Init Duration: # ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
    START,
    END,
    REPORT,
  ]);
  await running.environment.stop();
});

test("an init that hangs is cut off after 10 s, and then by the function's timeout", async () => {
  const running = environment({ script: { init: ({ hang }) => hang(), handler: () => "never" } });
  await passing(running, running.environment.start(), 1000);
  const before = running.clock.monotonic();
  const { cause } = await outcomeOf(running, "r1", {}, 500);
  assert.equal(cause, "timeout");
  assert.ok(running.clock.monotonic() - before <= 4000);
  assert.deepEqual(running.seen.messages.slice(1, 2), ["INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout"]);
  assert.ok(running.seen.messages.includes("INIT_REPORT Init Duration: 3000.00 ms\tPhase: invoke\tStatus: timeout"));
  assert.ok(running.seen.messages.at(-1)?.endsWith("\tStatus: timeout"));
  await running.environment.stop();
  assert.equal(running.host.ledger().runningNow, 0);
});

test("what is left of the timeout after a repeated init is all that the handler has", async () => {
  const clocks: { advance(ms: number): void }[] = [];
  let inits = 0;
  const running = environment({
    script: {
      init: ({ exit }) => (inits++ === 0 ? exit(1) : clocks[0]?.advance(2000)),
      handler: (_event, { hang }) => hang(),
    },
  });
  clocks.push(running.clock);
  await running.environment.start();
  const before = running.clock.monotonic();
  const { cause } = await outcomeOf(running, "r1", {}, 100);
  assert.equal(cause, "timeout");
  assert.ok(running.clock.monotonic() - before < 3500);
  await running.environment.stop();
});

test("an environment that is known to fail does not try ahead of its invocation", async () => {
  let inits = 0;
  const running = environment({ script: { init: () => void inits++, handler: () => "well" }, skipsInit: true });
  await running.environment.start();
  assert.deepEqual([running.environment.state, inits, running.seen.messages], ["reset", 0, []]);
  assert.equal((await outcomeOf(running)).text, '"well"');
  assert.equal(inits, 1);
  await running.environment.stop();
});

test("a package without a bootstrap, or with one that is not executable, is told so", async () => {
  const layout = { argv: ["/var/task/bootstrap"], mounts: [], env: {}, protocol: "runtime-api", version: "al2023" } as const;
  const running = environment({ script: () => assert.fail("nothing to run"), options: { layout } });
  await running.environment.start();
  const { cause, errorType, text } = await outcomeOf(running);
  assert.deepEqual([cause, errorType], ["init", "Runtime.InvalidEntrypoint"]);
  assert.match(text, /RequestId: r1 Error: Couldn't find valid bootstrap\(s\): \[\/var\/task\/bootstrap \/opt\/bootstrap\]/);
  await eventually(() => running.environment.state === "dead");
  assert.equal(running.host.ledger().started, 0);
});

test("an idle environment is frozen, and thawed before its next invocation", async () => {
  const running = environment({ script: (_event, { sandbox }) => sandbox.isFrozen });
  const { environment: one, clock, host } = running;
  await one.start();
  assert.equal((await outcomeOf(running)).text, "false");
  await eventually(() => (clock.advance(5), host.ledger().frozenNow === 1));
  assert.equal((await outcomeOf(running, "r2")).text, "false");
  assert.deepEqual([host.ledger().freezes, host.ledger().thaws], [1, 1]);
  assert.equal((await outcomeOf(running, "r3")).text, "false");
  assert.equal(host.ledger().thaws, 1, "busy ones are not frozen in between");
  await one.stop();
});

test("an idle environment whose process ends is destroyed", async () => {
  const running = environment({ script: () => "well" });
  await running.environment.start();
  await outcomeOf(running);
  for (const sandbox of running.host.sandboxes.values()) sandbox.end({ code: 0, outOfMemory: false });
  await eventually(() => running.environment.state === "dead");
  assert.equal((await running.environment.invoke(invocation("r2"))).kind, "unavailable");
  assert.equal(running.host.ledger().runningNow, 0);
});

test("a retired environment ends after its invocation", async () => {
  const running = environment({ script: () => "well" });
  await running.environment.start();
  const answer = running.environment.invoke(invocation("r1"));
  running.environment.retire();
  assert.equal((await answer).kind, "returned");
  await eventually(() => running.environment.state === "dead");
  assert.ok(!running.seen.events.includes("released"));
});

const STOPS = [
  { name: "while it starts", script: () => "x", when: (running: Running) => void running.environment.start() },
  {
    name: "while it initialises",
    script: { init: ({ hang }: FakeInit) => hang(), handler: () => "x" },
    when: async (running: Running) => {
      void running.environment.start();
      await eventually(() => running.host.ledger().runningNow === 1);
    },
  },
  { name: "while it is idle", script: () => "x", when: (running: Running) => running.environment.start() },
  {
    name: "while it is frozen",
    script: () => "x",
    when: async (running: Running) => {
      await running.environment.start();
      await running.environment.invoke(invocation("r1"));
      await eventually(() => (running.clock.advance(5), running.host.ledger().frozenNow === 1));
    },
  },
  {
    name: "while it waits to initialise again",
    script: { init: ({ exit }: FakeInit) => exit(), handler: () => "x" },
    when: (running: Running) => running.environment.start(),
  },
] as const;
for (const { name, script, when } of STOPS)
  test(`an environment that is stopped ${name} leaves nothing`, async () => {
    const running = environment({ script });
    await when(running);
    await running.environment.stop();
    assert.equal(running.environment.state, "dead");
    assert.equal(running.host.ledger().runningNow, 0);
    assert.equal((await running.environment.invoke(invocation("r9"))).kind, "unavailable");
    assert.deepEqual(running.seen.events.slice(-2), ["stopping", "dead"]);
  });

for (const script of [
  { name: "handler", init: undefined },
  { name: "init", init: ({ hang }: FakeInit) => hang() },
] as const)
  test(`an invocation that is stopped in its ${script.name} is unavailable, not failed`, async () => {
    const handler: FakeHandler = (_event, { hang }) => hang();
    const running = environment({
      script: script.init === undefined ? handler : { init: script.init, handler },
      skipsInit: script.init !== undefined,
    });
    await running.environment.start();
    const answer = running.environment.invoke(invocation("r1"));
    await eventually(() => running.host.ledger().runningNow === 1);
    await running.environment.stop();
    assert.deepEqual((await answer).kind, "unavailable");
    assert.equal(running.host.ledger().runningNow, 0);
  });

test("a sandbox that cannot be made is an error of the start", async () => {
  const sandboxes = { ...fakeSandboxHost(() => () => "x"), start: () => Promise.reject(new SandboxError("no cgroups")) };
  const running = environment({ script: () => "x", options: { sandboxes } });
  await assert.rejects(running.environment.start(), /no cgroups/);
  await running.environment.stop();
  assert.equal(running.environment.state, "dead");
});

test("a program of the user's that the kernel can't run is the function's error", async () => {
  for (const [program, isTheirs] of [
    ["/var/task/bootstrap", true],
    ["/opt/bootstrap", true],
    ["/var/lang/bin/node", false],
  ] as const) {
    const refusal = new ProgramError(`sandbox x: exec: ${program}: Exec format error`, program, "Exec format error");
    const sandboxes = { ...fakeSandboxHost(() => () => "x"), start: () => Promise.reject(refusal) };
    const running = environment({ script: () => "x", options: { sandboxes } });
    if (isTheirs) {
      await running.environment.start();
      const { cause, errorType, text } = await outcomeOf(running);
      assert.deepEqual([cause, errorType], ["init", "Runtime.InvalidEntrypoint"]);
      assert.ok(text.includes(`RequestId: r1 Error: fork/exec ${program}: exec format error`), text);
    } else await assert.rejects(running.environment.start(), /Exec format error/);
    await running.environment.stop();
  }
});

test("a sandbox that takes too long is given up, and destroyed when it comes after all", async () => {
  const gate = Promise.withResolvers<FakeHandler>();
  const host = fakeSandboxHost(() => gate.promise);
  const running = environment({ script: () => "x", options: { sandboxes: host } });
  await assert.rejects(passing(running, running.environment.start(), 1000), /did not start within 30000 ms/);
  await running.environment.stop();
  gate.resolve(() => "x");
  await eventually(() => host.ledger().started === 1 && host.ledger().runningNow === 0);
});

test("credentials must outlast an invocation", async () => {
  const running = environment({ script: () => "x", credentialsLifeMs: 100_000 });
  await running.environment.start();
  await outcomeOf(running);
  assert.equal(running.environment.isUsable, true);
  running.clock.advance(40_000);
  assert.equal(running.environment.isUsable, false);
  await running.environment.stop();
});

test("one environment handles one invocation at a time", async () => {
  const running = environment({ script: (_event, { hang }) => hang() });
  await running.environment.start();
  const first = running.environment.invoke(invocation("r1"));
  await assert.rejects(running.environment.invoke(invocation("r2")), /cannot go from busy to busy/);
  await running.environment.stop();
  await first;
});

test("the table of transitions: every state can be left but the last, and there is no way back from an end", () => {
  const states = Object.keys(LEGAL) as EnvironmentState[];
  for (const state of states) {
    assert.equal(LEGAL[state].length > 0, state !== "dead", state);
    assert.ok(!LEGAL[state].includes(state), `${state} to itself`);
    if (state !== "stopping" && state !== "dead") assert.ok(LEGAL[state].includes("stopping"), `${state} can be stopped`);
  }
  assert.deepEqual(LEGAL.stopping, ["dead"]);
});

test("a JSON log has platform events instead of lines", async () => {
  const running = environment({
    script: (_event, { print }) => print("hello\n"),
    logging: { format: "JSON", group: "own", systemLevel: "DEBUG" },
  });
  await running.environment.start();
  await outcomeOf(running);
  const types = running.seen.messages.map((message) => {
    const event = JSON.parse(message) as { type?: string; message?: string };
    return event.type ?? event.message;
  });
  assert.deepEqual(types, [
    "platform.initStart",
    "platform.initRuntimeDone",
    "platform.initReport",
    "platform.start",
    "hello",
    "platform.runtimeDone",
    "platform.report",
  ]);
  assert.match([...running.seen.streams].join(), /^2026\/01\/01\/f\[\$LATEST\][0-9a-f]{32}$/);
  await running.environment.stop();
});

test("log events keep their own time unless it cannot be", async () => {
  const times: number[] = [];
  const running = environment({
    script: (_event, { send }) => {
      for (const timestampMs of [Date.UTC(2026, 0, 1) - 10, 0, 1e300, Number.NaN, "x"]) send("L", { timestampMs }, Buffer.from("x"));
    },
    options: {
      append: (_stream, records) =>
        void times.push(...records.filter(({ message }) => message === "x\n").map(({ timestampMs }) => timestampMs)),
    },
  });
  await running.environment.start();
  await outcomeOf(running);
  const now = Date.UTC(2026, 0, 1);
  assert.deepEqual(times, [now - 10, now, now, now, now]);
  await running.environment.stop();
});

test("a flood of log events is read at a pace, and cut", async () => {
  const event = Buffer.alloc(64 * 1024, "x");
  const sizes = { kept: 0, events: 0 };
  const running = environment({
    script: async (_event, { send }) => {
      for (let at = 0; at < 1024; at++) {
        send("L", {}, event);
        if (at % 8 === 0) await new Promise(setImmediate);
      }
      return "done";
    },
    timeoutMs: 900_000,
    options: {
      append: (_stream, records) => {
        for (const { message } of records) sizes.kept += message.length;
        sizes.events += records.length;
      },
    },
  });
  await running.environment.start();
  assert.equal((await outcomeOf(running)).text, '"done"');
  assert.ok(sizes.kept > 20 * 2 ** 20 && sizes.kept < 34 * 2 ** 20, `${sizes.kept} bytes`);
  assert.ok(running.clock.monotonic() > 1000, "reading paused");
  await running.environment.stop();
});

test("a runtime that is strange all the time is not logged all the time", async () => {
  const running = environment({
    script: (_event, { send }) => {
      for (let at = 0; at < 1000; at++) send("Z", {});
    },
  });
  await running.environment.start();
  await outcomeOf(running);
  assert.equal(running.seen.strange.length, 10);
  assert.match(String(running.seen.strange.at(-1)), /more of this is not logged$/);
  await running.environment.stop();
});

test("a sandbox that is lost with what made it is no failure of its function", async () => {
  const lost = { signal: "SIGKILL", outOfMemory: false, isLost: true };
  const running = environment({ script: (_event, { sandbox, hang }) => (sandbox.end(lost), hang()) });
  await running.environment.start();
  const { cause, text } = await outcomeOf(running);
  assert.deepEqual([cause, text], ["sandbox-failed", "the sandbox was lost with its launcher"]);
  await eventually(() => running.environment.state === "dead");
});

test("an environment that cannot be thawed is given up, and its invocation has not run", async () => {
  const running = environment({ script: () => "x" });
  await running.environment.start();
  await outcomeOf(running);
  await eventually(() => (running.clock.advance(5), running.host.ledger().frozenNow === 1));
  for (const sandbox of running.host.sandboxes.values()) sandbox.thaw = () => Promise.reject(new Error("no such cgroup"));
  const { cause, text } = await outcomeOf(running);
  assert.deepEqual([cause, text], ["sandbox-failed", "the execution environment could not be thawed"]);
  await eventually(() => running.environment.state === "dead");
});

test("an invocation whose sandbox nobody thaws has not timed out: it has not run", async () => {
  const running = environment({ script: () => "x" });
  await running.environment.start();
  await outcomeOf(running);
  await eventually(() => (running.clock.advance(5), running.host.ledger().frozenNow === 1));
  for (const sandbox of running.host.sandboxes.values()) sandbox.thaw = () => new Promise(() => {});
  const { cause, text } = await outcomeOf(running);
  assert.deepEqual([cause, text], ["sandbox-failed", "the execution environment was not thawed in time"]);
  await eventually(() => running.environment.state === "dead");
});
