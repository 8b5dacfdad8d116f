// The execution environment with real sandboxes: extensions, telemetry inside, and what outlives a runtime.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { requestId } from "../../src/base/id.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Deployment } from "../../src/pool/invocation.ts";
import type { DataPlane } from "../../src/pool/invoke.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import { linuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import { skip as noSandboxes } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LAUNCHER = join(ROOT, "native", "build", "launcher");
const catalog = runtimeCatalog({
  runtimesDirectory: "/var/lib/lambent/runtimes",
  bootstrapsDirectory: join(ROOT, "runtimes"),
  pythonSearchPath: ["/usr", "/usr/local"],
});
const layouts = ["python3.11", "nodejs24.x"].map((runtime) => catalog.resolve(runtime));
const isMissing = layouts.some((layout) => layout === undefined || "missing" in layout);
const skip = noSandboxes !== false ? noSandboxes : isMissing ? "needs python3.11 and nodejs24.x" : false;

const PYTHON = `
import os, time
def handler(event, context):
    path = "/tmp/kept"
    found = open(path).read() if os.path.exists(path) else None
    if event.get("write"): open(path, "w").write(event["write"])
    if event.get("print"): print(event["print"])
    if event.get("exit") is not None: os._exit(event["exit"])
    if event.get("memory"):
        held = []
        while True: held.append(b"x" * (8 << 20))
    if event.get("stop"): os.kill(os.getpid(), 19)
    if event.get("sleep"): time.sleep(event["sleep"])
    return {"found": found, "pid": os.getpid(), "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
`;
const NODE = `
  import { existsSync, readFileSync, writeFileSync } from "node:fs";
  export const handler = async (event) => {
    const found = existsSync("/tmp/kept") ? readFileSync("/tmp/kept", "utf8") : null;
    if (event.write) writeFileSync("/tmp/kept", event.write);
    if (event.exit !== undefined) process.exit(event.exit);
    if (event.sleep) for (;;);
    return { found };
  };`;

/** A small client of the Extensions API; each extension goes on from there. */
const CLIENT = `#!/usr/bin/python3 -IS
import http.client, http.server, json, os, socket, socketserver, sys, threading, time
name = os.path.basename(sys.argv[0])
def call(method, path, headers, body=None):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request(method, path, body and json.dumps(body), headers)
    reply = api.getresponse()
    return reply.headers, reply.read()
def say(text): print(text, flush=True)
def register(*events):
    headers, body = call("POST", "/2020-01-01/extension/register", {"Lambda-Extension-Name": name}, {"events": events})
    return {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
def next(me): return json.loads(call("GET", "/2020-01-01/extension/event/next", me)[1])
def subscribe(me, destination):
    wanted = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25}, "destination": destination}
    say("subscribed " + call("PUT", "/2022-07-01/telemetry", me, wanted)[1].decode())
def until_shutdown(me):
    while True:
        event = next(me)
        if event["eventType"] == "SHUTDOWN": return event
`;
const HEAR = `def hear(events):
    for event in events: say("HEARD " + json.dumps(event))
`;
const EXTENSIONS = {
  http: `${CLIENT}${HEAR}
class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        hear(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("sandbox.localdomain", 4243), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
me = register("INVOKE", "SHUTDOWN")
subscribe(me, {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243"})
say("ended for " + until_shutdown(me)["shutdownReason"])
`,
  tcp: `${CLIENT}${HEAR}
class Listener(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: hear([json.loads(line)])
server = socketserver.TCPServer(("0.0.0.0", 4244), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
me = register("INVOKE", "SHUTDOWN")
subscribe(me, {"protocol": "TCP", "port": 4244})
until_shutdown(me)
`,
  hangs: `${CLIENT}me = register("SHUTDOWN")\nuntil_shutdown(me)\nsay("hangs")\nwhile True: time.sleep(1)\n`,
  crashes: `${CLIENT}me = register("INVOKE")\nnext(me)\nsys.exit(3)\n`,
  late: `${CLIENT}me = register("INVOKE", "SHUTDOWN")\nwhile True:\n    event = next(me)\n    if event["eventType"] == "SHUTDOWN": break\n    time.sleep(2.8)\n    say("nearly done")\n    time.sleep(0.2)\n`,
  broken: "no program at all",
  shell: `#!/bin/sh\necho "the shell says $AWS_LAMBDA_FUNCTION_NAME" >/dev/stderr\nexit 1\n`,
} as const;

let directory = "";
let host: SandboxHost;
let plane: DataPlane;
let lines: string[] = [];

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), "lambent-extensions-"));
  chmodSync(directory, 0o755);
  const put = (path: string, text: string, mode: number) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text, { mode });
  };
  put("python/index.py", PYTHON, 0o644);
  put("node/index.mjs", NODE, 0o644);
  for (const [name, text] of Object.entries(EXTENSIONS)) put(`layers/${name}/extensions/${name}`, text, name === "broken" ? 0o644 : 0o755);
  host = await linuxSandboxHost({ launcherPath: LAUNCHER, log: silentLog });
  plane = planeOf({
    sandboxes: host,
    runtimes: catalog,
    logs: { append: (_name, events) => void lines.push(...events.map(({ message }) => message.trimEnd())) },
    limits: { environmentsMax: 20, preparedMax: 0 },
  });
});

after(async () => {
  if (skip !== false) return;
  await plane.stop();
  const left = await host.inventory();
  await host.stop();
  rmSync(directory, { recursive: true });
  assert.deepEqual(left, []);
});

function deployment(code: "python" | "node", extension?: keyof typeof EXTENSIONS, changes: Partial<Deployment> = {}): Deployment {
  return deploymentOf({
    functionName: `${code}-${extension ?? "alone"}-${changes.memoryMiB ?? 256}-${changes.timeoutMs ?? 60_000}`,
    runtime: code === "python" ? "python3.11" : "nodejs24.x",
    handler: "index.handler",
    codeDirectory: join(directory, code),
    ...(extension === undefined ? {} : { layersDirectory: join(directory, "layers", extension) }),
    ...changes,
  });
}

async function invoke(target: Deployment, event: unknown = {}) {
  const id = requestId();
  const outcome = await plane.invoke(target, {
    requestId: id,
    payload: Buffer.from(JSON.stringify(event)),
    invokedArn: target.functionArn,
    wantsLogTail: false,
  });
  assert.ok(outcome.kind === "returned" || outcome.kind === "failed", JSON.stringify(outcome));
  const value = JSON.parse(Buffer.from(outcome.payload).toString()) as Record<string, unknown>;
  return { id, kind: outcome.kind, errorType: outcome.kind === "failed" ? outcome.errorType : undefined, value };
}

/** The last line of an invocation, when its extensions are done with it as well. */
async function reportOf(id: string): Promise<string> {
  const find = () => lines.find((line) => line.startsWith(`REPORT RequestId: ${id}`));
  await eventually(`the report of ${id}`, () => find() !== undefined);
  return find() ?? "";
}

interface Heard {
  readonly type: string;
  readonly record: Record<string, unknown>;
}

const heard = (): readonly Heard[] => lines.filter((line) => line.startsWith("HEARD ")).map((line) => JSON.parse(line.slice(6)) as Heard);

for (const name of ["http", "tcp"] as const)
  test(`an extension hears of its function's life over ${name}`, { skip }, async () => {
    lines = [];
    const target = deployment("python", name);
    await reportOf((await invoke(target, { print: "from the function" })).id);
    // The report comes after the invocation: a frozen environment takes and tells it with the next ones.
    for (let time = 0; time < 50 && !heard().some(({ type }) => type === "platform.report"); time++)
      await reportOf((await invoke(target, { sleep: 0.1 })).id);
    const first = heard();
    const until = first.findIndex(({ type }) => type === "platform.report") + 1;
    assert.deepEqual(
      first.slice(0, until).map(({ type }) => type),
      [
        "platform.initStart",
        "platform.telemetrySubscription",
        "platform.extension",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "function",
        "platform.runtimeDone",
        "platform.report",
      ],
    );
    assert.equal(first[6]?.record, "from the function\n");
    plane.retire([target.key]);
    const count = (type: string) => heard().filter((one) => one.type === type).length;
    await eventually("all reports", () => count("platform.report") === count("platform.start"));
    if (name === "http") await eventually("the last word", () => lines.includes("ended for SPINDOWN"));
  });

test("an invocation ends when its extension is done, its answer does not wait", { skip }, async () => {
  lines = [];
  const target = deployment("node", "late");
  const startedMs = performance.now();
  const { id } = await invoke(target);
  assert.equal(lines.includes("nearly done"), false);
  const report = await reportOf(id);
  assert.ok(performance.now() - startedMs >= 3000);
  // An extension's output and its call for the next event take two ways, and have no order between them: hence what it says before.
  assert.ok(lines.indexOf("nearly done") < lines.indexOf(`END RequestId: ${id}`));
  const [, durationMs] = /Duration: (\d+)\.\d\d ms/.exec(report) ?? [];
  assert.ok(Number(durationMs) >= 3000, report);
});

test("L11 an extension that hangs at SHUTDOWN is killed after 2 s", { skip }, async () => {
  lines = [];
  const target = deployment("python", "hangs");
  await invoke(target);
  const present = (await host.inventory()).length;
  const startedMs = performance.now();
  plane.retire([target.key]);
  await eventually("its SHUTDOWN", () => lines.includes("hangs"));
  await eventually("it is killed", async () => (await host.inventory()).length < present);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs > 1900, `${tookMs} ms`);
});

for (const [name, errorType, message] of [
  ["broken", "Extension.LaunchError", /fork\/exec \/opt\/extensions\/broken: permission denied/],
  ["shell", "Extension.Crash", /exit status 1/],
] as const)
  test(`an extension that is ${name}: the answer`, { skip }, async () => {
    lines = [];
    const { value } = await invoke(deployment("python", name));
    assert.equal(value["errorType"], errorType);
    assert.match(String(value["errorMessage"]), message);
    if (name === "shell") assert.ok(lines.includes(`the shell says ${deployment("python", name).functionName}`));
  });

test("an extension that crashes in an invocation fails it, and the next one has a new one", { skip }, async () => {
  const target = deployment("python", "crashes");
  for (let time = 0; time < 2; time++) {
    const { errorType, value } = await invoke(target, { sleep: 5 });
    assert.deepEqual(
      [errorType, String(value["errorMessage"]).replace(/^RequestId: \S+ /, "")],
      ["Extension.Crash", "Error: exit status 3"],
    );
  }
});

const ENDS = [
  { name: "a timeout", event: { sleep: 60 }, errorType: "Sandbox.Timedout", timeoutMs: 2000 },
  { name: "an exit", event: { exit: 3 }, errorType: "Runtime.ExitError", timeoutMs: 60_000 },
  { name: "a lack of memory", event: { memory: true }, errorType: "Runtime.OutOfMemory", timeoutMs: 120_000 },
  { name: "a runtime that stops itself", event: { stop: true }, errorType: "Sandbox.Timedout", timeoutMs: 2000 },
] as const;
for (const { name, event, errorType, timeoutMs } of ENDS)
  test(`/tmp survives ${name}, the runtime does not`, { skip }, async () => {
    const target = deployment("python", undefined, { timeoutMs, memoryMiB: 256 + name.length });
    const first = await invoke(target, { write: name });
    assert.deepEqual([first.value["found"], first.value["type"]], [null, "on-demand"]);
    for (let time = 0; time < 2; time++) {
      assert.equal((await invoke(target, event)).errorType, errorType);
      const next = await invoke(target);
      assert.deepEqual(next.value["found"], name);
      assert.notEqual(next.value["pid"], first.value["pid"]);
    }
    assert.equal((await invoke(target, event)).errorType, errorType, "as often as it happens");
  });

test("/tmp survives an exit and a timeout of Node's runtime", { skip }, async () => {
  const target = deployment("node", undefined, { timeoutMs: 3000 });
  await invoke(target, { write: "here" });
  for (const event of [{ exit: 1 }, { sleep: 60 }]) {
    assert.equal((await invoke(target, event)).kind, "failed");
    assert.equal((await invoke(target)).value["found"], "here");
  }
});
