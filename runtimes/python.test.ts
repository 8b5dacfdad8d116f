// The Python bootstrap with every Python of this machine: handlers of all kinds, and the frames that they lead to.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { findHostPython, PYTHON_RUNTIMES } from "../src/runtime/host-pythons.ts";
import { pythonMinor, pythonSdkOf } from "../src/runtime/pins.ts";
import { BootstrapProcess, type BootstrapOptions, type InvocationHead } from "./bootstrap-process.ts";

const config = loadConfig();
const BOOTSTRAP = join(import.meta.dirname, "python", "bootstrap.py");
const RESPONSE_BYTES_MAX = 6_291_556;
const NBSP = "\u00a0";

interface Document {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly requestId: string;
  readonly stackTrace: readonly string[];
}

interface Case {
  readonly title: string;
  /** Text of app.py. */
  readonly code?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly handler?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly event?: unknown;
  readonly head?: InvocationHead;
  readonly only?: (minor: number) => boolean;
  readonly init?: { readonly errorType: string; readonly errorMessage: string | RegExp };
  /** Text of the answer. */
  readonly text?: string;
  readonly result?: unknown;
  readonly error?: { readonly errorType: string; readonly errorMessage: string | RegExp };
  readonly logs?: readonly RegExp[];
}

const def = (...lines: readonly string[]) => `def handler(event, context):\n${lines.map((line) => `    ${line}\n`).join("")}`;

const RESULTS: readonly Case[] = [
  {
    title: "a dict",
    code: def("return {'got': event}"),
    event: { a: ["é", 1, 1.5, null, true] },
    result: { got: { a: ["é", 1, 1.5, null, true] } },
  },
  { title: "None", code: def("pass"), text: "null" },
  { title: "text as it is since 3.12", code: def("return 'é'"), only: (minor) => minor >= 12, text: '"é"' },
  { title: "text escaped before 3.12", code: def("return 'é'"), only: (minor) => minor < 12, text: '"\\u00e9"' },
  { title: "separators", code: def("return {'a': [1, 2]}"), text: '{"a": [1, 2]}' },
  {
    title: "Decimal with all its digits",
    code: `from decimal import Decimal\n${def("return {'n': [Decimal('1.10'), Decimal('12345678901234567890'), 'x']}")}`,
    text: '{"n": [1.10, 12345678901234567890, "x"]}',
  },
  {
    title: "tuples, ints and bools as keys",
    code: def("return ({1: 'a', True: 'b', None: 'c', 1.5: 'd'},)"),
    result: [{ 1: "b", null: "c", "1.5": "d" }],
  },
  {
    title: "named tuples are objects, anywhere",
    code: `from typing import NamedTuple\nclass N(NamedTuple):\n    a: int\n    b: object\n${def("return {'k': [N(1, (N(2, {}),))], 't': (3, 4)}")}`,
    text: '{"k": [{"a": 1, "b": [{"a": 2, "b": {}}]}], "t": [3, 4]}',
  },
  { title: "bytes within a result are text", code: def("return {'a': b'x', b'k': [b'\\xc3\\xa9']}"), result: { a: "x", k: ["é"] } },
  {
    title: "W3C trace context of the caller",
    code: def("return [context.w3c(), repr(context)[-18:]]"),
    head: { clientContext: '{"w3c":{"traceparent":"p","tracestate":1,"other":"x"}}' },
    result: [{ traceparent: "p" }, "])),tenant_id=None])".slice(-18)],
  },
  {
    title: "with no streams, and with some that can't be flushed",
    code: `import sys\n${def("sys.stdout = None", "sys.stderr = type('Other', (), {'write': print})()", "return 3")}`,
    text: "3",
  },
  {
    title: "the standard library's modules where AWS's runtime has loaded them, its own elsewhere",
    files: {
      "app.py": def(
        "import json, logging, types, queue",
        "return [json.loads('1'), hasattr(logging, 'own'), hasattr(types, 'own'), queue.own]",
      ),
      "json.py": "own = 1\n",
      "logging/__init__.py": "own = 1\n",
      "types.py": "own = 1\n",
      "queue.py": "own = 1\n",
    },
    result: [1, false, false, 1],
  },
  { title: "bytes as they are", code: def("return b'raw'"), text: "raw" },
  { title: "a module in a package, by slash", files: { "pkg/mod.py": def("return 1") }, handler: "pkg/mod.handler", text: "1" },
  {
    title: "a module in a package, by dot",
    files: { "pkg/__init__.py": "", "pkg/mod.py": def("return 2") },
    handler: "pkg.mod.handler",
    text: "2",
  },
  {
    title: "a class with __call__",
    code: "class C:\n    def __call__(self, event, context):\n        return 3\nhandler = C()\n",
    text: "3",
  },
  {
    title: "a module of the same name as the bootstrap's",
    files: { "bootstrap.py": def("import logs; return logs.here"), "logs.py": "here = 4\n" },
    handler: "bootstrap.handler",
    text: "4",
  },
  {
    title: "json is there when the function wants it",
    code: `import json\n${def("return json.loads(json.dumps(event))")}`,
    event: [1, { a: "b" }],
    result: [1, { a: "b" }],
  },
  {
    title: "context",
    code: def(
      "c = context.client_context",
      "left = context.get_remaining_time_in_millis()",
      "return [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb, context.log_group_name, context.log_stream_name, context.invoked_function_arn, context.tenant_id, c.custom, c.env, c.client.app_title, c.client.installation_id, context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id, 0 < left <= 3000]",
    ),
    env: {
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
      AWS_LAMBDA_LOG_GROUP_NAME: "g",
      AWS_LAMBDA_LOG_STREAM_NAME: "s",
    },
    head: {
      requestId: "id-1",
      tenantId: "t",
      clientContext: '{"custom":{"a":1},"client":{"app_title":"x"}}',
      cognitoIdentity: '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
    },
    result: [
      "id-1",
      "tested",
      "$LATEST",
      "128",
      "g",
      "s",
      "arn:aws:lambda:us-east-1:000000000000:function:tested",
      "t",
      { a: 1 },
      null,
      "x",
      null,
      "i",
      "p",
      true,
    ],
  },
  {
    title: "no client context",
    code: def("return [context.client_context, context.identity.cognito_identity_id, repr(context)[:14]]"),
    result: [null, null, "LambdaContext("],
  },
  {
    title: "trace header",
    code: `import os\n${def("return os.environ.get('_X_AMZN_TRACE_ID')")}`,
    head: { traceHeader: "Root=1-2-3" },
    text: '"Root=1-2-3"',
  },
  {
    title: "no module that was not asked for",
    code: `import sys\n${def("return sorted(m for m in ('json', 'logging', 're', 'importlib', 'socket', 'traceback', 'site', 'subprocess') if m in sys.modules)")}`,
    result: [],
  },
  { title: "exit is there without site", code: def("return [callable(exit), callable(quit)]"), result: [true, true] },
  {
    title: "the order of the path",
    code: `import sys, os\n${def("return [sys.path[0] == os.environ['LAMBDA_TASK_ROOT']] + sys.path[1:4]")}`,
    env: { PYTHONPATH: "/var/runtime" },
    only: (minor) => minor === 11,
    result: [true, "/opt/python/lib/python3.11/site-packages", "/opt/python", "/var/runtime"],
  },
  { title: "an answer of the greatest size", code: def(`return 'x' * ${RESPONSE_BYTES_MAX - 2}`) },
];

const ERRORS: readonly Case[] = [
  {
    title: "an exception",
    code: def("raise ValueError('nö')"),
    error: { errorType: "ValueError", errorMessage: "nö" },
    logs: [
      new RegExp(
        `^\\[ERROR\\] ValueError: nö\\nTraceback \\(most recent call last\\):\\n${NBSP}{2}File ".*/app\\.py", line 2, in handler\\n${NBSP}{4}raise ValueError\\('nö'\\)$`,
      ),
    ],
  },
  {
    title: "an exception without text",
    code: def("raise KeyError()"),
    error: { errorType: "KeyError", errorMessage: "" },
    logs: [/^\[ERROR\] KeyError\nTraceback/],
  },
  {
    title: "an exception with half a character in its text",
    code: def("raise ValueError('\\ud800')"),
    error: { errorType: "ValueError", errorMessage: "\ud800" },
    logs: [/^\[ERROR\] ValueError: \\ud800\nTraceback/],
  },
  {
    title: "a result that JSON has no form for",
    code: def("return {1, 2}"),
    error: { errorType: "Runtime.MarshalError", errorMessage: "Unable to marshal response: Object of type set is not JSON serializable" },
  },
  {
    title: "bytes within a result that are no text",
    code: def("return [b'\\xff']"),
    error: {
      errorType: "Runtime.MarshalError",
      errorMessage: "Unable to marshal response: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    },
  },
  {
    title: "a circular result",
    code: def("a = []", "a.append(a)", "return a"),
    error: { errorType: "Runtime.MarshalError", errorMessage: "Unable to marshal response: Circular reference detected" },
  },
  {
    title: "a key that JSON has no form for",
    code: def("return {(1, 2): 3}"),
    error: {
      errorType: "Runtime.MarshalError",
      errorMessage: "Unable to marshal response: keys must be str, int, float, bool or None, not tuple",
    },
  },
  {
    title: "an answer that is too large",
    code: def(`return 'x' * ${RESPONSE_BYTES_MAX - 1}`),
    error: {
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    },
  },
  {
    title: "client context that is no JSON",
    code: def("return 1"),
    head: { clientContext: "{" },
    error: {
      errorType: "Runtime.LambdaContextUnmarshalError",
      errorMessage: /^Unable to parse Client Context JSON: Expecting property name enclosed in double quotes/,
    },
  },
];

const INITS: readonly Case[] = [
  {
    title: "no such module",
    files: {},
    init: { errorType: "Runtime.ImportModuleError", errorMessage: "Unable to import module 'app': No module named 'app'" },
  },
  {
    title: "a module that is missing in the module",
    code: "import nowhere\n",
    init: { errorType: "Runtime.ImportModuleError", errorMessage: "Unable to import module 'app': No module named 'nowhere'" },
  },
  {
    title: "no such function",
    code: "",
    init: { errorType: "Runtime.HandlerNotFound", errorMessage: "Handler 'handler' missing on module 'app'" },
  },
  {
    title: "no dot in the name",
    code: "",
    handler: "app",
    init: { errorType: "Runtime.MalformedHandlerName", errorMessage: "Bad handler 'app': not enough values to unpack (expected 2, got 1)" },
  },
  {
    title: "a built-in module",
    handler: "sys.exit",
    init: { errorType: "Runtime.BuiltInModuleConflict", errorMessage: "Cannot use built-in module sys as a handler module" },
  },
  {
    title: "syntax error",
    code: "def handler(:\n",
    init: { errorType: "Runtime.UserCodeSyntaxError", errorMessage: /^Syntax error in module 'app': .*\(app\.py, line 1\)$/ },
  },
  { title: "an exception at the top level", code: "1 / 0\n", init: { errorType: "ZeroDivisionError", errorMessage: "division by zero" } },
];

async function check(argv: readonly string[], one: Case): Promise<void> {
  const files = one.files ?? { "app.py": one.code ?? "" };
  const started = await BootstrapProcess.start({ argv, files, handler: one.handler ?? "app.handler", ...(one.env && { env: one.env }) });
  try {
    await checkStarted(started, one);
    for (const pattern of one.logs ?? []) assert.match(started.logs.join("\n"), pattern);
  } finally {
    await started.dispose();
  }
}

function checkDocument(body: Buffer, { errorType, errorMessage }: NonNullable<Case["error"]>, requestId: string): Document {
  const document = JSON.parse(body.toString()) as Document;
  assert.equal(document.errorType, errorType);
  if (typeof errorMessage === "string") assert.equal(document.errorMessage, errorMessage);
  else assert.match(document.errorMessage, errorMessage);
  if (errorType !== "Function.ResponseSizeTooLarge") {
    assert.equal(document.requestId, requestId);
    for (const line of document.stackTrace) assert.doesNotMatch(line, /runtimes\/python/);
  }
  return document;
}

async function checkStarted(started: BootstrapProcess, one: Case): Promise<void> {
  const first = await started.frame();
  if (one.init !== undefined) {
    assert.deepEqual([first.type, first.head], ["F", { errorType: one.init.errorType }]);
    checkDocument(first.body, one.init, "");
    assert.deepEqual(await started.exited, { code: 1, signal: null });
    return;
  }
  assert.deepEqual([first.type, first.head], ["R", {}], first.body.toString());
  const id = started.send(JSON.stringify(one.event ?? {}), one.head);
  const { type, head, body } = await started.frame();
  if (one.error !== undefined) {
    assert.deepEqual([type, head], ["E", { requestId: id, errorType: one.error.errorType }]);
    checkDocument(body, one.error, id);
    return;
  }
  assert.equal(type, "S", body.toString().slice(0, 500));
  assert.deepEqual(head, { requestId: id });
  if (one.text !== undefined) assert.equal(body.toString(), one.text);
  if ("result" in one) assert.deepEqual(JSON.parse(body.toString()), one.result);
}

/** The reader is the nap that is taken while there is something to read. */
const READ_FIRST = `
import os, sys, time
sys.path.insert(0, sys.argv[1])
import failures
from_pipe, to_pipe = os.pipe()
printed, nap, read = sys.__stdout__, time.sleep, []
sys.__stdout__ = os.fdopen(to_pipe, "w")
os.write(to_pipe, b"printed")
time.sleep = lambda seconds: read.append(os.read(from_pipe, 100))
failures.wait_until_read()
os.write(to_pipe, b"unread")
time.sleep = nap
failures.wait_until_read()
unread = os.read(from_pipe, 100).decode()
sys.__stdout__.close()
failures.wait_until_read()
print(read, unread, "closed", file=printed)
`;

for (const runtime of PYTHON_RUNTIMES) {
  const host = findHostPython(config.pythonSearchPath, runtime);
  describe(runtime, { skip: host === undefined ? `there is no ${runtime} on this machine` : false, concurrency: 2 }, () => {
    if (host === undefined) return;
    const argv = [host.interpreter, "-S", "-u", BOOTSTRAP];
    const minor = pythonMinor(runtime);
    for (const one of [...RESULTS, ...ERRORS, ...INITS]) if (one.only?.(minor) ?? true) test(one.title, () => check(argv, one));
    others(argv, runtime);
  });
}

function others(argv: readonly string[], runtime: string): void {
  const started: BootstrapProcess[] = [];
  const start = async (code: string, options: Partial<BootstrapOptions> = {}) => {
    const one = await BootstrapProcess.start({ argv, handler: "app.handler", files: { "app.py": code }, ...options });
    started.push(one);
    return one;
  };
  after(async () => {
    for (const one of started) await one.dispose();
  });

  test("one that waits finds what has come since, and what time it is there", async () => {
    const code = `import os, time\nimport beside.it\n${def("return [beside.it.x, os.path.exists('app.py'), time.strftime('%Z', time.localtime(0))]")}`;
    const files = { "app.py": code, "beside/it.py": "x = 1" };
    const one = await start(code, { files, isPrepared: true, variables: { TZ: "XYZ-5" } });
    assert.equal((await one.frame()).type, "R");
    assert.deepEqual((await one.invoke({})).value, [1, true, "XYZ"]);
  });

  test("an environment serves many invocations, and goes on after errors", async () => {
    const one = await start(`n = 0\n${def("global n", "n += 1", "if event == 'raise': raise ValueError(n)", "return n")}`);
    assert.equal((await one.frame()).type, "R");
    const types = [];
    for (const event of ["a", "raise", "b"]) types.push((await one.invoke(event)).type);
    assert.deepEqual(types, ["S", "E", "S"]);
    assert.equal((await one.invoke("c")).value, 4);
  });

  test("the first invocation may come with the boot frame, and may be large", async () => {
    const one = await start(def("return len(event)"));
    one.send(JSON.stringify("é".repeat(1_000_000)));
    assert.equal((await one.frame()).type, "R");
    assert.equal((await one.frame()).body.toString(), "1000000");
  });

  test("an event that is no JSON", async () => {
    const one = await start(def("return 1"));
    await one.frame();
    one.send('{"a":');
    const document = checkDocument(
      (await one.frame()).body,
      { errorType: "Runtime.UnmarshalError", errorMessage: /^Unable to unmarshal input: Expecting value: line 1 column 6/ },
      "request-1",
    );
    assert.deepEqual(document.stackTrace, []);
  });

  test("variables of the boot frame are there before user code", async () => {
    const one = await start(`import os\nearly = os.environ['LATE']\n${def("return early")}`, { variables: { LATE: "bound" } });
    await one.frame();
    assert.equal((await one.invoke(0)).value, "bound");
  });

  test("logging writes AWS's text lines, print goes to the output line by line", async () => {
    const code = `import logging\nlogging.basicConfig(format='never seen')\nlogging.warning('init')\nlogger = logging.getLogger('mine')\nlogger.setLevel('INFO')\n${def("logger.info('a %s', 1)", "logging.getLogger().debug('no')", "logging.error('two\\nlines')", "print('printed', end='')")}`;
    const one = await start(code);
    await one.frame();
    await one.invoke(0, { requestId: "r" });
    const stamp = /\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t/;
    assert.deepEqual(
      one.logs.map((line) => line.replace(stamp, "|")),
      ["[WARNING]|\tinit", "[INFO]|r\ta 1", "[ERROR]|r\ttwo\nlines"],
    );
    await one.dispose();
    assert.equal(one.output, "printed");
  });

  test("logging in JSON carries extra members and exceptions, and is filtered by level", async () => {
    const code = `import logging\n${def("logging.debug('no')", "logging.info('a', extra={'more': {'b': 2}, 'errorType': 'no'})", "logging.info({'m': 1})", "try: 1 / 0", "except ZeroDivisionError: logging.exception('c')", "raise ValueError('d')")}`;
    const one = await start(code, { env: { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "INFO" } });
    await one.frame();
    assert.equal((await one.invoke(0, { requestId: "r", tenantId: "blue" })).type, "E");
    const lines = one.logs.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const line of lines) {
      assert.deepEqual([line["requestId"], line["tenantId"]], ["r", "blue"]);
      assert.match(String(line["timestamp"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    }
    assert.deepEqual(
      lines.map((line) => [line["level"], line["message"] ?? line["errorMessage"]]),
      [
        ["INFO", "a"],
        ["INFO", { m: 1 }],
        ["ERROR", "c"],
        ["ERROR", "d"],
      ],
    );
    assert.deepEqual([lines[0]?.["more"], lines[0]?.["logger"]], [{ b: 2 }, "root"]);
    assert.equal(lines[0]?.["errorType"], undefined);
    assert.deepEqual([lines[2]?.["errorType"], lines[2]?.["errorMessage"]], ["ZeroDivisionError", "division by zero"]);
    assert.match(String(lines[2]?.["location"]), /app\.py:handler:\d+$/);
  });

  test("logging is set up beside a module of the function's own of that name", async () => {
    const files = { "app.py": `import logging\n${def("logging.error('x')")}`, "logging.py": "mine = 5\n" };
    const one = await start("", { files });
    await one.frame();
    await one.invoke(0, { requestId: "r" });
    assert.match(one.logs.join(), /^\[ERROR\]\t.*\tr\tx$/);
  });

  test("log events of several threads do not run into each other", async () => {
    const code = `import logging, threading\n${def("def work():", "    for i in range(200): logging.warning('x' * 3000)", "ts = [threading.Thread(target=work) for _ in range(4)]", "[t.start() for t in ts]", "[t.join() for t in ts]")}`;
    const one = await start(code);
    await one.frame();
    await one.invoke(0);
    assert.equal(one.logs.length, 800);
    for (const line of one.logs) assert.match(line, /\tx{3000}$/);
  });

  test("a log message that can't be formatted is the function's error", async () => {
    const one = await start(`import logging\n${def("logging.warning('a %d', 'x')")}`);
    await one.frame();
    const { type, head, value } = await one.invoke(0);
    assert.deepEqual([type, head["errorType"]], ["E", "TypeError"]);
    assert.match((value as Document).errorMessage, /^%d format: a (?:real )?number is required, not str$/);
  });

  test("what was printed is not lost with a process that is killed", async () => {
    const one = await start(`import os\n${def("print('begun', end='')", "os.kill(os.getpid(), 9)")}`);
    await one.frame();
    one.send("0");
    assert.deepEqual(await one.exited, { code: null, signal: "SIGKILL" });
    assert.equal(one.output, "begun");
  });

  for (const [what, code, status] of [
    ["sys.exit with a status", "import sys; sys.exit(3)", 3],
    ["sys.exit", "import sys; sys.exit()", 0],
    ["os._exit", "import os; os._exit(4)", 4],
  ] as const)
    test(`${what} ends the process with it`, async () => {
      const one = await start(def("print('last words')", code));
      await one.frame();
      one.send("0");
      assert.deepEqual(await one.exited, { code: status, signal: null });
      assert.equal(one.output, "last words\n");
    });

  test("the end of the socket is the end of the process, whatever its threads do", async () => {
    const one = await start(`import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n${def("return 1")}`);
    await one.frame();
    await one.invoke(0);
    assert.deepEqual(await one.dispose(), { code: 0, signal: null });
  });

  test("an error is logged when what was printed before has been read, or if nobody reads", () => {
    const answer = spawnSync(argv[0] ?? "", ["-S", "-c", READ_FIRST, dirname(BOOTSTRAP)], { encoding: "utf8" });
    assert.deepEqual([answer.stderr, answer.stdout], ["", "[b'printed'] unread closed\n"]);
  });

  test("boto3 is there", async () => {
    const sdk = join(config.runtimesDirectory, pythonSdkOf(runtime).name);
    const one = await start(`import boto3\n${def("return [boto3.client('lambda').meta.service_model.service_name, boto3.__file__]")}`, {
      env: { PYTHONPATH: sdk, AWS_REGION: "us-east-1", AWS_DEFAULT_REGION: "us-east-1" },
    });
    const ready = await one.frame();
    assert.equal(ready.type, "R", ready.body.toString());
    assert.deepEqual((await one.invoke(0)).value, ["lambda", join(sdk, "boto3", "__init__.py")]);
  });
}
