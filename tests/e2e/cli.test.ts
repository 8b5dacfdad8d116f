// The CLI as a person uses it: deploy, invoke, logs, list, delete, env, watch, and what it says when something is wrong.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
let server: LambentProcess;
let work: string;
before(async () => {
  server = await startLambent();
  work = await mkdtemp(join(tmpdir(), "lambent-cli-"));
});
after(async () => {
  await server.dispose();
  await rm(work, { recursive: true });
});

const environment = () => ({
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  LAMBENT_DATA: server.dataDirectory,
  ...server.environment,
});
const lambent = (...words: string[]) =>
  spawnSync(process.execPath, [MAIN, ...words], { cwd: work, env: environment(), encoding: "utf8", timeout: 60_000 });

test("deploys a directory, invokes, lists, shows the log, deletes", async () => {
  await mkdir(join(work, "hello"));
  await writeFile(
    join(work, "hello", "index.mjs"),
    "export const handler = async (event) => { console.log('hi', event.name); return { hi: event.name }; };\n",
  );
  const deployed = lambent("deploy", "hello");
  assert.equal(deployed.status, 0, deployed.stderr);
  assert.match(deployed.stderr, /created hello {2}nodejs\d+\.x index\.handler {2}256 MB/);
  assert.match(lambent("deploy", "hello").stderr, /unchanged hello/);
  const invoked = lambent("invoke", "hello", '{"name":"you"}');
  assert.equal(invoked.stdout, '{"hi":"you"}\n');
  assert.match(invoked.stderr, /INFO\thi you[\s\S]*REPORT RequestId[\s\S]*ok {2}cold/);
  assert.match(lambent("list").stdout, /NAME[\s\S]*hello/);
  await eventually("the log has the line", () => /hi you/.test(lambent("logs", "hello").stdout));
  const later = lambent("invoke", "hello", '{"name":"later"}', "--async");
  assert.match(later.stdout, /^[0-9a-f-]{36}\n$/);
  await eventually("the event was worked off", () => {
    const { stdout } = lambent("logs", "hello");
    return stdout.includes("hi later") && stdout.includes(`END RequestId: ${later.stdout.trim()}`);
  });
  assert.equal(lambent("delete", "hello").status, 0);
  assert.match(lambent("invoke", "hello").stderr, /ResourceNotFoundException: Function not found: arn:aws:lambda/);
});

test("a function error has its own exit code, and the payload on stdout", async () => {
  await mkdir(join(work, "broken"));
  await writeFile(join(work, "broken", "lambda_function.py"), "def lambda_handler(event, context):\n    raise ValueError('no')\n");
  assert.equal(lambent("deploy", "broken", "--timeout", "3").status, 0);
  const { status, stdout } = lambent("invoke", "broken");
  assert.equal(status, 3);
  assert.equal((JSON.parse(stdout) as { errorType: string }).errorType, "ValueError");
});

test("--watch deploys again when a file is saved", async () => {
  await mkdir(join(work, "watched"));
  const file = join(work, "watched", "index.mjs");
  await writeFile(file, "export const handler = async () => 1;\n");
  const child = spawn(process.execPath, [MAIN, "deploy", "watched", "--watch"], {
    cwd: work,
    env: environment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await eventually("it watches", () => text.includes("watching"));
  await writeFile(file, "export const handler = async () => 2;\n");
  await eventually("it deployed again", () => text.includes("updated watched"));
  assert.equal(lambent("invoke", "watched").stdout, "2\n");
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGINT");
  assert.equal(await ended, 0);
});

test("logs --follow shows lines as they are written, until Ctrl-C", async () => {
  await mkdir(join(work, "talker"));
  await writeFile(join(work, "talker", "index.mjs"), "export const handler = async (event) => console.log('word', event.n);\n");
  lambent("deploy", "talker");
  const child = spawn(process.execPath, [MAIN, "logs", "talker", "--follow"], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  let n = 0;
  await eventually(
    "a line arrives",
    () => {
      lambent("invoke", "talker", JSON.stringify({ n: n++ }));
      return /word \d/.test(text);
    },
    30_000,
  );
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGINT");
  assert.equal(await ended, 0);
});

test("events that fail are listed, survive a killed server, are shown and sent again; with faster time in seconds", async () => {
  const flags = ["--time-scale", "100"];
  let fast = await startLambent({ flags });
  const { dataDirectory } = fast;
  const run = (...words: string[]) => {
    const env = { ...environment(), LAMBENT_DATA: dataDirectory, ...fast.environment };
    return spawnSync(process.execPath, [MAIN, ...words], { cwd: work, env, encoding: "utf8", timeout: 60_000 });
  };
  try {
    assert.match(fast.stderr(), /Time runs 100 times faster/);
    await mkdir(join(work, "orders"));
    const write = (body: string) => writeFile(join(work, "orders", "index.mjs"), `export const handler = async (event) => { ${body} };\n`);
    await write("throw new Error('no stock')");
    assert.equal(run("deploy", "orders").status, 0);
    const requestId = run("invoke", "orders", '{"order":7}', "--async").stdout.trim();
    const listed = () => JSON.parse(run("events", "failed", "--function", "orders", "--json").stdout) as Record<string, unknown>[];
    await eventually("three attempts have failed", () => listed().length === 1, 30_000);
    fast.child.kill("SIGKILL");
    await fast.end();
    fast = await startLambent({ dataDirectory, flags });
    const [event] = listed();
    assert.deepEqual(
      [event?.["RequestId"], event?.["Reason"], event?.["Attempts"], event?.["Error"]],
      [requestId, "RetriesExhausted", 3, "no stock"],
    );
    const id = String(event?.["Id"]);
    assert.match(run("events", "failed").stdout, /^ID.*\n[0-9a-f-]{36} .*orders .*3 .*RetriesExhausted .*no stock\n$/);
    assert.equal(run("events", "show", id).stdout, '{"order":7}\n');
    await write("console.log('sent', event.order)");
    assert.equal(run("deploy", "orders").status, 0);
    assert.match(run("events", "redrive", id).stderr, /sent again: 1/);
    assert.match(run("events", "failed").stderr, /no failed events/);
    await eventually("it is worked off", () => run("logs", "orders").stdout.includes("sent 7"));
    assert.match(run("events", "show", id).stderr, /ResourceNotFoundException: There is no failed event/);
  } finally {
    await fast.dispose();
  }
});

test("wrong use is told in a sentence, with exit code 2", () => {
  for (const [words, pattern] of [
    [["deploy", "nowhere"], /nowhere can't be read: name a directory with code, or a zip/],
    [["up", "--port", "many"], /port: "many" is not a number from 0 to 65535/],
    [["up", "--host", "0.0.0.0"], /0\.0\.0\.0 is not a loopback address.*--insecure-network/],
    [["up", "--time-scale", "0.5"], /time scale: it is a number from 1 to 200/],
    [["up", "--host", "0.0.0.0", "--insecure-network", "--time-scale", "60"], /time runs faster on loopback only/],
    [["events", "redrive"], /name one event, or say --all/],
    [["frobnicate"], /unknown command/],
  ] as const) {
    const { status, stderr } = lambent(...words);
    assert.equal(status, 2, stderr);
    assert.match(stderr, pattern);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
});

test("without a server the commands say how to start one", () => {
  const env = { ...environment(), AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
  const { status, stderr } = spawnSync(process.execPath, [MAIN, "list"], { env, encoding: "utf8", timeout: 30_000 });
  assert.equal(status, 1);
  assert.match(stderr, /no Lambent server answers at http:\/\/127\.0\.0\.1:9: start one with {2}\.\/lambent up/);
});

test("env prints what a shell can eval, runtime list and doctor speak JSON", () => {
  assert.match(lambent("env").stdout, /^export AWS_ENDPOINT_URL='http:\/\/127\.0\.0\.1:4566'$/m);
  assert.ok(Array.isArray(JSON.parse(lambent("runtime", "list", "--json").stdout)));
  assert.ok(Array.isArray(JSON.parse(lambent("doctor", "--json").stdout)));
});
