// Prepared sandboxes with real runtimes: a function can't tell whether its sandbox was made for it or had been waiting.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, chmodSync, cpSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { requestId } from "../../src/base/id.ts";
import { loadConfig } from "../../src/config.ts";
import type { Deployment, Outcome } from "../../src/pool/invocation.ts";
import type { DataPlane } from "../../src/pool/invoke.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import { eventually } from "../support/eventually.ts";
import { LAUNCHER, launcherOf, processes, skip as withoutSandboxes, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const NODE = `
  import fs from "node:fs";
  import os from "node:os";
  import v8 from "node:v8";
  import { createRequire, globalPaths } from "node:module";
  const lines = (path, pattern = /./) => fs.readFileSync(path, "utf8").split(/[\\n\\0]/).filter((line) => pattern.test(line)).sort();
  const link = (path) => { try { return fs.readlinkSync(path).replace(/\\d+/g, "N"); } catch (error) { return error.code; } };
  const { blocks, files, bsize } = fs.statfsSync("/tmp");
  const seen = {
    env: process.env, argv: process.argv, execArgv: process.execArgv, cwd: process.cwd(), title: process.title, pid: process.pid, ppid: process.ppid,
    ids: [process.getuid(), process.getgid(), process.getgroups(), process.umask()], host: os.hostname(), network: os.networkInterfaces(),
    limits: lines("/proc/self/limits"), cmdline: lines("/proc/self/cmdline"), mounts: lines("/proc/self/mounts"),
    status: lines("/proc/self/status", /^(Name|Umask|[UG]id|Groups|NStgid|Cap|NoNewPrivs|Seccomp)/), cgroup: lines("/proc/self/cgroup"),
    tmp: [blocks, files, bsize, fs.statSync("/tmp").mode, fs.readdirSync("/tmp")], root: fs.readdirSync("/"), opt: fs.readdirSync("/opt"), task: fs.readdirSync("/var/task"),
    fds: fs.readdirSync("/proc/self/fd").map((name) => link("/proc/self/fd/" + name)).sort(), entered: link("/proc/self/cwd"),
    heap: v8.getHeapStatistics().heap_size_limit, time: new Date(0).toString(), locale: Intl.DateTimeFormat().resolvedOptions(),
    globals: Object.getOwnPropertyNames(globalThis).sort(), globalPaths, sdk: createRequire(import.meta.url).resolve("@aws-sdk/client-s3"),
    relative: fs.existsSync("index.mjs"),
  };
  const random = Math.random();
  export const handler = async ({ memory = 0 }, context) => {
    const held = Buffer.alloc(memory * 2 ** 20, 1);
    return { seen, random, context, held: held.length };
  };`;

const PYTHON = `
import ctypes, locale, os, random, resource, socket, sys, time
def lines(path): return sorted(filter(None, open(path).read().replace(chr(0), "\\n").split("\\n")))
def link(path):
    try: return "".join("N" if c.isdigit() else c for c in os.readlink(path))
    except OSError as error: return str(error.errno)
modules = sorted(sys.modules)
tmp = os.statvfs("/tmp")
seen = {
    "env": dict(os.environ), "argv": sys.argv, "flags": list(sys.flags), "path": sys.path, "modules": modules, "cwd": os.getcwd(), "pid": os.getpid(),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getppid()], "host": socket.gethostname(), "limits": lines("/proc/self/limits"),
    "cmdline": lines("/proc/self/cmdline"), "mounts": lines("/proc/self/mounts"), "tmp": [tmp.f_blocks, tmp.f_files, os.listdir("/tmp")],
    "root": sorted(os.listdir("/")), "opt": os.listdir("/opt"), "task": sorted(os.listdir("/var/task")),
    "fds": sorted(link("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd")), "entered": link("/proc/self/cwd"),
    "time": time.strftime("%c %Z", time.localtime(0)), "locale": [locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding(), sys.stdout.encoding],
    "relative": os.path.exists("index.py"), "library": ctypes.CDLL("libcarried.so")._name, "sub": __import__("package.sub", fromlist=["x"]).x,
}
def handler(event, context):
    return {"seen": seen, "random": [random.random(), hash("a")], "held": len(bytearray(event.get("memory", 0) << 20)), "ahead": globals().get("is_ahead")}
`;

/** The same, and what boto3 makes of its variables; a layer with urllib3 must win. */
const BOTO3 = `
import sys
is_ahead = any(type(finder).__module__ == "lambent_ahead" for finder in sys.meta_path)
${PYTHON.replace("modules = sorted", "import boto3\nmodules = sorted")}
client = boto3.client("sqs")
keys = client._request_signer._credentials
seen["boto3"] = [
    client.meta.region_name, client.meta.endpoint_url, keys.access_key, keys.secret_key, keys.token, client.meta.config.retries,
    client.meta.service_model.service_name, sorted(client._endpoint.http_session._proxy_config._proxies.items()), boto3.__file__,
    sys.modules["urllib3"].__file__, sorted(sys.modules),
]
# The installer's, which do not look at the times of the sources: else every cold start would compile them.
unchecked = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER + (1).to_bytes(4, "little")
own = [module for module in sys.modules.values() if (getattr(module, "__file__", None) or "").startswith("/var/runtime/")]
seen["compiled"] = [len(own) > 100, [one.__name__ for one in own if open(one.__cached__, "rb").read(8) != unchecked]]
`;

const FILES = {
  node: { "index.mjs": NODE },
  python: { "index.py": PYTHON, "package/__init__.py": "", "package/sub.py": "x = 'found'" },
  boto3: { "index.py": BOTO3, "package/__init__.py": "", "package/sub.py": "x = 'found'" },
  wrapped: {
    "index.py": "import os\ndef handler(event, context): return os.environ.get('WRAPPED')",
    wrap: '#!/bin/sh\nWRAPPED=yes exec "$@"',
  },
} as const;

const { runtimesDirectory } = loadConfig();
const catalog = runtimeCatalog({
  runtimesDirectory,
  bootstrapsDirectory: join(import.meta.dirname, "..", "..", "runtimes"),
  pythonSearchPath: ["/usr", "/usr/local"],
});
const [library] = globSync("/lib/*-linux-gnu/libz.so.1");
const isReady = (runtime: string) => {
  const layout = catalog.resolve(runtime);
  return layout !== undefined && !("missing" in layout);
};
const skip =
  withoutSandboxes !== false || (["nodejs24.x", "python3.11"].every(isReady) && library !== undefined)
    ? withoutSandboxes
    : "needs nodejs24.x, python3.11 and zlib";

let directory = "";
let host: SandboxHost;
let direct: DataPlane;
let pooled: DataPlane;

const open = (preparedMax: number): DataPlane => planeOf({ sandboxes: host, runtimes: catalog, limits: { preparedMax } });

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), "lambent-prepared-"));
  chmodSync(directory, 0o755);
  for (const [code, files] of Object.entries(FILES))
    for (const [name, text] of Object.entries(files)) {
      const path = join(directory, code, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode: name === "wrap" ? 0o755 : 0o644 });
    }
  for (const code of ["python", "boto3"]) {
    mkdirSync(join(directory, code, "lib"));
    copyFileSync(library ?? "", join(directory, code, "lib", "libcarried.so"));
  }
  // A layer that is found only when the function runs is one that its own code puts on the path.
  cpSync(join(runtimesDirectory, "python-sdk", "urllib3"), join(directory, "layer", "vendor", "urllib3"), { recursive: true });
  assert.ok(existsSync(LAUNCHER));
  host = await startHost();
  [direct, pooled] = [open(0), open(4)];
});

after(async () => {
  if (skip !== false) return;
  await Promise.all([direct.stop(), pooled.stop()]);
  const left = await host.inventory();
  await host.stop();
  rmSync(directory, { recursive: true });
  assert.deepEqual(left, [], "a stopped data plane leaves no prepared sandbox");
});

let deployments = 0;

function deployment(code: keyof typeof FILES, changes: Partial<Deployment> = {}): Deployment {
  const runtime = code === "node" ? "nodejs24.x" : "python3.11";
  const key = `${code}-${++deployments}`;
  return deploymentOf({ key, functionName: code, runtime, handler: "index.handler", codeDirectory: join(directory, code), ...changes });
}

/** Once: what has answered is not kept. */
async function call(plane: DataPlane, target: Deployment, event: unknown = {}): Promise<Outcome> {
  const payload = Buffer.from(JSON.stringify(event));
  const outcome = await plane.invoke(target, { requestId: requestId(), payload, invokedArn: target.functionArn, wantsLogTail: false });
  plane.retire([target.key]);
  return outcome;
}

interface Answer {
  readonly seen: { readonly env: Record<string, string> } & Record<string, unknown>;
  readonly random: unknown;
  readonly held: number;
  /** It was given boto3, rather than any that waited. */
  readonly ahead: boolean | null;
}

function valueOf(outcome: Outcome): Answer {
  assert.ok(outcome.kind === "returned", JSON.stringify(outcome));
  return JSON.parse(Buffer.from(outcome.payload).toString()) as Answer;
}

/** A cold start on a prepared sandbox: another function of that kind has been there before, so that one is ready. */
async function callPrepared(code: keyof typeof FILES, changes: Partial<Deployment> = {}, event: unknown = {}): Promise<Outcome> {
  await call(pooled, deployment(code, changes));
  return await eventually("a cold start finds a prepared sandbox", async () => {
    const { taken } = pooled.prepared();
    const outcome = await call(pooled, deployment(code, changes), event);
    return pooled.prepared().taken > taken && (code !== "boto3" || valueOf(outcome).ahead === true) && outcome;
  });
}

/** Less what differs from start to start. */
function comparable({ seen }: Answer): Answer["seen"] {
  const { AWS_LAMBDA_LOG_STREAM_NAME: stream, AWS_LAMBDA_METADATA_TOKEN: token, _X_AMZN_TRACE_ID: _, ...env } = seen.env;
  assert.match(stream ?? "", /\[\$LATEST\]/);
  assert.match(token ?? "", /^[\da-f-]{36}$/);
  return { ...seen, env };
}

const SETTINGS: readonly (readonly [what: string, changes: Partial<Deployment>])[] = [
  ["as it comes", {}],
  ["with more memory and a larger /tmp", { memoryMiB: 1024, ephemeralStorageMiB: 1024 }],
  ["with the smallest memory", { memoryMiB: 128 }],
  ["with JSON logs", { logging: { format: "JSON", group: "g", applicationLevel: "WARN" } }],
  [
    "with variables",
    { variables: { TZ: "Europe/Berlin", PATH: "/var/task:/usr/bin", NODE_ENV: "production", ["__proto__"]: "x", ÄÖ: "=\n" } },
  ],
];

for (const code of ["node", "python"] as const)
  for (const [what, changes] of SETTINGS)
    test(`${code}, ${what}: a prepared sandbox looks like one that was made for the function`, { skip }, async () => {
      const expected = comparable(valueOf(await call(direct, deployment(code, changes))));
      assert.deepEqual(comparable(valueOf(await callPrepared(code, changes))), expected);
    });

const SDK_SETTINGS: readonly (readonly [what: string, changes: Partial<Deployment>])[] = [
  ["as it comes", {}],
  ["with the smallest memory", { memoryMiB: 128 }],
  [
    "with variables that boto3 reads",
    {
      region: "eu-west-1",
      variables: {
        AWS_ENDPOINT_URL_SQS: "http://127.0.0.1:9",
        AWS_MAX_ATTEMPTS: "7",
        AWS_RETRY_MODE: "adaptive",
        HTTPS_PROXY: "http://proxy:1",
        AWS_DATA_PATH: "/var/task",
      },
    },
  ],
];

for (const [what, changes] of SDK_SETTINGS)
  test(`boto3, ${what}: loaded ahead it is as it is when the function loads it`, { skip }, async () => {
    const expected = comparable(valueOf(await call(direct, deployment("boto3", changes))));
    assert.equal((expected["boto3"] as string[]).at(8), "/var/runtime/boto3/__init__.py");
    assert.deepEqual(expected["compiled"], [true, []]);
    assert.deepEqual(comparable(valueOf(await callPrepared("boto3", changes))), expected);
  });

test("boto3 that was loaded ahead gives way to what the function puts on its path", { skip }, async () => {
  const vendored = join(directory, "vendored");
  cpSync(join(directory, "boto3"), vendored, { recursive: true });
  writeFileSync(join(vendored, "index.py"), `import sys\nsys.path.insert(0, "/opt/vendor")\n${BOTO3}`);
  const changes = { codeDirectory: vendored, layersDirectory: join(directory, "layer") };
  const { boto3 } = comparable(valueOf(await callPrepared("boto3", changes)));
  assert.equal((boto3 as string[]).at(9), "/opt/vendor/urllib3/__init__.py");
});

test("no two prepared sandboxes share their randomness", { skip }, async () => {
  for (const code of ["node", "python", "boto3"] as const) {
    const [one, two] = [valueOf(await callPrepared(code)).random, valueOf(await callPrepared(code)).random];
    assert.notDeepEqual(one, two);
  }
});

test("a function has the memory that it is to have, and not more", { skip }, async () => {
  assert.equal(valueOf(await callPrepared("python", { memoryMiB: 512 }, { memory: 300 })).held, 300 * 2 ** 20);
  const outcome = await callPrepared("python", { memoryMiB: 128 }, { memory: 200 });
  assert.ok(outcome.kind === "failed" && outcome.cause === "out-of-memory", JSON.stringify(outcome));
});

test("what is read at the start is there at the start: such functions are not given a prepared sandbox", { skip }, async () => {
  const taken = async (code: keyof typeof FILES, variables: Record<string, string>) => {
    await callPrepared(code);
    const takenBefore = pooled.prepared().taken;
    const outcome = await call(pooled, deployment(code, { variables }));
    assert.equal(pooled.prepared().taken, takenBefore);
    return valueOf(outcome);
  };
  const [one, two] = [await taken("python", { PYTHONHASHSEED: "7" }), await taken("python", { PYTHONHASHSEED: "7" })];
  assert.equal((one.random as number[])[1], (two.random as number[])[1]);
  const { seen } = await taken("node", { NODE_OPTIONS: "--stack-trace-limit=7", NODE_PATH: "/var/task:/var/runtime/node_modules" });
  assert.match(JSON.stringify(seen["globalPaths"]), /var\/task/);
  const wrapped = deployment("wrapped", { variables: { AWS_LAMBDA_EXEC_WRAPPER: "/var/task/wrap" } });
  assert.equal(valueOf(await call(pooled, wrapped)), "yes");
});

test("what is wrong with a function's code is told as without a prepared sandbox", { skip }, async () => {
  await callPrepared("python");
  const changes = { codeDirectory: join(directory, "absent") };
  const outcomes = [await call(direct, deployment("python", changes)), await call(pooled, deployment("python", changes))];
  for (const outcome of outcomes) assert.ok(outcome.kind === "unavailable" && outcome.code === "sandbox-failed", JSON.stringify(outcome));
});

/** Host pids of the Python runtimes in this test's own sandboxes: below its launcher each has a process 1. */
function ownPythons(): readonly number[] {
  const all = processes();
  const launcher = launcherOf();
  const inits = new Set(all.filter(({ parent }) => parent === launcher).map(({ pid }) => pid));
  return all.filter(({ parent, command }) => inits.has(parent) && command.includes("/var/rapid/bootstrap.py")).map(({ pid }) => pid);
}

/** The environment of an earlier test may be on its way out. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

test("a prepared sandbox whose process was killed while it was frozen is no function's failure", { skip }, async () => {
  // Those that are ready may be of the other kind, or not yet frozen: until one that was killed has been taken.
  for (let isTaken = false; !isTaken;) {
    await callPrepared("python");
    await eventually("two are ready", () => pooled.prepared().ready >= 2);
    const doomed = new Set(ownPythons());
    for (const pid of doomed) killIfThere(pid);
    await eventually("they are gone", () => ownPythons().every((pid) => !doomed.has(pid)));
    const { taken } = pooled.prepared();
    assert.equal(valueOf(await call(pooled, deployment("python"))).held, 0);
    isTaken = pooled.prepared().taken > taken;
  }
});
