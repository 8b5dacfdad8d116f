// The data plane with real sandboxes and real runtimes: what the fake host cannot show.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { requestId } from "../../src/base/id.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Deployment, InvocationRequest, Outcome } from "../../src/pool/invocation.ts";
import { dataPlane, type DataPlane, type DataPlaneLimits } from "../../src/pool/invoke.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import { linuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import type { LogEvent, LogStreamName } from "../../src/store/log-sink.ts";
import { isFrozen, networkOf, processes } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const RUNTIMES = "/var/lib/lambent/runtimes";
const LAUNCHER = join(ROOT, "native", "build", "launcher");
const ACCOUNT = "000000000000";
const REGION = "us-east-1";

/** Whether cold starts find prepared sandboxes: data-plane-prepared.test.ts runs all of this once more, with them. */
const isPrepared = process.env["LAMBENT_TEST_PREPARED"] === "1";

const catalog = runtimeCatalog({
  runtimesDirectory: RUNTIMES,
  bootstrapsDirectory: join(ROOT, "runtimes"),
  pythonSearchPath: ["/usr", "/usr/local"],
});

const NODE = `
  import { readlinkSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  let count = 0;
  const initialised = Date.now();
  export const handler = async (event, context) => {
    count++;
    if (event.print) process.stdout.write(event.print);
    if (event.log) console.log(event.log);
    if (event.raw) { process.stdout.write("raw before the answer\\n"); console.log("log before the answer"); process.stderr.write("no newline"); }
    if (event.sleep) await sleep(event.sleep);
    if (event.spin) for (const end = Date.now() + event.spin; Date.now() < end;);
    if (event.work) { const [wall, cpu] = [performance.now(), process.cpuUsage()]; while (performance.now() - wall < event.work); const { user, system } = process.cpuUsage(cpu); return (user + system) / 1000 / (performance.now() - wall); }
    if (event.exit !== undefined) process.exit(event.exit);
    if (event.abort) process.abort();
    if (event.forever) for (;;);
    if (event.throw) throw new TypeError("thrown");
    if (event.reject) { Promise.reject(new Error("nobody cares")); await sleep(1000); }
    if (event.large) return "x".repeat(event.large);
    if (event.flood) { const line = "x".repeat(1023) + "\\n"; for (let i = 0; i < event.flood * 1024; i++) if (!process.stdout.write(line)) await new Promise((r) => process.stdout.once("drain", r)); }
    if (event.memory) { const held = []; for (;;) held.push(Buffer.alloc(8 << 20, 1)); }
    if (event.background) setInterval(() => (globalThis.ticks ??= []).push(Date.now()), 1);
    return { event, count, initialised, ticks: globalThis.ticks, network: readlinkSync("/proc/self/ns/net"), left: context.getRemainingTimeInMillis(), id: context.awsRequestId, env: process.env };
  };`;

const PYTHON = `
import ctypes, os, sys
def handler(event, context):
    if event.get("segfault"): ctypes.string_at(0)
    if event.get("exit"): os._exit(event["exit"])
    print("printed")
    return {"event": event, "function": context.function_name, "version": sys.version.split()[0]}
`;

const BOOTSTRAP = `#!/usr/bin/python3 -IS
import http.client, os, sys
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    event = reply.read()
    id = reply.headers["Lambda-Runtime-Aws-Request-Id"]
    print("bootstrap says", event.decode(), flush=True)
    if b"exit" in event: sys.exit(3)
    if b"error" in event:
        api.request("POST", f"/2018-06-01/runtime/invocation/{id}/error", b'{"errorMessage":"own","errorType":"Own"}', {"Lambda-Runtime-Function-Error-Type": "Function.Own"})
    else:
        api.request("POST", f"/2018-06-01/runtime/invocation/{id}/response", event)
    api.getresponse().read()
`;

interface Code {
  readonly runtime: string;
  readonly handler: string;
  readonly files: Readonly<Record<string, string>>;
}

const CODES = {
  node: { runtime: "nodejs24.x", handler: "index.handler", files: { "index.mjs": NODE } },
  python: { runtime: "python3.11", handler: "index.handler", files: { "index.py": PYTHON } },
  own: { runtime: "provided.al2023", handler: "any", files: { bootstrap: BOOTSTRAP } },
  empty: { runtime: "provided.al2023", handler: "any", files: { "readme.txt": "" } },
  missing: { runtime: "nodejs24.x", handler: "absent.handler", files: { "index.mjs": NODE } },
  missingPython: { runtime: "python3.11", handler: "absent.handler", files: { "index.py": PYTHON } },
  hangs: {
    runtime: "nodejs24.x",
    handler: "index.handler",
    files: { "index.mjs": "await new Promise(() => setInterval(() => {}, 1000));" },
  },
  dies: { runtime: "nodejs24.x", handler: "index.handler", files: { "index.mjs": "process.exit(7);" } },
} as const satisfies Record<string, Code>;

const missing = [
  process.getuid?.() === 0 ? [] : ["root"],
  existsSync(LAUNCHER) ? [] : [LAUNCHER],
  Object.values(CODES).flatMap(({ runtime }) => {
    const layout = catalog.resolve(runtime);
    return layout === undefined || "missing" in layout ? [runtime] : [];
  }),
].flat();
const skip = missing.length > 0 ? `needs ${[...new Set(missing)].join(", ")}` : false;

let directory = "";
let host: SandboxHost;
let one: DataPlane;
const planes: DataPlane[] = [];
const logged: { name: LogStreamName; events: readonly LogEvent[] }[] = [];

function open(limits: Partial<DataPlaneLimits> = {}): DataPlane {
  const plane = dataPlane({
    sandboxes: host,
    runtimes: catalog,
    logs: { append: (name, events) => void logged.push({ name, events }) },
    credentials: () =>
      Promise.resolve({ accessKeyId: "ASIATEST", secretAccessKey: "s", sessionToken: "t", expiresMs: systemClock.now() + 3_600_000 }),
    endpoint: { port: 4566, onConnection: (socket) => void socket.destroy() },
    clock: systemClock,
    log: silentLog,
    limits: { accountConcurrency: 1000, environmentsMax: 40, idleExpiryMs: 600_000, preparedMax: isPrepared ? 8 : 0, ...limits },
  });
  planes.push(plane);
  return plane;
}

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), "lambent-data-plane-"));
  chmodSync(directory, 0o755);
  for (const [name, { files }] of Object.entries(CODES))
    for (const [file, text] of Object.entries(files)) {
      const path = join(directory, name, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode: file === "bootstrap" ? 0o755 : 0o644 });
    }
  host = await linuxSandboxHost({ launcherPath: LAUNCHER, log: silentLog });
  one = open();
});

let isFirst = true;
// A busy machine is slow to prepare them.
beforeEach(async () => {
  if (skip !== false || !isPrepared) return;
  if (!isFirst) await eventually("a sandbox is prepared", () => one.prepared().ready > 0);
  isFirst = false;
});

after(async () => {
  if (skip !== false) return;
  const taken = planes.reduce((sum, plane) => sum + plane.prepared().taken, 0);
  for (const plane of planes) await plane.stop();
  const left = await host.inventory();
  await host.stop();
  rmSync(directory, { recursive: true });
  assert.deepEqual(left, [], "a stopped data plane leaves no sandbox");
  assert.ok(isPrepared ? taken > 10 : taken === 0, `${taken} cold starts had a prepared sandbox`);
});

function deployment(code: keyof typeof CODES, changes: Partial<Deployment> = {}): Deployment {
  const functionName = changes.functionName ?? code;
  return {
    key: `${functionName} ${JSON.stringify(changes)}`,
    account: ACCOUNT,
    region: REGION,
    functionName,
    version: "$LATEST",
    functionArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${functionName}`,
    runtime: CODES[code].runtime,
    handler: CODES[code].handler,
    codeDirectory: join(directory, code),
    memoryMiB: 256,
    timeoutMs: 60_000,
    ephemeralStorageMiB: 512,
    architecture: "x86_64",
    variables: { MINE: "yes" },
    roleArn: `arn:aws:iam::${ACCOUNT}:role/r`,
    logging: { format: "Text", group: `/aws/lambda/${functionName}` },
    ...changes,
  };
}

interface Told {
  readonly outcome: Outcome;
  readonly id: string;
  readonly value: never;
  readonly tail: string;
  readonly tookMs: number;
}

async function invoke(target: Deployment, event: unknown = {}, plane = one, wantsLogTail = true): Promise<Told> {
  const id = requestId();
  const request: InvocationRequest = {
    requestId: id,
    payload: Buffer.from(JSON.stringify(event)),
    invokedArn: target.functionArn,
    wantsLogTail,
  };
  const startedMs = performance.now();
  const outcome = await plane.invoke(target, request);
  const tookMs = performance.now() - startedMs;
  assert.ok(outcome.kind === "returned" || outcome.kind === "failed", JSON.stringify(outcome));
  const value = JSON.parse(Buffer.from(outcome.payload).toString()) as never;
  return { outcome, id, value, tail: Buffer.from(outcome.report.logTail ?? []).toString(), tookMs };
}

const told = ({ outcome, value }: Told) => (outcome.kind === "failed" ? [outcome.cause, outcome.errorType, value] : [outcome.kind]);

test("a Node function gets its event, its context and its variables", { skip }, async () => {
  const cold = await invoke(deployment("node"), { hello: "wörld" });
  const seen = cold.value as { event: unknown; count: number; left: number; id: string; env: Record<string, string> };
  assert.deepEqual([seen.event, seen.count, seen.id], [{ hello: "wörld" }, 1, cold.id]);
  assert.ok(seen.left > 30_000 && seen.left <= 60_000, `${seen.left} ms left`);
  assert.equal(seen.env["MINE"], "yes");
  assert.equal(seen.env["AWS_LAMBDA_FUNCTION_NAME"], "node");
  assert.equal(seen.env["AWS_EXECUTION_ENV"], "AWS_Lambda_nodejs24.x");
  assert.match(seen.env["AWS_LAMBDA_LOG_STREAM_NAME"] ?? "", /^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/);
  assert.match(seen.env["_X_AMZN_TRACE_ID"] ?? "", /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=/);
  assert.match(cold.tail, /\tInit Duration: \d+\.\d\d ms\t\n$/);
  const warm = await invoke(deployment("node"));
  assert.equal((warm.value as { count: number }).count, 2);
  assert.doesNotMatch(warm.tail, /Init Duration/);
});

test("a Python function, and a runtime of the user's own", { skip }, async () => {
  const python = await invoke(deployment("python"), { a: 1 });
  assert.deepEqual({ ...(python.value as object), version: "" }, { event: { a: 1 }, function: "python", version: "" });
  assert.match(python.tail, /^START [^\n]*\nprinted\nEND /);
  for (let at = 0; at < 3; at++) {
    const own = await invoke(deployment("own"), { at });
    assert.deepEqual(own.value, { at });
    assert.match(own.tail, new RegExp(`^START [^\\n]*\\nbootstrap says \\{"at":${at}\\}\\nEND `));
  }
  assert.deepEqual(told(await invoke(deployment("own"), "error")), ["error", "Function.Own", { errorMessage: "own", errorType: "Own" }]);
  const exited = await invoke(deployment("own"), "exit");
  const text = `RequestId: ${exited.id} Error: Runtime exited with error: exit status 3`;
  assert.deepEqual(told(exited), ["exit", "Runtime.ExitError", { errorType: "Runtime.ExitError", errorMessage: text }]);
});

const exitError = (text: string) => (id: string) => ({ errorType: "Runtime.ExitError", errorMessage: `RequestId: ${id} Error: ${text}` });

const FAILURES = [
  {
    name: "exits with 0",
    code: "node",
    event: { exit: 0 },
    cause: "exit",
    document: exitError("Runtime exited without providing a reason"),
  },
  {
    name: "exits with 9",
    code: "node",
    event: { exit: 9 },
    cause: "exit",
    document: exitError("Runtime exited with error: exit status 9"),
  },
  {
    name: "aborts",
    code: "node",
    event: { abort: true },
    cause: "exit",
    document: exitError("Runtime exited with error: signal: aborted (core dumped)"),
  },
  {
    name: "has a segmentation fault",
    code: "python",
    event: { segfault: true },
    cause: "exit",
    document: exitError("Runtime exited with error: signal: segmentation fault (core dumped)"),
  },
  {
    name: "takes too much memory",
    code: "node",
    event: { memory: true },
    cause: "out-of-memory",
    document: (id: string) => ({
      errorType: "Runtime.OutOfMemory",
      errorMessage: `RequestId: ${id} Error: Runtime exited with error: signal: killed`,
    }),
  },
  {
    name: "answers with too much",
    code: "node",
    event: { large: 7 * 2 ** 20 },
    cause: "response-too-large",
    document: () => ({
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }),
  },
  {
    name: "has no bootstrap",
    code: "empty",
    event: {},
    cause: "init",
    document: (id: string) => ({
      errorType: "Runtime.InvalidEntrypoint",
      errorMessage: `RequestId: ${id} Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]`,
    }),
  },
  { name: "dies in its init", code: "dies", event: {}, cause: "exit", document: exitError("Runtime exited with error: exit status 7") },
] as const;
for (const { name, code, event, cause, document } of FAILURES)
  test(`a function that ${name}: the answer, and the next invocation is well`, { skip }, async () => {
    const target = deployment(code, { functionName: `fails-${code}` });
    const failed = await invoke(target, event);
    const expected = document(failed.id);
    assert.deepEqual(told(failed), [cause, expected.errorType, expected]);
    assert.match(failed.tail, new RegExp(`\\tStatus: error\\tError Type: ${expected.errorType}\\n$`));
    if (cause === "out-of-memory") assert.match(failed.tail, /\tMax Memory Used: 256 MB\t/);
    if (code === "node") assert.equal((await invoke(target, {})).outcome.kind, "returned");
  });

test("a thrown error leaves the environment as it is, a rejection that nobody handles does not", { skip }, async () => {
  const target = deployment("node", { functionName: "throws" });
  const thrown = await invoke(target, { throw: true });
  assert.ok(thrown.outcome.kind === "failed" && thrown.outcome.cause === "error" && thrown.outcome.errorType === "TypeError");
  const { count } = (await invoke(target)).value as { count: number };
  assert.equal(count, 2);
  const rejected = await invoke(target, { reject: true });
  assert.ok(rejected.outcome.kind === "failed" && rejected.outcome.errorType === "Runtime.UnhandledPromiseRejection", rejected.tail);
  const next = await invoke(target);
  assert.equal((next.value as { count: number }).count, 1, next.tail);
});

for (const event of [{ forever: true }, { sleep: 60_000 }])
  test(`a timeout: ${JSON.stringify(event)}`, { skip }, async () => {
    const target = deployment("node", { functionName: "slow", timeoutMs: 3000 });
    const cold = await invoke(target, { ...event, log: "last words" });
    const text = `RequestId: ${cold.id} Error: Task timed out after 3.00 seconds`;
    assert.deepEqual(told(cold), ["timeout", "Sandbox.Timedout", { errorType: "Sandbox.Timedout", errorMessage: text }]);
    assert.match(cold.tail, /last words\n/);
    assert.match(cold.tail, /\tDuration: 3000.00 ms\tBilled Duration: \d+ ms\t.*\tStatus: timeout\n$/);
    const next = await invoke(target);
    assert.equal((next.value as { count: number }).count, 1);
  });

test("an import error is the runtime's document, after two tries", { skip }, async () => {
  for (const [code, type] of [
    ["missing", "Runtime.ImportModuleError"],
    ["missingPython", "Runtime.ImportModuleError"],
  ] as const) {
    const failed = await invoke(deployment(code));
    assert.deepEqual(told(failed).slice(0, 2), ["init", type]);
    const stream = logged
      .filter(({ name }) => name.group === `/aws/lambda/${code}`)
      .flatMap(({ events }) => events.map(({ message }) => message));
    const reports = stream.filter((message) => message.startsWith("INIT_REPORT"));
    assert.deepEqual(
      reports.map((message) => /Phase: \w+\tStatus: \w+/.exec(message)?.[0]),
      ["Phase: init\tStatus: error", "Phase: invoke\tStatus: error"],
    );
  }
});

test("L08 an init that hangs is cut off after 10 s, then by the function's timeout", { skip }, async () => {
  const failed = await invoke(deployment("hangs", { timeoutMs: 1000 }));
  assert.deepEqual(told(failed).slice(0, 2), ["timeout", "Sandbox.Timedout"]);
  assert.ok(failed.tookMs > 10_900, `${failed.tookMs} ms`);
  const said = logged
    .filter(({ name }) => name.group === "/aws/lambda/hangs")
    .flatMap(({ events }) => events.map(({ message }) => message));
  assert.deepEqual(
    said.filter((text) => text.startsWith("INIT_REPORT")).map((text) => /Phase: \w+\tStatus: \w+/.exec(text)?.[0]),
    ["Phase: init\tStatus: timeout", "Phase: invoke\tStatus: timeout"],
  );
});

test("all that a function wrote before it answered is in its log, in order", { skip }, async () => {
  const target = deployment("node", { functionName: "orderly" });
  for (let at = 0; at < 50; at++) {
    const { tail, id } = await invoke(target, { raw: true });
    assert.match(tail, new RegExp(`^START RequestId: ${id} Version: \\$LATEST\\n`));
    assert.match(tail, new RegExp(`\\nEND RequestId: ${id}\\nREPORT RequestId: ${id}\\t`));
    for (const text of ["raw before the answer\n", "log before the answer\n", "no newline\n"]) assert.ok(tail.includes(text), tail);
  }
});

test("twenty invocations at once have twenty environments", { skip }, async () => {
  const target = deployment("node", { functionName: "wide", memoryMiB: 1769 });
  const all = await Promise.all(Array.from({ length: 20 }, () => invoke(target, { sleep: 500 })));
  assert.ok(all.every(({ value }) => (value as { count: number }).count === 1));
  const streams = new Set(all.map(({ value }) => (value as { env: Record<string, string> }).env["AWS_LAMBDA_LOG_STREAM_NAME"]));
  assert.equal(streams.size, 20);
  const again = await Promise.all(Array.from({ length: 20 }, () => invoke(target, { sleep: 100 })));
  assert.ok(again.every(({ value }) => (value as { count: number }).count === 2));
  one.retire([target.key]);
});

test("a hundred functions that start at once all answer", { skip, timeout: 600_000 }, async (t) => {
  const plane = open({ environmentsMax: 120 });
  const codes = ["node", "python", "own"] as const;
  const targets = Array.from({ length: 100 }, (_, at) =>
    deployment(codes[at % 3] ?? "own", { functionName: `one-of-many-${at}`, timeoutMs: 500_000 }),
  );
  const startedMs = performance.now();
  const kinds = await Promise.all(targets.map(async (target) => (await invoke(target, {}, plane)).outcome.kind));
  t.diagnostic(`${Math.round(performance.now() - startedMs)} ms`);
  assert.deepEqual(new Set(kinds), new Set(["returned"]));
  await plane.stop();
});

test("an idle environment expires", { skip }, async () => {
  const brief = open({ idleExpiryMs: 200 });
  await invoke(deployment("python", { functionName: "brief" }), {}, brief);
  assert.equal(brief.concurrency(ACCOUNT, REGION).environments, 1);
  await eventually("it has expired", () => brief.concurrency(ACCOUNT, REGION).environments === 0);
});

test("provisioned environments are initialised before the first invocation, which has no init in its time", { skip }, async () => {
  const plane = open();
  for (const code of ["node", "python", "own"] as const) {
    const target = deployment(code, { functionName: `ready-${code}` });
    assert.equal(plane.provision(target, 2), true);
    await eventually("both are there", () => plane.provisioned(target.key)?.available === 2);
    assert.deepEqual(plane.provisioned(target.key), { requested: 2, allocated: 2, available: 2 });
    const { environments } = plane.concurrency(ACCOUNT, REGION);
    const { outcome, value, tail } = await invoke(target, {}, plane);
    assert.equal(outcome.kind, "returned");
    assert.doesNotMatch(tail, /Init Duration/);
    assert.equal(plane.concurrency(ACCOUNT, REGION).environments, environments);
    if (code === "node")
      assert.equal((value as { env: Record<string, string> }).env["AWS_LAMBDA_INITIALIZATION_TYPE"], "provisioned-concurrency");
  }
  await plane.stop();
});

test("what runs in the background is frozen between invocations", { skip }, async () => {
  const target = deployment("node", { functionName: "ticker" });
  const { network } = (await invoke(target, { background: true })).value as { network: string };
  const inside = processes().flatMap(({ pid }) => (networkOf(pid) === network ? [pid] : []));
  assert.ok(inside.length > 0);
  await eventually("it stands still", () => inside.every(isFrozen));
  const frozenMs = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const thawedMs = Date.now();
  const ticks = () => invoke(target).then(({ value }) => (value as { ticks?: readonly number[] }).ticks ?? []);
  const found = [...(await ticks()), ...(await ticks())];
  assert.ok(found.length > 0, "it ticks in its invocations");
  assert.deepEqual(
    found.filter((atMs) => atMs > frozenMs && atMs < thawedMs),
    [],
  );
});

test("more memory is more CPU", { skip }, async () => {
  // CPU seconds per second, at the same time: what others do on this machine makes both less.
  const targets = [256, 1024].map((memoryMiB) => deployment("node", { functionName: `work-${memoryMiB}`, memoryMiB }));
  const shares = (work: number) => Promise.all(targets.map(async (target) => (await invoke(target, { work })).value as number));
  await shares(1);
  const [small = 1, large = 0] = await shares(3000);
  const measured = `256 MB: ${small.toFixed(3)} CPUs, 1024 MB: ${large.toFixed(3)} CPUs`;
  assert.ok(small < (256 / 1769) * 1.5 && large < (1024 / 1769) * 1.5 && large > small * 1.5, measured);
});

test("a flood of output costs the server no memory, and the invocation ends", { skip }, async () => {
  const target = deployment("node", { functionName: "flood", timeoutMs: 240_000, memoryMiB: 1769 });
  await invoke(target);
  logged.length = 0;
  const { outcome, tail } = await invoke(target, { flood: 200 });
  assert.equal(outcome.kind, "returned");
  assert.match(tail, /bytes of output dropped: more than 33554432 in one invocation\]\nEND /);
  const kept = logged.reduce((sum, { events }) => sum + events.reduce((bytes, { message }) => bytes + message.length, 0), 0);
  assert.ok(kept < 34 * 2 ** 20, `${kept} bytes kept`);
  logged.length = 0;
});

test("a stopped data plane leaves no process", { skip }, async () => {
  const brief = open({ stopGraceMs: 100 });
  const target = deployment("node", { functionName: "stopped" });
  await invoke(target, {}, brief);
  const running = brief.invoke(target, {
    requestId: requestId(),
    payload: Buffer.from('{"sleep":60000}'),
    invokedArn: target.functionArn,
    wantsLogTail: false,
  });
  const startedMs = performance.now();
  await brief.stop();
  assert.ok(performance.now() - startedMs < 30_000, "it does not wait for what runs");
  const outcome = await running;
  assert.ok(outcome.kind === "unavailable" && outcome.code === "stopping");
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  assert.equal(children.length, 1, "the launcher only");
});
