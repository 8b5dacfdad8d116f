// The Node bootstrap with every installed Node: handlers of all kinds, and the frames that they lead to.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { NODE_VERSIONS } from "../src/runtime/pins.ts";
import { runtimeCatalog } from "../src/runtime/managed.ts";
import { BootstrapProcess, encode, type BootstrapOptions } from "./bootstrap-process.ts";
import { ERRORS, INITS, RESULTS, type Case } from "./node-cases.ts";
import { PROTOTYPES } from "./node-prototypes.ts";

const config = loadConfig();
const BOOTSTRAP = join(import.meta.dirname, "node", "bootstrap.cjs");

function argvOf(runtime: string, variables: Readonly<Record<string, string>> = {}): readonly string[] | undefined {
  const layout = runtimeCatalog(config).resolve(runtime);
  if (layout === undefined || "missing" in layout) return undefined;
  const argv = layout.argvFor?.({ memoryMiB: 128, variables }) ?? layout.argv;
  const node = join(config.runtimesDirectory, runtime, "bin", "node");
  return argv.map((word) => (word === "/var/lang/bin/node" ? node : word === "/var/rapid/bootstrap.cjs" ? BOOTSTRAP : word));
}

async function check(argv: readonly string[], one: Case): Promise<void> {
  const started = await BootstrapProcess.start({
    argv,
    files: one.files,
    handler: one.handler ?? "index.handler",
    ...(one.env && { env: one.env }),
  });
  try {
    await checkStarted(started, one);
    for (const pattern of one.logs ?? []) assert.match(started.logs.join("\n"), pattern);
  } finally {
    await started.dispose();
  }
}

async function checkStarted(started: BootstrapProcess, one: Case): Promise<void> {
  const first = await started.frame();
  if (one.init !== undefined) {
    const { status, errorMessage, errorType } = one.init;
    assert.deepEqual([first.type, first.head], ["F", { errorType }]);
    const document = JSON.parse(first.body.toString()) as { errorType: string; errorMessage: string; trace: unknown };
    assert.equal(document.errorType, errorType);
    if (typeof errorMessage === "string") assert.equal(document.errorMessage, errorMessage);
    else assert.match(document.errorMessage, errorMessage);
    assert.ok(Array.isArray(document.trace));
    assert.deepEqual(await started.exited, { code: status, signal: null });
    return;
  }
  assert.deepEqual([first.type, first.head], ["R", {}]);
  const id = started.send(JSON.stringify(one.event ?? {}), one.head);
  const { type, head, body } = await started.frame();
  if (one.error === undefined) {
    assert.equal(type, "S", body.toString().slice(0, 500));
    assert.deepEqual(head, { requestId: id });
    if ("result" in one) assert.deepEqual(JSON.parse(body.toString()), one.result);
    return;
  }
  const document = JSON.parse(body.toString()) as { errorType: string; errorMessage: string };
  assert.equal(type, "E", body.toString().slice(0, 500));
  const { errorType, errorMessage } = one.error;
  assert.deepEqual(head, { requestId: id, errorType, ...(one.status === undefined ? {} : { exits: true }) });
  assert.equal(document.errorType, errorType);
  if (errorMessage !== "") assert.equal(document.errorMessage, errorMessage);
  if (one.status !== undefined) assert.deepEqual(await started.exited, { code: one.status, signal: null });
}

for (const [runtime, version] of NODE_VERSIONS) {
  const argv = argvOf(runtime);
  const major = Number.parseInt(version, 10);
  describe(runtime, { skip: argv === undefined ? `run  lambent runtime install ${runtime}` : false, concurrency: 2 }, () => {
    if (argv === undefined) return;
    for (const one of [...RESULTS, ...PROTOTYPES, ...ERRORS, ...INITS])
      if (one.only?.(major) ?? true) test(one.title, () => check(argv, one));
    others(argv, runtime, major);
  });
}

function others(argv: readonly string[], runtime: string, major: number): void {
  const started: BootstrapProcess[] = [];
  const start = async (options: Omit<BootstrapOptions, "argv" | "handler"> & { handler?: string }) => {
    const one = await BootstrapProcess.start({ argv, handler: "index.handler", ...options });
    started.push(one);
    return one;
  };
  after(async () => {
    for (const one of started) await one.dispose();
  });

  test("one that waits finds what has come since, and where it is", async () => {
    const files = {
      "index.mjs":
        "import { a } from './a.mjs'; import found from 'found'; import fs from 'node:fs'; export const handler = async () => [a, found.name, fs.existsSync('index.mjs')]",
      "a.mjs": "export const a = 1",
      "node_modules/found/index.js": "exports.name = 'a package'",
    };
    const one = await start({ files, isPrepared: true });
    assert.equal((await one.frame()).type, "R");
    assert.deepEqual((await one.invoke({})).value, [1, "a package", true]);
  });

  test("one that waits has rehearsed, and nothing of that is left", async () => {
    const code =
      "exports.handler = async () => [typeof awslambda, Object.getOwnPropertyNames(globalThis), process.cwd(), Object.keys(require.cache)]";
    const variables = { AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA: "1" };
    const seen = await Promise.all(
      [true, false].map(async (isPrepared) => {
        const one = await start({ files: { "index.js": code }, isPrepared, variables });
        assert.equal((await one.frame()).type, "R");
        return JSON.stringify((await one.invoke({})).value).replaceAll(one.directory, "/var/task");
      }),
    );
    assert.equal(seen[0], seen[1]);
    assert.match(seen[0] ?? "", /^\["undefined"/);
  });

  test("an environment serves many invocations, and goes on after errors", async () => {
    const one = await start({
      files: {
        "index.js":
          "let n = 0; exports.handler = async (e) => { n++; if (e === 'throw') throw new Error('x'); if (e === 'hang') return new Promise(() => {}); return n }",
      },
    });
    assert.equal((await one.frame()).type, "R");
    const types = [];
    for (const event of ["a", "throw", "hang", "b"]) types.push((await one.invoke(event)).type);
    assert.deepEqual(types, ["S", "E", "E", "S"]);
    assert.equal((await one.invoke("c")).value, 5);
  });

  test("the first invocation may come with the boot frame, cut anywhere", async () => {
    const one = await start({
      files: { "index.mjs": "await new Promise((r) => setTimeout(r, 20)); export const handler = async (e) => e" },
    });
    const event = JSON.stringify({ text: "é".repeat(100_000) });
    const bytes = encode("I", { requestId: "early", deadlineMs: 0, invokedArn: "a" }, event);
    for (const at of [0, 2, 4, 7, 30, 70_001])
      one.control.write(bytes.subarray(at, [2, 4, 7, 30, 70_001, bytes.length][[0, 2, 4, 7, 30, 70_001].indexOf(at)]));
    assert.equal((await one.frame()).type, "R");
    const { type, body } = await one.frame();
    assert.deepEqual([type, body.toString()], ["S", event]);
  });

  test("variables of the boot frame are there before user code", async () => {
    const one = await start({
      files: { "index.js": "const early = process.env.LATE; exports.handler = async () => early" },
      variables: { LATE: "bound", __proto__: "odd" },
    });
    await one.frame();
    assert.equal((await one.invoke(0)).value, "bound");
  });

  test("text log lines have time, request and level, and come before the answer", async () => {
    const code =
      "console.log('init'); exports.handler = async () => { console.log(); console.log('a', { b: 1 }); console.info('i'); console.debug('d'); console.warn('w'); console.error('e'); console.trace('t'); console.fatal('f'); console.log('two\\nlines'); process.stdout.write('raw\\n') }";
    const one = await start({ files: { "index.js": code } });
    await one.frame();
    await one.invoke(0, { requestId: "r" });
    const stamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t/;
    for (const line of one.logs) assert.match(line, stamp);
    const expected = [
      `${major < 24 ? "undefined" : "-"}\tINFO\tinit`,
      "r\tINFO\tundefined",
      "r\tINFO\ta { b: 1 }",
      "r\tINFO\ti",
      "r\tDEBUG\td",
      "r\tWARN\tw",
      "r\tERROR\te",
      "r\tTRACE\tt",
      "r\tFATAL\tf",
      "r\tINFO\ttwo\nlines",
    ];
    assert.deepEqual(
      one.logs.map((line) => line.replace(stamp, "")),
      expected,
    );
    await one.dispose();
    assert.equal(one.output, "raw\n");
  });

  test("JSON log lines carry members and errors, and are filtered by level", async () => {
    const code =
      "exports.handler = async () => { console.debug('no'); console.log('a %s', 1); console.log({ b: 2 }); console.error('c', new TypeError('t')); console.error(new TypeError('u')); const o = {}; o.o = o; console.log(o); console.error(new TypeError('v'), 'first') }";
    const one = await start({ files: { "index.js": code }, env: { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "INFO" } });
    await one.frame();
    await one.invoke(0, { requestId: "r", tenantId: "blue" });
    const lines = one.logs.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const line of lines) assert.deepEqual([line["requestId"], line["tenantId"], typeof line["timestamp"]], ["r", "blue", "string"]);
    assert.deepEqual(
      lines.map((line) => line["level"]),
      ["INFO", "INFO", "ERROR", "ERROR", "INFO", "ERROR"],
    );
    assert.deepEqual([lines[0]?.["message"], lines[1]?.["message"]], ["a 1", { b: 2 }]);
    assert.deepEqual([lines[2]?.["errorType"], lines[2]?.["errorMessage"]], ["TypeError", "t"]);
    assert.equal((lines[3]?.["message"] as { errorType: string } | undefined)?.errorType, "TypeError");
    assert.match(String(lines[4]?.["message"]), /Circular/);
    assert.equal(lines[5]?.["errorType"], major < 24 ? "TypeError" : undefined);
  });

  test("process.exit ends it with its status, and what was logged before is not lost", async () => {
    const one = await start({
      files: {
        "index.js": "exports.handler = async () => { for (let i = 0; i < 2000; i++) console.log('x'.repeat(500)); process.exit(7) }",
      },
    });
    await one.frame();
    one.send("0");
    assert.deepEqual(await one.exited, { code: 7, signal: null });
    assert.equal(one.logs.length, 2000);
  });

  test("what is printed is written before the answer and before an exit, however much it is", async () => {
    const print = "for (const stream of [process.stdout, process.stderr]) stream.write('x'.repeat(1e6) + '\\n')";
    const one = await start({
      files: { "index.js": `exports.handler = async (e) => { ${print}; if (e === 'exit') process.exit(0); return 1 }` },
    });
    await one.frame();
    await one.invoke("");
    one.send('"exit"');
    assert.deepEqual(await one.exited, { code: 0, signal: null });
    assert.equal(one.output.length, 4 * (1e6 + 1));
  });

  test("an await at the top level that nothing can settle ends initialisation", async () => {
    const one = await start({ files: { "index.mjs": "await new Promise(() => {}); export const handler = 1" } });
    assert.deepEqual(await one.exited, { code: 13, signal: null });
  });

  test("the end of the socket is the end of the process, whatever it does", async () => {
    const one = await start({ files: { "index.js": "setInterval(() => {}, 1000); exports.handler = async () => 1" } });
    await one.frame();
    await one.invoke(0);
    assert.deepEqual(await one.dispose(), { code: 0, signal: null });
  });

  test("ES modules and CommonJS find packages along NODE_PATH", async () => {
    const code =
      "import one from 'shared'; import two from 'shared/sub/two.js'; import { createRequire } from 'node:module'; export const handler = async () => [one, two, createRequire(import.meta.url)('shared')];";
    const files = {
      "index.mjs": code,
      "layer/node_modules/shared/index.js": "module.exports = 'layer'",
      "layer/node_modules/shared/sub/two.js": "module.exports = 'sub'",
    };
    const one = await start({ files, env: {} });
    const failed = await one.frame();
    assert.equal(failed.type, "F");
    // The place is known only now; the same package is started again with it.
    const two = await start({ files, env: { NODE_PATH: `/nowhere/node_modules:${join(one.directory, "layer", "node_modules")}` } });
    assert.equal((await two.frame()).type, "R");
    assert.deepEqual((await two.invoke(0)).value, ["layer", "sub", "layer"]);
  });

  test("the AWS SDK is there", async () => {
    const sdk = join(config.runtimesDirectory, "node-sdk", "node_modules");
    const files = {
      "index.mjs": "import { LambdaClient } from '@aws-sdk/client-lambda'; export const handler = async () => typeof LambdaClient",
      "c.js": "const { S3Client } = require('@aws-sdk/client-s3'); exports.handler = async () => typeof S3Client",
    };
    for (const handler of ["index.handler", "c.handler"]) {
      const one = await start({ files, handler, env: { NODE_PATH: sdk } });
      assert.equal((await one.frame()).type, "R");
      assert.equal((await one.invoke(0)).value, "function");
    }
  });

  test("the heap's limit follows the function's memory", async () => {
    const one = await start({
      files: { "index.js": "exports.handler = async () => require('node:v8').getHeapStatistics().heap_size_limit / 2 ** 20" },
    });
    await one.frame();
    const limit = (await one.invoke(0)).value as number;
    assert.ok(limit > 100 && limit < 160, `${limit} MiB`);
    assert.ok(argvOf(runtime, { NODE_OPTIONS: "--max_old_space_size=50" })?.every((word) => !word.includes("space-size")));
    if (major === 22)
      assert.ok(!argvOf(runtime, { NODE_OPTIONS: "--experimental-require-module" })?.includes("--no-experimental-require-module"));
  });
}
