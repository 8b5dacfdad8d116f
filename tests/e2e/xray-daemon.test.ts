// The X-Ray daemon's address in real sandboxes: by hand, and with AWS's own SDKs as their registries have them.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { requestId } from "../../src/base/id.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { loadConfig } from "../../src/config.ts";
import type { Deployment } from "../../src/pool/invocation.ts";
import type { DataPlane } from "../../src/pool/invoke.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import { skip as withoutSandboxes, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";
import { BUILD_MS_MAX, built } from "./built.fixture.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const PYTHON_SDK = "2.15.0";
const NODE_SDK = "3.12.0";
const timeout = 2 * BUILD_MS_MAX;

const PYTHON = `
import errno, os, socket, threading
host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
def answered(sock):
    try: sock.send(b"?"); sock.recv(1)
    except ConnectionRefusedError: return "refused"
    except TimeoutError: return "taken"
def handler(event, context):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(0.3)
    sock.connect((event.get("host", host), int(port)))
    if "segment" in event: sock.sendall(b'{"format":"json","version":1}\\n' + event["segment"].encode())
    if "flood" in event:
        try:
            for _ in range(event["flood"]): sock.send(b'{"format":"json","version":1}\\n{}')
        except ConnectionRefusedError: return "refused"
    if "bind" in event: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind((event["bind"], int(port)))
    return answered(sock) if "ask" in event else "sent"
`;

const NODE = `
import dgram from "node:dgram";
const [host, port] = process.env.AWS_XRAY_DAEMON_ADDRESS.split(":");
export const handler = ({ segment }) => new Promise((resolve, reject) => {
  const socket = dgram.createSocket("udp4");
  socket.send('{"format":"json","version":1}\\n' + segment, Number(port), host, (error) => (socket.close(), error ? reject(error) : resolve("sent")));
});
`;

/** As their documentation has it: a subsegment with an annotation, and an exception. */
const WITH_PYTHON_SDK = `
from aws_xray_sdk.core import xray_recorder
@xray_recorder.capture("work")
def work(event):
    xray_recorder.current_subsegment().put_annotation("colour", event["colour"])
    if "fail" in event: raise ValueError("failed on purpose")
    return "worked"
def handler(event, context): return work(event)
`;

const WITH_NODE_SDK = `
import AWSXRay from "aws-xray-sdk-core";
export const handler = (event) => AWSXRay.captureAsyncFunc("work", async (subsegment) => {
  try {
    subsegment.addAnnotation("colour", event.colour);
    if (event.fail) throw new TypeError("failed on purpose");
    subsegment.close();
    return "worked";
  } catch (error) {
    subsegment.close(error);
    throw error;
  }
});
`;

const CODE = { python: { "index.py": PYTHON }, node: { "index.mjs": NODE } } as const;
const RUNTIMES = { python: "python3.11", node: "nodejs24.x" } as const;
type Language = keyof typeof RUNTIMES;

const catalog = runtimeCatalog({
  runtimesDirectory: loadConfig().runtimesDirectory,
  bootstrapsDirectory: join(import.meta.dirname, "..", "..", "runtimes"),
  pythonSearchPath: ["/usr", "/usr/local"],
});
const isReady = (runtime: string) => {
  const layout = catalog.resolve(runtime, "x86_64");
  return layout !== undefined && !("missing" in layout);
};
const skip = withoutSandboxes === false && !Object.values(RUNTIMES).every(isReady) ? "needs nodejs24.x and python3.11" : withoutSandboxes;

const openSockets = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false; // it has been closed since the listing
    }
  }).length;

interface Taken {
  readonly from: string;
  readonly document: string;
}

const taken: Taken[] = [];
const strange: unknown[] = [];
let directory = "";
let host: SandboxHost;
let direct: DataPlane;
let pooled: DataPlane;
let socketsAtStart = 0;

function open(preparedMax: number): DataPlane {
  const log: Log = { ...silentLog, warn: (_, fields) => void strange.push(fields?.["problem"]) };
  return planeOf({
    sandboxes: host,
    runtimes: catalog,
    segments: ({ account, region, functionName }, document) => void taken.push({ from: `${account} ${region} ${functionName}`, document }),
    log,
    limits: { preparedMax },
  });
}

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), "lambent-xray-"));
  chmodSync(directory, 0o755);
  for (const [language, files] of Object.entries(CODE)) {
    mkdirSync(join(directory, language));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, language, name), text);
  }
  host = await startHost();
  socketsAtStart = openSockets();
  [direct, pooled] = [open(0), open(4)];
});

after(async () => {
  if (skip !== false) return;
  await Promise.all([direct.stop(), pooled.stop()]);
  await eventually("every socket of the sandboxes is closed", () => openSockets() <= socketsAtStart);
  await host.stop();
  rmSync(directory, { recursive: true });
});

let deployments = 0;

function deployment(language: Language, changes: Partial<Deployment> = {}): Deployment {
  const functionName = `${language}-${++deployments}`;
  return deploymentOf({
    functionName,
    region: "eu-central-1",
    runtime: RUNTIMES[language],
    handler: "index.handler",
    codeDirectory: join(directory, language),
    memoryMiB: 512,
    isTraced: true,
    ...changes,
  });
}

const ROOT = "1-581cf771-a006649127e371903a2de979";
const PARENT = "53995c3f42cd8ad8";

async function call(plane: DataPlane, target: Deployment, event: object): Promise<unknown> {
  const outcome = await plane.invoke(target, {
    requestId: requestId(),
    payload: Buffer.from(JSON.stringify(event)),
    invokedArn: target.functionArn,
    traceHeader: `Root=${ROOT};Parent=${PARENT};Sampled=1`,
    wantsLogTail: false,
  });
  assert.ok(outcome.kind === "returned" || outcome.kind === "failed", JSON.stringify(outcome));
  return JSON.parse(Buffer.from(outcome.payload).toString());
}

const from = ({ account, region, functionName }: Deployment) => `${account} ${region} ${functionName}`;
const ofFunction = (target: Deployment) => taken.filter((one) => one.from === from(target)).map(({ document }) => document);

const SEGMENT = JSON.stringify({ name: "by hand", id: "70de5b6f19ff9a0a", trace_id: ROOT, metadata: { text: "ä".repeat(20_000) } });

for (const language of ["python", "node"] as const) {
  test(`${language}: a segment arrives from a sandbox that was made for the function`, { skip }, async () => {
    const target = deployment(language);
    assert.equal(await call(direct, target, { segment: SEGMENT }), "sent");
    await eventually("it is there", () => ofFunction(target).length === 1);
    assert.deepEqual(ofFunction(target), [SEGMENT]);
  });

  test(`${language}: … and from a prepared one`, { skip }, async () => {
    const target = await eventually("a cold start finds a prepared sandbox", async () => {
      const next = deployment(language);
      const takenBefore = pooled.prepared().taken;
      assert.equal(await call(pooled, next, { segment: SEGMENT }), "sent");
      return pooled.prepared().taken > takenBefore && next;
    });
    await eventually("it is there", () => ofFunction(target).length === 1);
    assert.deepEqual(ofFunction(target), [SEGMENT]);
  });
}

test("nothing listens where tracing is not active, also in a sandbox beside one where it is", { skip }, async () => {
  const { isTraced: _, ...untraced } = deployment("python");
  for (const plane of [direct, pooled])
    for (let time = 0; time < 3; time++) {
      const target = { ...untraced, key: `${untraced.key}-${time}` };
      assert.equal(await call(plane, deployment("python"), { ask: 1 }), "taken");
      assert.equal(await call(plane, target, { ask: 1 }), "refused");
      plane.retire([target.key]);
    }
});

test("127.0.0.1:2000 is the function's own", { skip }, async () => {
  const target = deployment("python");
  assert.equal(await call(direct, target, { host: "127.0.0.1", ask: 1 }), "refused");
  assert.equal(await call(direct, target, { bind: "127.0.0.1" }), "sent");
});

test("a flood closes the address, for good, and costs the server little", { skip }, async (t) => {
  const target = deployment("python", { memoryMiB: 1769 });
  const cpuBefore = process.cpuUsage();
  assert.equal(await call(direct, target, { flood: 1_000_000 }), "refused");
  const { user, system } = process.cpuUsage(cpuBefore);
  t.diagnostic(`${((user + system) / 1000).toFixed(0)} ms of the server's CPU, with the cold start`);
  assert.equal(ofFunction(target).length, 1000);
  assert.deepEqual(strange.filter((one) => String(one).includes("nothing is taken there any more")).length, 1);
  assert.equal(await call(direct, target, { ask: 1 }), "refused", "and the environment goes on");
});

interface Subsegment {
  readonly type: string;
  readonly name: string;
  readonly trace_id: string;
  readonly parent_id: string;
  readonly end_time: number;
  readonly annotations: object;
  readonly fault?: boolean;
  readonly cause?: { readonly exceptions: readonly { readonly type: string; readonly message: string }[] };
}

/** What their users look for in the console: the name, the annotation, the trace, the exception. */
async function traces(target: Deployment, exception: string): Promise<void> {
  assert.equal(await call(direct, target, { colour: "blue" }), "worked");
  assert.equal(((await call(direct, target, { colour: "red", fail: true })) as { errorType: string }).errorType, exception);
  await eventually("both are there", () => ofFunction(target).length === 2);
  const [worked, failed] = ofFunction(target).map((document) => JSON.parse(document) as Subsegment);
  for (const [one, colour] of [
    [worked, "blue"],
    [failed, "red"],
  ] as const) {
    assert.deepEqual([one?.type, one?.name, one?.trace_id, one?.annotations], ["subsegment", "work", ROOT, { colour }]);
    assert.match(one?.parent_id ?? "", /^[0-9a-f]{16}$/);
    assert.ok((one?.end_time ?? 0) > 1_600_000_000);
  }
  assert.equal(worked?.fault, undefined);
  assert.equal(failed?.fault, true);
  const [cause] = failed.cause?.exceptions ?? [];
  assert.deepEqual([cause?.type, cause?.message], [exception, "failed on purpose"]);
}

test(`Python: aws_xray_sdk ${PYTHON_SDK}`, { skip, timeout }, async (t) => {
  const install = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version", "3.11", "--target", "."];
  const commands = [["/usr/bin/python3", ...install, `aws_xray_sdk==${PYTHON_SDK}`]];
  const codeDirectory = built(t, "xray-python", { "index.py": WITH_PYTHON_SDK }, commands);
  if (codeDirectory !== undefined) await traces(deployment("python", { codeDirectory }), "ValueError");
});

test(`Node: aws-xray-sdk-core ${NODE_SDK}`, { skip, timeout }, async (t) => {
  const commands = [["npm", "install", "--loglevel=error", "--ignore-scripts", `aws-xray-sdk-core@${NODE_SDK}`]];
  const codeDirectory = built(t, "xray-node", { "package.json": '{"private":true}', "index.mjs": WITH_NODE_SDK }, commands);
  if (codeDirectory !== undefined) await traces(deployment("node", { codeDirectory }), "TypeError");
});
