// Functions' own code, compiled ahead in a real sandbox: it is used, nothing else is different, and nothing of it is run before an invocation.
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { DeleteFunctionCommand } from "@aws-sdk/client-lambda";
import { systemClock } from "../../src/base/clock.ts";
import { requestId } from "../../src/base/id.ts";
import { loadConfig } from "../../src/config.ts";
import type { Deployment, Outcome } from "../../src/pool/invocation.ts";
import type { DataPlane } from "../../src/pool/invoke.ts";
import { codeTrees, compileTree, type CodeTree } from "../../src/runtime/compiled-code.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import type { RuntimeLayout } from "../../src/runtime/settings.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import { skip as withoutSandboxes, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";
import { call as invoke, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const RUNTIME = "python3.11";
/** Some 60 KB. */
const LARGE = Array.from({ length: 1500 }, (_, n) => `def function_${n}(a, b):\n    return a + b + ${n}\n`).join("");
const FAILS = 'def fail():\n    raise ValueError("from a large module")\n';

/** Which modules are compiled while it loads, and all that it can see of where they come from. */
const APP = `
import os, sys
compiled, warned = [], []
def note(event, arguments):
    if event == "compile" and str(arguments[1]).startswith(("/var/task", "/opt")):
        compiled.append(arguments[1])
sys.addaudithook(note)
import large, layered, package.deep
def describe(module):
    spec = module.__spec__
    return [module.__file__, module.__cached__, spec.origin, spec.cached, type(spec.loader).__name__, module.function_1.__code__.co_filename,
            os.path.exists(module.__cached__), spec.loader.get_source(module.__name__)[:20]]
seen = {
    "modules": [describe(one) for one in (large, layered, package.deep)], "prefix": sys.pycache_prefix, "flags": str(sys.flags), "path": sys.path,
    "loaded": sorted(name for name in sys.modules if not name.startswith("lambent_")), "finders": [str(one).partition(" object at ")[0] for one in sys.meta_path], "writes": sys.dont_write_bytecode, "opt": os.listdir("/opt/python"),
    "task": sorted(os.path.join(place, name) for place, below, names in os.walk("/var/task") for name in below + names), "env": sorted(os.environ),
    "sum": large.function_7(1, 2),
}
def handler(event, context):
    if event.get("fails"):
        large.fail()
    if "imports" in event:
        try:
            __import__(event["imports"])
        except Exception as error:
            return [type(error).__name__, str(error)]
    return [compiled, seen]
`;

const FILES: Readonly<Record<string, string>> = {
  "code/app.py": APP,
  "code/large.py": LARGE + FAILS,
  "code/package/__init__.py": "",
  "code/package/deep.py": LARGE,
  "layer/python/layered.py": LARGE,
  "both/app.py": "import large\ndef handler(event, context):\n    return large.__file__\n",
  "both/python/large.py": LARGE,
  "small/app.py": "def handler(event, context):\n    return 1\n",
};

/** What does not compile, and what is warned about. */
const WRONG: Readonly<Record<string, string>> = {
  "app.py": APP.replaceAll("large, layered, package.deep", "large,").replace("import large,", "import large"),
  "large.py": LARGE + FAILS,
  "broken.py": "def (:\n",
  "warns.py": `${LARGE}x = 1 is 1\n`,
  "zero.py": "x = 1\0\n",
  "encoded.py": "# -*- coding: nonsense -*-\n",
  "digits.py": `x = ${"9".repeat(100_000)}\n`,
  "nested.py": `x = ${"(".repeat(5000)}1${")".repeat(5000)}\n`,
  "long.py": `x = ${"-".repeat(200_000)}1\n`,
  "huge.py": `${"#".repeat(2 ** 21)}\n`,
};

/** What the compiler must not take for its own modules or libraries. */
const SHADOWS = ["_frozen_importlib", "json", "os", "sitecustomize", "time", "usercustomize"];
const HOSTILE: Readonly<Record<string, string>> = {
  ...WRONG,
  ...Object.fromEntries(SHADOWS.map((name) => [`${name}.py`, "import sys; sys.exit(9)\n"])),
  "lib/libc.so.6": "no library",
  "lib/libpython3.11.so.1.0": "no library",
};

const catalog = runtimeCatalog({
  runtimesDirectory: loadConfig().runtimesDirectory,
  bootstrapsDirectory: join(import.meta.dirname, "..", "..", "runtimes"),
  pythonSearchPath: ["/usr", "/usr/local"],
});
const layout = (): RuntimeLayout => {
  const found = catalog.resolve(RUNTIME);
  assert.ok(found !== undefined && !("missing" in found));
  return found;
};
const isReady = withoutSandboxes === false && !("missing" in (catalog.resolve(RUNTIME) ?? { missing: "" }));
const skip = isReady ? false : withoutSandboxes || `needs ${RUNTIME}`;

let directory = "";
let host: SandboxHost;
/** One never compiles, the others do; the last one with prepared sandboxes. */
let planes: { without: DataPlane; direct: DataPlane; prepared: DataPlane };

function open(preparedMax: number, freeMemory?: () => number): DataPlane {
  return planeOf({
    sandboxes: host,
    runtimes: catalog,
    logs: { append: (_, records) => void logged.push(...records.map(({ message }) => message)) },
    ...(freeMemory === undefined ? {} : { freeMemory }),
    limits: { preparedMax },
  });
}

const logged: string[] = [];

function write(place: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, place, name)), { recursive: true });
    writeFileSync(join(directory, place, name), text);
  }
}

before(() => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), "lambent-compiled-"));
  chmodSync(directory, 0o755);
  write("", FILES);
  write("wrong", WRONG);
  write("hostile", HOSTILE);
  symlinkSync(".", join(directory, "hostile", "loop"));
  symlinkSync("/etc/passwd", join(directory, "hostile", "link.py"));
});
before(async () => {
  if (skip !== false) return;
  host = await startHost();
  planes = { without: open(0, () => 0.08), direct: open(0), prepared: open(4) };
});

after(async () => {
  if (skip !== false) return;
  await Promise.all(Object.values(planes).map((plane) => plane.stop()));
  const left = await host.inventory();
  await host.stop();
  rmSync(directory, { recursive: true });
  assert.deepEqual(left, []);
});

let deployments = 0;

function deployment(code: string, changes: Partial<Deployment> = {}): Deployment {
  const key = `${code}-${++deployments}`;
  return deploymentOf({
    key,
    functionName: code,
    runtime: RUNTIME,
    handler: "app.handler",
    codeDirectory: join(directory, code),
    ...changes,
  });
}

/** Once, in an environment of its own. */
async function call(plane: DataPlane, target: Deployment, event: unknown = {}): Promise<Outcome> {
  const payload = Buffer.from(JSON.stringify(event));
  const outcome = await plane.invoke(target, { requestId: requestId(), payload, invokedArn: target.functionArn, wantsLogTail: false });
  plane.retire([target.key]);
  return outcome;
}

type Answer = readonly [compiled: readonly string[], seen: Readonly<Record<string, unknown>>];

function valueOf(outcome: Outcome): Answer {
  assert.ok(outcome.kind === "returned", JSON.stringify(outcome));
  return JSON.parse(Buffer.from(outcome.payload).toString()) as Answer;
}

/** A cold start that finds a prepared sandbox. */
const callPrepared = async (make: () => Deployment, event: unknown = {}) =>
  await eventually("a cold start finds a prepared sandbox", async () => {
    const { taken } = planes.prepared.prepared();
    const outcome = await call(planes.prepared, make(), event);
    return planes.prepared.prepared().taken > taken && outcome;
  });

/** Paths that are in a compiled file. */
function indexOf(path: string): readonly string[] {
  const whole = readFileSync(path);
  return Object.keys(JSON.parse(whole.toString("utf8", 8, 8 + Number(whole.readBigUInt64BE()))) as object).toSorted();
}

const isThere = (path: string) => eventually(`${path} is there`, () => existsSync(path));
const cached = (place: string, name: string) => join(place, "__pycache__", `${name}.cpython-311.pyc`);

test("code that was compiled ahead is used, and looks as it does without", { skip }, async () => {
  const make = () => deployment("code", { layersDirectory: join(directory, "layer") });
  const [sources, without] = valueOf(await call(planes.without, make()));
  const all = ["/var/task/large.py", "/opt/python/layered.py", "/var/task/package/__init__.py", "/var/task/package/deep.py"];
  assert.deepEqual(sources, all);
  assert.ok(!existsSync(join(directory, `code.${RUNTIME}.task`)));
  // A cold start asks for it, and does not wait.
  planes.direct.expect(make());
  for (const made of [`code.${RUNTIME}.task`, `layer.${RUNTIME}.opt`]) await isThere(join(directory, made));
  for (const outcome of [await call(planes.direct, make()), await callPrepared(make)]) {
    const [compiled, seen] = valueOf(outcome);
    assert.deepEqual(compiled, []);
    assert.deepEqual(seen, without);
  }
  // Nothing of it is the package's: the directory is as it was.
  assert.deepEqual(readdirSync(join(directory, "code")).toSorted(), ["app.py", "large.py", "package"]);
});

test("a zip that is a package here and a layer there is compiled for each", { skip }, async () => {
  const both = deployment("both", { layersDirectory: join(directory, "both") });
  planes.direct.expect(both);
  for (const name of ["task", "opt"]) await isThere(join(directory, `both.${RUNTIME}.${name}`));
  assert.deepEqual(indexOf(join(directory, `both.${RUNTIME}.opt`)), [cached("/opt/python", "large")]);
  assert.deepEqual(indexOf(join(directory, `both.${RUNTIME}.task`)), [cached("/var/task", "app"), cached("/var/task/python", "large")]);
  assert.deepEqual(valueOf(await call(planes.direct, both)), "/opt/python/large.py");
});

test("an error's trace names the function's own files and lines", { skip }, async () => {
  const make = () => deployment("code", { layersDirectory: join(directory, "layer") });
  const outcomes = [await call(planes.without, make(), { fails: true })];
  outcomes.push(await call(planes.direct, make(), { fails: true }), await callPrepared(make, { fails: true }));
  const traces = outcomes.map((outcome) => {
    assert.ok(outcome.kind === "failed");
    return (JSON.parse(Buffer.from(outcome.payload).toString()) as { stackTrace: string[] }).stackTrace;
  });
  assert.match(traces[0]?.at(-1) ?? "", /File "\/var\/task\/large\.py", line 3002, in fail\n {4}raise ValueError/);
  assert.deepEqual([traces[1], traces[2]], [traces[0], traces[0]]);
});

test("a source that is not the one that was compiled is compiled when it is loaded", { skip }, async () => {
  const path = join(directory, "code", "large.py");
  const { mtime } = statSync(path);
  const make = () => deployment("code", { layersDirectory: join(directory, "layer") });
  writeFileSync(path, LARGE.replace("+ 7\n", "+ 8\n") + FAILS);
  const [compiled, seen] = valueOf(await call(planes.direct, make()));
  assert.deepEqual([compiled, seen["sum"]], [["/var/task/large.py"], 11]);
  writeFileSync(path, LARGE + FAILS);
  utimesSync(path, mtime, mtime);
  assert.deepEqual(valueOf(await call(planes.direct, make()))[0], []);
});

test("sources that do not compile, warn or mean harm are left out; none is run", { skip }, async () => {
  const compiled = join(directory, `hostile.${RUNTIME}.task`);
  const [tree] = codeTrees(deployment("hostile"), layout());
  assert.ok(tree !== undefined);
  await compileTree(tree, layout(), { sandboxes: host, clock: systemClock, signal: new AbortController().signal });
  // How deep it gets is the interpreter's to say.
  const found = indexOf(compiled).filter((path) => !/\/(?:nested|long)\./.test(path));
  assert.deepEqual(
    found,
    ["app", "large", ...SHADOWS].toSorted().map((name) => cached("/var/task", name)),
  );
});

test("what is wrong with a source is told as without", { skip }, async () => {
  const make = () => deployment("wrong", { layersDirectory: join(directory, "layer") });
  planes.direct.expect(make());
  await isThere(join(directory, `wrong.${RUNTIME}.task`));
  for (const plane of [planes.without, planes.direct])
    assert.deepEqual(valueOf(await call(plane, make(), { imports: "broken" })), ["SyntaxError", "invalid syntax (broken.py, line 1)"]);
  logged.length = 0;
  await call(planes.direct, make(), { imports: "warns" });
  await eventually("the warning is in the log", () =>
    logged.some((line) => line.includes('/var/task/warns.py:3001: SyntaxWarning: "is" with a literal')),
  );
});

const SCRIPTS: Readonly<Record<string, string>> = {
  "ends half-way": "echo half >&3; exit 3",
  "is killed": "echo half >&3; kill -9 $$",
  "writes without end": "cat /dev/zero >&3",
  "takes all memory": "exec python3 -c 'x = bytearray(2**30)'",
};

for (const [what, script] of Object.entries(SCRIPTS))
  test(`a compiler that ${what} leaves nothing, and the function runs`, { skip }, async () => {
    const [tree] = codeTrees(deployment("small"), layout());
    assert.ok(tree !== undefined);
    await assert.rejects(compile(tree, script), /compil/);
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.startsWith(".") || name.startsWith("small.")),
      [],
    );
    assert.equal(valueOf(await call(planes.direct, deployment("small"))), 1);
  });

const compile = async (tree: CodeTree, script: string, signal = new AbortController().signal) =>
  await compileTree(tree, { ...layout(), compiler: ["/bin/sh", "-c", script] }, { sandboxes: host, clock: systemClock, signal });

test("the compiler reaches nothing, sees one directory, and can write nowhere", { skip }, async () => {
  const [tree] = codeTrees(deployment("small"), layout());
  assert.ok(tree !== undefined);
  const seen = "import os, socket\ndef tries(f, *a):\n    try: return f(*a)\n    except OSError as e: return e.errno\n";
  const looks = `os.write(3, repr([os.listdir("/var/task"), os.listdir("/opt"), tries(open, "/var/task/x", "w"), tries(socket.create_connection, ("127.0.0.1", 4566)), sorted(os.environ)]).encode())`;
  await compile(tree, `exec /usr/bin/python3 -ISc '${seen}${looks}'`);
  assert.equal(readFileSync(tree.compiled, "utf8"), "[['app.py'], ['lib'], 30, 111, ['LC_CTYPE', 'LD_LIBRARY_PATH', 'PWD']]");
  // It is no index, so that it is as if it were not there.
  assert.equal(valueOf(await call(planes.direct, deployment("small"))), 1);
  rmSync(tree.compiled);
});

test("compiling ends at once when it is to end", { skip }, async () => {
  const [tree] = codeTrees(deployment("small"), layout());
  assert.ok(tree !== undefined);
  const ending = new AbortController();
  const running = assert.rejects(compile(tree, "sleep 600", ending.signal), /compiler failed/);
  await eventually("it runs", async () => (await host.inventory()).some(({ id }) => id.startsWith("compile-")));
  ending.abort();
  await running;
  assert.ok((await host.inventory()).every(({ id }) => !id.startsWith("compile-")));
});

test("a server keeps what was compiled over a restart, and removes it with the code", { skip }, async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "lambent-compiled-server-"));
  const packages = join(dataDirectory, "packages");
  const made = () => readdirSync(packages).filter((name) => name.endsWith(`.${RUNTIME}.task`));
  const code =
    "import sys\ncompiled = []\nsys.addaudithook(lambda event, given: event == 'compile' and compiled.append(given[1]))\nimport large\ndef handler(event, context):\n    return compiled\n";
  const ZipFile = await zipOf({ "app.py": code, "large.py": LARGE });
  try {
    const first = await startLambent({ dataDirectory });
    const { lambda, iam } = first.clients();
    await makeFunction(lambda, { name: "large", role: await makeRole(iam), code: "", settings: { Code: { ZipFile } } });
    const [name = ""] = await eventually("it is compiled", () => made().length > 0 && made());
    assert.ok(readdirSync(packages).includes(name.slice(0, name.indexOf("."))));
    assert.deepEqual((await invoke(lambda, "large")).value, []);
    const { ino } = statSync(join(packages, name));
    await first.end("SIGKILL");
    writeFileSync(join(packages, ".compiling-half"), "half");
    writeFileSync(join(packages, `${"0".repeat(64)}-1.${RUNTIME}.task`), "of nobody");
    const second = await startLambent({ dataDirectory });
    assert.deepEqual(made(), [name]);
    assert.ok(!existsSync(join(packages, ".compiling-half")));
    const again = second.clients();
    assert.deepEqual((await invoke(again.lambda, "large")).value, []);
    assert.equal(statSync(join(packages, name)).ino, ino);
    await again.lambda.send(new DeleteFunctionCommand({ FunctionName: "large" }));
    await second.end();
    const third = await startLambent({ dataDirectory });
    assert.deepEqual(readdirSync(packages), [".boot"]);
    await third.end();
  } finally {
    rmSync(dataDirectory, { recursive: true });
  }
});
