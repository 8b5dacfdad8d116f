// The CLI as a person uses it: deploy, invoke, logs, list, delete, env, watch, and what it says when something is wrong.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

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

test("publishes a layer with what a requirements.txt names, and deploys a function with it", async () => {
  const wheel = await zipOf({
    "greet/__init__.py": "WORD = 'hello'\n",
    "greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
    "greet-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "greet-1.0.dist-info/RECORD":
      "greet/__init__.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\ngreet-1.0.dist-info/RECORD,,\n",
  });
  await mkdir(join(work, "needs"));
  await writeFile(join(work, "needs", "greet-1.0-py3-none-any.whl"), wheel);
  await writeFile(join(work, "needs", "requirements.txt"), "--no-index\n./greet-1.0-py3-none-any.whl\n");
  await mkdir(join(work, "shared", "python"), { recursive: true });
  await writeFile(join(work, "shared", "python", "own.py"), "WHO = 'world'\n");
  const published = lambent("layer", "publish", "words", "shared", "-r", "needs/requirements.txt", "--description", "words");
  assert.equal(published.status, 0, published.stderr);
  assert.equal(published.stdout, "arn:aws:lambda:us-east-1:000000000000:layer:words:1\n");
  assert.match(published.stderr, /installing needs\/requirements\.txt for python3\.\d+\npublished {2}[\d.]+ KB {2}python3/);
  assert.match(lambent("layer", "list").stdout, /^NAME +VERSION +RUNTIMES.*\nwords +1 +python3\.\d+ /);
  await mkdir(join(work, "speaker"));
  const code = "import greet, own\ndef handler(event, context):\n    return f'{greet.WORD} {own.WHO}'\n";
  await writeFile(join(work, "speaker", "app.py"), code);
  assert.match(lambent("deploy", "speaker", "--layer", "missing").stderr, /there is no layer missing: publish it with/);
  const deployed = lambent("deploy", "speaker", "--layer", "words");
  assert.equal(deployed.status, 0, deployed.stderr);
  assert.equal(lambent("invoke", "speaker").stdout, '"hello world"\n');
});

test("a layer from a package.json, for Node; a directory that no runtime looks at is told", async () => {
  await mkdir(join(work, "library"));
  await writeFile(join(work, "library", "package.json"), '{"name":"library","version":"1.0.0","main":"index.js"}');
  await writeFile(join(work, "library", "index.js"), "module.exports = 'from the library';\n");
  await writeFile(join(work, "package.json"), '{"scripts":{"prepare":"exit 1"},"dependencies":{"library":"file:./library"}}');
  await mkdir(join(work, "more", "nodejs", "node_modules", "own"), { recursive: true });
  await writeFile(join(work, "more", "nodejs", "node_modules", "own", "index.js"), "module.exports = 'own';\n");
  const published = lambent("layer", "publish", "library", "more", "-r", "package.json", "--json");
  assert.equal(published.status, 0, published.stderr);
  const { LayerVersionArn, CompatibleRuntimes } = JSON.parse(published.stdout) as { LayerVersionArn: string; CompatibleRuntimes: string[] };
  assert.match(CompatibleRuntimes[0] ?? "", /^nodejs/);
  await mkdir(join(work, "reader"));
  await writeFile(
    join(work, "reader", "index.mjs"),
    "import text from 'library';\nimport own from 'own';\nexport const handler = async () => [text, own];\n",
  );
  assert.equal(lambent("deploy", "reader", "--layer", LayerVersionArn).status, 0);
  assert.equal(lambent("invoke", "reader").stdout, '["from the library","own"]\n');
  const misplaced = lambent("layer", "publish", "misplaced", "library");
  assert.equal(misplaced.status, 0, misplaced.stderr);
  assert.match(misplaced.stderr, /nothing in it is where a runtime looks: python\//);
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

test("wrong use is told in a sentence, with exit code 2", () => {
  for (const [words, pattern] of [
    [["deploy", "nowhere"], /nowhere can't be read: name a directory with code, or a zip/],
    [["up", "--port", "many"], /port: "many" is not a number from 0 to 65535/],
    [["up", "--host", "0.0.0.0"], /0\.0\.0\.0 is not a loopback address.*--insecure-network/],
    [["frobnicate"], /unknown command/],
    [["layer", "publish", "x"], /nothing to publish: name a directory, a zip, or a requirements.txt or package.json with -r/],
    [["layer", "publish", "x", "nowhere"], /nowhere can't be read/],
    [["layer", "publish", "x", "-r", "nowhere.txt"], /nowhere\.txt can't be read/],
    [["layer", "publish", "x", "-r", "package.json", "--runtime", "python3.11"], /package\.json is for nodejs, and python3\.11 is not/],
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
